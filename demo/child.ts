import type { Serializable } from "node:child_process";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

const KEPT_STDERR = 2_000;

export interface ChildOptions {
  /** Leads a process group of its own, so that what it starts can be killed with it. */
  readonly leadsGroup?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

/** A process of the demo's own, with a channel for messages. When the channel closes, the process ends itself. */
export class Child<Incoming> {
  readonly #process: ChildProcess;
  readonly #leadsGroup: boolean;
  readonly #exited: Promise<void>;
  #stderr = "";

  constructor(file: string, { leadsGroup = false, env = {} }: ChildOptions = {}) {
    this.#leadsGroup = leadsGroup;
    this.#process = spawn(process.execPath, ["--enable-source-maps", file], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      detached: leadsGroup,
      env: { ...process.env, ...env },
    });
    this.#exited = once(this.#process, "exit").then(() => undefined);
    this.#process.stderr?.on("data", (text: Buffer) => {
      this.#stderr = (this.#stderr + text.toString()).slice(-KEPT_STDERR);
    });
    // A channel that closed under a message: the exit tells.
    this.#process.on("error", () => {});
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** What it said last on stderr. */
  get lastWords(): string {
    return this.#stderr.trim();
  }

  get exited(): Promise<void> {
    return this.#exited;
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  send(message: Serializable): void {
    if (this.#process.connected) this.#process.send(message, () => {});
  }

  onMessage(listener: (message: Incoming) => void): void {
    this.#process.on("message", (message) => listener(message as Incoming));
  }

  /** SIGKILL, to its whole group where it leads one; resolves when it is gone. */
  async kill(): Promise<void> {
    if (!this.isRunning) return;
    try {
      process.kill(this.#leadsGroup ? -this.pid : this.pid, "SIGKILL");
    } catch {
      // It has just ended by itself.
    }
    await this.#exited;
  }
}

/** The other side of the channel, for the programs themselves: the first message is what they are started with. */
export async function startedWith<Start>(): Promise<Start> {
  // Ctrl-C goes to all processes of the terminal; this one ends when its parent has cleaned up.
  process.on("SIGINT", () => {});
  process.once("disconnect", () => process.exit(0));
  const [start] = (await once(process, "message")) as [Start];
  return start;
}

export function tellParent(message: Serializable): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}
