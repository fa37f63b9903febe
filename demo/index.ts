import { HELP, readArgs } from "./args.js";
import { Closers } from "./closers.js";
import { Complaint } from "./complaint.js";
import { run, stateFolder } from "./run.js";
import { describeHit, search } from "./search.js";

const closers = new Closers();
let isStopping = false;

/** Ends everything that was started, whoever asks for it, and then this process. */
async function stop(exitCode: number, line?: string): Promise<never> {
  isStopping = true;
  await closers.close();
  if (line !== undefined) process.stderr.write(`demo: ${line}\n`);
  process.exit(exitCode);
}

function query(text: string, state: string | undefined): void {
  const { index } = stateFolder(state);
  if (!index.exists) throw new Complaint("there is no index yet: npm run demo builds one");
  const hits = search(index.entries(), text);
  if (hits.length === 0) throw new Complaint("nothing in the index has a word of this query");
  process.stdout.write(`${hits.map((hit) => describeHit(hit, text)).join("\n")}\n`);
}

async function main(): Promise<boolean> {
  const args = readArgs(process.argv.slice(2));
  if (args.command === "help") process.stdout.write(HELP);
  else if (args.command === "query") query(args.text, args.state);
  else return run(args, { screen: process.stdout, closers });
  return true;
}

for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const) {
  process.on(signal, () => {
    if (!isStopping) void stop(code, `${signal}: stopped, nothing is left running`);
  });
}
// Under tsx: its parent was killed, and cannot pass signals on any more.
process.once("disconnect", () => void stop(1));
process.channel?.unref();

try {
  const isWell = await main();
  if (!isStopping) await stop(isWell ? 0 : 1);
} catch (error) {
  // While everything is being closed, calls that were under way fail: that is no news.
  if (!isStopping) await stop(1, error instanceof Complaint ? error.message : String((error as Error)?.stack ?? error));
}
