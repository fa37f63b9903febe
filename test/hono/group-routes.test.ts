import { Hono } from "hono";
import { describe, expect, it } from "vitest";
import { coordinationErrors, groupRoutes } from "../../src/hono/index.js";
import {
  CompletionTracker,
  CoordinationError,
  type CoordinatorEvent,
  type GroupStatus,
  MemoryCoordinator,
} from "../../src/index.js";
import { ManualClock, settle } from "../../src/testing/index.js";
import { held, tamper } from "./bench.js";

type Options = Parameters<typeof groupRoutes>[0];

function makeBench(options: Partial<Options> = {}) {
  const clock = new ManualClock();
  const coordinator = new MemoryCoordinator({ clock });
  const events: CoordinatorEvent[] = [];
  const all: Options = { coordinator, scope: "public", clock, onEvent: (event) => events.push(event), ...options };
  const app = new Hono().onError(coordinationErrors()).route("/groups", groupRoutes(all));
  const get = async (path: string, headers: Record<string, string> = {}, signal?: AbortSignal) =>
    app.request(path, { headers, ...(signal === undefined ? {} : { signal }) });
  return { clock, coordinator, events, get, tracker: new CompletionTracker(coordinator) };
}

const byUser: Options["scope"] = (c, id) => (id === "hidden" ? null : `${c.req.header("x-user") ?? ""}|${id}`);
const EVENTS = { accept: "text/event-stream" };
function withoutParent(status: GroupStatus | null): object {
  const { parent: _, ...shown } = status as GroupStatus;
  return shown;
}
const namesIn = (text: string): string[] => text.match(/(?<=^event: ).*$/gm) ?? [];
const lastIdIn = (text: string): string => text.match(/(?<=^id: ).*$/gm)?.at(-1) ?? "";

describe("GET /:id of a group", () => {
  it("returns the group's status, which no cache stores", async () => {
    const { get, tracker } = makeBench();
    const registered = await tracker.register("g", ["a"], { metadata: { by: "me" } });
    const open = await get("/groups/g");
    expect([open.status, open.headers.get("cache-control"), open.headers.get("retry-after")]).toEqual([
      200,
      "no-store",
      "1",
    ]);
    expect(await open.json()).toEqual(withoutParent(registered));
    await tracker.ack("g", "a");
    const ended = await get("/groups/g");
    expect([ended.headers.get("retry-after"), await ended.json()]).toEqual([
      null,
      withoutParent(await tracker.status("g")),
    ]);
  });

  it("leaves the parent out, also of events: its id alone would open it", async () => {
    const { get, tracker } = makeBench();
    await tracker.register("secret-parent", ["child"]);
    const parent = { groupId: "secret-parent", taskId: "child" };
    const child = await tracker.register("child", ["a"], { parent });
    expect(child.parent).toMatchObject({ groupId: "secret-parent" });
    await tracker.ack("child", "a");
    for (const path of ["/groups/child", "/groups/child/events", "/groups/child?wait=true&timeout=1"]) {
      const text = await (await get(path)).text();
      expect([path, text]).toEqual([path, expect.not.stringContaining("secret-parent")]);
      expect(text).toContain('"groupId":"child"');
    }
  });

  it("waits for the end where the client wishes, and no longer than the server allows", async () => {
    const { clock, get, tracker } = makeBench({ maxWaitMs: 5_000 });
    await tracker.register("g", ["a"]);
    const waiting = await held(get("/groups/g", { prefer: "wait=60" }));
    expect(waiting.isHeld()).toBe(true);
    await tracker.ack("g", "a");
    const response = await waiting.response;
    expect([response.headers.get("preference-applied"), (await response.json()).state]).toEqual([
      "wait=5",
      "completed",
    ]);
    await tracker.register("h", ["a"]);
    const late = await held(get("/groups/h?wait=true&timeout=60"));
    await clock.advance(5_000);
    expect([(await late.response).status, (await (await late.response).json()).state]).toEqual([200, "open"]);
    // The coordinator's own, for the deadlines of the groups.
    expect(clock.pending).toBe(1);
  });

  it("ends its wait when the client leaves", async () => {
    const { clock, get, tracker } = makeBench();
    await tracker.register("g", ["a"]);
    const before = clock.pending;
    const leaving = new AbortController();
    const waiting = await held(get("/groups/g", { prefer: "wait=20" }, leaving.signal));
    expect(clock.pending).toBeGreaterThan(before);
    leaving.abort();
    expect([(await waiting.response).status, clock.pending]).toEqual([499, before]);
  });

  it.each(["/groups/unknown", "/groups/a%2Fb", "/groups/%ff"])("is 404 where there is none: %s", async (path) => {
    const { coordinator, get } = makeBench();
    const response = await get(path);
    expect([response.status, (await response.json()).code]).toEqual([404, "not_found"]);
    expect(coordinator.size).toBe(0);
  });

  it("is 422 for an id that is too long", async () => {
    const { get } = makeBench();
    for (const sub of ["", "/events"]) {
      const response = await get(`/groups/${"x".repeat(257)}${sub}`);
      expect([response.status, (await response.json()).code]).toEqual([422, "invalid_input"]);
    }
  });

  it("shows no request, though it has the id of the path", async () => {
    const { coordinator, get } = makeBench();
    await coordinator.run("request.register", "r", {
      op: "op",
      fingerprint: "",
      request: true,
      grows: true,
      kind: "named",
      total: 0,
      lists: [],
      timeoutMs: 0,
      ttlMs: 60_000,
      deliveryId: "d",
    });
    expect((await get("/groups/r")).status).toBe(404);
  });
});

