import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { verify } from "../../src/webhook/index.js";
import { type Receiver, startReceiver } from "../webhook/receiver.js";
import { clientOf, freshId, TOKEN } from "./client.js";

const SECRET = `whsec_${btoa("k".repeat(32))}`;

let worker: WorkerHost | undefined;
let receiver: Receiver;
let answers: number[];

beforeEach(async () => {
  answers = [];
  receiver = await startReceiver((_, response) => {
    response.writeHead(answers.shift() ?? 204).end();
  });
});
afterEach(async () => {
  await worker?.close();
  await receiver.close();
});

async function started(vars: Record<string, string> = {}) {
  worker = await startWorker({
    vars: {
      COORDINATOR_TOKENS: JSON.stringify({ [TOKEN]: "tenant" }),
      WEBHOOK_SECRET: SECRET,
      WEBHOOK_ALLOWED_HOSTS: receiver.host,
      WEBHOOK_ALLOW_HTTP: "true",
      ...vars,
    },
  });
  return clientOf(worker.url);
}

async function until<T>(look: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (let i = 0; i < 200; i++) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("did not come within ten seconds");
}

const arrived = (n: number) => until(() => receiver.received[n - 1]);
const checked = ({ headers, body }: { headers: Record<string, string | string[] | undefined>; body: string }) =>
  verify({ secrets: SECRET, headers, body });

