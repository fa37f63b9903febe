import { describe, expect, it } from "vitest";
import type { UpstashCoordinator, UpstashOptions } from "../../../src/backends/upstash/index.js";
import { TASK_ROUTE } from "../../../src/core/outbox/routes.js";
import {
  type Coordinator,
  type CoordinatorEvent,
  type OutputOf,
  RequestWaitTracker,
  type Wake,
} from "../../../src/index.js";
import { placeOf, shardOf } from "../../../src/runtime/placement.js";
import { acks, registration, SkewedCoordinator, TOKEN, useLab } from "./support.js";

const lab = useLab();
const RETRY = { maxAttempts: 3, baseDelayMs: 1_000, maxDelayMs: 2_000 };

type Claims = OutputOf<"completion.woken">["claims"];

/** Delivers what it is handed, and remembers it. */
class Deliverer implements Wake<"completion"> {
  readonly delivered: string[] = [];
  readonly kept: Promise<unknown>[] = [];
  constructor(
    readonly coordinator: Coordinator,
    readonly routes = ["handler:h"],
    readonly effect: (claim: Claims[number]) => Promise<void> = async () => {},
  ) {}
  readonly waitUntil = (work: Promise<unknown>): void => void this.kept.push(work);
  input = () => ({ routes: this.routes, leaseMs: 30_000, retry: RETRY });
  act = async (id: string, { claims }: { claims: Claims }): Promise<void> => {
    for (const claim of claims) {
      await this.effect(claim);
      this.delivered.push(claim.deliveryId);
      const { key, fence } = claim;
      await this.coordinator.run("completion.settle", id, { key, fence, retry: RETRY, random: 0.5 });
    }
  };
}

const target = { complete: { route: "handler:h", body: "null" }, timeout: { route: "handler:h", body: "null" } };

function skewed(options: UpstashOptions = {}): SkewedCoordinator {
  const base = { url: lab.rest.url, token: TOKEN, keyPrefix: lab.keyPrefix, keyLocking: false };
  return new SkewedCoordinator({ ...base, ...options });
}

const ids = (count: number): string[] => Array.from({ length: count }, (_, i) => `g${i}`);

async function dueLines(): Promise<string[]> {
  const keys = await lab.raw.keys(`${lab.keyPrefix}*}:due`);
  return (await Promise.all(keys.map((key) => lab.raw.zrange(key, 0, -1)))).flat().sort();
}

async function stateOf(coordinator: UpstashCoordinator, id: string): Promise<string | undefined> {
  return (await coordinator.run("completion.status", id, {})).view?.state;
}

