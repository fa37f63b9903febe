import { describe, expect, it } from "vitest";
import type { Expectation } from "../../demo/expectation.js";
import type { IndexEntry } from "../../demo/index-file.js";
import { quantile } from "../../demo/report.js";
import { Tally } from "../../demo/tally.js";
import { brokenInvariants, type Outcome } from "../../demo/verdict.js";
import type { GroupState, GroupStatus } from "../../src/index.js";

function expectation(id: string, stalls: boolean): Expectation {
  return { document: { id, file: id }, chunks: 2, plan: { stalls, registersLate: false, timeoutSec: 1 } };
}

function entry(documentId: string, state: GroupState, chunks: number): IndexEntry {
  const stored = Array.from({ length: chunks }, () => ({ text: "text", vector: "" }));
  return { documentId, deliveryId: `msg_${documentId}`, state, chunks: stored };
}

function status(groupId: string, state: "completed" | "timed_out", remaining: number): GroupStatus {
  const delivery = {
    state: "delivered",
    deliveryId: `msg_${groupId}`,
    attempts: 1,
    lastError: null,
    nextAttemptAtMs: null,
  } as const;
  const counts = { total: 2, succeeded: 2 - remaining, failed: 0, remaining, errors: [], errorCount: 0, stages: {} };
  const times = { registeredAtMs: 0, deadlineAtMs: null, lastAckAtMs: null, endedAtMs: 0 };
  const fields = {
    groupId,
    generation: 1,
    version: "1.1",
    sealed: true,
    ...counts,
    ...times,
    metadata: null,
    parent: null,
    delivery,
  };
  return state === "completed"
    ? { ...fields, state, ok: true, reason: null, completionReason: "all_completed" }
    : { ...fields, state, ok: false, reason: "deadline", completionReason: null };
}

/** A run in which all went well: one document published, one timed out. */
function soundOutcome(): Outcome & { entries: IndexEntry[]; statuses: Map<string, GroupStatus | null> } {
  const tally = new Tally();
  for (const [documentId, state] of [
    ["a", "completed"],
    ["b", "timed_out"],
  ] as const) {
    tally.received({ type: "attempt", documentId, outcome: "effect" });
    tally.waiters.set(documentId, { state, atMs: 0 });
  }
  return {
    expectations: [expectation("a", false), expectation("b", true)],
    entries: [entry("a", "completed", 2), entry("b", "timed_out", 0)],
    tally,
    statuses: new Map([
      ["a", status("a", "completed", 0)],
      ["b", status("b", "timed_out", 1)],
    ]),
  };
}

type SoundOutcome = ReturnType<typeof soundOutcome>;

describe("a run's verdict", () => {
  it("finds nothing broken where all went well", () => {
    expect(brokenInvariants(soundOutcome())).toEqual([]);
  });

  it.each<[string, (outcome: SoundOutcome) => void, RegExp]>([
    ["a document that is published twice", ({ entries }) => entries.push(entry("a", "completed", 2)), /^a: effects in/],
    ["a document that is missing", ({ entries }) => entries.shift(), /^a: effects in the index: 0/],
    ["a chunk that is missing", ({ entries }) => entries.splice(0, 1, entry("a", "completed", 1)), /^a: chunks/],
    ["a stalled document that is published", ({ entries }) => entries.splice(1, 1, entry("b", "completed", 2)), /^b: /],
    ["a document without a sender", ({ entries }) => entries.push(entry("c", "completed", 0)), /^c: never asked for/],
    ["a waiter that was told nothing", ({ tally }) => tally.waiters.delete("a"), /^a: what its waiter was told/],
    ["an effect that came twice", ({ tally }) => tally.effects.set("b", 2), /^b: effects that the receiver told of: 2/],
    ["a group that is gone", ({ statuses }) => statuses.set("a", null), /^a: state in the end/],
    ["a webhook that was refused", ({ tally }) => tally.refused.push("forged"), /refused a webhook: forged/],
    ["an ack of an unknown group", ({ tally }) => tally.acks.set("unknown", 1), /"unknown"/],
  ])("finds %s", (_, spoil, line) => {
    const outcome = soundOutcome();
    spoil(outcome);
    const broken = brokenInvariants(outcome);
    expect(broken.some((fault) => line.test(fault))).toBe(true);
  });
});

describe("quantile", () => {
  it("is by the nearest rank", () => {
    const values = Array.from({ length: 100 }, (_, i) => i + 1);
    expect([quantile(values, 0.5), quantile(values, 0.99), quantile([7], 0.99), quantile([], 0.5)]).toEqual([
      50, 99, 7, 0,
    ]);
  });
});
