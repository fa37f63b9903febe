import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { HttpCoordinator } from "../../src/backends/http/index.js";
import { mayNameOf } from "../../worker/handlers.js";
import { type Answer, clientOf, freshId } from "./client.js";

const TOKENS = { own: "token-of-the-operator", acme: "token-of-tenant-acme", globex: "token-of-tenant-globex" };
const INITECH = { tenant: "token-of-tenant-initech", operator: "token-of-initechs-operator" };
const SOURCE = `
  import { CoordinatorWorkerObject, createWorker } from "./worker/index.js";
  const [seen, events] = [[], []];
  const handlers = { shared: "*", private: ["acme"], internal: [] };
  export class AppCoordinator extends CoordinatorWorkerObject {
    handlerTenants = handlers;
    onEvent(event) { if (event.type === "delivery") events.push(event); }
    handlers = Object.fromEntries(["shared", "private", "internal"].map((name) => [
      name,
      ({ tenant, status }) => void seen.push({ name, tenant: tenant ?? null, group: status.groupId }),
    ]));
  }
  const worker = createWorker({ handlers });
  const before = createWorker();
  export default {
    fetch(request, env) {
      if (request.url.endsWith("/seen")) return Response.json(seen);
      if (request.url.endsWith("/events")) return Response.json(events);
      return (request.headers.has("x-before") ? before : worker).fetch(request, env);
    },
  };`;

let worker: WorkerHost;

beforeAll(async () => {
  worker = await startWorker({
    className: "AppCoordinator",
    source: SOURCE,
    vars: {
      COORDINATOR_TOKEN: TOKENS.own,
      COORDINATOR_TOKENS: JSON.stringify({ [TOKENS.acme]: "acme", [TOKENS.globex]: "globex" }),
      COORDINATOR_TOKENS_1: JSON.stringify({
        [INITECH.tenant]: "initech",
        [INITECH.operator]: { tenant: "initech", whileSuspended: true },
      }),
      COORDINATOR_CAPABILITY_KEYS: JSON.stringify({ initech: `capk_${"k".repeat(43)}` }),
      COORDINATOR_SUSPENDED: "umbrella, initech",
      WEBHOOK_SECRET: `whsec_${btoa("k".repeat(32))}`,
      WEBHOOK_ALLOWED_HOSTS: "hooks.example",
    },
  });
});
afterAll(() => worker.close());

type Who = keyof typeof TOKENS;
const fingerprint = "0".repeat(64);
const registration = { op: "op", fingerprint, kind: "counted", total: 0, lists: [], timeoutMs: 0, ttlMs: 60_000 };

/** Registers a group that names the handler, by each of the ways there are; what each is answered. */
async function registrations(who: Who, handler: string, end = "onEnd"): Promise<Answer[]> {
  const call = clientOf(worker.url);
  const token = TOKENS[who];
  const targets = {
    [{ onEnd: "end", onSuccess: "success", onFailure: "failure", onComplete: "complete", onTimeout: "timeout" }[end] ??
      ""]: {
      route: `handler:${handler}`,
      body: "null",
    },
  };
  const input = { ...registration, targets };
  const transition = "completion.register";
  const batch = await call("POST", "/v1/batch", {
    token,
    body: { operations: [{ transition, id: freshId(), input }] },
  });
  const [outcome] = (batch.json as unknown as { outcomes: readonly { problem?: Answer["json"] }[] }).outcomes;
  return [
    await call("PUT", `/v1/groups/${freshId()}`, { token, body: { total: 0, [end]: { handler } } }),
    await call("POST", "/v1/run/completion/register", { token, body: { id: freshId(), input } }),
    { ...batch, status: outcome?.problem?.status ?? batch.status, json: outcome?.problem ?? batch.json },
  ];
}

describe("row 75: a registration that names a handler", () => {
  it.each([
    ["own", "shared"],
    ["own", "private"],
    ["own", "internal"],
    ["acme", "shared"],
    ["acme", "private"],
    ["globex", "shared"],
  ] as const)("is taken where it may: %s names %s", async (who, handler) => {
    for (const { status } of await registrations(who, handler)) expect(status).toBe(200);
  });

  it.each([
    ["acme", "internal"],
    ["globex", "private"],
    ["globex", "internal"],
    ["globex", "misspelled"],
    ["own", "misspelled"],
    ["own", "constructor"],
    ["acme", "__proto__"],
  ] as const)("is refused where it may not, and not told why: %s names %s", async (who, handler) => {
    for (const end of ["onEnd", "onSuccess", "onFailure", "onComplete", "onTimeout"]) {
      for (const { status, json } of await registrations(who, handler, end)) {
        const detail = "the handler of a target must be one that `handlers` of createWorker allows this token";
        expect([status, json.code, json.applied, json.detail]).toEqual([422, "invalid_input", "no", detail]);
      }
    }
  });

  it("leaves nothing behind when it is refused", async () => {
    const call = clientOf(worker.url);
    const path = `/v1/groups/${freshId()}`;
    const token = TOKENS.globex;
    await call("PUT", path, { token, body: { total: 0, onEnd: { handler: "private" } } });
    expect((await call("GET", path, { token })).status).toBe(404);
  });

  it("reaches the handler with the tenant of its token, whatever its payload says", async () => {
    const call = clientOf(worker.url);
    const group = freshId();
    for (const token of Object.values(TOKENS)) {
      const onEnd = { handler: "shared", payload: { tenant: "acme" } };
      expect((await call("PUT", `/v1/groups/${group}`, { token, body: { total: 0, onEnd } })).status).toBe(200);
    }
    const seen = async (): Promise<unknown[]> => {
      const all = (await call("GET", "/seen")).json as unknown as { group: string; tenant: string | null }[];
      return all.filter((event) => event.group === group).map(({ tenant }) => tenant);
    };
    await expect.poll(async () => (await seen()).length, { timeout: 30_000 }).toBe(3);
    expect(new Set(await seen())).toEqual(new Set([null, "acme", "globex"]));
  });
});

