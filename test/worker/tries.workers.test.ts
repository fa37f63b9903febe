import { describe, expect, it } from "vitest";
import type { ObjectNamespace } from "../../src/backends/durable-object/options.js";
import { HttpCoordinator } from "../../src/backends/http/index.js";
import { CompletionTracker } from "../../src/index.js";
import { createWorker } from "../../worker/index.js";

const TOKEN = "a-token-of-tries-tests";

/** A Worker whose objects are away, with the requests to it and the calls of its objects counted. */
function away() {
  const seen = { requests: 0, calls: 0 };
  const call = (): Promise<never> => {
    seen.calls++;
    return Promise.reject(Object.assign(new Error("Network connection lost."), { retryable: true }));
  };
  const namespace: ObjectNamespace = {
    idFromName: () => ({}),
    get: () => ({ run: call, runMany: call, watch: call }),
    jurisdiction: () => namespace,
  };
  const worker = createWorker({ namespace: () => namespace });
  const send = (path: string, init: RequestInit): Promise<Response> => {
    seen.requests++;
    return worker.fetch(new Request(path, init), { COORDINATOR_TOKEN: TOKEN });
  };
  const c = new HttpCoordinator({ url: "https://worker.example", token: TOKEN, fetch: send, random: () => 0 });
  return { seen, send, c };
}

describe("row 62: one call through the Worker to an object that is away", () => {
  it.each([
    ["an ack", (c: HttpCoordinator) => new CompletionTracker(c).ack("g", "a"), "unknown"],
    ["a status", (c: HttpCoordinator) => new CompletionTracker(c).status("g"), "no"],
    ["a raw write", (c: HttpCoordinator) => c.incr("n"), "unknown"],
  ] as const)("is tried three times in all: %s", async (_, call, applied) => {
    const { c, seen } = away();
    await expect(call(c)).rejects.toMatchObject({ code: "backend_unavailable", retryable: true, applied });
    expect(seen).toEqual({ requests: 3, calls: 3 });
  });

  it("is tried once when it may not be sent again", async () => {
    const { c, seen } = away();
    const input = { op: "op", ttlMs: 1_000, delta: 1 };
    await expect(c.run("kv.incr", "n", input, { resend: false })).rejects.toMatchObject({ applied: "unknown" });
    expect(seen).toEqual({ requests: 1, calls: 1 });
  });

  it("is tried three times in all where it shares its requests with others", async () => {
    const { c, seen } = away();
    const tracker = new CompletionTracker(c);
    const acks = await Promise.allSettled(Array.from({ length: 10 }, (_, i) => tracker.ack("g", `t${i}`)));
    expect(acks.every(({ status }) => status === "rejected")).toBe(true);
    // All ten, two halves, four quarters: each operation three times.
    expect(seen).toEqual({ requests: 7, calls: 7 });
  });

  it("is tried three times for a caller that sends no request twice", async () => {
    const { send, seen } = away();
    const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };
    const answer = await send("https://worker.example/v1/groups/g", { method: "PUT", headers, body: '{"total":1}' });
    expect([answer.status, seen]).toEqual([503, { requests: 1, calls: 3 }]);
  });
});
