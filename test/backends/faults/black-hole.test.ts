import { Hono } from "hono";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { startWorker, type WorkerHost } from "../../../dev/worker-host.js";
import { HttpCoordinator } from "../../../src/backends/http/index.js";
import { UpstashCoordinator } from "../../../src/backends/upstash/index.js";
import { coordinationErrors, requestWait } from "../../../src/hono/index.js";
import { CompletionTracker, CoordinationError, type Coordinator, RequestWaitTracker } from "../../../src/index.js";
import { type Clock, systemClock } from "../../../src/lib/clock.js";
import { type DeafPort, startDeafPort } from "../../support/deaf-port.js";
import { type FaultProxy, type Lane, startBlackHole, startFaultProxy } from "../../support/fault-proxy.js";
import { count, reached } from "../../support/figures.js";
import { type Punctuality, Stopwatch } from "../../support/punctuality.js";
import { bounded } from "./bounded.js";
import { type Operation, outcomeOf, type Place } from "./operation.js";
import { OPERATIONS } from "./operations.js";

const TOKEN = "the-token-of-black-holes";
const DEADLINE_MS = 250;
const LIMITS: Punctuality = { overshootMs: 100, stallMs: 50 };
/** A timer may ring a little early. */
const EARLY_MS = 5;
/** How many are measured side by side. */
const GROUP = 10;

const BACKENDS = ["upstash", "http"] as const;
type Backend = (typeof BACKENDS)[number];

let watch: Stopwatch;
let worker: WorkerHost;
let sound: Record<Backend, FaultProxy>;
let hole: FaultProxy;
let deaf: DeafPort;
let made = 0;
let measured = 0;
const worst = { overshootMs: 0, stallMs: 0 };

beforeAll(async () => {
  watch = new Stopwatch();
  worker = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN } });
  sound = { upstash: await startFaultProxy(inject("restUrl")), http: await startFaultProxy(worker.url) };
  hole = await startBlackHole();
  deaf = await startDeafPort();
});
afterAll(async () => {
  deaf.close();
  await Promise.all([hole.close(), sound.upstash.close(), sound.http.close()]);
  await Promise.all([worker.close(), watch.close()]);
});

/** Operations that are more than one request, or that are sent again whatever the caller says. */
const OTHERWISE = new Set(["Coordinator.drain", "CompletionTracker.list", "RequestWaitTracker.list"]);

const HOLES = [
  ["that is accepted, and never answered", () => hole.url],
  ["that is never accepted", () => deaf.url],
] as const;

function clientOf(backend: Backend, url: string, options: { requestTimeoutMs?: number } = {}): Coordinator {
  if (backend === "http") return new HttpCoordinator({ url, token: TOKEN, ...options });
  return new UpstashCoordinator({ url, token: inject("restToken"), keyPrefix: "hole:", ...options });
}

function placeOf(c: Coordinator): Place {
  const id = `hole-${++made}-${crypto.randomUUID()}`;
  return { c, id, hook: "https://hooks.example/", hooked: () => 0, settle: async () => {}, waitMs: 60_000, memo: {} };
}

/** Measures pieces of work side by side, each of which is to end at the deadline; gives what they ended with. */
async function measure(timeoutMs: number, works: readonly (() => Promise<unknown>)[]): Promise<unknown[]> {
  let ends: { took: number; end: unknown }[] = [];
  const punctuality = await watch.measure(timeoutMs, LIMITS, async () => {
    const startedMs = performance.now();
    ends = await Promise.all(
      works.map(async (work) => {
        const outcome = await outcomeOf(work());
        return { took: performance.now() - startedMs, end: "error" in outcome ? outcome.error : outcome.value };
      }),
    );
  });
  expect(ends).toHaveLength(works.length);
  for (const { took } of ends) expect(took).toBeGreaterThanOrEqual(timeoutMs - EARLY_MS);
  expect(punctuality.overshootMs).toBeLessThanOrEqual(LIMITS.overshootMs);
  expect(punctuality.stallMs).toBeLessThanOrEqual(LIMITS.stallMs);
  worst.overshootMs = Math.max(worst.overshootMs, punctuality.overshootMs);
  worst.stallMs = Math.max(worst.stallMs, punctuality.stallMs);
  measured += works.length;
  return ends.map(({ end }) => end);
}

function groupsOf<T>(all: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(all.length / GROUP) }, (_, i) => all.slice(i * GROUP, (i + 1) * GROUP));
}

/** A group and a request of the same id, and the request's version. */
interface Watched {
  readonly id: string;
  readonly version: string;
}

const waitsOf = (c: Coordinator, { id, version }: Watched, timeoutMs: number): (() => Promise<unknown>)[] => {
  const requests = new RequestWaitTracker(c, { stages: ["s"] });
  return [
    () => new CompletionTracker(c).wait(id, { timeoutMs }),
    () => requests.wait(id, { timeoutMs }),
    () => requests.newer(id, version, { timeoutMs }),
  ];
};

