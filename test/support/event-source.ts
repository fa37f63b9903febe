import { spawn } from "node:child_process";
import { once } from "node:events";

/** What a real `EventSource` has seen, in order. */
export interface EventSourceRun {
  /** `open`, `connecting` and `closed` for its states, or an event's name, a space and its data. */
  readonly seen: readonly string[];
  close(): Promise<void>;
}

const FLAG = "--experimental-eventsource";
/** Why there is no `EventSource` here; `undefined` where there is one. */
export const withoutEventSource: string | undefined = process.allowedNodeEnvironmentFlags.has(FLAG)
  ? undefined
  : "EventSource comes with Node 20.18";

const SCRIPT = `
  const source = new EventSource(process.argv[1]);
  const say = (text) => process.stdout.write(text + "\\n");
  source.onopen = () => say("open");
  source.onerror = () => say(source.readyState === EventSource.CLOSED ? "closed" : "connecting");
  for (const name of ["progress", "complete", "unknown"]) {
    source.addEventListener(name, (event) => say(name + " " + event.data));
  }
  // Closed, it would keep no process alive: the test ends it.
  setInterval(() => {}, 1_000);
`;

/** Follows an address by Node's own `EventSource`, in a process of its own: it stands behind a flag. */
export function followByEventSource(url: string): EventSourceRun {
  const seen: string[] = [];
  const child = spawn(process.execPath, [FLAG, "--no-warnings", "-e", SCRIPT, url], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    seen.push(...lines);
  });
  const closed = once(child, "close");
  const close = async (): Promise<void> => {
    child.kill("SIGKILL");
    await closed;
  };
  return { seen, close };
}
