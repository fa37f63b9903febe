import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { HttpCoordinator } from "../../src/backends/http/index.js";
import { CompletionTracker } from "../../src/index.js";
import { commandOf } from "../cli/command.js";
import { type Client, clientOf } from "./client.js";
import { gaugesOf } from "./gauges.js";

const TENANTS = ["a", "b", "metrics", "other"] as const;
type Tenant = (typeof TENANTS)[number];
const tokenOf = (tenant: Tenant): string => `token-of-tenant-${tenant}`;
const OWN = "token-of-the-operator";
let worker: WorkerHost;
let as: Readonly<Record<Tenant, Client>>;

/** What a list answers with. */
interface Page {
  readonly items: readonly { readonly groupId?: string; readonly requestId?: string }[];
}

beforeAll(async () => {
  worker = await startWorker({
    vars: {
      COORDINATOR_TOKEN: OWN,
      COORDINATOR_TOKENS: JSON.stringify(Object.fromEntries(TENANTS.map((tenant) => [tokenOf(tenant), tenant]))),
      DASHBOARD: "perhaps",
    },
  });
  const call = clientOf(worker.url);
  const clients = TENANTS.map((tenant): [Tenant, Client] => [
    tenant,
    (method, path, options) => call(method, path, { ...options, token: tokenOf(tenant) }),
  ]);
  as = Object.fromEntries(clients) as Record<Tenant, Client>;
});
afterAll(() => worker.close());

const idsOf = async (client: Client, path: string): Promise<unknown[]> => {
  const { status, json } = await client("GET", path);
  expect(status).toBe(200);
  return (json as unknown as Page).items.map(({ groupId, requestId }) => groupId ?? requestId);
};

describe("GET /metrics", () => {
  it("has the gauges of the token's tenant, in the form that Prometheus reads", { timeout: 40_000 }, async () => {
    const beganSec = Date.now() / 1000;
    const metrics = async (client: Client) => {
      const { status, text, headers } = await client("GET", "/metrics");
      expect([status, headers.get("content-type")]).toEqual([200, "text/plain; version=0.0.4; charset=utf-8"]);
      return gaugesOf(text);
    };
    const owed = (kind: string, delivery: string) =>
      `edge_coordinator_deliveries_owed{delivery="${delivery}",kind="${kind}"}`;
    const empty = await metrics(as.metrics);
    expect(empty).toMatchObject({
      'edge_coordinator_build_info{version="0.1.0"}': 1,
      'edge_coordinator_misconfigured{variable="DASHBOARD"}': 1,
      edge_coordinator_index_up: 1,
      'edge_coordinator_open{kind="group"}': 0,
      'edge_coordinator_open{kind="request"}': 0,
      [owed("group", "dead")]: 0,
    });
    expect(Object.keys(empty).filter((name) => name.includes("oldest"))).toEqual([]);
    // No handler has this name: its delivery is `unhandled`.
    const onEnd = { handler: "missing" };
    for (const id of ["x", "y"]) await as.metrics("PUT", `/v1/groups/${id}`, { body: { tasks: ["x"] } });
    await as.metrics("PUT", "/v1/groups/owed", { body: { total: 0, onEnd } });
    await as.metrics("PUT", "/v1/groups/ended", { body: { total: 0 } });
    await as.metrics("PUT", "/v1/requests/x", { body: { onEnd } });
    await expect
      .poll(() => metrics(as.metrics), { timeout: 20_000 })
      .toMatchObject({
        'edge_coordinator_open{kind="group"}': 2,
        'edge_coordinator_open{kind="request"}': 1,
        [owed("group", "pending")]: 0,
        [owed("group", "unhandled")]: 1,
        [owed("group", "dead")]: 0,
        [owed("request", "unhandled")]: 0,
      });
    const gauges = await metrics(as.metrics);
    const oldest = gauges['edge_coordinator_oldest_open_timestamp_seconds{kind="group"}'] ?? 0;
    expect(oldest).toBeGreaterThan(beganSec - 1);
    expect(gauges.edge_coordinator_index_as_of_timestamp_seconds).toBeGreaterThan(beganSec - 10);
    expect((await metrics(as.other))['edge_coordinator_open{kind="group"}']).toBe(0);
  });
});

