import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { serve } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { seed } from "../../cli/dev/seed.js";
import { run } from "../../cli/run.js";
import { type RedisProcess, type RestServer, startRedis, startRestServer } from "../../dev/redis-rest/index.js";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { HttpCoordinator } from "../../src/backends/http/index.js";
import { UpstashCoordinator } from "../../src/backends/upstash/index.js";
import { drainRoutes } from "../../src/hono/index.js";
import { CompletionTracker } from "../../src/index.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const page = readFileSync(join(root, "docs/operations.md"), "utf8");
/** Each shell block, with the heading above it. */
const blocks = page.split(/^##+ /m).flatMap((section) => {
  const heading = section.slice(0, section.indexOf("\n"));
  return [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, script = ""]) => ({ heading, script }));
});
const [TOKEN, SECRET] = ["development-token-1", "a-secret-of-the-cron-job"];
const ACME = { tenant: "token-of-tenant-acme", operator: "token-of-acmes-operator" };

/**
 * `npx edge-coordinator …`: has the test run the command in its own process, since a process for each costs a third of a second.
 * An exit code other than 0 is one here, too.
 */
const NPX = `#!/bin/sh
shift
for each; do set -- "$@" --data-urlencode "arg=$each"; shift; done
exec curl -sf "$APP_URL/command" --data-urlencode "token=$COORDINATOR_TOKEN" "$@"
`;

async function command(c: Context): Promise<Response> {
  const form = new URLSearchParams(await c.req.text());
  const { exitCode, out } = await ran(form.getAll("arg"), { COORDINATOR_TOKEN: form.get("token") ?? "" });
  return c.text(out, exitCode === 0 ? 200 : 500);
}

async function ran(args: readonly string[], more: Readonly<Record<string, string>>, nowMs = Date.now) {
  const printed = { out: "", err: "" };
  const exitCode = await run(args, {
    terminal: {
      isTTY: false,
      hasColour: false,
      columns: 120,
      canAsk: false,
      ask: async () => "",
      out: (text) => {
        printed.out += text;
      },
      err: (text) => {
        printed.err += text;
      },
    },
    env: { ...env, ...more },
    nowMs,
    signal: new AbortController().signal,
  });
  return { exitCode, ...printed };
}

let worker: WorkerHost;
let redis: RedisProcess;
let rest: RestServer;
let app: ReturnType<typeof serve>;
let groups: CompletionTracker;
let folder: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  worker = await startWorker({
    vars: {
      COORDINATOR_TOKEN: TOKEN,
      COORDINATOR_TOKENS: JSON.stringify({
        [ACME.tenant]: "acme",
        [ACME.operator]: { tenant: "acme", whileSuspended: true },
      }),
      COORDINATOR_SUSPENDED: "acme",
      // The lines of two runbooks redeliver one group, at once.
      COORDINATOR_QUOTAS: JSON.stringify({ redeliverPauseSec: "off" }),
    },
  });
  redis = await startRedis();
  rest = await startRestServer({ redisUrl: redis.url, token: SECRET });
  const coordinator = new UpstashCoordinator({ url: rest.url, token: SECRET, onEvent: () => {} });
  const tracker = new CompletionTracker(coordinator, { handlers: { publish: () => {} }, onEvent: () => {} });
  await tracker.register("late-1", ["a"], { timeoutSec: 60, onEnd: { handler: "publish" } });
  const routes = new Hono()
    .post("/command", command)
    .route("/internal/drain", drainRoutes({ coordinator, secret: SECRET }));
  const port = await new Promise<number>((resolve) => {
    app = serve({ fetch: routes.fetch, hostname: "127.0.0.1", port: 0 }, (info: AddressInfo) => resolve(info.port));
  });
  const remote = new HttpCoordinator({ url: worker.url, token: TOKEN });
  await seed(remote);
  groups = new CompletionTracker(remote);
  folder = mkdtempSync(join(tmpdir(), "edge-coordinator-"));
  const npx = join(folder, "npx");
  writeFileSync(npx, NPX);
  chmodSync(npx, 0o755);
  env = {
    ...process.env,
    PATH: `${folder}:${process.env.PATH}`,
    COORDINATOR_URL: worker.url,
    COORDINATOR_TOKEN: TOKEN,
    UPSTASH_REDIS_REST_URL: rest.url,
    UPSTASH_REDIS_REST_TOKEN: SECRET,
    APP_URL: `http://127.0.0.1:${port}`,
    CRON_SECRET: SECRET,
    TOKEN_OF_ACME: ACME.tenant,
    OPERATOR_TOKEN_OF_ACME: ACME.operator,
  };
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  app.close();
  await Promise.all([worker.close(), rest.close()]);
  await redis.close();
});

