import { beforeEach, expect, it } from "vitest";
import { CoalesceTracker, CompletionTracker } from "../../../src/index.js";
import { useLab } from "./support.js";

/** Calls of one turn, on records of which one has two kinds of them, while the server knows no script. */
const lab = useLab();
beforeEach(async () => void (await lab.raw.script("FLUSH")));

it("appends to one list keep their order", async () => {
  const c = lab.coordinator();
  await Promise.all([c.rpush("one", "a"), c.rpush("two", "x"), c.lrange("two"), c.rpush("one", "b")]);
  expect(await c.lrange("one")).toEqual(["a", "b"]);
});

it("versions of one key grow with their calls", async () => {
  const t = new CoalesceTracker(lab.coordinator());
  const [first, , , second] = await Promise.all([t.next("one"), t.next("two"), t.isStale("two", 1), t.next("one")]);
  expect(second).toBeGreaterThan(first);
});

it("of two acks of one task the first counts", async () => {
  const t = new CompletionTracker(lab.coordinator());
  await t.register("one", 2);
  await t.register("two", 2);
  await lab.raw.script("FLUSH");
  const other = new CompletionTracker(lab.coordinator());
  const acks = await Promise.all([
    other.ack("one", { id: "x", result: 1 }),
    other.ack("two", "y"),
    other.status("two"),
    other.ack("one", { id: "x", result: 2 }),
  ]);
  expect([acks[0].verdict, acks[3].verdict]).toEqual(["accepted", "duplicate"]);
});
