import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bundleWorker } from "../../dev/worker-bundle.js";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { CAPABILITY_VERBS, type CapabilityVerb } from "../../src/capability/capability.js";
import { type CapabilityInput, mintCapability } from "../../src/capability/index.js";
import { OPERATIONS } from "../../worker/openapi/document.js";
import { forgeries, keyOf, signed } from "../capability/forge.js";
import { type Call, type Client, clientOf, freshId, TOKEN } from "./client.js";

const [A, B] = ["a-token-of-tenant-a", "a-token-of-tenant-b"];
const [KEY, KEY_A, KEY_B, OLD_B] = [keyOf(1), keyOf(2), keyOf(3), keyOf(4)];
const zeroBehind = (key: string): string =>
  `capk_${Buffer.concat([Buffer.from(key.slice(5), "base64url"), Buffer.of(0)]).toString("base64url")}`;
const VARS = {
  COORDINATOR_TOKEN: TOKEN,
  COORDINATOR_TOKENS: JSON.stringify({ [A]: "a", [B]: "b", "a-token-without-keys": "c" }),
  COORDINATOR_CAPABILITY_KEY: KEY,
  COORDINATOR_CAPABILITY_KEYS: JSON.stringify({ a: KEY_A, b: `${KEY_B} ${OLD_B}` }),
};

let script: string;
let worker: WorkerHost;
let call: Client;
beforeAll(async () => {
  script = await bundleWorker();
  worker = await startWorker({ vars: VARS, script });
  call = clientOf(worker.url);
});
afterAll(() => worker.close());

type Input = Partial<CapabilityInput>;
const mint = async (input: Input): Promise<string> =>
  (await mintCapability({ keys: KEY, verbs: [...CAPABILITY_VERBS], ...input })).token;

async function group(id = freshId(), token = TOKEN): Promise<{ id: string; path: string; generation: number }> {
  const path = `/v1/groups/${id}`;
  const body = { tasks: ["a", "b", "c"], metadata: { by: token } };
  const { json } = await call("PUT", path, { token, body });
  return { id, path, generation: json.generation };
}

/** Every route that needs a token, with a call of it that a tenant may make. */
const CALLS = Object.values(OPERATIONS)
  .flat()
  .filter(({ isOpen }) => isOpen !== true)
  .map(({ method, path, body }) => ({ method, path, call: body === undefined ? {} : { body: body.example } }));

/** The verbs that open a route. */
const OPENED_BY: Readonly<Record<string, readonly CapabilityVerb[]>> = {
  "GET ": ["status"],
  "GET /tasks": ["status"],
  "GET /results": ["results"],
  "GET /events": ["events"],
  "POST /acks": ["ack", "fail"],
  "POST /cancel": ["cancel"],
};

/** The bodies that a verb allows, where the example of the description needs more. */
function ackOf(records: string, verb: CapabilityVerb): object {
  const error = verb === "fail" ? { error: "x" } : {};
  return records === "groups" ? { tasks: [{ id: "a", ...error }] } : { stage: "s", taskId: "a", ...error };
}

describe.each(["groups", "requests"])("a capability for one of %s", (records) => {
  const path = (of: string, id: string): string =>
    of.replace("{id}", id).replace("{key}", id).replace("{machine}", "completion").replace("{transition}", "status");
  const named = (id: string): Input => (records === "groups" ? { groupId: id } : { requestId: id });
  const opened = (method: string, of: string): readonly CapabilityVerb[] => {
    const [, , own, id, ...rest] = of.split("/");
    return own === records && id !== undefined
      ? (OPENED_BY[`${method} ${rest.map((part) => `/${part}`).join("")}`] ?? [])
      : [];
  };

  it.each(CALLS)(
    "with any verb opens what is granted on $method $path, and nothing else",
    async ({ method, path: of, call: made }) => {
      for (const verb of CAPABILITY_VERBS) {
        const id = freshId();
        const token = await mint({ ...named(id), verbs: [verb] });
        const body = of === `/v1/${records}/{id}/acks` ? { body: ackOf(records, verb) } : made;
        const answer = await call(method, path(of, id), { token, ...body });
        const isOpened = opened(method, of).includes(verb);
        if (isOpened) expect([401, 403], `${verb} ${answer.text}`).not.toContain(answer.status);
        else expect([answer.status, answer.json.code], verb).toEqual([403, "forbidden"]);
        // Another record, whatever the verbs are.
        const other = await call(method, path(of, `${id}-other`), { token: await mint(named(id)), ...made });
        expect(other.status).toBe(403);
      }
    },
  );
});

