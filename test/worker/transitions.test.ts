import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { machines } from "../../src/core/registry.js";
import { isInternal, isWatchable } from "../../src/runtime/access.js";
import { type Client, clientOf, freshId, TOKEN } from "./client.js";
import { countOf, GROUP_STEPS, MORE, OP, type Step, TTL } from "./steps.js";
import { TURN_STEPS } from "./turn-steps.js";

let worker: WorkerHost;
let call: Client;

beforeAll(async () => {
  worker = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN } });
  call = clientOf(worker.url);
});
afterAll(() => worker.close());

const long = "x".repeat(257);

const STEPS: Readonly<Record<string, Step>> = {
  ...GROUP_STEPS,
  "coalesce.next": {
    input: { op: "op", ttlMs: 31_536_000_000, held: true },
    output: { version: expect.any(Number) },
    bad: [...MORE, ...OP, ...TTL, [{ held: 1 }, /^input\.held must be true or false/]],
  },
  "coalesce.seen": {
    input: { version: Number.MAX_SAFE_INTEGER, ttlMs: 60_000 },
    output: { stale: false },
    bad: [
      ...MORE,
      ...TTL,
      [{ version: undefined }, /^input\.version is required/],
      [{ version: -1 }, /^input\.version must be a whole number from 0/],
      [{ version: 0.5 }, /^input\.version/],
      [{ version: 2 ** 53 }, /^input\.version/],
    ],
  },
  "dedupe.claim": { input: { op: "op", ttlMs: 60_000 }, output: { claimed: true }, bad: [...MORE, ...OP, ...TTL] },
  "dedupe.release": {
    input: { op: "op", holder: "other" },
    output: { released: false },
    bad: [...MORE, ...OP, [{ holder: "" }, /^input\.holder must be 1 to 256/], [{ holder: null }, /^input\.holder/]],
  },
  ...TURN_STEPS,
  "stats.merge": {
    input: { op: "op", id: "a", processed: 1, requeueCount: 0, errorCount: 0, maxTracked: 64_000, ttlMs: 60_000 },
    output: { merged: true },
    bad: [
      ...MORE,
      ...OP,
      ...TTL,
      ...["processed", "requeueCount", "errorCount"].flatMap(countOf),
      [{ processed: undefined }, /^input\.processed is required/],
      [{ id: "" }, /^input\.id must be 1 to 256/],
      [{ id: long }, /^input\.id/],
      [{ maxTracked: 0 }, /^input\.maxTracked must be a whole number from 1 to 64000/],
      [{ maxTracked: 64_001 }, /^input\.maxTracked/],
    ],
  },
  "stats.consume": {
    input: { op: "op", id: "a" },
    output: {},
    bad: [...MORE, ...OP, [{ id: undefined }, /^input\.id is required/], [{ id: "" }, /^input\.id must be 1 to 256/]],
  },
};

const pathOf = (name: string, verb = "run") => `/v1/${verb}/${name.replace(".", "/")}`;

describe("a transition over /v1/run", () => {
  it("is offered if it is public, and is known here unless it is one of a raw key", async () => {
    for (const [machine, steps] of Object.entries(machines)) {
      for (const step of Object.keys(steps)) {
        const name = `${machine}.${step}`;
        const { status } = await call("POST", pathOf(name), { body: { id: freshId() } });
        expect([name, status]).toEqual([name, isInternal(name) ? 404 : 422]);
        expect([name, machine === "kv" || isInternal(name) || name in STEPS]).toEqual([name, true]);
      }
    }
  });

  it.each(Object.entries(STEPS))("%s takes what its tracker sends, and nothing else", async (name, step) => {
    const id = freshId();
    for (const [change, detail] of step.bad) {
      const input = { ...step.input, ...change };
      const { status, json } = await call("POST", pathOf(name), { body: { id, input } });
      expect([change, status, json.code, json.applied]).toEqual([change, 422, "invalid_input", "no"]);
      expect(json.detail).toMatch(detail);
    }
    for (const input of [null, [], "text", 5]) {
      const { status, json } = await call("POST", pathOf(name), { body: { id, input } });
      expect([status, json.detail]).toEqual([422, "input must be an object"]);
    }
    // An answer as if nothing had come before: what was refused has left nothing behind.
    const { status, json } = await call("POST", pathOf(name), { body: { id, input: step.input } });
    expect([status, json.output]).toEqual([200, step.output]);
  });
});

const COUNTED = { fingerprint: "0".repeat(64), kind: "counted", lists: [], timeoutMs: 0, ttlMs: 60_000 };
const TARGET = {
  route: "task",
  body: JSON.stringify({ machine: "request", id: "unknown", stage: "s", taskId: "t" }),
};

