import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A redis-server of one's own, without persistence. */
export interface RedisProcess {
  /** `redis://127.0.0.1:<port>` */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Ends the server and removes its folder. Closing twice does no harm. */
  close(): Promise<void>;
}

/**
 * The server must not outlive its parent, however that ends. The parent holds the other end of fd 3: a line on it is a goodbye, its end
 * without a line means that the parent is gone, and then the guard ends the server. `$$` is the server's process id after the exec.
 */
const GUARDED = `
  exec 3<&0
  ( read -r goodbye <&3 || { kill -9 $$; rm -rf "$REDIS_FOLDER"; } ) >/dev/null 2>&1 &
  exec "$@" </dev/null 3<&-
`;

const READY = "Ready to accept connections";
const START_TIMEOUT_MS = 10_000;
const ATTEMPTS = 5;

async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  if (address === null || typeof address === "string") throw new Error("No free port was found.");
  return address.port;
}

function spawnServer(port: number, folder: string): ChildProcess {
  const server = ["redis-server", "--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder];
  const noPersistence = ["--save", "", "--appendonly", "no"];
  return spawn("sh", ["-c", GUARDED, "sh", ...server, ...noPersistence], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, REDIS_FOLDER: folder },
  });
}

/** Resolves when the server takes connections; rejects with what it printed when it ends before, or takes too long. */
function untilReady(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = "";
    const timer = setTimeout(() => settle(new Error(`redis-server did not start: ${output}`)), START_TIMEOUT_MS);
    const settle = (error?: Error) => {
      clearTimeout(timer);
      child.off("exit", onExit);
      error === undefined ? resolve() : reject(error);
    };
    const onData = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-2_000);
      if (output.includes(READY)) settle();
    };
    const onExit = (code: number | null) =>
      settle(
        code === 127
          ? new Error('redis-server is missing: run "npm run setup".')
          : new Error(`redis-server ended at once: ${output}`),
      );
    child.stdout?.on("data", onData);
    child.stderr?.on("data", onData);
    child.once("error", settle);
    child.once("exit", onExit);
  });
}

async function end(child: ChildProcess): Promise<void> {
  child.stdin?.end("goodbye\n");
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

/**
 * Starts a redis-server on the given port, or on a free one. It keeps nothing on disk and ends with this process.
 *
 * @throws Error when redis-server is missing or does not start.
 */
export async function startRedis({ port }: { port?: number } = {}): Promise<RedisProcess> {
  const folder = await mkdtemp(join(tmpdir(), "edge-coordinator-redis-"));
  // A free port may be taken between the look and the start: another is tried then, unless the caller named one.
  for (let attempt = 1; ; attempt++) {
    const chosen = port ?? (await freePort());
    const child = spawnServer(chosen, folder);
    child.stdin?.on("error", () => {});
    try {
      await untilReady(child);
    } catch (error) {
      await end(child);
      const isTaken = error instanceof Error && error.message.includes("Address already in use");
      if (isTaken && port === undefined && attempt < ATTEMPTS) continue;
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
    const close = async () => {
      await end(child);
      await rm(folder, { recursive: true, force: true });
    };
    return { url: `redis://127.0.0.1:${chosen}`, port: chosen, pid: child.pid ?? 0, close };
  }
}
