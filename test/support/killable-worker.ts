import { startWorker, type WorkerProcessOptions } from "./worker-process.js";

// A Worker in a process group of its own, which a test can kill whole: `killable-worker.ts OPTIONS`, prints its URL.
const { url } = await startWorker(JSON.parse(process.argv[2] ?? "{}") as WorkerProcessOptions);
process.stdout.write(`${url}\n`);
