import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { explainRefusal, Refused } from "../../../src/backends/upstash/failure.js";
import type { UpstashFetch } from "../../../src/backends/upstash/index.js";
import { readReply } from "../../../src/backends/upstash/reply.js";
import { CoordinationError } from "../../../src/index.js";
import { type Fault, startBlackHole } from "../../support/fault-proxy.js";
import { Silence } from "../../support/silence.js";
import { incrOnce } from "../once.js";
import { acks, registration, SkewedCoordinator, TOKEN, useLab } from "./support.js";

const lab = useLab();

async function failureOf(work: Promise<unknown>): Promise<CoordinationError> {
  const error = await work.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(CoordinationError);
  return error as CoordinationError;
}

const LOST: Fault[] = [
  "dropped before",
  "dropped after",
  "error after",
  "html after",
  "truncated after",
  "silent before",
];
/** How long a request may take that is left in silence: longer than the longest pause between two attempts. */
const SILENCE_MS = 1_001;

/**
 * A client whose timeout ends only what is left in silence: any other answer is waited for, however slow the machine is.
 * `sent` counts the requests. Silence begins in the client's own fetch, before the network.
 */
function lossyClient() {
  const [requests, lane] = [{ sent: 0 }, { silences: 0 }];
  const send: UpstashFetch = (url, init) => {
    requests.sent++;
    if (lab.proxy.faults[0] !== "silent before") return fetch(url, init);
    lab.proxy.faults.shift();
    lane.silences++;
    return new Promise(() => {});
  };
  const { clock } = new Silence(lane, SILENCE_MS);
  return { coordinator: lab.faulty({ requestTimeoutMs: SILENCE_MS, fetch: send, clock }), requests };
}

const busy = (headers: Record<string, string> = {}): Fault => ({ status: 429, headers });

describe.each(LOST)("an answer lost to %s", (fault) => {
  const landed = fault === "dropped before" || fault === "silent before" ? 0 : 1;

  it("is made good where sending again does no harm", async () => {
    const { coordinator } = lossyClient();
    await coordinator.run("completion.register", "g", registration({ total: 2 }));
    lab.proxy.faults.push(fault);
    const { results } = await coordinator.run("completion.ack", "g", acks("a"));
    expect(results).toMatchObject([{ verdict: "accepted", remaining: 1 }]);
    lab.proxy.faults.push(fault, fault);
    expect(await coordinator.setIfAbsent("flag", 60)).toBe(true);
    lab.proxy.faults.push(fault, fault);
    expect(await coordinator.getInt("n")).toBe(0);
  });

  it("leaves a write in doubt that may not be sent twice", async () => {
    const { coordinator, requests } = lossyClient();
    await coordinator.getInt("n");
    requests.sent = 0;
    lab.proxy.faults.push(fault);
    const error = await failureOf(incrOnce(coordinator, "n"));
    expect(error).toMatchObject({ code: "backend_unavailable", retryable: true, applied: "unknown" });
    expect(requests.sent).toBe(1);
    expect(await coordinator.getInt("n")).toBe(landed);
  });

  it("leaves no doubt about a read", async () => {
    const { coordinator, requests } = lossyClient();
    lab.proxy.faults.push(fault, fault, fault);
    const error = await failureOf(coordinator.run("completion.status", "g", {}));
    expect(error).toMatchObject({ code: "backend_unavailable", retryable: true, applied: "no" });
    expect(requests.sent).toBe(3);
  });
});

