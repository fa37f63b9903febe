import { describe, expect, it } from "vitest";
import { CompletionTracker } from "../../../src/index.js";
import { bounded } from "./bounded.js";
import { COLUMNS, type World } from "./matrix.js";

/** Tries every fault on one request that carries operations of every sort: each operation gets a true outcome. */
export function describeJoinedFaults(world: () => World): void {
  describe("operations that share a request which is", () => {
    it.concurrent.each(COLUMNS)(
      "$name count once each at most, and say what they know",
      async ({ name, fault, aborts }) => {
        const { proxy, client } = world();
        const id = `joined ${name}`;
        const sound = client(id);
        await new CompletionTracker(sound).register(id, 2);
        const lane = proxy.lane();
        const caller = new AbortController();
        const reason = new Error("the callers left");
        if (aborts) void lane.silent().then(() => caller.abort(reason));
        const c = bounded(client(id, lane), { signal: caller.signal });
        const tracker = new CompletionTracker(c);
        lane.faults.push(fault);
        const [first, sum, second, none] = await Promise.allSettled([
          tracker.ack(id, "a"),
          c.incr(`${id} n`),
          tracker.ack(id, "b"),
          c.getInt(`${id} m`),
        ]);
        await lane.replay();

        expect(
          lane.requests[0]?.body.match(/completion:|completion\.ack|kv:|kv\.(incr|getInt)/g)?.length,
        ).toBeGreaterThan(3);
        const hasLanded = fault.endsWith("after");
        const succeeded = (await new CompletionTracker(sound).status(id))?.succeeded;
        const left = await sound.getInt(`${id} n`);
        if (aborts) {
          for (const outcome of [first, sum, second, none]) expect(outcome).toEqual({ status: "rejected", reason });
          expect([succeeded, left]).toEqual(hasLanded ? [2, 1] : [0, 0]);
          return;
        }
        // A resent operation returns the current state.
        expect([first, sum, second, none]).toMatchObject([
          { value: { verdict: "accepted" } },
          { value: 1 },
          { value: { verdict: "accepted", remaining: 0, ended: true } },
          { value: 0 },
        ]);
        expect([succeeded, left]).toEqual([2, 1]);
      },
    );
  });
}