/** Each call of an object arrives sooner than the one before it; the Worker tells how many were under way at most. */
const SLOWER_FIRST = `
  import { createWorker } from "./worker/index.js";
  export { CoordinatorWorkerObject } from "./worker/index.js";
  let calls = 0, open = 0, most = 0;
  const slowed = (objects) => ({
    idFromName: (name) => objects.idFromName(name),
    get: (id) => ({
      runMany: async (...given) => {
        most = Math.max(most, ++open);
        await new Promise((resolve) => setTimeout(resolve, 80 - 20 * calls++));
        return objects.get(id).runMany(...given).finally(() => open--);
      },
    }),
  });
  const worker = createWorker({ namespace: (env) => slowed(env.COORDINATOR) });
  export default {
    fetch: (request, env) => request.url.endsWith("/most") ? Response.json(most) : worker.fetch(request, env),
  };
`;

interface Outcome {
  readonly output?: Readonly<Record<string, unknown>>;
  readonly problem?: {
    readonly status: number;
    readonly code: string;
    readonly detail: string;
    readonly applied: string;
  };
}

async function batch(operations: readonly unknown[]): Promise<readonly Outcome[]> {
  const { status, json } = await call("POST", "/v1/batch", { body: { operations } });
  expect(status).toBe(200);
  return (json as unknown as { outcomes: readonly Outcome[] }).outcomes;
}

describe("a transition in a batch", () => {
  it.each(Object.entries(STEPS))("%s takes what it takes by itself, and is refused by itself", async (name, step) => {
    const id = freshId();
    const sound = { transition: name, id, input: step.input };
    const changed = step.bad.map(([change]) => ({ ...sound, input: { ...step.input, ...change } }));
    const bodiless = [null, [], "text", 5].map((input) => ({ ...sound, input }));
    // Within the 256 KB of a body.
    for (const wrong of [...changed, ...bodiless]) {
      const [refused] = await batch([wrong]);
      expect(refused?.problem).toMatchObject({ status: 422, code: "invalid_input", applied: "no" });
    }
    const [refused, done] = await batch([{ ...sound, id: "" }, sound]);
    expect(refused?.problem).toMatchObject({ status: 422, detail: expect.stringMatching(/^operation\.id must be/) });
    expect(done).toEqual({ output: step.output });
  });

  it("is offered if it is public", async () => {
    const names = Object.entries(machines).flatMap(([machine, steps]) =>
      Object.keys(steps).map((step) => `${machine}.${step}`),
    );
    const outcomes = await batch(names.map((transition) => ({ transition, id: freshId(), input: 7 })));
    const told = outcomes.map(({ problem }) => problem?.status);
    expect(told).toEqual(names.map((name) => (isInternal(name) ? 404 : 422)));
    const strangers = ["kv", "kv.", ".incr", "kv/incr", "__proto__", "constructor", "kv.incr.x", ""];
    for (const { problem } of await batch(strangers.map((transition) => ({ transition, id: "a", input: {} })))) {
      expect(problem).toMatchObject({ status: 404, code: "not_found" });
    }
  });

  it("has an outcome of its own, in its place, and those on one record keep their order", async () => {
    const [a, b] = [freshId(), freshId()];
    const push = (id: string, value: unknown) => ({
      transition: "kv.rpush",
      id,
      input: { op: `op-${value}`, ttlMs: 60_000, values: [value] },
    });
    const letters = Array.from({ length: 45 }, (_, i) => String(i));
    const outcomes = await batch([
      ...letters.flatMap((letter) => [push(a, letter), push(b, letter)]),
      push(a, 7),
      { transition: "kv.scard", id: a, input: {} },
      { transition: "kv.lrange", id: a, input: {} },
      { transition: "kv.lrange", id: b, input: {} },
      { transition: "completion.woken", id: a, input: {} },
      "text",
    ]);
    expect(outcomes.slice(0, 90).map(({ output }) => output?.result)).toEqual(
      letters.flatMap((_, i) => [String(i + 1), String(i + 1)]),
    );
    expect(outcomes.slice(90)).toMatchObject([
      { problem: { status: 422, code: "invalid_input" } },
      { output: { refused: "wrong_kind" } },
      { output: { values: letters } },
      { output: { values: letters } },
      { problem: { status: 404, code: "not_found" } },
      { problem: { status: 422, code: "invalid_input", detail: "operation must be an object" } },
    ]);
  });

  it("keeps the order of a record, however long each of its calls takes, and no record waits for another", async () => {
    const slow = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN }, source: SLOWER_FIRST });
    try {
      const operations = ["0", "1", "2", "3"].flatMap((value) =>
        ["a", "b", "c"].map((id) => ({
          transition: "kv.rpush",
          id,
          input: { op: value, ttlMs: 60_000, values: [value] },
        })),
      );
      const look = ["a", "b", "c"].map((id) => ({ transition: "kv.lrange", id, input: {} }));
      const body = { operations: [...operations, ...look] };
      const { json } = await clientOf(slow.url)("POST", "/v1/batch", { body });
      const { outcomes } = json as unknown as { outcomes: readonly Outcome[] };
      const list = { output: { values: ["0", "1", "2", "3"] } };
      expect(outcomes.slice(-3)).toMatchObject([list, list, list]);
      expect((await clientOf(slow.url)("GET", "/most")).json).toBe(3);
    } finally {
      await slow.close();
    }
  });

  it("row 76: makes the id that effects hang on itself, whatever the caller says, alone and in a batch", async () => {
    const victim = freshId();
    const onEnd = { task: { requestId: "unknown", stage: "s", taskId: "t" } };
    const { json } = await call("PUT", `/v1/groups/${victim}`, { body: { total: 0, onEnd } });
    const { deliveryId: known } = json.delivery as unknown as { deliveryId: string };
    const registration = { ...COUNTED, total: 0, targets: { end: TARGET } };
    const ids = new Set([known]);
    // Chosen, derived from an op of the caller's choice, malformed, and not given.
    const choices = [
      { deliveryId: known },
      { op: known.slice("msg_".length) },
      { deliveryId: "a.b" },
      { deliveryId: 7 },
      {},
    ];
    for (const choice of choices) {
      const operation = () => ({ id: freshId(), input: { op: "op", ...registration, ...choice } });
      const alone = await call("POST", pathOf("completion.register"), { body: operation() });
      const [outcome] = await batch([{ transition: "completion.register", ...operation() }]);
      for (const output of [alone.json.output, outcome?.output]) {
        const { view } = output as unknown as { view: { delivery: { deliveryId: string } } };
        expect(view.delivery.deliveryId).toMatch(/^msg_[0-9a-f]{32}$/);
        ids.add(view.delivery.deliveryId);
      }
    }
    expect(ids.size).toBe(1 + 2 * choices.length);
  });

  it("row 76: keeps the id of a registration that is sent again", async () => {
    const input = { op: "op", ...COUNTED, total: 0, targets: { end: TARGET } };
    const id = freshId();
    const answers = [1, 2, 3].map(() => call("POST", pathOf("completion.register"), { body: { id, input } }));
    const views = (await Promise.all(answers)).map(
      ({ json }) => json.output as unknown as { view: { delivery: object } },
    );
    expect(new Set(views.map(({ view }) => JSON.stringify(Object(view.delivery).deliveryId))).size).toBe(1);
  });

  it("registers no webhook that would be refused by itself", async () => {
    const registration = { op: "op", ...COUNTED, total: 1, deliveryId: "msg_1" };
    const targets = { end: { route: "url", body: "https://elsewhere.example/" } };
    const id = freshId();
    const [refused, status] = await batch([
      { transition: "completion.register", id, input: { ...registration, targets } },
      { transition: "completion.status", id, input: {} },
    ]);
    const alone = await call("POST", pathOf("completion.register"), {
      body: { id, input: { ...registration, targets } },
    });
    expect(refused?.problem).toEqual(alone.json);
    expect(status).toEqual({ output: {} });
  });
});

