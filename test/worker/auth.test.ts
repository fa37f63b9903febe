import { createHash } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { authenticate } from "../../worker/auth.js";
import type { WorkerEnv } from "../../worker/env.js";
import { count, reached } from "../support/figures.js";
import { type Client, clientOf } from "./client.js";

/** The Worker with a count of the objects that it reached for. */
const COUNTING = `
  import { createWorker } from "./worker/index.js";
  export { CoordinatorWorkerObject } from "./worker/index.js";
  let reached = 0;
  const counted = (objects) => ({
    idFromName: (name) => objects.idFromName(name),
    get: (id, options) => { reached += 1; return objects.get(id, options); },
    jurisdiction: (place) => counted(objects.jurisdiction(place)),
  });
  const logged = [];
  const onEvent = ({ error }) => void (error !== undefined && logged.push(error.message));
  const worker = createWorker({ namespace: (env) => counted(env.COORDINATOR), onEvent });
  export default {
    fetch(request, env) {
      if (request.url.endsWith("/reached")) return Response.json(reached);
      if (request.url.endsWith("/logged")) return Response.json(logged.splice(0));
      // One Worker serves many sets of variables.
      const vars = JSON.parse(request.headers.get("x-vars") ?? "{}");
      return worker.fetch(request, { ...env, ...vars });
    },
  };
`;

const ROUTES: readonly (readonly [string, string])[] = [
  ["PUT", "/v1/groups/a"],
  ["GET", "/v1/groups/a"],
  ["POST", "/v1/groups/a/acks"],
  ["POST", "/v1/groups/a/cancel"],
  ["POST", "/v1/groups/a/redeliver"],
  ["POST", "/v1/groups/a/decrement"],
  ["GET", "/v1/groups/a/results"],
  ["PUT", "/v1/requests/a"],
  ["GET", "/v1/requests/a"],
  ["DELETE", "/v1/requests/a"],
  ["POST", "/v1/requests/a/tasks"],
  ["GET", "/v1/requests/a/events"],
  ["GET", "/v1/groups/a/events"],
  ["DELETE", "/v1/groups/a"],
  ["POST", "/v1/requests/a/marks"],
  ["POST", "/v1/requests/a/seal"],
  ["POST", "/v1/requests/a/retry"],
  ["POST", "/v1/requests/a/extend"],
  ["POST", "/v1/requests/a/redeliver"],
  ["GET", "/v1/semaphores/a"],
  ["POST", "/v1/semaphores/a/acquire"],
  ["POST", "/v1/semaphores/a/extend"],
  ["POST", "/v1/semaphores/a/release"],
  ["POST", "/v1/limits/a"],
  ["POST", "/v1/run/kv/incr"],
  ["POST", "/v1/batch"],
  ["POST", "/v1/watch/completion/wait"],
  ["GET", "/v1/nowhere"],
  ["GET", "/metrics"],
];

let worker: WorkerHost | undefined;

async function started(vars: Record<string, string>): Promise<Client> {
  worker = await startWorker({ vars, source: COUNTING });
  return clientOf(worker.url);
}

afterEach(async () => {
  vi.restoreAllMocks();
  await worker?.close();
  worker = undefined;
});

const FIRST = "first-token-of-tests";
const SECOND = "second-token-of-tests";

const sha256 = (token: string, encoding: "hex" | "base64url" = "hex"): string =>
  `sha256:${createHash("sha256").update(token).digest(encoding)}`;

