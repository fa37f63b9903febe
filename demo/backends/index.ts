import type { BackendName } from "../args.js";
import type { Backend, BackendOptions } from "./backend.js";
import { startMemory } from "./memory.js";
import { startUpstash } from "./upstash.js";
import { startWorker } from "./worker.js";

/** Each backend by the name that the command line has for it. */
export const backends: Readonly<Record<BackendName, (options: BackendOptions) => Promise<Backend>>> = {
  worker: startWorker,
  upstash: startUpstash,
  memory: startMemory,
};
