import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { mayNameOf } from "../../worker/handlers.js";
import { type Answer, clientOf, freshId } from "./client.js";

const TOKENS = { own: "token-of-the-operator", acme: "token-of-tenant-acme", globex: "token-of-tenant-globex" };
const SOURCE = `
  import { CoordinatorWorkerObject, createWorker } from "./worker/index.js";
  const seen = [];
  export class AppCoordinator extends CoordinatorWorkerObject {
    handlers = Object.fromEntries(["shared", "private", "internal"].map((name) => [
      name,
      ({ tenant, status }) => void seen.push({ name, tenant: tenant ?? null, group: status.groupId }),
    ]));
  }
  const worker = createWorker({ handlers: { shared: "*", private: ["acme"], internal: [] } });
  export default {
    fetch: (request, env) => request.url.endsWith("/seen") ? Response.json(seen) : worker.fetch(request, env),
  };`;

let worker: WorkerHost;

beforeAll(async () => {
  worker = await startWorker({
    className: "AppCoordinator",
    source: SOURCE,
    vars: {
      COORDINATOR_TOKEN: TOKENS.own,
      COORDINATOR_TOKENS: JSON.stringify({ [TOKENS.acme]: "acme", [TOKENS.globex]: "globex" }),
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
