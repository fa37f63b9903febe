import { describe, expect, it } from "vitest";
import { KEPT_MS } from "../src/core/recent-operations.js";
import { CoordinationError } from "../src/index.js";
import { type Carrier, type Joinable, Joined, type Outcome } from "../src/runtime/batcher.js";
import { RESEND_WINDOW_MS } from "../src/runtime/retry.js";
import { ManualClock } from "../src/testing/index.js";

interface Op extends Joinable {
  readonly name: string;
}

const op = (name: string, more: Partial<Joinable> = {}): Op => ({
  name,
  record: name,
  size: 1,
  applied: "unknown",
  resend: true,
  signal: undefined,
  ...more,
});
const lost = (applied: "no" | "unknown" = "unknown"): CoordinationError =>
  new CoordinationError("backend_unavailable", "lost", { retryable: true, applied });

/** A batcher whose requests are written down, and answered by `answer`. */
function batcher(
  answer: (names: readonly string[], request: number) => Promise<readonly Outcome<string>[]>,
  options: Partial<Carrier<Op, string>> = {},
) {
  const clock = new ManualClock();
  const requests: string[][] = [];
  const joined = new Joined<Op, string>({
    maxOps: 100,
    maxSize: 100,
    lanes: 1,
    retry: { maxAttempts: 3, baseDelayMs: 0, maxDelayMs: 0 },
    maxQueueMs: 60_000,
    clock,
    random: () => 0,
    send: (ops) => {
      const names = ops.map(({ name }) => name);
      requests.push(names);
      return answer(names, requests.length);
    },
    ...options,
  });
  const told = async (work: readonly Promise<string>[]): Promise<unknown[]> =>
    (await Promise.allSettled(work)).map((outcome) =>
      outcome.status === "fulfilled" ? outcome.value : `${outcome.reason.code} ${outcome.reason.applied}`,
    );
  return { clock, joined, requests, told };
}

const values = (names: readonly string[]): Outcome<string>[] => names.map((name) => ({ value: name }));

describe("row 60: a request whose answer is lost", () => {
  it("is sent again by halves, one after the other, until each operation was sent three times", async () => {
    const { joined, requests, told } = batcher(async (names) => {
      if (names.includes("c")) throw lost();
      return values(names);
    });
    const outcomes = await told(["a", "b", "c", "d", "e", "f"].map((name) => joined.run(op(name))));
    expect(outcomes).toEqual(["a", "b", "backend_unavailable unknown", "d", "e", "f"]);
    expect(requests).toEqual([["a", "b", "c", "d", "e", "f"], ["a", "b", "c"], ["a", "b"], ["c"], ["d", "e", "f"]]);
  });

  it("is sent again by halves where the server answered for it, and what was behind the server did not", async () => {
    const { joined, requests, told } = batcher(async (names) =>
      names.map((name) => (names.includes("c") && name < "e" ? { error: lost() } : { value: name })),
    );
    const outcomes = await told(["a", "b", "c", "d", "e"].map((name) => joined.run(op(name))));
    expect(outcomes).toEqual(["a", "b", "backend_unavailable unknown", "d", "e"]);
    expect(requests).toEqual([["a", "b", "c", "d", "e"], ["a", "b"], ["c", "d"], ["c"], ["d"]]);
  });

  it("is sent again as one, when nothing of it was begun", async () => {
    const { joined, requests, told } = batcher(async (names, request) => {
      if (request === 1) throw lost("no");
      return values(names);
    });
    expect(await told([joined.run(op("a")), joined.run(op("b"))])).toEqual(["a", "b"]);
    expect(requests).toEqual([
      ["a", "b"],
      ["a", "b"],
    ]);
  });
});

describe("row 60: an answer without room", () => {
  const noRoom = (): Outcome<string> => ({
    noRoom: new CoordinationError("limit_exceeded", "not run", { retryable: true }),
  });

  it("costs no attempt: each request goes on where the last one ended", async () => {
    const { joined, requests, told } = batcher(async (names) =>
      names.map((name, i) => (i < 2 ? { value: name } : noRoom())),
    );
    const names = Array.from({ length: 9 }, (_, i) => `n${i}`);
    expect(await told(names.map((name) => joined.run(op(name))))).toEqual(names);
    expect(requests.map(({ length }) => length)).toEqual([9, 7, 5, 3, 1]);
  });

  it("fails an operation that may not be sent twice", async () => {
    const { joined, requests, told } = batcher(async () => [{ value: "a" }, noRoom()]);
    const outcomes = await told([joined.run(op("a")), joined.run(op("b", { resend: false }))]);
    expect(outcomes).toEqual(["a", "limit_exceeded no"]);
    expect(requests).toHaveLength(1);
  });

  it("that has room for none of them is an attempt", async () => {
    const { joined, requests, told } = batcher(async (names) => names.map(noRoom));
    expect(await told([joined.run(op("a")), joined.run(op("b"))])).toEqual(["limit_exceeded no", "limit_exceeded no"]);
    expect(requests).toHaveLength(3);
  });
});

describe("row 60: operations with large answers", () => {
  it("share a request up to what an answer holds", async () => {
    const { joined, requests } = batcher(async (names) => values(names), { maxAnswerSize: 4 });
    await Promise.all(Array.from({ length: 10 }, (_, i) => joined.run(op(`n${i}`, { answerSize: i < 8 ? 1 : 5 }))));
    expect(requests.map(({ length }) => length)).toEqual([4, 4, 1, 1]);
  });
});

describe("a write", () => {
  it("is never sent again when its record may have forgotten it", async () => {
    expect(RESEND_WINDOW_MS).toBeLessThanOrEqual(KEPT_MS - 15_000);
    for (const [silentMs, tries] of [
      [30_000, 2],
      [44_000, 2],
      [46_000, 1],
    ] as const) {
      const { clock, joined, requests, told } = batcher(async () => {
        await clock.advance(silentMs);
        throw lost();
      });
      expect(await told([joined.run(op("a"))])).toEqual(["backend_unavailable unknown"]);
      expect(requests).toHaveLength(tries);
    }
  });

  it("of one group never shares a request with those of another", async () => {
    const { joined, requests } = batcher(async (names) => values(names));
    await Promise.all(["a", "b", "a", "c"].map((group, i) => joined.run(op(`${group}${i}`, { group }))));
    expect(requests).toEqual([["a0", "a2"], ["b1"], ["c3"]]);
  });
});
