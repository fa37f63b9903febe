import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BACKENDS } from "../../demo/args.js";
import { ROOT } from "../../demo/bundle.js";
import { IndexFile } from "../../demo/index-file.js";

/** Few and long, so that what is killed half way has no delivery in hand: its lease would be waited out. */
const TOPICS = ["alarms", "leases", "queues"];
const CHUNKS_EACH = 50;
const states: string[] = [];
/** The demo as one file: to load its sources takes a second for each process. It finds the project from where it lies. */
const PROGRAM = join(ROOT, ".demo", `test-${process.pid}.mjs`);
let folder: string;

beforeAll(async () => {
  await build({
    entryPoints: [join(ROOT, "demo/index.ts")],
    outfile: PROGRAM,
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    target: "node20",
    logLevel: "error",
  });
  folder = await mkdtemp(join(tmpdir(), "demo-texts-"));
  for (const topic of TOPICS) {
    const paragraph = `This text is about ${topic}. ${"It goes on and on. ".repeat(50)}`;
    await writeFile(join(folder, `${topic}.md`), `${paragraph}\n\n`.repeat(CHUNKS_EACH));
  }
});
afterAll(async () => {
  for (const path of [folder, PROGRAM, ...states]) await rm(path, { recursive: true, force: true });
});

/** A folder for the state of one run; the programs of that run have its name in their command lines. */
async function newState(): Promise<string> {
  await mkdir(join(ROOT, ".demo"), { recursive: true });
  const state = await mkdtemp(join(ROOT, ".demo", "test-"));
  states.push(state);
  return state;
}

class Demo {
  output = "";
  readonly #process: ChildProcess;
  readonly #exited: Promise<unknown[]>;

  constructor(...args: readonly string[]) {
    this.#process = spawn(process.execPath, [PROGRAM, ...args], { cwd: ROOT });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.on("data", (text: Buffer) => {
        this.output += text.toString();
      });
    }
    this.#exited = once(this.#process, "close");
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  async exitCode(): Promise<unknown> {
    return (await this.#exited)[0];
  }

  async says(text: string): Promise<void> {
    while (!this.output.includes(text)) {
      if (this.#process.exitCode !== null) throw new Error(`it ended before it said "${text}":\n${this.output}`);
      await pause(20);
    }
  }
}

/** How many processes there are of a run. */
function processesOf(state: string): number {
  const { stdout } = spawnSync("ps", ["-eo", "args"], { encoding: "utf8" });
  return stdout.split("\n").filter((line) => line.includes(`/${basename(state)}/run/build/`)).length;
}

describe("the demo", () => {
  it.concurrent.for(BACKENDS)(
    "publishes each document once, with the backend %s, whatever is killed",
    async (backend, { expect }) => {
      const state = await newState();
      const demo = new Demo(folder, "--backend", backend, "--state", state);
      expect([await demo.exitCode(), demo.output]).toEqual([0, expect.stringContaining("exactly one effect")]);
      expect(demo.output).toMatch(/documents +3: 2 published, 1 timed out/);
      expect(demo.output).toMatch(/worker processes +1 killed/);
      if (backend !== "memory") expect(demo.output).toMatch(/ killed once, away /);
      const entries = new IndexFile(join(state, "index.jsonl")).entries();
      expect(entries.map(({ documentId }) => documentId).sort()).toEqual(TOPICS.map((topic) => `${topic}.md`).sort());
      expect(processesOf(state)).toBe(0);

      const query = new Demo("--query", "what is said about leases?", "--state", state);
      expect(await query.exitCode()).toBe(0);
      expect(query.output).toMatch(/^0\.\d{3} {2}\w+\.md\n/);
    },
  );

  it.concurrent.for(["SIGINT", "SIGTERM", "SIGKILL"] as const)(
    "leaves no process behind after %s",
    async (signal, { expect }) => {
      const state = await newState();
      const demo = new Demo(folder, "--backend", "worker", "--state", state);
      await demo.says("workerd at http");
      expect(processesOf(state)).toBeGreaterThan(0);
      demo.kill(signal);
      expect(await demo.exitCode()).toBe({ SIGINT: 130, SIGTERM: 143, SIGKILL: null }[signal]);
      await expect.poll(() => processesOf(state)).toBe(0);
      const [url = ""] = /http:\/\/[\d.:]+/.exec(demo.output) ?? [];
      await expect.poll(() => fetch(url).then(Boolean, () => false)).toBe(false);
    },
  );

  it("says in a line that a port is in use, and leaves nothing behind", async () => {
    const state = await newState();
    const holder = createServer().listen(0, "127.0.0.1");
    await once(holder, "listening");
    const { port } = holder.address() as { port: number };
    const demo = new Demo(folder, "--port", String(port), "--state", state);
    expect(await demo.exitCode()).toBe(1);
    expect(demo.output).toBe(`demo: port ${port} is in use: choose another --port, or none for a free one\n`);
    expect(processesOf(state)).toBe(0);
    holder.close();
  });

  it.each([
    [["--backend", "redis"], 'there is no backend "redis"'],
    [["/no/such/folder"], "there is no folder /no/such/folder"],
    [["--query", "anything", "--state", ".demo/none"], "there is no index yet"],
    [["--state", ".."], "--state must be a folder in the project"],
  ])(
    "says in a line what is wrong with %j",
    async (args, line) => {
      const demo = new Demo(...args);
      expect(await demo.exitCode()).toBe(1);
      expect(demo.output).toMatch(/^demo: [^\n]+\n$/);
      expect(demo.output).toContain(line);
    },
    30_000,
  );
});
