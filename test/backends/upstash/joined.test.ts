import { describe, expect, it } from "vitest";
import type { CoordinationError } from "../../../src/index.js";
import { describeJoined } from "../joined.js";
import { incrOnce } from "../once.js";
import { acks, registration, useLab } from "./support.js";

const lab = useLab();

describeJoined(() => ({
  proxy: lab.proxy,
  client: (options) => lab.coordinator(options),
  maxOps: 128,
  batchPath: "/pipeline",
  incrPath: "/",
  oversize: 6_000,
  countOf: (body) => {
    const [first] = JSON.parse(body) as unknown[];
    return Array.isArray(first) ? JSON.parse(body).length : 1;
  },
}));

const commands = (): (readonly string[])[] => lab.rest.requests.latest.map((request) => request.commands);

describe("scripts that the server has lost", () => {
  it("are sent once each, for all operations that need them", async () => {
    const coordinator = lab.coordinator();
    const both = () =>
      Promise.all([1, 2, 3].flatMap((n) => [coordinator.incr(`n${n}`), coordinator.sadd(`s${n}`, "a")]));
    await both();
    await lab.raw.script("FLUSH");
    lab.rest.requests.clear();
    expect(await both()).toEqual([2, 0, 2, 0, 2, 0]);
    const [first, second] = [Array(6).fill("EVALSHA"), ["EVAL", "EVAL", ...Array(4).fill("EVALSHA")]];
    expect(commands()).toEqual([first, second]);
  });

  it("do not let an operation be overtaken by a later one on its record", async () => {
    const coordinator = lab.coordinator();
    await coordinator.run("completion.ack", "other", acks("a"));
    await lab.raw.script("FLUSH");
    await coordinator.run("completion.ack", "another", acks("a"));
    lab.rest.requests.clear();
    const [, { results }] = await Promise.all([
      coordinator.run("completion.register", "g", registration({ total: 2 })),
      coordinator.run("completion.ack", "g", acks("a")),
    ]);
    expect(results).toMatchObject([{ verdict: "accepted", remaining: 1 }]);
    expect(commands()).toEqual([["EVAL", "EVALSHA"]]);
  });

  it("are sent without key locking, all together, once the server refuses it", async () => {
    const coordinator = lab.coordinator({ keyLocking: "auto" });
    await lab.raw.script("FLUSH");
    expect(await Promise.all(["a", "b", "c"].map((key) => coordinator.incr(key)))).toEqual([1, 1, 1]);
    expect(lab.rest.requests.count()).toBe(4);
    expect(await Promise.all(["a", "b", "c"].map((key) => coordinator.incr(key)))).toEqual([2, 2, 2]);
    expect(lab.rest.requests.count()).toBe(5);
  });

  it("that cannot be sent a second time leave what was answered as it is", async () => {
    const coordinator = lab.faulty();
    await coordinator.getInt("n");
    await coordinator.incr("n");
    await lab.raw.script("FLUSH");
    await lab.coordinator().incr("n");
    lab.proxy.faults.push("none", "dropped before");
    const outcomes = await Promise.allSettled([
      coordinator.incr("n"),
      coordinator.run("kv.sadd", "s", { op: "op", ttlMs: 60_000, members: ["a"] }, { resend: false }),
    ]);
    expect(outcomes).toMatchObject([{ value: 3 }, { reason: { code: "backend_unavailable", applied: "unknown" } }]);
  });
});

describe("an answer to several", () => {
  const three = () => {
    const coordinator = lab.faulty();
    return Promise.allSettled([coordinator.incr("a"), coordinator.getInt("b"), coordinator.incr("c")]);
  };
  const told = (outcomes: readonly PromiseSettledResult<unknown>[]): string[] =>
    outcomes.map((outcome) => {
      if (outcome.status === "fulfilled") return "value";
      const { code, applied } = outcome.reason as CoordinationError;
      return `${code} ${applied}`;
    });
  const ok = { result: '={"result":"7"}' };

  it.each([[JSON.stringify([ok, ok])], [JSON.stringify([ok, ok, ok, ok])], ["[]"], ['{"result":[]}'], ["null"]])(
    "in an unknown shape fails them all, in doubt: %s",
    async (body) => {
      lab.proxy.faults.push({ status: 200, body });
      const rejected = "backend_rejected";
      expect(told(await three())).toEqual([`${rejected} unknown`, `${rejected} no`, `${rejected} unknown`]);
      expect(lab.proxy.requests).toHaveLength(1);
    },
  );

  it.each([
    [{ error: "WRONGTYPE canary" }, "backend_rejected no"],
    [{ error: "ERR max requests limit exceeded. Limit: 1" }, "rate_limited no"],
    [{ result: 7 }, "backend_rejected unknown"],
    [null, "backend_rejected unknown"],
    [{}, "backend_rejected unknown"],
    ["text", "backend_rejected unknown"],
  ])("fails the one that it refuses alone: %o", async (entry, code) => {
    lab.proxy.faults.push({ status: 200, body: JSON.stringify([entry, ok, ok]) });
    expect(told(await three())).toEqual([code, "value", "value"]);
    expect(lab.proxy.requests).toHaveLength(1);
  });

  it("that refuses them all says to each why, and quotes nothing", async () => {
    lab.proxy.faults.push({ status: 400, body: '{"error":"WRONGPASS canary-value"}' });
    const outcomes = await three();
    expect(told(outcomes)).toEqual(Array(3).fill("unauthorized no"));
    expect(outcomes.map((outcome) => String(Object(outcome).reason)).join()).not.toContain("canary");
  });

  it("sends again those alone that may be", async () => {
    const coordinator = lab.faulty();
    await Promise.all([coordinator.getInt("a"), coordinator.getInt("b")]);
    lab.proxy.requests.length = 0;
    lab.proxy.faults.push({ status: 200, body: JSON.stringify([{ error: "BUSY x" }, ok, { error: "LOADING x" }]) });
    const outcomes = await Promise.allSettled([
      coordinator.getInt("a"),
      coordinator.getInt("b"),
      incrOnce(coordinator, "c"),
    ]);
    expect(told(outcomes)).toEqual(["value", "value", "backend_unavailable no"]);
    expect(lab.proxy.requests.map(({ path }) => path)).toEqual(["/pipeline", "/"]);
  });

  it("carries the session along", async () => {
    const coordinator = lab.faulty();
    const headers = { "upstash-sync-token": "session-8" };
    lab.proxy.faults.push({ status: 200, body: JSON.stringify([ok, ok]), headers });
    await Promise.all([coordinator.getInt("a"), coordinator.getInt("b")]);
    await Promise.all([coordinator.getInt("a"), coordinator.getInt("b")]);
    expect(lab.proxy.requests.at(-1)?.headers["upstash-sync-token"]).toBe("session-8");
  });
});