describe("GET /v1/groups and GET /v1/requests", () => {
  it("list a tenant's own groups and requests, some seconds after they change", { timeout: 40_000 }, async () => {
    for (const [client, id] of [
      [as.a, "of-a"],
      [as.b, "of-b"],
    ] as const) {
      await client("PUT", `/v1/groups/${id}`, { body: { tasks: ["x"] } });
      await client("PUT", `/v1/requests/request-${id}`, { body: {} });
    }
    await as.a("PUT", "/v1/groups/ended", { body: { total: 0 } });
    await expect.poll(() => idsOf(as.a, "/v1/groups?state=ended"), { timeout: 20_000 }).toEqual(["ended"]);
    await expect.poll(() => idsOf(as.a, "/v1/groups"), { timeout: 20_000 }).toEqual(["of-a"]);
    await expect.poll(() => idsOf(as.b, "/v1/groups"), { timeout: 20_000 }).toEqual(["of-b"]);
    await expect.poll(() => idsOf(as.b, "/v1/requests"), { timeout: 20_000 }).toEqual(["request-of-b"]);
    expect(await idsOf(as.b, "/v1/groups?state=ended&olderThan=0&limit=5")).toEqual([]);
    expect(await idsOf(as.a, "/v1/groups?state=stuck&olderThan=10m")).toEqual([]);
    const { json } = await as.a("GET", "/v1/groups?state=open&limit=1");
    expect(json).toMatchObject({ next: null, asOfMs: expect.any(Number), items: [{ groupId: "of-a", total: 1 }] });
    const remote = new CompletionTracker(
      new HttpCoordinator({ url: worker.url, token: tokenOf("a"), allowHttp: true }),
    );
    expect((await remote.list()).items.map(({ groupId }) => groupId)).toEqual(["of-a"]);
  });

  it("have a group tell the index again, of the token's tenant alone", async () => {
    expect((await as.a("POST", "/v1/groups/of-a/reindex")).status).toBe(204);
    expect((await as.a("POST", "/v1/requests/request-of-a/reindex")).status).toBe(204);
    expect((await as.a("POST", "/v1/groups/of-b/reindex")).json).toMatchObject({ status: 404, code: "not_found" });
  });

  it("are what purge removes, of the tenant whose name and token it gets", async () => {
    const purge = (token: string, ...args: string[]) =>
      commandOf({ COORDINATOR_URL: worker.url, COORDINATOR_TOKEN: token })("purge", ...args);
    expect(await purge(tokenOf("b"), "a", "--yes")).toEqual({
      code: 2,
      stdout: "",
      stderr: "edge-coordinator: the token is of the tenant b, not of a\n",
    });
    expect(await purge(tokenOf("a"), "a")).toMatchObject({ code: 2, stderr: expect.stringContaining("needs --yes") });
    expect(await purge(OWN, "coord:", "--yes")).toMatchObject({ code: 2, stderr: expect.stringMatching(/no tenant/) });
    expect(await idsOf(as.a, "/v1/groups")).toEqual(["of-a"]);
    const { code, stdout, stderr } = await purge(tokenOf("a"), "a", "--yes");
    expect([code, stdout]).toEqual([0, "a: 2 groups and 1 request removed, 0 groups and 0 requests remain.\n"]);
    expect(stderr).toMatch(/^Callers of a may register more meanwhile\.\nremoved 2 groups and 1 request\n.* as of /);
    expect((await as.a("GET", "/v1/groups/of-a")).status).toBe(404);
    expect((await as.b("GET", "/v1/groups/of-b")).status).toBe(200);
    // The index may list it for some seconds more: it counts once.
    expect((await purge(tokenOf("a"), "a", "--yes")).stdout).toMatch(/^a: 0 groups and 0 requests removed, 0 /);
  });

  it.each([
    ["/v1/groups?state=gone", "query.state"],
    ["/v1/groups?limit=101", "query.limit"],
    ["/v1/groups?limit=0", "query.limit"],
    ["/v1/groups?olderThan=soon", "query.olderThan"],
    ["/v1/groups?delivery=none", "query.delivery"],
    ["/v1/groups?states=open", "query"],
    ["/v1/groups?after=5", "after"],
    ["/v1/requests?state=failed", "query.state"],
  ])("refuse %s", async (path, field) => {
    const { status, json } = await as.a("GET", path);
    expect([status, json.code]).toEqual([422, "invalid_input"]);
    expect(json.detail).toContain(field);
  });

  it("take GET alone", async () => {
    expect((await as.a("POST", "/v1/groups", { body: {} })).status).toBe(405);
  });
});