describe("what the server says", () => {
  const refusals: [Fault, Partial<CoordinationError>][] = [
    [
      { status: 401, body: '{"error":"WRONGPASS"}' },
      { code: "unauthorized", retryable: false, applied: "no" },
    ],
    [{ status: 403 }, { code: "unauthorized", retryable: false, applied: "no" }],
    [
      { status: 301, headers: { location: "/elsewhere" } },
      { code: "misconfigured", retryable: false },
    ],
    [
      { status: 404, body: "<html>" },
      { code: "misconfigured", retryable: false },
    ],
    [{ status: 413 }, { code: "limit_exceeded", retryable: false, applied: "no" }],
    [
      { status: 200, body: '{"result":7}' },
      { code: "backend_rejected", applied: "unknown" },
    ],
    [
      { status: 200, body: '{"result":"OK"}' },
      { code: "backend_rejected", applied: "unknown" },
    ],
    [
      { status: 200, body: '{"result":"=[]"}' },
      { code: "backend_rejected", applied: "unknown" },
    ],
    [
      { status: 200, body: "{}" },
      { code: "backend_rejected", applied: "unknown" },
    ],
    [
      { status: 200, body: "null" },
      { code: "backend_rejected", applied: "unknown" },
    ],
    [
      { status: 200, body: '[{"result":"={}"}]' },
      { code: "backend_rejected", applied: "unknown" },
    ],
    [
      { status: 400, body: '{"error":"WRONGTYPE canary-value"}' },
      { code: "backend_rejected", applied: "no" },
    ],
    [
      { status: 400, body: '{"error":"NOAUTH x"}' },
      { code: "unauthorized", applied: "no" },
    ],
    [
      { status: 400, body: '{"error":"ERR max daily request limit exceeded. Limit: 1, Usage: 1."}' },
      { code: "rate_limited", retryable: true, applied: "no", retryAfterMs: 3_600_000 },
    ],
    [
      { status: 400, body: '{"error":"ERR max request size exceeded."}' },
      { code: "limit_exceeded", applied: "no" },
    ],
  ];

  it.each(refusals)("%o becomes %o", async (fault, want) => {
    lab.proxy.faults.push(fault);
    const coordinator = lab.faulty();
    expect(await failureOf(coordinator.incr("n"))).toMatchObject(want);
    expect(lab.proxy.requests).toHaveLength(1);
  });

  it("is heeded when it asks for patience", async () => {
    const coordinator = lab.faulty();
    await coordinator.getInt("n");
    lab.proxy.faults.push(busy({ "retry-after": "1" }));
    const sinceMs = Date.now();
    expect(await coordinator.getInt("n")).toBe(0);
    expect(Date.now() - sinceMs).toBeGreaterThanOrEqual(990);
  });

  it("is passed on when it asks for more patience than a call has", async () => {
    lab.proxy.faults.push(busy({ "retry-after": "60" }));
    expect(await failureOf(lab.faulty().getInt("n"))).toMatchObject({
      code: "rate_limited",
      retryable: true,
      applied: "no",
      retryAfterMs: 60_000,
    });
    const date = new Date(Date.now() + 30_000).toUTCString();
    lab.proxy.faults.push(busy({ "retry-after": date }));
    const beforeMs = Date.now();
    const { retryAfterMs } = await failureOf(lab.faulty().getInt("n"));
    expect(retryAfterMs).toBeLessThanOrEqual(Date.parse(date) - beforeMs);
    expect(retryAfterMs).toBeGreaterThanOrEqual(Date.parse(date) - Date.now());
    lab.proxy.faults.push(busy({ "retry-after": "86400" }));
    expect((await failureOf(lab.faulty().getInt("n"))).retryAfterMs).toBe(3_600_000);
    // Neither seconds nor a date, though an engine makes one of it.
    const strange = busy({ "retry-after": "2099-01-01" });
    for (const answer of [busy(), strange]) {
      lab.proxy.faults.push(answer, answer, answer);
      expect((await failureOf(lab.faulty().getInt("n"))).retryAfterMs).toBeUndefined();
    }
  });

  it("does not take back a doubt: refused cleanly after an attempt that may have landed", async () => {
    const coordinator = lab.faulty();
    lab.proxy.faults.push("dropped after", { status: 401 });
    expect(await failureOf(coordinator.setIfAbsent("flag", 60))).toMatchObject({
      code: "unauthorized",
      applied: "unknown",
    });
  });

  it("about a wrong token is an error of its own", async () => {
    const coordinator = lab.coordinator({ token: "wrong" });
    expect(await failureOf(coordinator.incr("n"))).toMatchObject({ code: "unauthorized", applied: "no" });
  });

  it("about a key of another kind names the kind of fault only", async () => {
    const coordinator = lab.coordinator();
    await coordinator.incr("n");
    const [key = ""] = await lab.raw.keys(`${lab.keyPrefix}*`);
    await lab.raw.set(key, "canary-value");
    const error = await failureOf(coordinator.incr("n"));
    expect(error).toMatchObject({ code: "backend_rejected", message: "Upstash refused the command (WRONGTYPE)" });
  });

  it("about a record of a later version says so", async () => {
    const coordinator = lab.coordinator();
    await coordinator.incr("n");
    const [key = ""] = await lab.raw.keys(`${lab.keyPrefix}*`);
    await lab.raw.hset(key, "h", JSON.stringify({ schema: 99, fields: {} }));
    expect(await failureOf(coordinator.incr("n"))).toMatchObject({
      code: "backend_rejected",
      message: "the record was written by a later version",
      retryable: false,
    });
  });
});