it("a capability opens no path that is written in another way, and no unknown one", async () => {
  const { id, path } = await group();
  const token = await mint({ groupId: id });
  const paths = [`${path}/`, `${path}//`, `/v1//groups/${id}`, `/V1/groups/${id}`, `${path}/unknown`, `${path}/acks/`];
  const lists = ["/v1/groups", "/v1/groups?state=open", "/v1", "/v1/", "/v1/groups/"];
  for (const each of [...paths, ...lists]) expect((await call("GET", each, { token })).status, each).not.toBe(200);
  for (const each of [`/v1/groups/${id}%2Facks`, `/v1/groups/${id}%00`, "/v1/groups/%"]) {
    expect((await call("GET", each, { token })).status, each).toBeGreaterThanOrEqual(400);
  }
  expect((await call("GET", `/v1/groups/%69${id.slice(1)}`, { token })).status).toBe(200);
  expect((await call("HEAD", path, { token })).status).toBe(200);
  for (const method of ["PUT", "DELETE", "PATCH"]) expect((await call(method, path, { token })).status).toBe(403);
});

describe("acks with a capability", () => {
  const ack = (id: string, token: string, body: unknown) => call("POST", `/v1/groups/${id}/acks`, { token, body });

  it("are for its tasks and its verbs", async () => {
    const { id, path } = await group();
    const token = await mint({ groupId: id, verbs: ["ack"], tasks: ["a"] });
    const refused = [
      { tasks: ["b"] },
      { tasks: ["a", "b"] },
      { tasks: [{ id: "a", error: "x" }] },
      { tasks: [{ stage: "s", id: "a" }] },
      { tasks: ["a"], next: ["d"] },
      { tasks: ["a"], next: [] },
    ];
    for (const body of refused) expect((await ack(id, token, body)).status, JSON.stringify(body)).toBe(403);
    expect((await call("GET", path)).json.succeeded).toBe(0);
    const { status, json } = await ack(id, token, { tasks: [{ id: "a", result: 1 }] });
    expect([status, json.results, json.status]).toMatchObject([200, [{ verdict: "accepted" }], null]);

    const failing = await mint({ groupId: id, verbs: ["fail"], tasks: ["b"] });
    expect((await ack(id, failing, { tasks: ["b"] })).status).toBe(403);
    expect((await ack(id, failing, { tasks: [{ id: "b", error: "x" }] })).status).toBe(200);
  });

  it("of a request are for its tasks and its verbs", async () => {
    const path = `/v1/requests/${freshId()}`;
    await call("PUT", path);
    await call("POST", `${path}/tasks`, { body: { stage: "s", taskIds: ["a", "b"] } });
    const requestId = path.split("/")[3] ?? "";
    const token = await mint({ requestId, verbs: ["ack"], tasks: [{ stage: "s", id: "a" }] });
    const send = (body: object) => call("POST", `${path}/acks`, { token, body: { stage: "s", taskId: "a", ...body } });
    for (const body of [{ taskId: "b" }, { stage: "t" }, { error: "x" }, { next: [{ stage: "s", taskIds: ["c"] }] }]) {
      expect((await send(body)).status, JSON.stringify(body)).toBe(403);
    }
    expect((await send({ processed: 2 })).json).toEqual({ verdict: "accepted", state: "pending" });
  });

  it("answer with the status only with the verb for it", async () => {
    const { id } = await group();
    const token = await mint({ groupId: id, verbs: ["ack", "status"] });
    expect((await ack(id, token, { tasks: ["a"] })).json.status).toMatchObject({ groupId: id, succeeded: 1 });
  });
});

it("a capability shows its holder the generation, the parent and the delivery, of a request as of a group", async () => {
  const { id: groupId, generation } = await group();
  const task = { groupId, taskId: "a", generation };
  const parent = { ...task, requestId: null, stage: null };
  for (const [records, named, body] of [
    ["groups", "groupId", { total: 1 }],
    ["requests", "requestId", {}],
  ] as const) {
    const id = freshId();
    await call("PUT", `/v1/${records}/${id}`, { body: { ...body, parent: task } });
    const token = await mint({ [named]: id, verbs: ["status", "events", "cancel"] });
    const read = await call("GET", `/v1/${records}/${id}`, { token });
    const { json } = await call("POST", `/v1/${records}/${id}/cancel`, { token, body: { reason: "x" } });
    const { text } = await call("GET", `/v1/${records}/${id}/events`, { token });
    const data = JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? "");
    for (const each of [read.json, json, data]) {
      expect(each).toMatchObject({
        generation: expect.any(Number),
        parent,
        delivery: { attempts: expect.any(Number) },
      });
    }
  }
});

