import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { type Client, clientOf, freshId, TOKEN } from "./client.js";
import { NO_LISTS } from "./steps.js";

const OTHER = "a-token-of-another-tenant";
const TENANTS = [TOKEN, OTHER];

let worker: WorkerHost;
let call: Client;

beforeAll(async () => {
  const vars = { COORDINATOR_TOKEN: TOKEN, COORDINATOR_TOKENS: JSON.stringify({ [OTHER]: "other" }) };
  worker = await startWorker({ vars });
  call = clientOf(worker.url);
});
afterAll(() => worker.close());

const COUNTED = {
  op: "op",
  fingerprint: "0".repeat(64),
  kind: "counted",
  total: 0,
  lists: [],
  timeoutMs: 0,
  ttlMs: 60_000,
};
const NAMED = { ...COUNTED, kind: "named" };
const run = async (token: string, transition: string, id: string, input: object) =>
  call("POST", `/v1/run/${transition}`, { token, body: { id, input } });
/** How the other tenant, or an attacker, might write the name of this tenant's record. */
const namesOf = (id: string): string[] => [
  id,
  `other:${id}`,
  `coord:{group}${id}`,
  `../${id}`,
  `${id}\0`,
  `other/${id}`,
];
const statusOf = async (token: string, path: string) => (await call("GET", path, { token })).json;
const pathOf = (id: string, kind = "groups") => `/v1/${kind}/${encodeURIComponent(id)}`;

describe("GET /v1/groups/:id/children", () => {
  it("lists the child groups and requests of open tasks, page by page, to their own tenant", async () => {
    const parentId = freshId();
    const tasks = [{ id: "a", group: "one" }, { stage: "s", id: "b", group: { requestId: "two" } }, "c"];
    await call("PUT", pathOf(parentId), { body: { tasks } });
    const pageOf = async (query = "", token = TOKEN) =>
      (await call("GET", `${pathOf(parentId)}/children${query}`, { token })).json;
    const one = { taskId: "a", stage: null, groupId: "one", requestId: null };
    const two = { taskId: "b", stage: "s", groupId: null, requestId: "two" };
    expect(await pageOf()).toEqual({ items: [one, two], next: null });
    expect(await pageOf("?limit=1")).toEqual({ items: [one], next: 1 });
    expect(await pageOf("?limit=1&after=1")).toEqual({ items: [two], next: null });
    expect(await pageOf("", OTHER)).toEqual({ items: [], next: null });
    expect(await pageOf("?limit=0")).toMatchObject({ status: 422 });
    await call("POST", `${pathOf(parentId)}/acks`, { body: { tasks: ["a"] } });
    expect(await pageOf()).toEqual({ items: [two], next: null });
  });
});

describe("a nested group", () => {
  it("settles its parent's task at its end, whichever end that is", async () => {
    const parentId = freshId();
    await call("PUT", pathOf(parentId), { body: { tasks: ["a", "b", "c"] } });
    for (const [taskId, sub, body] of [
      ["a", "acks", { tasks: ["t"] }],
      ["b", "acks", { tasks: [{ id: "t", error: "no page" }] }],
      ["c", "cancel", { reason: "not wanted" }],
    ] as const) {
      const child = pathOf(freshId());
      const parent = { groupId: parentId, taskId };
      expect((await call("PUT", child, { body: { tasks: ["t"], parent } })).status).toBe(200);
      await call("POST", `${child}/${sub}`, { body });
    }
    const { json } = await call("GET", pathOf(parentId), { headers: { prefer: "wait=30" } });
    expect(json).toMatchObject({ state: "completed", succeeded: 1, failed: 2 });
    const messages = (json as unknown as { errors: { taskId: string; message: string }[] }).errors;
    expect(new Map(messages.map(({ taskId, message }) => [taskId, message.replace(/^\S+ /, "")]))).toEqual(
      new Map([
        ["b", "completed: 1 of 1 tasks failed: no page"],
        ["c", "cancelled: not wanted"],
      ]),
    );
  });

  it("is cancelled with its parent, a child request too, unless the call spares it", async () => {
    for (const cascade of [undefined, false]) {
      const [id, group, request] = [freshId(), freshId(), freshId()];
      const tasks = [
        { id: "a", group },
        { id: "b", group: { requestId: request } },
      ];
      await call("PUT", pathOf(id), { body: { tasks } });
      await call("PUT", pathOf(group), { body: { tasks: ["t"], parent: { groupId: id, taskId: "a" } } });
      const parent = { groupId: id, taskId: "b" };
      await call("PUT", pathOf(request, "requests"), { body: { parent } });
      const body = { reason: "no longer wanted", ...(cascade === undefined ? {} : { cascade }) };
      await call("POST", `${pathOf(id)}/cancel`, { body });
      const wait = { headers: { prefer: `wait=${cascade === false ? 2 : 30}` } };
      const ends = [await call("GET", pathOf(group), wait), await call("GET", pathOf(request, "requests"), wait)];
      expect(ends.map(({ json }) => json.state)).toEqual(
        cascade === false ? ["open", "pending"] : ["cancelled", "cancelled"],
      );
    }
  });
});