interface DeliveryEvent {
  readonly id: string;
  readonly outcome: string;
  readonly error?: string;
}

/** The events of a group's delivery, once there are some. */
async function eventsOf(group: string): Promise<readonly DeliveryEvent[]> {
  const call = clientOf(worker.url);
  const of = async () =>
    ((await call("GET", "/events")).json as unknown as DeliveryEvent[]).filter(({ id }) => id === group);
  await expect.poll(async () => (await of()).length, { timeout: 30_000 }).toBeGreaterThan(0);
  return of();
}

it("a group that was registered before a change of the rules waits, and the event says why", async () => {
  const call = clientOf(worker.url);
  const [group, token, headers] = [freshId(), TOKENS.globex, { "x-before": "" }];
  const body = { total: 0, onEnd: { handler: "private" } };
  expect((await call("PUT", `/v1/groups/${group}`, { token, headers, body })).status).toBe(200);
  const [event, ...more] = await eventsOf(group);
  const error = "no running instance has handler:private: handlerTenants does not allow its tenant";
  expect([event, more]).toEqual([expect.objectContaining({ outcome: "unhandled", error }), []]);
  // The tenant reads no rule of the operator.
  const { json } = await call("GET", `/v1/groups/${group}`, { token });
  expect(json.delivery).toMatchObject({
    state: "pending",
    attempts: 0,
    lastError: "no running instance has handler:private",
  });
});

describe("a suspended tenant", () => {
  const body = { tasks: ["a"], onEnd: { handler: "shared" } };

  it("is refused with its tokens, its capabilities and its callback URLs; the operator's token opens it", async () => {
    const call = clientOf(worker.url);
    const path = `/v1/groups/${freshId()}`;
    const refused = { status: 403, code: "suspended", retryable: false, applied: "no" };
    const operator = { token: INITECH.operator };
    const own = { token: INITECH.tenant };
    expect((await call("PUT", path, { ...own, body })).json).toMatchObject(refused);
    expect((await call("GET", "/v1/groups", own)).json).toMatchObject(refused);
    expect((await call("PUT", path, { ...operator, body })).status).toBe(200);
    const capability = await call("POST", `${path}/capabilities`, { ...operator, body: { verbs: ["status", "ack"] } });
    const { token } = capability.json as unknown as { token: string };
    expect((await call("GET", path, { token })).json).toMatchObject(refused);
    expect((await call("POST", `${path}/acks`, { token, body: { tasks: ["a"] } })).json).toMatchObject(refused);
    const { url } = (await call("POST", `${path}/callbacks`, { ...operator, body: { task: "a" } })).json as unknown as {
      url: string;
    };
    expect((await call("POST", new URL(url).pathname, { token: null, body: {} })).json).toMatchObject(refused);
    expect((await call("GET", path, operator)).json).toMatchObject({ state: "open", remaining: 1 });
    const client = new HttpCoordinator({ url: worker.url, token: INITECH.tenant });
    const told = { code: "unauthorized", retryable: false, message: expect.stringContaining("is suspended") };
    await expect(client.incr("a")).rejects.toMatchObject(told);
    // A stranger learns nothing of it.
    expect((await call("GET", path, { token: "token-of-no-tenant-at-all" })).status).toBe(401);
    expect((await call("POST", "/c/a.b.c", { token: null, body: {} })).status).toBe(410);
  });

  it.each([
    ["handler", { handler: "shared" }, "no running instance has handler:shared"],
    ["webhook", { url: "https://hooks.example/a" }, "no running instance sends webhooks"],
  ])("has its %s wait", async (_, onEnd, error) => {
    const call = clientOf(worker.url);
    const group = freshId();
    const registered = { token: INITECH.operator, body: { total: 0, onEnd } };
    expect((await call("PUT", `/v1/groups/${group}`, registered)).status).toBe(200);
    const reason = `${error}: COORDINATOR_SUSPENDED names its tenant`;
    expect(await eventsOf(group)).toEqual([expect.objectContaining({ outcome: "unhandled", error: reason })]);
  });

  it("refuses no other, and the data of no tenant", async () => {
    const call = clientOf(worker.url);
    for (const token of Object.values(TOKENS)) expect((await call("GET", "/v1/groups", { token })).status).toBe(200);
  });
});

describe("row 75: the rules about handlers", () => {
  it("allow every name where there are none", () => {
    expect(mayNameOf(undefined)("whatever", "acme")).toBe(true);
    expect(mayNameOf({})("whatever", undefined)).toBe(false);
  });

  it.each([
    [{ publish: "acme" }],
    [{ publish: ["a:b"] }],
    [{ publish: [1] }],
    [{ publish: true }],
    [{ publish: null }],
  ])("are refused where they are malformed: %j", (handlers) => {
    const refusal = expect.objectContaining({
      code: "misconfigured",
      message: expect.stringMatching(/^handlers\.publish/),
    });
    expect(() => mayNameOf(handlers as never)).toThrow(refusal);
  });
});
