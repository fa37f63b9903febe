import { describe, expect, it, vi } from "vitest";
import { CompletionTracker, CoordinationError, MemoryCoordinator, RequestWaitTracker } from "../../src/index.js";
import { ManualClock } from "../../src/testing/index.js";
import { endOrLook } from "../../src/trackers/end-or-look.js";

const timedOut = () => Promise.reject(new CoordinationError("wait_timeout", "not ready", { retryable: true }));
const never = () => new Promise<never>(() => {});

describe("a wait", () => {
  it("of a group resolves with its status when the time is over, and with null for an unknown one", async () => {
    const clock = new ManualClock();
    const tracker = new CompletionTracker(new MemoryCoordinator({ clock }));
    await tracker.register("g", ["a", "b"]);
    const waits = Promise.all(["g", "nobody"].map((id) => tracker.wait(id, { timeoutMs: 30_000 })));
    await clock.advance(10_000);
    await tracker.ack("g", "a");
    await clock.advance(20_000);
    expect(await waits).toMatchObject([{ state: "open", succeeded: 1, remaining: 1 }, null]);
  });

  it("of a request that is not complete in time says so", async () => {
    const clock = new ManualClock();
    const requests = new RequestWaitTracker(new MemoryCoordinator({ clock }), { stages: ["s"] });
    await requests.register("r");
    await requests.add("r", "s", ["a", "b"]);
    const wait = requests.wait("r", { timeoutMs: 1_000 });
    await requests.ack("r", "s", "a");
    await clock.advance(1_000);
    expect(await wait).toMatchObject({ state: "pending", open: 1, stages: { s: { processed: 1 } } });
  });

  it("makes no call but its watch when the end comes", async () => {
    const look = vi.fn(timedOut);
    expect(await endOrLook({}, { watch: async ({ timeoutMs }) => timeoutMs, look })).toBe(30_000);
    expect(look).not.toHaveBeenCalled();
  });

  it("begins its last look before the time is over, and lasts its whole time", async () => {
    const order: string[] = [];
    const watch = async ({ timeoutMs }: { readonly timeoutMs: number }): Promise<string> => {
      await new Promise((resolve) => setTimeout(resolve, timeoutMs));
      order.push(`over after ${timeoutMs}`);
      return timedOut();
    };
    const look = async (): Promise<string> => {
      order.push("look");
      return "status";
    };
    expect(await endOrLook({ timeoutMs: 400 }, { watch, look })).toBe("status");
    expect(order).toEqual(["look", "over after 400"]);
    expect(await endOrLook({ timeoutMs: 0 }, { watch, look })).toBe("status");
    expect(order.slice(2)).toEqual(["over after 0", "look"]);
  });

  it("still hears of an end that comes after its last look", async () => {
    const watch = () => new Promise<string>((resolve) => setTimeout(() => resolve("ended"), 390));
    expect(await endOrLook({ timeoutMs: 400 }, { watch, look: async () => "open" })).toBe("ended");
  });

  it("rejects with wait_timeout when the backend does not answer the last look, or with a passing fault", async () => {
    const fault = new CoordinationError("backend_unavailable", "down", { retryable: true });
    for (const look of [never, () => Promise.reject(fault)]) {
      const outcome = endOrLook({ timeoutMs: 40 }, { watch: timedOut, look });
      await expect(outcome).rejects.toMatchObject({ code: "wait_timeout", retryable: true, applied: "no" });
    }
  });

  it("rejects with a fault that does not pass, and with the reason of an abort", async () => {
    const fault = new CoordinationError("unauthorized", "no such token");
    const refused = () => Promise.reject(fault);
    await expect(endOrLook({}, { watch: refused, look: never })).rejects.toBe(fault);
    await expect(endOrLook({ timeoutMs: 40 }, { watch: timedOut, look: refused })).rejects.toBe(fault);
    const [controller, reason] = [new AbortController(), new Error("gone")];
    const outcome = endOrLook({ timeoutMs: 4_000, signal: controller.signal }, { watch: timedOut, look: never });
    setTimeout(() => controller.abort(reason), 5);
    await expect(outcome).rejects.toBe(reason);
  });
});