it("a capability with a generation ends when the group is restarted", async () => {
  const { id, path, generation } = await group();
  const token = await mint({ groupId: id, generation, ttlSec: "1d" });
  const calls: readonly (readonly [string, string, Call])[] = [
    ["GET", path, {}],
    ["GET", path, { headers: { prefer: "wait=0" } }],
    ["GET", `${path}/tasks`, {}],
    ["GET", `${path}/results`, {}],
    ["GET", `${path}/events`, {}],
    ["POST", `${path}/cancel`, { body: { reason: "x" } }],
  ];
  const other = await call("POST", `${path}/acks`, { token, body: { tasks: ["a"], generation: generation + 1 } });
  expect(other.status).toBe(403);
  expect((await call("POST", `${path}/acks`, { token, body: { tasks: ["a"] } })).json.results[0]?.verdict).toBe(
    "accepted",
  );
  expect((await call("GET", path, { token })).json.generation).toBe(generation);

  await call("PUT", path, { body: { tasks: ["a", "b"], restart: true } });
  for (const [method, each, made] of calls) {
    expect((await call(method, each, { token, ...made })).status, `${method} ${each}`).toBe(404);
  }
  const late = await call("POST", `${path}/acks`, { token, body: { tasks: ["a"] } });
  expect(late.json.results[0]?.verdict).toBe("unknown");
  // A wait for the end of the generation that is gone ends at once.
  const waited = await call("GET", path, { token, headers: { prefer: "wait=30" } });
  expect(waited.status).toBe(404);
  expect((await call("GET", path)).json).toMatchObject({ state: "open", succeeded: 0 });
});

describe("a forged capability", () => {
  it("opens nothing, and the answer says nothing about it", async () => {
    const { id, path, generation } = await group();
    const tasks = ["a", { stage: "s", id: "b" }];
    const valid = await mint({ groupId: id, generation, tasks, verbs: ["ack", "status"] });
    expect((await call("GET", path, { token: valid })).status).toBe(200);
    for (const [name, token] of Object.entries(forgeries(valid, KEY))) {
      const { status, json, headers, text } = await call("GET", path, { token });
      expect([status, json.code], name).toEqual([401, "unauthorized"]);
      expect(headers.get("www-authenticate"), name).toMatch(/^Bearer realm/);
      expect(text, name).not.toContain(id);
    }
  });

  it("is never read from a URL or a cookie", async () => {
    const { id, path } = await group();
    const token = await mint({ groupId: id });
    const query = `?access_token=${token}&token=${token}`;
    for (const headers of [{ cookie: `token=${token}` }, { authorization: token }, { "x-token": token }]) {
      expect((await call("GET", path + query, { token: null, headers })).status).toBe(401);
    }
  });
});

it("nothing crosses tenants: a key signs for the ids of its own tenant", async () => {
  const id = freshId();
  const owners = [
    [TOKEN, KEY],
    [A, KEY_A],
    [B, KEY_B],
  ] as const;
  for (const [token] of owners) await group(id, token);
  for (const [owner, keys] of owners) {
    const token = await mint({ keys, groupId: id });
    expect((await call("GET", `/v1/groups/${id}`, { token })).json.metadata?.by).toBe(owner);
    await call("POST", `/v1/groups/${id}/cancel`, { token, body: { reason: owner } });
  }
  for (const [token] of owners) expect((await call("GET", `/v1/groups/${id}`, { token })).json.reason).toBe(token);
  // Ids that look like names of another tenant.
  for (const other of [`a:${id}`, `coord:a:${id}`, `../a/${id}`, `a:{completion}${id}`]) {
    const token = await mint({ groupId: other });
    const answer = await call("GET", `/v1/groups/${encodeURIComponent(other)}`, { token });
    expect(answer.status, other).toBe(404);
  }
});

