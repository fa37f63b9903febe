import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { mintCapability } from "../../src/capability/index.js";
import { loggedPath } from "../../worker/log.js";
import { headerOf, keyOf, signed } from "../capability/forge.js";
import { type Client, clientOf, freshId, TOKEN } from "./client.js";

const OTHER = "a-token-of-tenant-a";
const [KEY, KEY_A] = [keyOf(1), keyOf(2)];

let worker: WorkerHost;
let call: Client;
beforeAll(async () => {
  worker = await startWorker({
    vars: {
      COORDINATOR_TOKEN: TOKEN,
      COORDINATOR_TOKENS: JSON.stringify({ [OTHER]: "a" }),
      COORDINATOR_CAPABILITY_KEY: KEY,
      COORDINATOR_CAPABILITY_KEYS: JSON.stringify({ a: KEY_A }),
    },
  });
  call = clientOf(worker.url);
});
afterAll(() => worker.close());

interface Made {
  readonly path: string;
  /** The path of the callback URL. */
  readonly to: string;
  readonly id: string;
  readonly generation: number;
}

async function made(body: object = {}, registration: object = {}): Promise<Made> {
  const id = freshId();
  const path = `/v1/groups/${id}`;
  const { json } = await call("PUT", path, { body: { tasks: ["a", "b"], ...registration } });
  const answer = await call("POST", `${path}/callbacks`, { body: { task: "a", ...body } });
  const { url } = answer.json as unknown as { url: string };
  expect(url.startsWith(`${worker.url}/c/`), answer.text).toBe(true);
  return { path, to: url.slice(worker.url.length), id, generation: json.generation };
}

const post = (to: string, body?: string | Uint8Array, type = "text/plain") =>
  call("POST", to, { token: null, ...(body === undefined ? {} : { body }), headers: { "content-type": type } });
const resultsOf = async (path: string): Promise<unknown[]> => {
  const { json } = await call("GET", `${path}/results`);
  return (json as unknown as { items: { result: unknown }[] }).items.map(({ result }) => result);
};

describe("a POST to a callback URL", () => {
  it.each<[string, string | Uint8Array | undefined, unknown[]]>([
    ["JSON", '{"output":["x"],"status":"succeeded"}', [{ output: ["x"], status: "succeeded" }]],
    ["a form", "decision=yes&by=me", ["decision=yes&by=me"]],
    ["nothing", undefined, []],
    ["null", "null", [null]],
    ["bytes that are no UTF-8", new Uint8Array([0x61, 0xff]), ["a\ufffd"]],
    ["a text of 20 KB", "x".repeat(20_000), [{ truncated: true }]],
    ["JSON of 20 KB", JSON.stringify({ text: "x".repeat(20_000) }), [{ truncated: true }]],
    ["300 KB", "x".repeat(300_000), [{ truncated: true }]],
    ["JSON that is nested too deeply", `${"[".repeat(100)}${"]".repeat(100)}`, [{ truncated: true }]],
  ])("settles its task with its body as the result: %s", async (_, body, results) => {
    const { path, to } = await made();
    const { status, json, headers } = await post(to, body);
    expect([status, json]).toEqual([200, { outcome: "accepted" }]);
    expect([headers.get("cache-control"), headers.get("referrer-policy")]).toEqual(["no-store", "no-referrer"]);
    expect((await call("GET", path)).json).toMatchObject({ state: "open", total: 2, succeeded: 1 });
    expect(await resultsOf(path)).toEqual(results);
  });

  it("counts once, and is answered the same after the end of the group", async () => {
    const { path, to } = await made({}, { tasks: ["a"] });
    expect((await post(to, "1")).json.outcome).toBe("accepted");
    for (let i = 0; i < 3; i++) expect((await post(to, "2")).json.outcome).toBe("duplicate");
    expect((await call("GET", path)).json.state).toBe("completed");
    expect(await resultsOf(path)).toEqual([1]);
  });

  it("fails its task where it was made for that, with the body as the error", async () => {
    for (const [body, message] of [
      ["no budget", "no budget"],
      [undefined, "the callback reported a failure"],
    ] as const) {
      const { path, to } = await made({ effect: "failure" });
      expect((await post(to, body)).json.outcome).toBe("accepted");
      const { json } = await call("GET", path);
      expect(json).toMatchObject({ failed: 1, errors: [{ taskId: "a", message }] });
    }
  });

  it("puts off the idle timeout where it was made for that, and settles nothing", async () => {
    const { path, to } = await made({ effect: "heartbeat" }, { idleTimeoutSec: 60 });
    expect((await post(to)).json.outcome).toBe("heartbeat");
    expect((await call("GET", path)).json).toMatchObject({ state: "open", succeeded: 0 });
    await call("POST", `${path}/cancel`, { body: { reason: "x" } });
    expect((await post(to)).status).toBe(410);
    await call("DELETE", path);
    expect((await post(to)).status).toBe(410);
  });

  it("settles a task of a request", async () => {
    const path = `/v1/requests/${freshId()}`;
    await call("PUT", path);
    await call("POST", `${path}/tasks`, { body: { stage: "s", taskIds: ["a"] } });
    const answer = await call("POST", `${path}/callbacks`, { body: { task: { stage: "s", id: "a" } } });
    const { url } = answer.json as unknown as { url: string };
    expect((await post(url.slice(worker.url.length), "{}")).json.outcome).toBe("accepted");
    expect((await call("GET", path)).json.state).toBe("complete");
  });
});