describe("another tenant", () => {
  it("cannot settle a task by a target, a parent, or a transition that names it", async () => {
    const id = freshId();
    for (const token of TENANTS) {
      await call("PUT", pathOf(id), { token, body: { tasks: ["a"] } });
      await call("PUT", pathOf(id, "requests"), { token });
      await call("POST", `${pathOf(id, "requests")}/tasks`, { token, body: { stage: "s", taskIds: ["a"] } });
    }
    for (const name of namesOf(id)) {
      for (const task of [
        { groupId: name, taskId: "a" },
        { requestId: name, stage: "s", taskId: "a" },
      ]) {
        for (const body of [{ onEnd: { task } }, { parent: task }]) {
          const { status } = await call("PUT", pathOf(freshId()), { token: OTHER, body: { total: 0, ...body } });
          expect(status).toBe(200);
        }
      }
      for (const machine of ["completion", "request"]) {
        const body = JSON.stringify({ machine, id: name, stage: "s", taskId: "a" });
        const targets = { end: { route: "task", body } };
        expect((await run(OTHER, "completion/register", freshId(), { ...COUNTED, targets })).status).toBe(200);
        const parent = { key: "x", body };
        expect((await run(OTHER, "completion/register", freshId(), { ...COUNTED, parent })).status).toBe(200);
      }
    }
    // Its own records are settled, so the deliveries have been made.
    const own = await call("GET", pathOf(id), { token: OTHER, headers: { prefer: "wait=30" } });
    expect(own.json).toMatchObject({ state: "completed", succeeded: 1 });
    const request = await call("GET", pathOf(id, "requests"), { token: OTHER, headers: { prefer: "wait=30" } });
    expect(request.json.state).toBe("complete");
    expect(await statusOf(TOKEN, pathOf(id))).toMatchObject({ state: "open", succeeded: 0, failed: 0 });
    expect(await statusOf(TOKEN, pathOf(id, "requests"))).toMatchObject({ state: "pending", open: 1 });
  });

  it("cannot cancel a group by naming it as a child, nor by a forged cancellation", async () => {
    const [id, parentId] = [freshId(), freshId()];
    for (const token of TENANTS) {
      await call("PUT", pathOf(id), { token, body: { tasks: ["t"], parent: { groupId: parentId, taskId: "a" } } });
    }
    const names = namesOf(id);
    const tasks = names.map((group, i) => ({ id: i === 0 ? "a" : `a${i}`, group }));
    await call("PUT", pathOf(parentId), { token: OTHER, body: { tasks } });
    await call("POST", `${pathOf(parentId)}/cancel`, { token: OTHER, body: { reason: "x" } });
    const own = await call("GET", pathOf(id), { token: OTHER, headers: { prefer: "wait=30" } });
    expect(own.json).toMatchObject({ state: "cancelled", reason: `its parent ${parentId} has ended` });
    const key = `10:completion${parentId.length}:${parentId}1:a`;
    for (const name of names) {
      await run(OTHER, "completion/cancelChild", name, { reason: "x", key, generation: 2 ** 52, ttlMs: 60_000 });
      await run(OTHER, "completion/cancel", name, { reason: "x" });
    }
    expect(await statusOf(TOKEN, pathOf(id))).toMatchObject({ state: "open", reason: null });
  });
});

