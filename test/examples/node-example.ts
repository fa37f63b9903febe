import { spawn } from "node:child_process";
import { once } from "node:events";
import { eventually } from "./example.js";

/** What an example's own command serves. */
export interface NodeServer {
  readonly url: string;
  /** Ends the command and all that it has started, at once and without a warning. */
  kill(): Promise<void>;
}

/** Programs may be slow to start where many tests run at once. */
const START_MS = 120_000;

/** Runs `npm run COMMAND` in the example's folder with a free port; it listens once this resolves. */
export async function startServer(
  folder: string,
  command: string,
  env: Readonly<Record<string, string>> = {},
): Promise<NodeServer> {
  // Nothing of this test runner: what the example reads is what a reader's shell has.
  const { PATH = "", HOME = "" } = process.env;
  const quiet = { NO_COLOR: "1", npm_config_update_notifier: "false", npm_config_logs_max: "0" };
  const child = spawn("npm", ["run", command], {
    cwd: folder,
    env: { PATH, HOME, ...quiet, PORT: "0", ...env },
    stdio: ["ignore", "pipe", "pipe"],
    // A process group of its own, which can be killed whole.
    detached: true,
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text: Buffer) => (output += text));
  // Once no process holds its output any more.
  const closed = once(child, "close");
  const kill = async (): Promise<void> => {
    try {
      process.kill(-(child.pid ?? Number.NaN), "SIGKILL");
    } catch {
      // No process is left in the group.
    }
    await closed;
  };
  try {
    const url = await eventually(async () => /Listening on (http:\S+)/.exec(output)?.[1], START_MS);
    return { url, kill };
  } catch (error) {
    await kill();
    throw new Error(`npm run ${command} did not start:\n${output}`, { cause: error });
  }
}