describe("a URL for success, failure and progress", () => {
  const outcome = { pointer: "/data/st~1ate", failure: ["failed", "canceled"], ignore: ["starting", "processing"] };
  const said = (state: unknown) => JSON.stringify({ data: { "st/ate": state } });

  it("finds the effect in the body", async () => {
    const { path, to } = await made({ outcome });
    for (const state of ["starting", "processing"])
      expect((await post(to, said(state))).json.outcome).toBe("heartbeat");
    expect((await call("GET", path)).json).toMatchObject({ succeeded: 0, failed: 0 });
    expect((await post(to, said("canceled"))).json.outcome).toBe("accepted");
    expect((await post(to, said("succeeded"))).json.outcome).toBe("duplicate");
    expect((await call("GET", path)).json).toMatchObject({ succeeded: 0, failed: 1 });
    const other = await made({ outcome });
    expect((await post(other.to, said("succeeded"))).json.outcome).toBe("accepted");
    expect(await resultsOf(other.path)).toEqual([JSON.parse(said("succeeded"))]);
  });

  it("settles nothing by a body that does not say it", async () => {
    const { path, to } = await made({ outcome });
    for (const body of [undefined, "failed", "{}", "null", said(null), said({}), '{"data":"st/ate"}', said([])]) {
      expect((await post(to, body)).json.code, body).toBe("invalid_input");
    }
    expect((await post(to, "x".repeat(300_000))).status).toBe(413);
    expect((await call("GET", path)).json).toMatchObject({ succeeded: 0, failed: 0 });
  });
});

it("GET and other methods settle nothing: mail scanners and previews follow links", async () => {
  const { path, to } = await made();
  for (const method of ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
    const { status, headers } = await call(method, to, { token: null });
    expect([status, headers.get("allow")], method).toEqual([405, "POST"]);
  }
  expect((await call("GET", path)).json).toMatchObject({ succeeded: 0, failed: 0 });
});