/** What each block prints, in their order. */
const PRINTED: readonly RegExp[] = [
  /^$/,
  /^\{"status":"ok",/,
  /^group stuck-1 waits for 1 of 2 tasks\.[\s\S]*\nopen +image-2\n\{"groupId":"stuck-1",/,
  /^The deadline is in 2 days \([\s\S]*\n1 task of 1 opened[\s\S]*sealed[\s\S]*cancelled[\s\S]*"verdict":"accepted","state":"completed"/,
  /\n +state +completed\n/,
  /is a dead letter[\s\S]*\n"delivery":\{"state":"dead",/,
  /"delivery":\{"state":"pending",/,
  /\ngroup dead-1\n|^group dead-1\n/,
  /^The delivery msg_\w+-parent is pending/,
  /^$|is pending/,
  /group unhandled-1\n[\s\S]*"no running instance has handler:publish"/,
  /^The delivery msg_\w+ is pending/,
  /^\{"result":3\}$/,
  /^\{"woken":0,"left":false,"nextDueAtMs":\d+\}$/,
  /^200\n$/,
  /^\{"tenant":null,"suspended":false\}[0-9a-f]{64} /,
  /^nothing is misconfigured\n$/,
  /^\{"result":3\}$/,
  /^The deadline is in 1 hour \(/,
  /^group open-1\n/,
  /^$/,
  /"status":403,.*"code":"suspended"/,
  /^(acme: 0 groups and 0 requests removed, 0 groups and 0 requests remain\.\n){2}$/,
  /^$/,
];

describe("the lines of docs/operations.md, in their order", () => {
  it("begin with a dead letter", async () => {
    await expect.poll(async () => (await groups.status("dead-1"))?.delivery.state).toBe("dead");
    expect(blocks).toHaveLength(PRINTED.length);
  });

  it.each(blocks.map((block, i) => ({ ...block, printed: PRINTED[i] })))("$heading", async ({ script, printed }) => {
    const { stdout } = await promisify(execFile)("bash", ["-euo", "pipefail", "-c", script], { env });
    expect(stdout).toMatch(printed ?? /none/);
  });
});

it("the list of a database that nothing drains says so", async () => {
  const inTwoHours = () => Date.now() + 7_200_000;
  const { exitCode, err } = await ran(["ls", "--backend", "upstash", "--state", "ended"], {}, inTwoHours);
  expect([exitCode, err]).toEqual([0, expect.stringMatching(/ was due .+ ago .+: nothing drains this database\.\n/)]);
});

it("the alerts name events that exist", () => {
  const sources = ["worker/log.ts", "src/runtime/events.ts"].map((name) => readFileSync(join(root, name), "utf8"));
  const events = new Set([...sources.join("").matchAll(/type: "(\w+)"/g)].map(([, name]) => name));
  const [, table = ""] = /^## Alerts\n([\s\S]*?)^## /m.exec(page) ?? [];
  const named = [...table.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name);
  expect(named.length).toBeGreaterThan(7);
  const gauges = readFileSync(join(root, "worker/routes/metrics.ts"), "utf8");
  for (const name of named) {
    if (name?.startsWith("edge_coordinator_")) expect(gauges).toContain(`"${name}"`);
    else expect([...events]).toContain(name);
  }
});