describe("a request without a token that is live", () => {
  const HEADERS: readonly (readonly [string, Record<string, string>])[] = [
    ["none", {}],
    ["another scheme", { authorization: `Basic ${FIRST}` }],
    ["no token", { authorization: "Bearer" }],
    ["a wrong token", { authorization: "Bearer wrong-token-of-tests" }],
    ["a part of it", { authorization: `Bearer ${FIRST.slice(0, -1)}` }],
    ["more than it", { authorization: `Bearer ${FIRST}x` }],
    ["another case", { authorization: `Bearer ${FIRST.toUpperCase()}` }],
    ["both of two", { authorization: `Bearer ${FIRST} ${SECOND}` }],
    ["a very long one", { authorization: `Bearer ${"x".repeat(5_000)}` }],
    ["the token elsewhere", { "x-api-key": FIRST }],
  ];

  it("is refused on every route, before its body is read, and reaches no object", async ({ task }) => {
    const call = await started({ COORDINATOR_TOKEN: `${FIRST} ${SECOND}` });
    for (const [method, path] of ROUTES) {
      for (const [what, headers] of HEADERS) {
        // A malformed body, which the Worker must not read before it checks the token.
        const body = method === "GET" ? {} : { body: "{" };
        const { status, json, headers: answered } = await call(method, path, { ...body, token: null, headers });
        expect([what, path, status, json.code]).toEqual([what, path, 401, "unauthorized"]);
        expect(answered.get("www-authenticate")).toMatch(/^Bearer realm="edge-coordinator"/);
      }
    }
    const objects = (await call("GET", "/reached")).json;
    const tried = count(ROUTES.length * HEADERS.length);
    reached(task, { row: "S8", backend: "worker", reached: `${tried} bad tokens: ${objects} objects reached` });
    expect(objects).toBe(0);
  });

  it("is let in with any of the live ones, in any case of the scheme", async () => {
    const call = await started({ COORDINATOR_TOKEN: ` ${FIRST}\n${sha256(SECOND)} ` });
    await call("PUT", "/v1/groups/a", { token: FIRST, body: { total: 1 } });
    const { status, json } = await call("GET", "/v1/groups/a", {
      token: null,
      headers: { authorization: `bearer  ${SECOND}` },
    });
    expect([status, json.total]).toEqual([200, 1]);
    expect((await call("GET", "/reached")).json).toBe(2);
  });
});

