import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";

/** The command as it is published: `npm run build` has made it. */
const COMMAND = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export type Env = Readonly<Record<string, string>>;

/** A command as it ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs in a process of its own. Its output is no terminal. */
export class RunningCommand {
  stdout = "";
  stderr = "";
  readonly #process: ChildProcess;
  readonly #closed: Promise<unknown[]>;

  constructor(env: Env, args: readonly string[]) {
    const { PATH = "" } = process.env;
    this.#process = spawn(process.execPath, [COMMAND, ...args], {
      env: { PATH, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process.stdout?.on("data", (text: Buffer) => {
      this.stdout += text.toString();
    });
    this.#process.stderr?.on("data", (text: Buffer) => {
      this.stderr += text.toString();
    });
    this.#closed = once(this.#process, "close");
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Resolves once the command has printed a text. */
  async says(text: string): Promise<void> {
    await expect.poll(() => this.stdout + this.stderr).toContain(text);
  }

  async ended(): Promise<Ended> {
    const [code] = await this.#closed;
    return { code: code as number | null, stdout: this.stdout, stderr: this.stderr };
  }
}

/** Returns a function that runs commands with the variables and options of one backend. */
export function commandOf(env: Env, options: readonly string[] = []): (...args: readonly string[]) => Promise<Ended> {
  return (...args) => new RunningCommand(env, [...args, ...options]).ended();
}