describe("a callback URL is refused with 410", () => {
  it("once its group has ended or was restarted", async () => {
    const [cancelled, restarted] = [await made(), await made()];
    await call("POST", `${cancelled.path}/cancel`, { body: { reason: "x" } });
    await call("PUT", restarted.path, { body: { tasks: ["a", "b"], restart: true } });
    for (const { to, path } of [cancelled, restarted]) {
      const { status, json } = await post(to, "1");
      expect([status, json.code]).toEqual([410, "gone"]);
      expect((await call("GET", path)).json.succeeded).toBe(0);
    }
  });

  it("when it is expired, forged, or a token of another kind", async () => {
    const { to, id, generation, path } = await made();
    const valid = to.slice(3);
    const [header = "", payload = "", mac = ""] = valid.split(".");
    const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as { exp: number; iat: number };
    const own = headerOf(KEY, "callback");
    const claimed = (change: object, head = own) => signed(KEY, JSON.stringify({ ...claims, ...change }), head);
    expect(claimed({}), "the same token, by hand").toBe(valid);
    const capability = await mintCapability({ keys: KEY, groupId: id, verbs: ["ack"], generation });
    const refused: Record<string, string> = {
      nothing: "no-such-token",
      "a capability": capability.token,
      "a capability's header": claimed({}, headerOf(KEY)),
      "alg none": `${Buffer.from(own.replace("HS256", "none")).toString("base64url")}.${payload}.${mac}`,
      "another key": signed(KEY_A, JSON.stringify(claims), own),
      "another mac": `${header}.${payload}.${mac.slice(0, -2)}AA`,
      expired: claimed({ iat: claims.iat - 100_000, exp: claims.iat - 1 }),
      "a month": claimed({ exp: claims.iat + 2_592_000 }),
      "exp as text": claimed({ exp: String(claims.exp) }),
      "another claim": claimed({ tenant: "a" }),
      "no generation": claimed({ generation: undefined }),
      "no task": claimed({ task: undefined }),
      "no effect": claimed({ effect: undefined }),
      "an unknown effect": claimed({ effect: "cancel" }),
    };
    for (const [name, token] of Object.entries(refused)) {
      const { status, text } = await post(`/c/${token}`, "1");
      expect(status, name).toBe(410);
      expect(text, name).not.toContain(token);
    }
    expect((await call("GET", path, { token: valid })).status).toBe(401);
    expect((await call("GET", path)).json.succeeded).toBe(0);
  });

  it("for another tenant's group of the same id", async () => {
    const id = freshId();
    const path = `/v1/groups/${id}`;
    for (const token of [TOKEN, OTHER]) await call("PUT", path, { token, body: { tasks: ["a", "b"] } });
    const answer = await call("POST", `${path}/callbacks`, { token: OTHER, body: { task: "a" } });
    const { url } = answer.json as unknown as { url: string };
    expect((await post(url.slice(worker.url.length), "1")).status).toBe(200);
    expect((await call("GET", path)).json.succeeded).toBe(0);
    expect((await call("GET", path, { token: OTHER })).json.succeeded).toBe(1);
  });
});

it.each<[string, object, number, RegExp]>([
  ["no task", { task: undefined }, 422, /^task/],
  ["both an effect and an outcome", { effect: "success", outcome: { pointer: "" } }, 422, /not have both/],
  ["a pointer without its slash", { outcome: { pointer: "status" } }, 422, /JSON pointer/],
  ["more than a week", { ttlSec: 604_801 }, 422, /^ttlSec/],
])("POST /v1/groups/:id/callbacks refuses %s", async (_, change, status, detail) => {
  const path = `/v1/groups/${freshId()}`;
  await call("PUT", path, { body: { tasks: ["a"] } });
  const answer = await call("POST", `${path}/callbacks`, { body: { task: "a", ...change } });
  expect([answer.status, answer.json.detail]).toEqual([status, expect.stringMatching(detail)]);
});

it("POST /v1/groups/:id/callbacks needs a group: a URL is for one generation", async () => {
  const answer = await call("POST", `/v1/groups/${freshId()}/callbacks`, { body: { task: "a" } });
  expect(answer.status).toBe(404);
});

it("a log shows no token of a path", () => {
  const token = signed(KEY, '{"group":"g"}', headerOf(KEY, "callback"));
  for (const path of [`/c/${token}`, `/c/${token}/x`, `/v1/groups/${token}`, `/c/x${"y".repeat(400)}`]) {
    expect(loggedPath(path)).not.toContain(token.slice(0, 20));
    expect(loggedPath(path).length).toBeLessThan(40);
  }
  expect(loggedPath("/v1/groups/document-1/acks")).toBe("/v1/groups/document-1/acks");
  expect(loggedPath("/v1/groups/a.b.c")).toBe("/v1/groups/a.b.c");
});
