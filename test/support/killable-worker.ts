import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { bundleWorker, type WorkerModule } from "../../dev/worker-bundle.js";
import { COMPATIBILITY } from "../../dev/worker-host.js";

const fromMiniflare = createRequire(createRequire(import.meta.url).resolve("miniflare"));
const { default: WORKERD } = fromMiniflare("workerd") as { readonly default: string };
/** The descriptor on which workerd tells where it listens. */
const CONTROL = 3;
const MAX_COMPLAINT = 2_000;

export interface KillableWorkerOptions extends WorkerModule {
  /** The Worker's vars and secrets. */
  readonly vars?: Readonly<Record<string, string>>;
  /** The class of the binding `COORDINATOR`. */
  readonly className?: string;
  /** How much JavaScript memory its isolates may take, in MB. V8 ends the process beyond it. Default: no limit. */
  readonly heapMb?: number;
}

/**
 * A Worker whose workerd is killed and started again, any number of times, over the same storage on disk and at the same
 * address. There is nothing around it: what the signal ends is the one process in which the objects live.
 */
export class KillableWorker {
  readonly #folder: string;
  readonly #vars: Readonly<Record<string, string>>;
  #child: ChildProcess | undefined;
  #address = "127.0.0.1:0";
  #kills = 0;

  private constructor(folder: string, vars: Readonly<Record<string, string>>) {
    this.#folder = folder;
    this.#vars = vars;
  }

  /** Bundles the module and starts it. Close what comes back. */
  static async start(options: KillableWorkerOptions): Promise<KillableWorker> {
    const { vars = {}, className = "CoordinatorWorkerObject", heapMb } = options;
    const folder = mkdtempSync(join(tmpdir(), "edge-coordinator-worker-"));
    mkdirSync(join(folder, "storage"));
    writeFileSync(join(folder, "worker.js"), await bundleWorker(options));
    writeFileSync(join(folder, "config.capnp"), configOf(className, { folder, vars: Object.keys(vars), heapMb }));
    const worker = new KillableWorker(folder, vars);
    await worker.restart();
    return worker;
  }

  /** Without a slash at its end; the same in every life. */
  get url(): string {
    return `http://${this.#address}`;
  }

  /** Whether the process runs. */
  get isAlive(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** How much memory the process takes, in MB. */
  rssMb(): number {
    const text = execFileSync("ps", ["-o", "rss=", "-p", String(this.#child?.pid)], { encoding: "utf8" });
    return Number(text) / 1024;
  }

  /** How often it was killed while it ran. */
  get kills(): number {
    return this.#kills;
  }

  /** Starts it after a kill. */
  async restart(): Promise<void> {
    const child = spawn(
      WORKERD,
      ["serve", `--control-fd=${CONTROL}`, `--socket-addr=http=${this.#address}`, "config.capnp"],
      { cwd: this.#folder, env: { ...this.#vars }, stdio: ["ignore", "ignore", "pipe", "pipe"] },
    );
    this.#child = child;
    // It also warns of what a kill leaves behind, which is expected after a deliberate kill.
    let complaint = "";
    child.stderr?.on("data", (part) => {
      complaint = (complaint + part).slice(-MAX_COMPLAINT);
    });
    const ended = once(child, "exit").then(() => undefined);
    const told = await Promise.race([once(child.stdio[CONTROL] as Readable, "data"), ended]);
    if (told === undefined) throw new Error(`workerd ended before it listened: ${complaint}`);
    const [event] = String(told[0]).split("\n");
    this.#address = `127.0.0.1:${(JSON.parse(event ?? "{}") as { port: number }).port}`;
  }

  /** kill -9, at once; resolves when the process is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || !this.isAlive) return;
    const gone = once(child, "exit");
    if (child.kill("SIGKILL")) this.#kills++;
    await gone;
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Text in the format of workerd's own configuration files. */
function configOf(
  className: string,
  { folder, vars, heapMb }: { folder: string; vars: readonly string[]; heapMb: number | undefined },
): string {
  const quoted = (text: string): string => JSON.stringify(text);
  const bindings = [
    ...vars.map((name) => `(name = ${quoted(name)}, fromEnvironment = ${quoted(name)})`),
    `(name = "COORDINATOR", durableObjectNamespace = ${quoted(className)})`,
  ];
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  v8Flags = [${heapMb === undefined ? "" : quoted(`--max-heap-size=${heapMb}`)}],
  services = [
    (name = "main", worker = .main),
    (name = "disk", disk = (path = ${quoted(join(folder, "storage"))}, writable = true)),
    (name = "internet", network = (allow = ["public", "private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);

const main :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = ${quoted(COMPATIBILITY.compatibilityDate)},
  compatibilityFlags = [${COMPATIBILITY.compatibilityFlags.map(quoted).join(", ")}],
  bindings = [${bindings.join(", ")}],
  durableObjectNamespaces = [(className = ${quoted(className)}, uniqueKey = "objects", enableSql = true)],
  durableObjectStorage = (localDisk = "disk"),
);
`;
}