describe("the scope of groups", () => {
  it("chooses the group, and one that is not the client's is like one that is not there", async () => {
    const { get, tracker } = makeBench({ scope: byUser });
    await tracker.register("alice|g", ["a"]);
    await tracker.register("hidden", ["a"]);
    const alice = { "x-user": "alice" };
    expect((await get("/groups/g", alice)).status).toBe(200);
    const unknown = await (await get("/groups/none", alice)).text();
    for (const [path, headers] of [
      ["/groups/g", { "x-user": "bob" }],
      ["/groups/alice%7Cg", { "x-user": "bob" }],
      ["/groups/hidden", alice],
    ] as const) {
      for (const sub of ["", "/events", "?wait=true&timeout=0"]) {
        const response = await get(path + sub, headers);
        expect([path + sub, response.status, await response.text()]).toEqual([path + sub, 404, unknown]);
      }
    }
  });

  it("may be asynchronous, and its own error is the application's", async () => {
    const { get, tracker } = makeBench({
      scope: async (c, id) => {
        if (c.req.header("x-user") === undefined) throw new CoordinationError("unauthorized", "no session");
        return id;
      },
    });
    await tracker.register("g", ["a"]);
    expect((await get("/groups/g", { "x-user": "a" })).status).toBe(200);
    expect((await get("/groups/g")).status).toBe(502);
  });

  it.each([undefined, 5, {}, ["g"]])("is misconfigured when it returns neither a text nor null: %j", async (id) => {
    const { get, tracker } = makeBench({ scope: () => id as unknown as string });
    await tracker.register("g", ["a"]);
    for (const sub of ["", "/events"]) {
      const response = await get(`/groups/g${sub}`);
      expect([response.status, (await response.json()).code]).toEqual([500, "misconfigured"]);
    }
  });

  it.each<[object, RegExp]>([
    [{ scope: undefined }, /^scope must be a function/],
    [{ scope: "private" }, /^scope must be a function/],
    [{ maxWaitMs: 600_001 }, /^maxWaitMs/],
    [{ maxStreamMs: 999 }, /^maxStreamMs/],
    [{ statusPath: "/groups" }, /statusPath/],
    [{ coordinator: {} }, /coordinator/],
  ])("and the other options are checked before the first request: %j", (options, message) => {
    expect(() => makeBench(options as Partial<Options>)).toThrow(message);
  });
});