it("keys rotate: an older key still verifies, the first one signs, and a removed key ends its capabilities", async () => {
  const { id, path } = await group(freshId(), B);
  expect((await call("GET", path, { token: await mint({ keys: OLD_B, groupId: id }) })).status).toBe(200);
  const made = await call("POST", `${path}/capabilities`, { token: B, body: { verbs: ["status"] } });
  const { token } = made.json as unknown as { token: string };
  expect(token.split(".")[0]).toBe((await mint({ keys: KEY_B, groupId: id })).split(".")[0]);
  expect((await call("GET", path, { token: await mint({ keys: keyOf(5), groupId: id }) })).status).toBe(401);
});

describe("POST /v1/groups/:id/capabilities", () => {
  it("makes a capability, which cannot make another one", async () => {
    const { id, path, generation } = await group();
    const body = { verbs: ["ack"], tasks: ["a"], generation: "current", ttlSec: 3_600 };
    const made = await call("POST", `${path}/capabilities`, { body });
    const { token, expiresAtMs } = made.json as unknown as { token: string; expiresAtMs: number };
    const payload = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
    expect(payload).toMatchObject({ group: id, generation, verbs: ["ack"], tasks: ["a"], exp: expiresAtMs / 1000 });
    const again = await call("POST", `${path}/capabilities`, { token, body });
    expect(again.status).toBe(403);
  });

  it.each<[string, object, number, RegExp]>([
    ["no verbs", { verbs: [] }, 422, /^verbs must hold 1 to 6/],
    ["an unknown verb", { verbs: ["register"] }, 422, /^verbs\[0\]/],
    ["a long life without a generation", { verbs: ["ack"], ttlSec: 901 }, 422, /^ttlSec must be at most 900/],
    ["an unknown field", { verbs: ["ack"], tenant: "b" }, 422, /unknown field: tenant/],
    ["an unknown group's generation", { verbs: ["ack"], generation: "current" }, 404, /no such group/],
  ])("refuses %s", async (_, body, status, detail) => {
    const answer = await call("POST", `/v1/groups/${freshId()}/capabilities`, { body });
    expect([answer.status, answer.json.detail]).toEqual([status, expect.stringMatching(detail)]);
  });

  it("says which variable is missing for a tenant without keys", async () => {
    const path = `/v1/groups/${freshId()}/capabilities`;
    const answer = await call("POST", path, { token: "a-token-without-keys", body: { verbs: ["ack"] } });
    expect([answer.status, answer.json.detail]).toEqual([501, expect.stringContaining("COORDINATOR_CAPABILITY_KEYS")]);
  });
});

/** Real time is the subject: the token has a second and a half left. */
describe("a capability that expires", () => {
  const soon = (groupId: string) => {
    const nowSec = Math.floor(Date.now() / 1000);
    const payload = { group: groupId, verbs: ["status", "events"], iat: nowSec - 100, exp: nowSec + 2 };
    return signed(KEY, JSON.stringify(payload));
  };

  it("ends its waits and its streams", async () => {
    const { id, path } = await group();
    const token = soon(id);
    const began = Date.now();
    const [waited, followed] = await Promise.all([
      call("GET", path, { token, headers: { prefer: "wait=30" } }),
      call("GET", `${path}/events`, { token }),
    ]);
    expect(Date.now() - began).toBeLessThan(10_000);
    expect([waited.status, waited.json.state]).toEqual([200, "open"]);
    expect(followed.text).toMatch(/^retry: 1000\n\nevent: progress\n/);
    await expect.poll(async () => (await call("GET", path, { token })).status).toBe(401);
  });
});

