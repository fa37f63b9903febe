import { describe, expect, it } from "vitest";
import { CompletionTracker } from "../../../src/index.js";
import type { Fault } from "../../support/fault-proxy.js";
import { useLab } from "./support.js";

const lab = useLab();

const refusal = (error: string, status = 400): Fault => ({ status, body: JSON.stringify({ error }) });

describe("row 59: an answer that passes by itself", () => {
  it.each([408, 409, 425, 500, 502, 503, 504, 520, 524])("is waited out: status %i", async (status) => {
    lab.proxy.faults.push({ status });
    expect(await lab.faulty().incr("n", 2)).toBe(2);
    expect(lab.proxy.requests).toHaveLength(2);
  });

  it.each([
    "LOADING Redis is loading the dataset in memory",
    "READONLY You can't write against a read only replica. script: 91fb98f1, on @user_script:1.",
    "ERR Error running script (call to f_91fb98f1): @user_script:1: @user_script: 1: -OOM command not allowed",
    "ERR max concurrent connections exceeded",
  ])("is waited out: %s", async (text) => {
    lab.proxy.faults.push(refusal(text), { status: 200, body: JSON.stringify({ error: text }) });
    expect(await lab.faulty().incr("n", 2)).toBe(2);
    expect(lab.proxy.requests).toHaveLength(3);
  });

  it("is said to have written nothing where the server says so, and to be in doubt where a proxy does", async () => {
    const applied = async (fault: Fault): Promise<unknown> => {
      lab.proxy.faults.push(fault, fault, fault);
      return lab
        .faulty()
        .incr("n")
        .catch((error: { applied: string }) => error.applied);
    };
    expect(await applied(refusal("READONLY x"))).toBe("no");
    expect(await applied({ status: 425 })).toBe("no");
    expect(await applied({ status: 408 })).toBe("unknown");
    expect(await applied({ status: 409 })).toBe("unknown");
  });
});

describe("row 59: a server that has become a replica", () => {
  it("refuses writes by name, and takes them again when it is a primary", async () => {
    const coordinator = lab.faulty();
    await coordinator.getInt("n");
    await lab.raw.replicaof("127.0.0.1", 1);
    try {
      lab.proxy.requests.length = 0;
      await expect(coordinator.incr("n")).rejects.toMatchObject({
        code: "backend_unavailable",
        retryable: true,
        applied: "no",
        message: expect.stringMatching(/READONLY: the server takes no writes/),
      });
      expect(lab.proxy.requests).toHaveLength(3);
    } finally {
      await lab.raw.replicaof("NO", "ONE");
    }
    expect(await coordinator.incr("n")).toBe(1);
  });

  it("runs no handler again whose settlement it refuses for a while", async () => {
    const runs: string[] = [];
    const coordinator = lab.faulty();
    const tracker = new CompletionTracker(coordinator, {
      waitUntil: () => {},
      handlers: {
        publish: async ({ deliveryId }: { readonly deliveryId: string }) => {
          runs.push(deliveryId);
          lab.proxy.requests.length = 0;
          await lab.raw.replicaof("127.0.0.1", 1);
        },
      },
    });
    await tracker.register("g", 1, { onEnd: { handler: "publish", payload: null } });
    await tracker.ack("g", "a");
    const settlements = () => lab.proxy.requests.filter(({ body }) => body.includes('"settle"')).length;
    // Refused twice, so that it is the loop around the call that comes again.
    await expect.poll(settlements, { timeout: 20_000 }).toBeGreaterThanOrEqual(2);
    await lab.raw.replicaof("NO", "ONE");
    const delivery = async () => (await tracker.status("g"))?.delivery;
    await expect.poll(delivery, { timeout: 20_000 }).toMatchObject({ state: "delivered", attempts: 1 });
    expect(runs).toHaveLength(1);
  });
});

describe("row 59: an answer that does not pass", () => {
  it("says that the server's memory is full", async () => {
    const coordinator = lab.coordinator();
    await coordinator.getInt("n");
    await lab.raw.config("SET", "maxmemory", "1mb");
    try {
      await expect(coordinator.incr("n")).rejects.toMatchObject({
        code: "backend_unavailable",
        message: expect.stringMatching(/OOM.*memory is full: raise maxmemory/),
      });
    } finally {
      await lab.raw.config("SET", "maxmemory", "0");
    }
  });

  it.each([
    ["ERR DB capacity quota exceeded. Threshold: 1 bytes", "backend_rejected", /is full.*delete data/],
    ["ERR max single record size exceeded", "limit_exceeded", /store less at a time/],
    ["NOPERM this user has no permissions to run the 'evalsha' command", "unauthorized", /not the read-only one/],
  ])("fails the call at once, with an error that names the remedy: %s", async (text, code, message) => {
    lab.proxy.standing = refusal(text);
    const error = { code, retryable: false, applied: "no", message: expect.stringMatching(message) };
    await expect(lab.faulty().incr("n")).rejects.toMatchObject(error);
    expect(lab.proxy.requests).toHaveLength(1);
  });

  it.each([
    refusal("ERR max request size exceeded. Limit: 10485760 bytes", 413),
    { status: 413, body: "<html>" } as const,
  ])("names a request that is too large: %o", async (fault) => {
    lab.proxy.faults.push(fault);
    await expect(lab.faulty().incr("n")).rejects.toMatchObject({ code: "limit_exceeded", retryable: false });
  });

  it.each([
    refusal("ERR max requests limit exceeded. Limit: 500000, Usage: 500000"),
    refusal("ERR max daily request limit exceeded. Limit: 10000", 429),
    { status: 200, body: '{"error":"ERR max daily request limit exceeded. Limit: 10000"}' } as const,
  ])("asks no database for more whose plan is used up: %o", async (fault) => {
    lab.proxy.standing = fault;
    lab.proxy.subscribe = "refuse";
    const error = { code: "rate_limited", retryable: true, retryAfterMs: 3_600_000, applied: "no" };
    await expect(lab.faulty().incr("n")).rejects.toMatchObject(error);
    expect(lab.proxy.requests).toHaveLength(1);
    const wait = lab.faulty().watch("completion.wait", "g", {}, { timeoutMs: 1_500 });
    await expect(wait).rejects.toMatchObject({ code: "wait_timeout" });
    expect(lab.proxy.requests).toHaveLength(2);
  });
});

describe("raw writes behind a balancer that closes connections", () => {
  it("count once each, whether or not the server had them", async () => {
    const coordinator = lab.faulty();
    const sums: number[] = [];
    for (let i = 0; i < 30; i++) {
      lab.proxy.faults.push(i % 3 === 0 ? "dropped before" : i % 3 === 1 ? "dropped after" : "none");
      sums.push(await coordinator.incr("n"));
    }
    expect(sums).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
  });
});