describe("a webhook", () => {
  it("is delivered signed when the last task is acked", async () => {
    const call = await started();
    const path = `/v1/groups/${freshId()}`;
    await call("PUT", path, { body: { tasks: ["a"], metadata: { order: 7 }, onComplete: { url: receiver.url } } });
    await call("POST", `${path}/acks`, { body: { tasks: [{ id: "a" }] } });

    const { id, payload } = await checked(await arrived(1));
    const delivered = await until(async () => {
      const { json } = await call("GET", path);
      return json.delivery.state === "delivered" ? json : undefined;
    });
    expect(payload).toMatchObject({
      type: "group.completed",
      timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
      data: { groupId: delivered.groupId, state: "completed", succeeded: 1, metadata: { order: 7 } },
    });
    expect(delivered.delivery).toEqual({
      state: "delivered",
      deliveryId: id,
      attempts: 1,
      lastError: null,
      nextAttemptAtMs: null,
    });
    expect(receiver.received).toHaveLength(1);
  });

  it.each([
    ["group.cancelled", { body: { reason: "enough" } }],
    ["group.timed_out", undefined],
  ])("tells of %s by onEnd", async (type, cancel) => {
    const call = await started();
    const path = `/v1/groups/${freshId()}`;
    await call("PUT", path, { body: { total: 1, timeoutSec: cancel ? 60 : 0.3, onEnd: { url: receiver.url } } });
    if (cancel) await call("POST", `${path}/cancel`, cancel);
    expect((await checked(await arrived(1))).payload).toMatchObject({ type });
  });

  it("is tried again under the same id, and delivered again when it is asked for", async () => {
    answers = [503];
    const call = await started();
    const path = `/v1/groups/${freshId()}`;
    await call("PUT", path, { body: { total: 1, onEnd: { url: receiver.url } } });
    await call("POST", `${path}/decrement`, { body: {} });
    const first = await checked(await arrived(1));
    const second = await checked(await arrived(2));
    expect(second).toMatchObject({ id: first.id, payload: first.payload });
    await until(async () => ((await call("GET", path)).json.delivery.state === "delivered" ? true : undefined));
    await call("POST", `${path}/redeliver`);
    expect((await checked(await arrived(3))).id).toBe(first.id);
  });

  it("is signed by its tenant alone, where tenants have secrets of their own", async () => {
    const tokens = ["alice", "bob", "carol"].map((tenant) => [tenant, `token-of-${tenant}-${freshId()}`] as const);
    const secrets = { alice: `whsec_${btoa("a".repeat(32))}`, bob: `whsec_${btoa("b".repeat(32))}` };
    await started({
      COORDINATOR_TOKEN: TOKEN,
      COORDINATOR_TOKENS: JSON.stringify(Object.fromEntries(tokens.map(([tenant, token]) => [token, tenant]))),
      WEBHOOK_SECRETS: JSON.stringify(secrets),
    });
    const ended = (token: string) =>
      clientOf(worker?.url ?? "")("PUT", "/v1/groups/invoice", {
        token,
        body: { total: 0, onEnd: { url: receiver.url } },
      });
    const signers: Record<string, string> = { ...secrets, none: SECRET };
    const [alice = "", bob = "", carol = ""] = tokens.map(([, token]) => token);
    for (const [n, [token, signer]] of [
      [alice, "alice"] as const,
      [bob, "bob"] as const,
      [TOKEN, "none"] as const,
    ].entries()) {
      expect((await ended(token)).status).toBe(200);
      const { headers, body } = await arrived(n + 1);
      for (const [name, secret] of Object.entries(signers)) {
        const isVerified = verify({ secrets: secret, headers, body }).then(Boolean, () => false);
        expect([name, await isVerified]).toEqual([name, name === signer]);
      }
    }
    const refused = await ended(carol);
    expect(refused.json).toMatchObject({
      status: 501,
      code: "unsupported",
      detail: expect.stringMatching(/WEBHOOK_SECRETS/),
    });
    expect((await clientOf(worker?.url ?? "")("GET", "/v1/groups/invoice", { token: carol })).status).toBe(404);
  });

  it("is signed by no common secret where tenants have their own, though none is named", async () => {
    const call = await started({ WEBHOOK_SECRETS: "{}" });
    const body = { total: 0, onEnd: { url: receiver.url } };
    expect((await call("PUT", `/v1/groups/${freshId()}`, { body })).json).toMatchObject({
      status: 501,
      code: "unsupported",
    });
    expect(receiver.received).toEqual([]);
  });

  it("goes to its tenant's hosts and paths alone, where tenants have hosts of their own", async () => {
    const tokens = ["alice", "bob", "carol"].map((tenant) => [tenant, `token-of-${tenant}-${freshId()}`] as const);
    const call = await started({
      COORDINATOR_TOKEN: TOKEN,
      COORDINATOR_TOKENS: JSON.stringify(Object.fromEntries(tokens.map(([tenant, token]) => [token, tenant]))),
      WEBHOOK_ALLOWED_HOSTS: `${receiver.host}/own/`,
      WEBHOOK_TENANT_HOSTS: JSON.stringify({ alice: `${receiver.host}/alice/`, bob: "bob.example" }),
    });
    const [alice, bob, carol] = tokens.map(([, token]) => token);
    const { origin } = new URL(receiver.url);
    const statusOf = async (token: string | undefined, path: string) => {
      const body = { total: 0, onEnd: { url: origin + path } };
      const { status, json } = await call("PUT", `/v1/groups/${freshId()}`, { token: token ?? "", body });
      return [status, json.code, json.detail];
    };
    expect(await statusOf(alice, "/alice/in")).toEqual([200, undefined, undefined]);
    expect(await statusOf(TOKEN, "/own")).toEqual([200, undefined, undefined]);
    const wrongPath = /its path is below no prefix that WEBHOOK_TENANT_HOSTS has for 127/;
    for (const path of ["/own", "/alice/../own", "/alice/..%2fown"]) {
      expect(await statusOf(alice, path)).toEqual([422, "invalid_input", expect.stringMatching(wrongPath)]);
    }
    const wrongHost = expect.stringMatching(/not on the list .* add it to WEBHOOK_TENANT_HOSTS$/);
    expect(await statusOf(bob, "/alice/in")).toEqual([422, "invalid_input", wrongHost]);
    const none = expect.stringMatching(/WEBHOOK_TENANT_HOSTS for its tenant$/);
    expect(await statusOf(carol, "/alice/in")).toEqual([501, "unsupported", none]);
    const wrongOwn = expect.stringMatching(/that WEBHOOK_ALLOWED_HOSTS has/);
    expect(await statusOf(TOKEN, "/alice/in")).toEqual([422, "invalid_input", wrongOwn]);
    await arrived(2);
    expect(receiver.received.map(({ path }) => path).sort()).toEqual(["/alice/in", "/own"]);
  });

  it("goes to no host but the allowed ones, and to none when none is set up", async () => {
    const call = await started({ WEBHOOK_ALLOWED_HOSTS: "hooks.example" });
    const body = { total: 0, onEnd: { url: receiver.url } };
    expect((await call("PUT", `/v1/groups/${freshId()}`, { body })).json.code).toBe("invalid_input");
    await worker?.close();
    const bare = await started({ WEBHOOK_SECRET: "", WEBHOOK_ALLOWED_HOSTS: "" });
    expect((await bare("PUT", `/v1/groups/${freshId()}`, { body })).json).toMatchObject({
      status: 501,
      code: "unsupported",
    });
    expect(receiver.received).toEqual([]);
  });
});