describe("a Worker whose tokens are not set up", () => {
  let shared: WorkerHost;
  beforeAll(async () => {
    shared = await startWorker({ source: COUNTING });
  });
  afterAll(() => shared.close());

  it.each([
    ["nothing", {}, /COORDINATOR_TOKEN nor COORDINATOR_TOKENS/],
    ["an empty token", { COORDINATOR_TOKEN: "" }, /neither/],
    ["blanks", { COORDINATOR_TOKEN: "   " }, /neither/],
    [
      "a short token",
      { COORDINATOR_TOKEN: "fifteen-letters" },
      /COORDINATOR_TOKEN: entry 1 must be a token of 16 to 512/,
    ],
    ["one short token of two", { COORDINATOR_TOKEN: `${FIRST} short` }, /COORDINATOR_TOKEN: entry 2 .*16 to 512/],
    ["letters that no header carries", { COORDINATOR_TOKEN: "a-token-with-ünïcode" }, /must be a token of A-Z/],
    ["no JSON", { COORDINATOR_TOKENS: FIRST }, /COORDINATOR_TOKENS must be a JSON object/],
    ["a list", { COORDINATOR_TOKENS: `["${FIRST}"]` }, /must be a JSON object/],
    ["no tenant in the object", { COORDINATOR_TOKENS: "{}" }, /neither/],
    ["an empty tenant", { COORDINATOR_TOKENS: `{"${FIRST}":""}` }, /tenant 1 must be/],
    ["a tenant with a brace", { COORDINATOR_TOKENS: `{"${FIRST}":"a{b"}` }, /tenant 1 must be/],
    ["a tenant with a colon", { COORDINATOR_TOKENS: `{"${FIRST}":"a:b"}` }, /tenant 1 must be/],
    ["a tenant that is no text", { COORDINATOR_TOKENS: `{"${FIRST}":1}` }, /tenant 1 must be/],
    ["an empty token of a tenant", { COORDINATOR_TOKENS: '{"":"a"}' }, /16 to 512/],
    [
      "a token with two meanings",
      { COORDINATOR_TOKEN: FIRST, COORDINATOR_TOKENS: `{"${FIRST}":"a"}` },
      /COORDINATOR_TOKENS: entry 1 is the same token as entry 1 of COORDINATOR_TOKEN:/,
    ],
    [
      "a token and its digest, in two variables",
      { COORDINATOR_TOKENS: `{"${SECOND}":"b","${FIRST}":"a"}`, COORDINATOR_TOKENS_12: `{"${sha256(FIRST)}":"b"}` },
      /COORDINATOR_TOKENS_12: entry 1 is the same token as entry 2 of COORDINATOR_TOKENS:/,
    ],
    ["a short digest", { COORDINATOR_TOKEN: `${FIRST} sha256:abcdef` }, /COORDINATOR_TOKEN: entry 2 must have 64 hex/],
    ["another digest", { COORDINATOR_TOKEN: `sha512:${"0".repeat(64)}` }, /COORDINATOR_TOKEN: entry 1 .*`sha256:`/],
    ["no JSON in a numbered one", { COORDINATOR_TOKENS_1: FIRST }, /COORDINATOR_TOKENS_1 must be a JSON object/],
    [
      "a misspelt switch",
      { COORDINATOR_TOKENS: `{"${SECOND}":"b","${FIRST}":{"tenant":"a","whilesuspended":true}}` },
      /COORDINATOR_TOKENS: entry 2 must have tenant and whileSuspended alone/,
    ],
    [
      "a switch that is no boolean",
      { COORDINATOR_TOKENS_1: `{"${FIRST}":{"tenant":"a","whileSuspended":"yes"}}` },
      /COORDINATOR_TOKENS_1: whileSuspended of entry 1 must be true or false/,
    ],
  ])(
    "row 80: is closed, and tells its log which variable is wrong: %s",
    async (_, vars: Record<string, string>, wrong) => {
      const call = clientOf(shared.url);
      const headers = { "x-vars": JSON.stringify(vars) };
      for (const token of [null, FIRST, "", "fifteen-letters"]) {
        const { status, json, text } = await call("GET", "/v1/groups/a", { token, headers });
        expect([status, json.code]).toEqual([500, "misconfigured"]);
        expect(json.detail).toBe("this Worker accepts no token: its log says which variable must be corrected");
        expect(text).not.toMatch(/TOKEN|tenant|first-token/);
      }
      const logged = (await call("GET", "/logged")).json as unknown as string[];
      expect(logged).toEqual(Array(4).fill(expect.stringMatching(wrong)));
      expect(logged.join(" ")).not.toContain(FIRST);
      expect((await call("GET", "/health", { token: null, headers })).status).toBe(200);
      expect((await call("GET", "/reached")).json).toBe(0);
    },
  );

  it("row 80: a list of suspended tenants that is malformed lets no tenant in, and is named in the log alone", async () => {
    const call = clientOf(shared.url);
    const vars = { COORDINATOR_TOKENS: `{"${FIRST}":"a"}`, COORDINATOR_SUSPENDED: '["b"]' };
    const { json } = await call("GET", "/v1/groups/a", { token: FIRST, headers: { "x-vars": JSON.stringify(vars) } });
    expect(json).toMatchObject({ status: 500, code: "misconfigured", detail: expect.not.stringMatching(/SUSPENDED/) });
    const logged = (await call("GET", "/logged")).json as unknown as string[];
    expect(logged).toEqual([expect.stringMatching(/^COORDINATOR_SUSPENDED: tenant 1 must be/)]);
  });

  it("row 80: has a line on the console, unless it was told where to log", async () => {
    worker = await startWorker({
      source: `
        import worker from "./worker/index.js";
        export { CoordinatorWorkerObject } from "./worker/index.js";
        const lines = [];
        console.error = (line) => void lines.push(line);
        export default {
          fetch: (request, env) =>
            request.url.endsWith("/lines") ? Response.json(lines) : worker.fetch(request, env),
        };`,
    });
    const call = clientOf(worker.url);
    await call("GET", "/v1/groups/a", { token: FIRST });
    expect((await call("GET", "/lines")).json).toEqual([
      expect.stringMatching(
        /^\{"level":"error","event":"misconfigured","variable":"COORDINATOR_TOKEN","error":".*neither COORDINATOR_TOKEN nor /,
      ),
    ]);
  });

  it("says that the binding is missing", async () => {
    worker = await startWorker({
      vars: { COORDINATOR_TOKEN: FIRST },
      source: `
        import { createWorker } from "./worker/index.js";
        export { CoordinatorWorkerObject } from "./worker/index.js";
        export default createWorker({ namespace: () => undefined });`,
    });
    const { json } = await clientOf(worker.url)("GET", "/v1/groups/a", { token: FIRST });
    expect(json).toMatchObject({ status: 500, code: "misconfigured", detail: expect.stringContaining("COORDINATOR") });
  });
});

describe("looking up tokens", () => {
  const env: WorkerEnv & Readonly<Record<string, string>> = {
    COORDINATOR_TOKEN: `${FIRST} ${SECOND}`,
    COORDINATOR_TOKENS: JSON.stringify({
      "token-of-tenant-a-1": "a",
      [sha256("token-of-tenant-a-2")]: { tenant: "a", whileSuspended: true },
    }),
    COORDINATOR_TOKENS_1: JSON.stringify({ [sha256("token-of-tenant-b").toUpperCase().replace("SHA", "sha")]: "b" }),
    COORDINATOR_TOKENS_20: JSON.stringify({ [sha256("token-of-tenant-c", "base64url")]: "c" }),
  };
  const opened = async (token: string, variables = env) => (await authenticate(bearing(token), variables)).keyPrefix;
  const bearing = (token: string) =>
    new Request("https://worker.example/v1", { headers: { authorization: `Bearer ${token}` } });

  it("finds the tenant of each, as it is or by its digest, in each of the variables", async () => {
    expect(await opened(FIRST)).toBe("coord:");
    expect(await opened(SECOND)).toBe("coord:");
    expect(await opened("token-of-tenant-a-1")).toBe("coord:a:");
    expect(await opened("token-of-tenant-a-2")).toBe("coord:a:");
    expect(await opened("token-of-tenant-b")).toBe("coord:b:");
    expect(await opened("token-of-tenant-c")).toBe("coord:c:");
    await expect(opened("token-of-tenant-d")).rejects.toMatchObject({ code: "unauthorized" });
  });

  it("takes no digest for the token itself, in any of its forms", async () => {
    const digest = sha256("token-of-tenant-b");
    for (const presented of [digest, digest.slice(7), sha256("token-of-tenant-c", "base64url").slice(7)]) {
      await expect(opened(presented)).rejects.toMatchObject({ code: "unauthorized" });
    }
  });

  it("does the same work for each of 2,000 tokens: it digests what is presented, once; one token more is refused", async () => {
    const many = (count: number) => ({
      COORDINATOR_TOKENS: JSON.stringify(
        Object.fromEntries(Array.from({ length: count }, (_, i) => [sha256(`token-of-tenant-${i}`), `t${i}`])),
      ),
    });
    const variables = many(2_000);
    await opened("token-of-tenant-0", variables);
    const digest = vi.spyOn(crypto.subtle, "digest");
    for (const n of [0, 999, 1_999]) expect(await opened(`token-of-tenant-${n}`, variables)).toBe(`coord:t${n}:`);
    await expect(opened("token-of-tenant-2000", variables)).rejects.toMatchObject({ code: "unauthorized" });
    expect(digest).toHaveBeenCalledTimes(4);
    await expect(opened("token-of-tenant-0", many(2_001))).rejects.toThrow("at most 2000 tokens");
  });

  it("tells a token from its beginnings and from what goes on after it", async () => {
    for (const token of [FIRST.slice(0, -1), `${FIRST}x`, FIRST.slice(1), FIRST.padEnd(512, "0")]) {
      await expect(opened(token)).rejects.toMatchObject({ code: "unauthorized" });
    }
  });

  it("goes by the variables as they are now", async () => {
    expect(await opened(FIRST, { COORDINATOR_TOKEN: FIRST })).toBe("coord:");
    await expect(opened(FIRST, { COORDINATOR_TOKEN: SECOND })).rejects.toThrow("not one that opens");
    await expect(opened(FIRST, {})).rejects.toThrow("neither");
    const tokens = JSON.stringify({ [FIRST]: "a" });
    expect(await opened(FIRST, { COORDINATOR_TOKENS: tokens })).toBe("coord:a:");
    expect(await opened(FIRST, { COORDINATOR_TOKENS_1: tokens })).toBe("coord:a:");
    await expect(opened(FIRST, { COORDINATOR_TOKENS_2: "{}" })).rejects.toThrow("neither");
    await expect(opened(FIRST, { COORDINATOR_TOKENS_2: {} as never })).rejects.toThrow("_2 must be a JSON object");
  });
});