describe("an abort", () => {
  it("rejects with its reason at once, in a request, in a pause, and before anything is sent", async () => {
    const hole = await startBlackHole();
    const reason = { why: "caller left" };
    const inRequest = new AbortController();
    const coordinator = lab.coordinator({ url: hole.url });
    void hole.silent().then(() => inRequest.abort(reason));
    // Nothing else would end it before its own timeout, which rejects with another error.
    await expect(coordinator.run("completion.status", "g", {}, { signal: inRequest.signal })).rejects.toBe(reason);

    const before = AbortSignal.abort(reason);
    await expect(coordinator.run("completion.status", "g", {}, { signal: before })).rejects.toBe(reason);

    const inPause = new AbortController();
    lab.proxy.faults.push(busy({ "retry-after": "4" }));
    const paused = lab.faulty().run("completion.status", "g", {}, { signal: inPause.signal });
    paused.catch(() => {});
    await expect.poll(() => lab.proxy.requests.length).toBe(1);
    setTimeout(() => inPause.abort(reason), 50);
    await expect(paused).rejects.toBe(reason);
    await hole.close();
  });

  it("leaves no listener on the caller's signal", async () => {
    const { signal } = new AbortController();
    let listeners = 0;
    let added = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      added++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    };
    const coordinator = lab.coordinator();
    await coordinator.run("completion.status", "g", {}, { signal });
    await coordinator.watch("completion.wait", "g", {}, { signal, timeoutMs: 60 }).catch(() => {});
    await coordinator.drain({ signal });
    expect(added).toBeGreaterThan(3);
    expect(listeners).toBe(0);
  });
});

describe("secrets", () => {
  it("stay out of every message, stack and cause", async () => {
    const faults: Fault[] = [
      ...LOST,
      { status: 400, body: '{"error":"ERR canary-upstream canary-value"}' },
      { status: 401, body: '{"error":"WRONGPASS canary-upstream"}' },
      { status: 500, body: "canary-upstream" },
      { status: 200, body: '{"result":"canary-upstream"}' },
      { status: 200, body: "canary-upstream" },
      busy({ "retry-after": "canary-upstream" }),
    ];
    const { coordinator } = lossyClient();
    await coordinator.getInt("n");
    for (const fault of faults) {
      lab.proxy.faults.push(fault, fault, fault);
      const error = await failureOf(coordinator.rpush("canary-key", "canary-value"));
      lab.proxy.faults.length = 0;
      expect(everythingIn(error)).not.toMatch(/canary/);
      expect(everythingIn(error)).not.toContain(TOKEN);
    }
    const nowhere = lab.coordinator({ url: "https://canary-host.invalid" });
    expect(everythingIn(await failureOf(nowhere.getInt("canary-key")))).not.toMatch(/canary/);
  });

  function everythingIn(error: unknown): string {
    if (!(error instanceof Error)) return String(JSON.stringify(error));
    const own = Object.entries(error).map(([key, value]) => `${key}=${String(value)}`);
    // The paths of the stack's frames are not the error's.
    const stack = (error.stack ?? "").replace(/\n\s+at .*/g, "");
    return [error.message, stack, ...own, error.cause === undefined ? "" : everythingIn(error.cause)].join("\n");
  }
});

describe("a reply", () => {
  it("has an array wherever Lua wrote an empty table, but at the top", () => {
    expect(readReply("={}")).toEqual({ due: undefined, output: {}, events: [] });
    expect(readReply('!{"a":{},"b":[{"c":{}}],"d":"{}"}')).toEqual({
      due: "fresh",
      output: { a: [], b: [{ c: [] }], d: "{}" },
      events: [],
    });
    expect(readReply("+{}")).toEqual({ due: "still", output: {}, events: [] });
  });

  it.each([undefined, null, 7, "", "={", "{}", "?{}", "=1", "=null", "=[]", ["={}"], { result: "={}" }])(
    "of another shape is none: %o",
    (reply) => expect(readReply(reply)).toBeUndefined(),
  );

  it("that refuses shows one word at most, and that only in capitals", () => {
    const messageOf = (text: string) => explainRefusal(new Refused(text)).message;
    expect(messageOf("MOVED 1 host")).toBe("Upstash refused the command (MOVED)");
    expect(messageOf("Secret value")).toBe("Upstash refused the command");
    expect(messageOf(`SECRET-${createHash("md5").digest("hex")}`)).toBe("Upstash refused the command");
    expect(messageOf(`${"A".repeat(21)} x`)).toBe("Upstash refused the command");
  });
});

it("the clock can be moved by a subclass, for tests", async () => {
  const skewed = new SkewedCoordinator({ url: lab.rest.url, token: TOKEN, keyPrefix: lab.keyPrefix });
  await skewed.run("completion.register", "g", registration({ timeoutMs: 60_000 }));
  skewed.skewMs = 59_000;
  expect((await skewed.run("completion.status", "g", {})).view?.state).toBe("open");
  skewed.skewMs = 61_000;
  expect((await skewed.run("completion.status", "g", {})).view?.state).toBe("timed_out");
});
