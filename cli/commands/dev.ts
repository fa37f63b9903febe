import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Command } from "commander";
import { drainEvery, isDrainable } from "../../src/index.js";
import { connect } from "../connect.js";
import { type GlobalOptions, printerOf } from "../context.js";
import { startRedisRest } from "../dev/redis.js";
import { type Seeded, seed } from "../dev/seed.js";
import { type DevServer, startWorker } from "../dev/worker.js";
import { EXIT, Failure } from "../exit.js";
import { wholeNumber } from "../numbers.js";
import type { BackendName } from "../settings.js";
import type { Cli } from "../terminal.js";
import { table } from "../text/table.js";

interface DevOptions extends GlobalOptions {
  readonly redis?: boolean;
  readonly port?: number;
  readonly seed: boolean;
}

/** A running server, and what clients need to call it. */
interface Running {
  readonly server: DevServer;
  readonly backend: BackendName;
  readonly token: string;
}

const WORKER_PORT = 8787;
const REDIS_PORT = 8079;
const TOKEN_BYTES = 24;
const DRAIN_MS = 1_000;

export function addDev(program: Command, cli: Cli): void {
  const command = program
    .command("dev")
    .description("Runs the Worker on this machine, with groups to look at. Ctrl-C ends it.")
    .option("--redis", "a local redis-server with Upstash's REST protocol, instead of the Worker")
    .option(
      "--port <number>",
      "the port; 0 for a free one (default: 8787, or 8079 with --redis)",
      wholeNumber(0, 65_535),
    )
    .option("--no-seed", "no groups to look at");
  command.action(async () => {
    const options = command.optsWithGlobals<DevOptions>();
    const running = await start(options);
    try {
      await serve(running, options, cli);
    } finally {
      await running.server.close();
    }
  });
}

async function start({ redis, port, token: given }: DevOptions): Promise<Running> {
  const token = given ?? randomBytes(TOKEN_BYTES).toString("hex");
  const isRedis = redis === true;
  try {
    const server = isRedis
      ? await startRedisRest(port ?? REDIS_PORT, token)
      : await startWorker(port ?? WORKER_PORT, token);
    return { server, backend: isRedis ? "upstash" : "http", token };
  } catch (error) {
    if (!/EADDRINUSE|address already in use/i.test(String(error))) throw error;
    throw new Failure(EXIT.usage, "the port is in use: give another with --port, or --port 0 for a free one");
  }
}

async function serve(running: Running, options: DevOptions, cli: Cli): Promise<void> {
  const { server, backend, token } = running;
  const { url } = server;
  const coordinator = await connect({ backend, url, token, keyPrefix: undefined, allowHttp: false, other: undefined });
  const seeded = options.seed ? await seed(coordinator) : [];
  const print = printerOf(cli, options);
  if (print.isJson)
    print.json({ backend, url, token, groups: idsOf(seeded, "group"), requests: idsOf(seeded, "request") });
  else print.text(devText(running, seeded));
  // Redis has no timers: without a drain, no deadline and no retry would come.
  const stop = isDrainable(coordinator) ? drainEvery(coordinator, { everyMs: DRAIN_MS, onEvent: () => {} }) : undefined;
  // miniflare ends the process at Ctrl-C by itself, with the same exit code.
  if (!cli.signal.aborted) await once(cli.signal, "abort");
  await stop?.();
  cli.exitWith(EXIT.interrupted);
}

function idsOf(seeded: readonly Seeded[], kind: Seeded["kind"]): string[] {
  return seeded.filter((each) => each.kind === kind).map(({ id }) => id);
}

function devText({ server: { url }, backend, token }: Running, seeded: readonly Seeded[]): string {
  const [what, variables] =
    backend === "http"
      ? ["The Worker runs", ["COORDINATOR_URL", "COORDINATOR_TOKEN"]]
      : ["A local Redis runs", ["UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"]];
  const lines = [`export ${variables[0]}=${url}`, `export ${variables[1]}=${token}`];
  const groups = table(
    seeded.map(({ kind, id, shows }) => [`  ${id}${kind === "request" ? " --request" : ""}`, shows]),
  );
  const look = "npx edge-coordinator why stuck-1";
  const examples = seeded.length === 0 ? "" : `\nGroups to look at, in another terminal:\n${groups}\n  ${look}\n`;
  return `${what} at ${url}. It keeps nothing. Ctrl-C ends it.\n\n${lines.join("\n")}\n${examples}`;
}