describe.each(BACKENDS)("over a connection to %s", (backend) => {
  const operations = OPERATIONS.filter(({ method }) => backend === "upstash" || method !== "Coordinator.drain");

  describe.each(HOLES)("%s", (_, urlOf) => {
    it("every operation ends at its caller's deadline", async () => {
      const c = clientOf(backend, urlOf());
      const reason = new Error("the deadline");
      const leave = ({ run }: Operation) => {
        const caller = new AbortController();
        setTimeout(() => caller.abort(reason), DEADLINE_MS);
        return run(placeOf(bounded(c, { signal: caller.signal })));
      };
      for (const group of groupsOf(operations)) {
        const outcomes = await measure(
          DEADLINE_MS,
          group.map((operation) => () => leave(operation)),
        );
        expect(outcomes).toEqual(group.map(() => reason));
      }
    });

    it("every request ends at the time that one may take", async () => {
      const c = bounded(clientOf(backend, urlOf(), { requestTimeoutMs: DEADLINE_MS }), { resend: false });
      const single = operations.filter(
        ({ waits, givesBack, method }) => !waits && !givesBack && !OTHERWISE.has(method),
      );
      for (const group of groupsOf(single)) {
        const outcomes = await measure(
          DEADLINE_MS,
          group.map(
            ({ run }) =>
              () =>
                run(placeOf(c)),
          ),
        );
        for (const outcome of outcomes) {
          expect(outcome).toBeInstanceOf(CoordinationError);
          expect(outcome).toMatchObject({ code: "backend_unavailable", retryable: true });
        }
      }
    });

    it("what gives back what it may have taken ends at the time that two requests may take", async () => {
      const c = bounded(clientOf(backend, urlOf(), { requestTimeoutMs: DEADLINE_MS }), { resend: false });
      const giving = operations.filter(({ givesBack }) => givesBack);
      const outcomes = await measure(
        2 * DEADLINE_MS,
        giving.map(
          ({ run }) =>
            () =>
              run(placeOf(c)),
        ),
      );
      for (const outcome of outcomes) expect(outcome).toMatchObject({ code: "backend_unavailable", retryable: true });
    });

    it.each([1, 60, 400])("every wait ends after its %i ms", async (timeoutMs) => {
      const c = clientOf(backend, urlOf());
      const outcomes = await measure(timeoutMs, waitsOf(c, { id: "nobody", version: "" }, timeoutMs));
      for (const outcome of outcomes) expect(outcome).toMatchObject({ code: "wait_timeout", applied: "no" });
    });
  });

  /** A line that carries so many requests, and then nothing. */
  function dying(requests: number, fault: "silent after" | "stalled after"): Lane {
    const lane = sound[backend].lane();
    lane.faults.push(...Array<"none">(requests).fill("none"));
    lane.standing = fault;
    return lane;
  }

  it.each(["silent after", "stalled after"] as const)(
    "a wait ends in time when the line dies in its middle: %s",
    async (fault) => {
      const [timeoutMs, id] = [700, `dying-${crypto.randomUUID()}`];
      const direct = clientOf(backend, sound[backend].url);
      await new CompletionTracker(direct).register(id, ["a"]);
      const { version } = await new RequestWaitTracker(direct, { stages: ["s"] }).register(id);
      // A hop of the Worker's is one request; on Redis the first looks are answered.
      const answered = backend === "http" ? 0 : 1;
      const works = [0, 1, 2].map((i) => () => {
        const c = clientOf(backend, dying(answered, fault).url);
        return waitsOf(c, { id, version }, timeoutMs)[i]?.() ?? Promise.resolve();
      });
      const outcomes = await measure(timeoutMs, works);
      for (const outcome of outcomes) expect(outcome).toMatchObject({ code: "wait_timeout", applied: "no" });
    },
  );

  it("a held response comes in time when the line dies once the work was accepted", async () => {
    const maxWaitMs = 700;
    const call = async (): Promise<number> => {
      const lane = sound[backend].lane();
      const accepted = requestWait({
        coordinator: clientOf(backend, lane.url),
        stages: ["s"],
        scope: "public",
        maxWaitMs,
      });
      const app = new Hono().post("/", accepted, async (c) => {
        await c.var.requestWait.add("s", "a");
        lane.standing = "silent after";
        return c.json({}, 202);
      });
      return (await app.request("/", { method: "POST", headers: { prefer: "wait=20" } })).status;
    };
    expect(await measure(maxWaitMs, [call, call, call])).toEqual([202, 202, 202]);
  });

  it("a request that cannot even be registered is answered in its time", async () => {
    // 10 s, of which the clock makes half a second.
    const fast: Clock = {
      now: systemClock.now,
      setTimer: (run, delayMs, options) => systemClock.setTimer(run, delayMs / 20, options),
    };
    const coordinator = clientOf(backend, hole.url);
    const call = async (): Promise<number> => {
      const app = new Hono()
        .onError(coordinationErrors())
        .post("/", requestWait({ coordinator, stages: ["s"], scope: "public", clock: fast }), (c) => c.json({}, 202));
      return (await app.request("/", { method: "POST" })).status;
    };
    expect(await measure(500, [call, call, call])).toEqual([503, 503, 503]);
  });
});

it("no timeout is overshot, and the event loop goes on turning", ({ task }) => {
  const { overshootMs, stallMs } = worst;
  reached(task, {
    row: "T9",
    reached:
      `${count(measured)} operations and waits over ${BACKENDS.length} clients: overshoot at most ` +
      `${Math.ceil(overshootMs)} ms, stall at most ${Math.ceil(stallMs)} ms, beyond the machine's own`,
  });
  expect(measured).toBeGreaterThan(400);
  expect(overshootMs).toBeLessThanOrEqual(LIMITS.overshootMs);
  expect(stallMs).toBeLessThanOrEqual(LIMITS.stallMs);
});
