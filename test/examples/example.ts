import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";

const TSC = fileURLToPath(new URL("../../node_modules/@typescript/native/bin/tsc", import.meta.url));
/** Programs may be slow to start where many tests run at once. */
const START_MS = 120_000;
/** Between asking the programs of an example to end, and ending them. */
const GRACE_MS = 5_000;

/** A reader's shell in the example's folder: nothing of this test runner, and whatever is written stays in the folder. */
function shell(folder: string): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_ENV|FORCE_COLOR|TEST|MODE)/.test(name));
  const temporary = join(folder, ".tmp");
  mkdirSync(temporary, { recursive: true });
  return {
    ...Object.fromEntries(own),
    NO_COLOR: "1",
    TMPDIR: temporary,
    WRANGLER_SEND_METRICS: "false",
    WRANGLER_LOG_PATH: join(temporary, "logs"),
    WRANGLER_REGISTRY_PATH: join(temporary, "registry"),
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
    npm_config_logs_max: "0",
    npm_config_update_notifier: "false",
  };
}

/** A command of an example, with all the processes that it starts. */
class Command {
  output = "";
  hasEnded = false;
  readonly #child;
  readonly #closed: Promise<unknown>;

  constructor(folder: string, args: readonly string[]) {
    const stdio = ["ignore", "pipe", "pipe"] as const;
    this.#child = spawn("npm", args, { cwd: folder, env: shell(folder), stdio: [...stdio], detached: true });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on("data", (text: Buffer) => {
        this.output += text.toString();
      });
    }
    // Once no process holds its output any more.
    this.#closed = once(this.#child, "close").then(() => {
      this.hasEnded = true;
    });
  }

  async exitCode(): Promise<number | null> {
    await this.#closed;
    return this.#child.exitCode;
  }

  /** Ends the whole process group. */
  async stop(): Promise<void> {
    this.#signal("SIGTERM");
    const late = new AbortController();
    await Promise.race([this.#closed, pause(GRACE_MS, undefined, { signal: late.signal }).catch(() => {})]);
    late.abort();
    this.#signal("SIGKILL");
    await this.#closed;
  }

  #signal(signal: NodeJS.Signals): void {
    try {
      process.kill(-(this.#child.pid ?? Number.NaN), signal);
    } catch {
      // No process is left in the group.
    }
  }
}

/** What `npm run dev` serves. */
export interface DevServer {
  readonly url: string;
  /** What it has printed so far. */
  output(): string;
  stop(): Promise<void>;
}

/** The example's own `npm run dev`, on a port that is free; it answers once this resolves. */
export async function startDev(folder: string, ...args: readonly string[]): Promise<DevServer> {
  const command = new Command(folder, ["run", "dev", "--", "--port", "0", "--inspector-port", "0", ...args]);
  try {
    const url = await eventually(async () => {
      if (command.hasEnded) return null;
      const [, found] = /Ready on (http:\S+)/.exec(command.output) ?? [];
      if (found === undefined) return undefined;
      await fetch(found);
      return found;
    }, START_MS);
    if (url === null) throw new Error("npm run dev ended by itself");
    return { url, output: () => command.output, stop: () => command.stop() };
  } catch (error) {
    await command.stop();
    throw new Error(`npm run dev did not start:\n${command.output}`, { cause: error });
  }
}

/** The example's own `npm test`, of the tests with `word` in their names: its exit code and what it printed. */
export async function runTests(
  folder: string,
  word: string,
  signal: AbortSignal,
): Promise<{ code: number | null; output: string }> {
  const command = new Command(folder, ["test", "--", "-t", word]);
  signal.addEventListener("abort", () => void command.stop());
  const code = await command.exitCode();
  return { code, output: command.output };
}

/** What the compiler says of the example, by the example's own settings. */
export async function typeErrors(folder: string): Promise<string[]> {
  const output = await new Promise<string>((resolve, reject) => {
    const args = [TSC, "--noEmit", "--pretty", "false"];
    execFile(process.execPath, args, { cwd: folder }, (error, stdout, stderr) => {
      if (error !== null && stdout === "") reject(new Error(`the compiler did not run:\n${stderr}`));
      else resolve(stdout);
    });
  });
  return output.split("\n").filter((line) => /^\S/.test(line) && !/^\.\.\//.test(line));
}

/** Looks until there is something to see. A look that throws has seen nothing. */
export async function eventually<T>(look: () => Promise<T | undefined>, timeoutMs = 60_000): Promise<T> {
  const endsAtMs = Date.now() + timeoutMs;
  for (;;) {
    const seen = await look().catch((error: unknown) => {
      if (Date.now() >= endsAtMs) throw error;
      return undefined;
    });
    if (seen !== undefined) return seen;
    expect(Date.now(), "it did not come in time").toBeLessThan(endsAtMs);
    await pause(100);
  }
}