describe("the call that makes a record due", () => {
  it("wakes it, without waiting for what is done then", async () => {
    const coordinator = lab.coordinator();
    let finish = (): void => {};
    const slow = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const deliverer = new Deliverer(coordinator, ["handler:h"], () => slow);
    coordinator.onWake("completion", deliverer);
    await coordinator.run("completion.register", "g", registration({ targets: target }));
    await coordinator.run("completion.ack", "g", acks("a"));
    expect(deliverer.kept).toHaveLength(1);
    expect(deliverer.delivered).toHaveLength(0);
    finish();
    await Promise.all(deliverer.kept);
    expect(deliverer.delivered).toHaveLength(1);
    expect((await coordinator.run("completion.status", "g", {})).view?.delivery.state).toBe("delivered");
    expect(await dueLines()).toEqual([]);
  });

  it("may fail to ack the task of a waiting request: the next call of another instance acks it", async () => {
    const acker = lab.coordinator();
    // What dies with the instance that ended the group.
    acker.onWake("completion", { input: () => ({ more: true }), act: async () => {} });
    const requests = new RequestWaitTracker(acker, { stages: ["s"] });
    const task = { machine: "request", id: "r", stage: "s", taskId: "a" };
    const targets = { complete: { route: TASK_ROUTE, body: JSON.stringify(task) } };
    await requests.register("r");
    await requests.add("r", "s", "a");
    await acker.run("completion.register", "g", registration({ targets }));
    await acker.run("completion.ack", "g", acks("a"));
    const other = lab.coordinator();
    expect((await other.run("completion.status", "g", {})).view?.delivery.state).toBe("pending");
    await expect.poll(() => requests.status("r")).toMatchObject({ state: "complete", open: 0 });
  });

  it("checks once for a task to ack, and leaves other deliveries unchanged", async () => {
    const coordinator = lab.coordinator();
    const leave = coordinator.onWake("completion", new Deliverer(coordinator));
    leave();
    await coordinator.run("completion.register", "g", registration({ targets: target }));
    lab.rest.requests.clear();
    await coordinator.run("completion.ack", "g", acks("a"));
    await expect.poll(() => lab.rest.requests.count()).toBe(2);
    expect(await dueLines()).toEqual(["completion:g"]);
    await coordinator.run("completion.status", "g", {});
    await new Promise((resolve) => setTimeout(resolve, 30));
    // A later read costs its own request only.
    expect(lab.rest.requests.count()).toBe(3);
    const { view } = await coordinator.run("completion.status", "g", {});
    expect(view?.delivery).toMatchObject({ state: "pending", attempts: 0 });
    expect(view?.delivery).not.toHaveProperty("lastError");
  });

  it("succeeds when a waker fails, and reports the failure as an event", async () => {
    const events: CoordinatorEvent[] = [];
    const onEvent = (event: CoordinatorEvent): never => {
      events.push(event);
      throw new Error("a hook that throws harms nobody");
    };
    const coordinator = lab.faulty({ onEvent });
    const failure = new Error("handler");
    const deliverer = new Deliverer(coordinator, ["handler:h"], () => Promise.reject(failure));
    coordinator.onWake("completion", { ...deliverer, waitUntil: undefined });
    coordinator.onWake("completion", {
      input: () => {
        throw failure;
      },
      act: async () => {},
      waitUntil: () => {
        throw failure;
      },
    });
    await coordinator.run("completion.register", "g", registration({ targets: target }));
    const { results } = await coordinator.run("completion.ack", "g", acks("a"));
    expect(results[0]?.verdict).toBe("accepted");
    const failed = () => events.filter(({ type }) => type !== "registered" && type !== "ended");
    await expect.poll(() => failed().length).toBeGreaterThanOrEqual(2);
    for (const event of failed())
      expect(event).toEqual({ type: "wake_failed", machine: "completion", id: "g", error: failure });
  });

  it("hands out what is due once, to many calls at the same time", async () => {
    const coordinator = lab.coordinator();
    const deliverer = new Deliverer(coordinator);
    coordinator.onWake("completion", deliverer);
    await lab.coordinator().run("completion.register", "g", registration({ total: 0, targets: target }));
    await Promise.all(Array.from({ length: 50 }, () => coordinator.run("completion.status", "g", {})));
    await Promise.all(deliverer.kept);
    expect(deliverer.delivered).toHaveLength(1);
  });
});