describe("cross-origin access", () => {
  const ORIGIN = { origin: "https://app.example" };
  const allowed = (answer: { readonly headers: Headers }) => answer.headers.get("access-control-allow-origin");
  const preflight = (path: string, method: string) =>
    call("OPTIONS", path, {
      token: null,
      headers: {
        ...ORIGIN,
        "access-control-request-method": method,
        "access-control-request-headers": "authorization,content-type,prefer",
      },
    });

  it("is open for capabilities: preflights, answers and refusals", async () => {
    const { id, path } = await group();
    const token = await mint({ groupId: id, verbs: ["status"] });
    const asked = await preflight(`${path}/acks`, "POST");
    expect([asked.status, allowed(asked), asked.headers.get("access-control-allow-methods")]).toEqual([
      204,
      "*",
      "POST",
    ]);
    expect(asked.headers.get("access-control-allow-headers")).toBe(
      "authorization, content-type, last-event-id, prefer, traceparent, tracestate",
    );
    expect(asked.headers.get("access-control-allow-credentials")).toBeNull();
    const answers = [
      await call("GET", path, { token, headers: ORIGIN }),
      await call("POST", `${path}/acks`, { token, headers: ORIGIN, body: { tasks: ["a"] } }),
      await call("GET", path, { token: `${token}x`, headers: ORIGIN }),
      await call("GET", path, { token: null, headers: ORIGIN }),
    ];
    expect(answers.map((answer) => [answer.status, allowed(answer)])).toEqual([
      [200, "*"],
      [403, "*"],
      [401, "*"],
      [401, "*"],
    ]);
  });

  it("is closed for a tenant's token, and on every other route", async () => {
    const { id, path } = await group();
    const whole = await call("GET", path, { headers: ORIGIN });
    expect([whole.status, allowed(whole)]).toEqual([200, null]);
    const names = ["seal", "retry", "extend", "heartbeat", "redeliver", "decrement", "capabilities", "callbacks"];
    const closed = names.flatMap((name) => [`${path}/${name}`, `/v1/requests/${id}/${name}`]);
    for (const each of [...closed, "/v1/batch", "/v1/run/completion/status", "/c/x"]) {
      const answer = await preflight(each, "POST");
      expect([allowed(answer), answer.headers.get("access-control-allow-methods")], each).toEqual([null, null]);
    }
    const methods = (await preflight(path, "DELETE")).headers.get("access-control-allow-methods");
    expect(methods).toBe("GET");
  });
});

describe("a Worker with other variables", () => {
  let other: WorkerHost | undefined;
  const started = async (vars: Record<string, string>): Promise<Client> => {
    other = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN, ...vars }, script });
    return clientOf(other.url);
  };
  const close = () => other?.close();

  it("has no capabilities and no cross-origin access without keys", async () => {
    const by = await started({});
    try {
      const token = await mint({ groupId: "g" });
      const headers = { origin: "https://app.example", "access-control-request-method": "GET" };
      expect((await by("GET", "/v1/groups/g", { token })).status).toBe(401);
      const asked = await by("OPTIONS", "/v1/groups/g", { token: null, headers });
      expect(asked.headers.get("access-control-allow-origin")).toBeNull();
      const made = await by("POST", "/v1/groups/g/capabilities", { body: { verbs: ["ack"] } });
      expect([made.status, made.json.detail]).toEqual([501, expect.stringContaining("COORDINATOR_CAPABILITY_KEY")]);
    } finally {
      await close();
    }
  });

  it.each<[string, Record<string, string>, string]>([
    ["a short key", { COORDINATOR_CAPABILITY_KEY: "capk_AAAA" }, "COORDINATOR_CAPABILITY_KEY"],
    ["no JSON", { COORDINATOR_CAPABILITY_KEYS: KEY }, "COORDINATOR_CAPABILITY_KEYS"],
    [
      "one key of two tenants",
      { COORDINATOR_CAPABILITY_KEYS: JSON.stringify({ a: KEY, b: KEY }) },
      "COORDINATOR_CAPABILITY_KEYS",
    ],
    [
      "one key of two tenants, once with a zero behind it",
      { COORDINATOR_CAPABILITY_KEYS: JSON.stringify({ a: KEY, b: zeroBehind(KEY) }) },
      "COORDINATOR_CAPABILITY_KEYS",
    ],
    [
      "one key in both variables",
      { COORDINATOR_CAPABILITY_KEY: KEY, COORDINATOR_CAPABILITY_KEYS: JSON.stringify({ a: KEY }) },
      "COORDINATOR_CAPABILITY_KEYS",
    ],
    ["a tenant's name", { COORDINATOR_CAPABILITY_KEYS: JSON.stringify({ "a:b": KEY }) }, "COORDINATOR_CAPABILITY_KEYS"],
  ])("refuses capabilities while its keys are malformed, and no tenant's token: %s", async (_, vars, variable) => {
    const by = await started(vars);
    try {
      const { json, text } = await by("GET", "/health", { token: null });
      expect(json).toMatchObject({ status: "degraded", misconfigured: [variable] });
      expect(text).not.toContain("capk_");
      expect((await by("PUT", "/v1/groups/g", { body: { total: 1 } })).status).toBe(200);
      expect((await by("GET", "/v1/groups/g", { token: "nothing-of-the-kind" })).status).toBe(401);
      const { status, json: problem } = await by("GET", "/v1/groups/g", { token: await mint({ groupId: "g" }) });
      expect([status, problem.code]).toEqual([500, "misconfigured"]);
    } finally {
      await close();
    }
  });
});