describe("a registration whose webhook is refused", () => {
  const detailOf = async (vars: Record<string, string>, url: string) => {
    const call = await started(vars);
    return (await call("PUT", `/v1/groups/${freshId()}`, { body: { total: 0, onEnd: { url } } })).json.detail;
  };

  it("names the variable that lets a local receiver in", async () => {
    const http = { WEBHOOK_ALLOW_HTTP: "" };
    expect(await detailOf(http, receiver.url)).toMatch(
      /must be https; for development, set WEBHOOK_ALLOW_HTTP to "true"/,
    );
    await worker?.close();
    const local = receiver.url.replace("http:", "https:");
    expect(await detailOf(http, local)).toMatch(/not a public one; for development, set WEBHOOK_ALLOW_HTTP to "true"/);
  });

  it.each([
    ["a host that is not on the list", {}, "https://elsewhere.example/", /add it to WEBHOOK_ALLOWED_HOSTS$/],
    [
      "one bad secret of two",
      { WEBHOOK_SECRET: `${SECRET} whsec_x` },
      "",
      /^entry 2 of WEBHOOK_SECRET must be "whsec_"/,
    ],
    [
      "a bad host",
      { WEBHOOK_ALLOWED_HOSTS: "https://a.example" },
      "",
      /^WEBHOOK_ALLOWED_HOSTS must be host or host:port/,
    ],
    ["no secret", { WEBHOOK_SECRET: "" }, "", /neither WEBHOOK_SECRET nor WEBHOOK_SECRETS is/],
    ["no hosts", { WEBHOOK_ALLOWED_HOSTS: "" }, "", /WEBHOOK_SECRET is set, but neither WEBHOOK_ALLOWED_HOSTS nor/],
    [
      "a tenant's host",
      { WEBHOOK_TENANT_HOSTS: '{"tenant":"a.example,https://b.example"}' },
      "",
      /^entry 2 of WEBHOOK_TENANT_HOSTS must be host or host:port/,
    ],
    ["a bad switch", { WEBHOOK_ALLOW_HTTP: "1" }, "", /^WEBHOOK_ALLOW_HTTP must be "true" or "false"/],
    ["a tenant's secret", { WEBHOOK_SECRETS: '{"tenant":"whsec_x"}' }, "", /^WEBHOOK_SECRETS must be "whsec_"/],
    ["a tenant's secret that is no text", { WEBHOOK_SECRETS: '{"tenant":1}' }, "", /^WEBHOOK_SECRETS must have a text/],
  ])("names the variable: %s", async (_, vars: Record<string, string>, url, detail) => {
    expect(await detailOf(vars, url === "" ? receiver.url : url)).toMatch(detail);
  });

  it("is no other tenant's fault", async () => {
    const call = await started({ WEBHOOK_SECRETS: JSON.stringify({ other: 1, tenant: SECRET }) });
    const body = { total: 0, onEnd: { url: receiver.url } };
    expect((await call("PUT", `/v1/groups/${freshId()}`, { body })).status).toBe(200);
  });
});

describe("a Worker whose webhooks are set up wrongly", () => {
  it("still registers, acks and waits; it refuses the registrations that name a URL", async () => {
    const call = await started({ WEBHOOK_SECRET: "whsec_short" });
    const path = `/v1/groups/${freshId()}`;
    const refused = await call("PUT", path, { body: { total: 1, onEnd: { url: receiver.url } } });
    expect(refused.json).toMatchObject({
      status: 500,
      code: "misconfigured",
      detail: expect.stringMatching(/^WEBHOOK_SECRET must be "whsec_"/),
    });
    await call("PUT", path, { body: { total: 1 } });
    expect((await call("POST", `${path}/decrement`, { body: {} })).json).toEqual({ remaining: 0 });
  });
});

describe("a Worker with handlers", () => {
  it("runs them from the object, for the tenant that registered", async () => {
    worker = await startWorker({
      className: "AppCoordinator",
      vars: { COORDINATOR_TOKENS: JSON.stringify({ [TOKEN]: "tenant" }) },
      source: `
        import { CoordinatorWorkerObject, createWorker } from "./worker/index.js";
        export class AppCoordinator extends CoordinatorWorkerObject {
          handlers = {
            tally: async ({ payload, status }, { coordinator }) => {
              await coordinator.incr(payload.counter, status.succeeded);
            },
          };
        }
        export default createWorker({ namespace: (env) => env.COORDINATOR });`,
    });
    const call = clientOf(worker.url);
    const path = `/v1/groups/${freshId()}`;
    const counter = freshId();
    await call("PUT", path, { body: { total: 2, onComplete: { handler: "tally", payload: { counter } } } });
    await call("POST", `${path}/decrement`, { body: { by: 2 } });
    const read = async () =>
      (await call("POST", "/v1/run/kv/getInt", { body: { id: counter, input: {} } })).json.output.result;
    expect(await until(async () => ((await read()) === "0" ? undefined : read()))).toBe("2");
  });
});