describe("a transition over /v1/watch", () => {
  it.each(Object.entries(STEPS))("%s is offered if there is something to wait for", async (name, step) => {
    const id = freshId();
    const body = { id, input: step.input, timeoutMs: 0 };
    const { status, json } = await call("POST", pathOf(name, "watch"), { body });
    if (!isWatchable(name)) return expect([status, json.code]).toEqual([404, "not_found"]);
    expect([status, json.output]).toEqual([200, step.output]);
    for (const [change, detail] of step.bad) {
      const refused = await call("POST", pathOf(name, "watch"), {
        body: { ...body, input: { ...step.input, ...change } },
      });
      expect([change, refused.status, refused.json.code]).toEqual([change, 422, "invalid_input"]);
      expect(refused.json.detail).toMatch(detail);
    }
  });

  it("ends with the hop while a request is pending, and with what it counted once it is complete", async () => {
    const id = freshId();
    const path = `/v1/requests/${id}`;
    await call("PUT", path);
    await call("POST", `${path}/tasks`, { body: { stage: "s", taskIds: ["a"] } });
    const hop = { id, input: {}, timeoutMs: 100 };
    expect((await call("POST", pathOf("request.wait", "watch"), { body: hop })).json).toEqual({
      protocol: 1,
      output: null,
    });

    const progress = { id, input: { after: "" }, timeoutMs: 5_000 };
    const first = (await call("POST", pathOf("request.progress", "watch"), { body: progress })).json.output;
    const { view } = first as unknown as { view: { generation: number; changes: number } };
    const version = `${view.generation}.${view.changes}`;
    const news = { id, input: { after: version }, timeoutMs: 100 };
    expect((await call("POST", pathOf("request.progress", "watch"), { body: news })).json).toEqual({
      protocol: 1,
      output: null,
    });

    const waiting = ["request.wait", "request.progress"].map((name) =>
      call("POST", pathOf(name, "watch"), { body: { id, input: name === "request.wait" ? {} : { after: version } } }),
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
    await call("POST", `${path}/acks`, { body: { stage: "s", taskId: "a" } });
    for (const { json } of await Promise.all(waiting)) {
      expect(json.output).toMatchObject({
        ready: true,
        view: { state: "open", remaining: 0, stages: [{ processed: 1 }] },
      });
    }
  });
});