describe("a drain", () => {
  it("ends groups at their deadlines when no instance can deliver", async () => {
    const coordinator = skewed();
    for (let i = 0; i < 5; i++)
      await coordinator.run("completion.register", `g${i}`, registration({ timeoutMs: 60_000 }));
    const early = await coordinator.drain();
    expect(early).toMatchObject({ woken: 0, left: false });
    expect(early.nextDueAtMs).toBeGreaterThan(Date.now() + 50_000);
    coordinator.skewMs = 61_000;
    lab.rest.requests.clear();
    expect(await coordinator.drain()).toEqual({ woken: 5, left: false, nextDueAtMs: undefined });
    // The heads of the queue, the lines that are due, and the records.
    expect(lab.rest.requests.latest.map(({ commands }) => commands.length)).toEqual([65, 5, 5]);
    coordinator.skewMs = 0;
    for (let i = 0; i < 5; i++) expect(await stateOf(coordinator, `g${i}`)).toBe("timed_out");
    expect(await dueLines()).toEqual([]);
  });

  it("spends no attempt on what it cannot deliver", async () => {
    const coordinator = skewed();
    await coordinator.run("completion.register", "g", registration({ targets: target, timeoutMs: 1_000 }));
    coordinator.skewMs = 2_000;
    expect(await coordinator.drain()).toMatchObject({ woken: 1, left: false });
    const { view } = await coordinator.run("completion.status", "g", {});
    expect(view).toMatchObject({ state: "timed_out", delivery: { state: "pending", attempts: 0 } });
  });

  it("delivers, and waits for that", async () => {
    const coordinator = lab.coordinator();
    for (let i = 0; i < 10; i++) {
      await coordinator.run("completion.register", `g${i}`, registration({ total: 0, targets: target }));
    }
    const worker = lab.coordinator();
    const deliverer = new Deliverer(worker);
    worker.onWake("completion", deliverer);
    expect(await worker.drain()).toMatchObject({ woken: 10, left: false });
    expect(new Set(deliverer.delivered).size).toBe(10);
    expect(await dueLines()).toEqual([]);
  });

  it("by many at once delivers each thing once", async () => {
    const coordinator = lab.coordinator();
    for (let i = 0; i < 30; i++) {
      await coordinator.run("completion.register", `g${i}`, registration({ total: 0, targets: target }));
    }
    const workers = Array.from({ length: 4 }, () => lab.coordinator());
    const deliverers = workers.map((worker) => new Deliverer(worker));
    deliverers.forEach((deliverer, i) => void workers[i]?.onWake("completion", deliverer));
    await Promise.all(workers.map((worker) => worker.drain()));
    const delivered = deliverers.flatMap((deliverer) => deliverer.delivered);
    expect(delivered).toHaveLength(30);
    expect(new Set(delivered).size).toBe(30);
    expect(await dueLines()).toEqual([]);
  });

  it("asks every waker before it postpones a delivery that one of them cannot make", async () => {
    const coordinator = lab.coordinator();
    const able = new Deliverer(coordinator);
    coordinator.onWake("completion", new Deliverer(coordinator, ["handler:other"]));
    coordinator.onWake("completion", able);
    coordinator.onWake("completion", new Deliverer(coordinator, []));
    await lab.coordinator().run("completion.register", "g", registration({ total: 0, targets: target }));
    expect(await coordinator.drain()).toMatchObject({ woken: 1, left: false });
    expect(able.delivered).toHaveLength(1);
  });

  it("continues with the next waker when one waker fails", async () => {
    const events: CoordinatorEvent[] = [];
    const coordinator = lab.coordinator({ onEvent: (event) => void events.push(event) });
    const able = new Deliverer(coordinator);
    const broken = (): never => {
      throw new Error("broken");
    };
    for (const _ of [1, 2, 3]) coordinator.onWake("completion", { input: broken, act: async () => {} });
    coordinator.onWake("completion", able);
    await lab.coordinator().run("completion.register", "g", registration({ total: 0, targets: target }));
    expect(await coordinator.drain()).toMatchObject({ woken: 0, left: true });
    expect(events).toHaveLength(3);
    expect(able.delivered).toHaveLength(1);
  });

  it("removes the line of a record that is gone", async () => {
    const coordinator = skewed();
    await coordinator.run("completion.register", "g", registration({ timeoutMs: 1_000 }));
    await lab.raw.del(...(await lab.raw.keys(`${lab.keyPrefix}*completion:g`)));
    expect(await dueLines()).toEqual(["completion:g"]);
    coordinator.skewMs = 2_000;
    expect(await coordinator.drain()).toEqual({ woken: 1, left: false, nextDueAtMs: undefined });
    expect(await dueLines()).toEqual([]);
  });

  it("wakes no more than its limit, the earliest first, and says that something is left", async () => {
    const coordinator = skewed();
    for (let i = 0; i < 7; i++) {
      await coordinator.run("completion.register", `g${i}`, registration({ timeoutMs: 10_000 - i * 1_000 }));
    }
    coordinator.skewMs = 20_000;
    const first = await coordinator.drain({ limit: 3 });
    expect(first).toMatchObject({ woken: 3, left: true });
    expect(first.nextDueAtMs).toBeLessThan(Date.now() + 20_000);
    expect(await dueLines()).toEqual(["g0", "g1", "g2", "g3"].map((id) => `completion:${id}`));
    expect(await coordinator.drain({ limit: 4 })).toMatchObject({ woken: 4, left: false });
  });

  it("reads a shard page by page, to its end", async () => {
    const shard = shardOf(placeOf("completion", "g0"));
    const ofShard = ids(30_000)
      .filter((id) => shardOf(placeOf("completion", id)) === shard)
      .slice(0, 300);
    expect(ofShard).toHaveLength(300);
    await lab.raw.zadd(`${lab.keyPrefix}{${shard}}:due`, ...ofShard.flatMap((id) => [1, `completion:${id}`]));
    const coordinator = lab.coordinator();
    expect(await coordinator.drain({ limit: 290, budgetMs: 600_000 })).toMatchObject({ woken: 290, left: true });
    expect(await coordinator.drain()).toEqual({ woken: 10, left: false, nextDueAtMs: undefined });
  });

  it("stops beginning when its time is over, and leaves the rest as it was", async () => {
    const coordinator = skewed();
    const given = { targets: target, timeoutMs: 60_000 };
    await Promise.all(ids(100).map((id) => coordinator.run("completion.register", id, registration(given))));
    coordinator.skewMs = 61_000;
    const leave = coordinator.onWake(
      "completion",
      new Deliverer(coordinator, ["handler:h"], () => new Promise(() => {})),
    );
    // Attempts that hang take all places of their handler: the rest waits for one until the time is over.
    const { woken, left } = await coordinator.drain({ budgetMs: 500, waitUntil: () => {} });
    expect(woken).toBeGreaterThan(0);
    expect(woken).toBeLessThan(100);
    expect(left).toBe(true);
    leave();
    const able = new Deliverer(coordinator);
    coordinator.onWake("completion", able);
    expect(await coordinator.drain({ budgetMs: 600_000 })).toMatchObject({ woken: 100 - woken, left: false });
    expect(able.delivered).toHaveLength(100 - woken);
  });

  it("goes on past a record that fails, and tells of it", async () => {
    const events: CoordinatorEvent[] = [];
    const coordinator = skewed({ onEvent: (event) => void events.push(event) });
    for (const id of ["a", "b", "c"])
      await coordinator.run("completion.register", id, registration({ timeoutMs: 1_000 }));
    const [key = ""] = await lab.raw.keys(`${lab.keyPrefix}*completion:b`);
    await lab.raw.hset(key, "h", JSON.stringify({ schema: 99, fields: {} }));
    coordinator.skewMs = 2_000;
    expect(await coordinator.drain()).toMatchObject({ woken: 2, left: true });
    expect(events.filter(({ type }) => type !== "registered" && type !== "ended")).toMatchObject([
      { type: "wake_failed", machine: "completion", id: "b", error: { code: "backend_rejected" } },
    ]);
  });

  it("is not starved by records that it cannot wake, however many come first", async () => {
    const coordinator = lab.coordinator();
    const deliverer = new Deliverer(coordinator);
    for (let i = 0; i < 30; i++) {
      await coordinator.run("completion.register", `broken-${i}`, registration({ total: 0, targets: target }));
      const [key = ""] = await lab.raw.keys(`${lab.keyPrefix}*:completion:broken-${i}`);
      await lab.raw.hset(key, "h", JSON.stringify({ schema: 99, fields: {} }));
    }
    await coordinator.run("completion.register", "g", registration({ total: 0, targets: target }));
    coordinator.onWake("completion", deliverer);
    expect(await coordinator.drain({ limit: 1 })).toMatchObject({ woken: 1, left: true });
    expect(deliverer.delivered).toHaveLength(1);
    // They come up again, later.
    expect(await coordinator.drain()).toMatchObject({ woken: 0, left: false });
    expect(await dueLines()).toHaveLength(30);
  });

  it("leaves the lines of machines that it does not know", async () => {
    const coordinator = lab.coordinator();
    for (const name of ["future:g", "toString:g", "nocolon"]) await lab.raw.zadd(`${lab.keyPrefix}{3}:due`, 1, name);
    expect(await coordinator.drain()).toEqual({ woken: 0, left: false, nextDueAtMs: undefined });
    expect(await dueLines()).toHaveLength(3);
  });

  it("rejects with the reason of an abort, at once", async () => {
    const coordinator = lab.coordinator();
    await coordinator.run("completion.register", "g", registration({ total: 0, targets: target }));
    coordinator.onWake("completion", new Deliverer(coordinator, ["handler:h"], () => new Promise(() => {})));
    const signal = AbortSignal.timeout(80);
    const caught = await coordinator.drain({ signal }).catch((error) => error);
    expect(caught).toBe(signal.reason);
    await expect(coordinator.drain({ signal })).rejects.toBe(signal.reason);
  });

  it("reads again after a fault, and checks what it reads", async () => {
    lab.proxy.faults.push("dropped after", { status: 503 });
    expect(await lab.faulty().drain()).toMatchObject({ woken: 0, left: false });
    for (const body of [
      '[{"result":["x","y"]}]',
      '[{"error":"NOAUTH x"}]',
      '{"result":[]}',
      '[{"result":["1","2"]},{"result":["a"]}]',
    ]) {
      lab.proxy.faults.push({ status: 200, body });
      await expect(lab.faulty().drain()).rejects.toMatchObject({ name: "CoordinationError", retryable: false });
    }
  });

  it.each([
    { limit: 0 },
    { limit: 10_001 },
    { limit: 1.5 },
    { budgetMs: 0 },
    { budgetMs: 600_001 },
    { budgetMs: Number.NaN },
  ])("refuses %o", async (options) => {
    await expect(lab.coordinator().drain(options)).rejects.toMatchObject({ code: "invalid_input" });
  });
});