describe("a cancellation of a child", () => {
  it("cancels only a child whose own parent is named, and leaves the rest as it was", async () => {
    const [id, parentId] = [freshId(), freshId()];
    const first = await call("PUT", pathOf(id), { body: { tasks: ["t"], parent: { groupId: parentId, taskId: "a" } } });
    const keyOf = (taskId: string) => `10:completion${parentId.length}:${parentId}${taskId.length}:${taskId}`;
    const forged = ["", "x", keyOf("b"), keyOf("a").slice(1), `7:request${parentId.length}:${parentId}1:a`];
    for (const key of forged) {
      const input = { reason: "x", key, generation: 2 ** 52, ttlMs: 60_000 };
      const { json } = await run(TOKEN, "completion/cancelChild", id, input);
      expect([key, json.output]).toEqual([key, { cancelled: false }]);
    }
    expect(await statusOf(TOKEN, pathOf(id))).toEqual(first.json);
    const input = { reason: "x", key: keyOf("a"), generation: 1, ttlMs: 60_000 };
    expect((await run(TOKEN, "completion/cancelChild", id, input)).json.output).toEqual({ cancelled: true });
  });

  it("takes the parent's key from its body, whatever key the registration sent", async () => {
    const [id, parentId] = [freshId(), freshId()];
    const body = JSON.stringify({ taskId: "a", id: parentId, machine: "completion" });
    const lists = ['["","t"]'];
    const parent = { key: "forged", body, generation: 7 };
    expect((await run(TOKEN, "completion/register", id, { ...NAMED, lists, parent })).status).toBe(200);
    const cancel = { reason: "x", generation: 1, ttlMs: 60_000 };
    const forged = await run(TOKEN, "completion/cancelChild", id, { ...cancel, key: "forged" });
    expect(forged.json.output).toEqual({ cancelled: false });
    const key = `10:completion${parentId.length}:${parentId}1:a`;
    expect((await run(TOKEN, "completion/cancelChild", id, { ...cancel, key })).json.output).toEqual({
      cancelled: true,
    });
  });
});

describe("a list of tasks as a text", () => {
  it.each(NO_LISTS.map((text) => [text.slice(0, 40), text] as const))("is refused: %s", async (_, text) => {
    const id = freshId();
    const { status, json } = await run(TOKEN, "completion/register", id, { ...NAMED, lists: [text] });
    expect([status, json.code]).toEqual([422, "invalid_input"]);
    expect(json.detail).toMatch(/^input\.lists\[0\] must be/);
    expect((await call("GET", pathOf(id))).status).toBe(404);
  });

  it("is stored as this Worker writes it, and a task that it repeats is one task", async () => {
    const id = freshId();
    const lists = [' [ "" , "\\u0061", "a" ]\n', '["","b","a"]', '["s","a"]'];
    const { json } = await run(TOKEN, "completion/register", id, { ...NAMED, lists });
    expect(json.output).toMatchObject({ outcome: "created", view: { total: 3 } });
    const page = (await call("GET", `${pathOf(id)}/tasks`)).json as unknown as { items: object[] };
    expect(page.items).toMatchObject([
      { taskId: "a", stage: null },
      { taskId: "b", stage: null },
      { taskId: "a", stage: "s" },
    ]);
  });

  it("is bounded by the body: 64 ids of 256 bytes, as many as fit", async () => {
    const id = freshId();
    const list = (n: number) =>
      JSON.stringify(["", ...Array.from({ length: 64 }, (_, i) => `${n}-${i}-`.padEnd(256, "x"))]);
    const lists = Array.from({ length: 15 }, (_, n) => list(n));
    const { json } = await run(TOKEN, "completion/register", id, { ...NAMED, lists });
    expect(json.output).toMatchObject({ outcome: "created", view: { total: 15 * 64 } });
    const more = Array(100).fill(list(0));
    const { status } = await run(TOKEN, "completion/register", freshId(), { ...NAMED, lists: more });
    expect(status).toBe(413);
  });
});