describe("GET /:id/events of a group", () => {
  it("reports changes within a second, and the end at once, by the name of its state", async () => {
    const { clock, events, get, tracker } = makeBench();
    await tracker.register("g", ["a", "b", "c"], { complete: { toleratedFailureCount: 0 } });
    const before = clock.pending;
    const response = await get("/groups/g/events");
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const text = response.text();
    await settle();
    await tracker.ack("g", "a");
    await tracker.ack("g", "b");
    await clock.advance(1_000);
    await tracker.fail("g", "c", "broken");
    const told = await text;
    expect(namesIn(told)).toEqual(["progress", "progress", "failed"]);
    expect(told).toContain(`data: ${JSON.stringify(withoutParent(await tracker.status("g")))}`);
    expect([clock.pending, events]).toEqual([before, []]);
    const over = await get("/groups/g/events", { "last-event-id": lastIdIn(told) });
    expect([over.status, over.body]).toEqual([204, null]);
  });

  it("go on after what the client has received", async () => {
    const { clock, get, tracker } = makeBench({ maxStreamMs: 2_000 });
    await tracker.register("g", ["a", "b"]);
    const first = (await get("/groups/g/events")).text();
    await clock.advance(2_000);
    expect(namesIn(await first)).toEqual(["progress"]);
    const again = (await get("/groups/g/events", { "last-event-id": lastIdIn(await first) })).text();
    await clock.advance(2_000);
    expect(namesIn(await again)).toEqual([]);
    await tracker.ack("g", "a");
    const third = (await get("/groups/g/events", { "last-event-id": lastIdIn(await first) })).text();
    await clock.advance(2_000);
    expect(namesIn(await third)).toEqual(["progress"]);
  });

  it("end on time when the first read is slow, and tell a client that reads too late nothing", async () => {
    const { clock, coordinator, get, tracker } = makeBench({ maxStreamMs: 2_000 });
    await tracker.register("g", ["a"]);
    const late = await get("/groups/g/events");
    let isFirst = true;
    tamper(coordinator, (_, run) => {
      if (!isFirst) return run();
      isFirst = false;
      return new Promise((resolve) => clock.setTimer(() => resolve(run()), 1_500));
    });
    let isOver = false;
    const slow = get("/groups/g/events").then(async (answer) => {
      const text = await answer.text();
      isOver = true;
      return text;
    });
    await settle();
    await clock.advance(1_999);
    expect(isOver).toBe(false);
    await clock.advance(1);
    expect(isOver).toBe(true);
    expect([namesIn(await slow), await late.text()]).toEqual([["progress"], ""]);
  });

  it("say unknown to an EventSource of a group that may yet be registered, and show it once it is", async () => {
    const { get, tracker } = makeBench();
    const unknown = await (await get("/groups/g/events", EVENTS)).text();
    expect([namesIn(unknown), lastIdIn(unknown)]).toEqual([["unknown"], "unknown-1"]);
    expect((await get("/groups/g/events")).status).toBe(404);
    expect((await get("/groups/g/events", { ...EVENTS, "last-event-id": "unknown-5" })).status).toBe(404);
    await tracker.register("g", []);
    const found = await (await get("/groups/g/events", { ...EVENTS, "last-event-id": "unknown-1" })).text();
    expect(namesIn(found)).toEqual(["completed"]);
  });

  it("say when to connect again after a passing fault, and the hook hears of it", async () => {
    const { coordinator, events, get, tracker } = makeBench();
    await tracker.register("g", ["a"]);
    const error = new CoordinationError("backend_unavailable", "away", { retryable: true, retryAfterMs: 7_000 });
    tamper(coordinator, () => Promise.reject(error));
    const passing = await get("/groups/g/events", EVENTS);
    expect([passing.status, await passing.text()]).toEqual([200, "retry: 7000\n\n"]);
    expect(events).toEqual([{ type: "followup_failed", transition: "completion.progress", id: "g", error }]);
    expect((await get("/groups/g/events")).status).toBe(503);
  });
});
