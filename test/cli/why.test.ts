import { describe, expect, it } from "vitest";
import type { Relative, WhyInput } from "../../cli/report/explanation.js";
import { whyText } from "../../cli/report/sentences.js";
import { explain, explainUnknown } from "../../cli/report/why.js";
import type { Snapshot } from "../../cli/snapshot.js";
import { painter } from "../../cli/text/paint.js";
import type { GroupStatus, GroupTask } from "../../src/index.js";

const NOW_MS = Date.UTC(2026, 10, 30, 3, 0, 0);
const MINUTE_MS = 60_000;

const OPEN = {
  groupId: "document-1",
  generation: 1,
  version: "1.1",
  state: "open",
  ok: false,
  completionReason: null,
  reason: null,
  endedAtMs: null,
  sealed: true,
  total: 2,
  succeeded: 1,
  failed: 0,
  remaining: 1,
  errors: [],
  errorCount: 0,
  stages: {},
  metadata: null,
  parent: null,
  registeredAtMs: NOW_MS - 20 * MINUTE_MS,
  deadlineAtMs: NOW_MS + 10 * MINUTE_MS,
  lastAckAtMs: NOW_MS - 14 * MINUTE_MS,
  delivery: { state: "none", deliveryId: null, attempts: 0, lastError: null, nextAttemptAtMs: null },
} as const satisfies GroupStatus;

const COMPLETED = {
  ...OPEN,
  state: "completed",
  ok: true,
  completionReason: "all_completed",
  endedAtMs: NOW_MS - MINUTE_MS,
  succeeded: 2,
  remaining: 0,
} as const satisfies GroupStatus;

const PENDING = {
  state: "pending",
  deliveryId: "msg_1",
  attempts: 1,
  lastError: null,
  nextAttemptAtMs: NOW_MS + MINUTE_MS,
} as const;

interface Given extends Partial<Omit<WhyInput, "snapshot">> {
  readonly kind?: Snapshot["kind"];
  readonly state?: string;
  readonly hasPolicy?: boolean;
}

const task = (taskId: string, stage: string | null = null): GroupTask => ({
  taskId,
  stage,
  state: "open",
  error: null,
});

/** Explains the smallest state that differs from the usual one in the given fields. */
function why(status: object, { kind = "group", state, hasPolicy = false, ...rest }: Given = {}) {
  const whole = { ...OPEN, ...status } as GroupStatus;
  const snapshot: Snapshot = { kind, id: "document-1", status: whole, state: state ?? whole.state, hasPolicy };
  const input = { snapshot, open: [task("chunk-2")], relatives: [], backend: "http", nowMs: NOW_MS, ...rest } as const;
  const { headline, findings, remedies } = explain(input);
  return {
    headline,
    commands: remedies.map(({ command }) => command),
    texts: findings.map(({ text }) => text),
    of: (topic: string) => findings.filter((finding) => finding.topic === topic).map(({ text }) => text),
  };
}

describe("why an open group waits", () => {
  it("names its open tasks", () => {
    const { headline, of } = why({});
    expect(headline).toBe("group document-1 waits for 1 of 2 tasks.");
    expect(of("tasks")).toEqual(["Open: chunk-2."]);
  });

  it("names 20 of them, and counts the others", () => {
    const open = Array.from({ length: 20 }, (_, i) => task(`chunk-${i}`, "embed"));
    const { of, commands } = why({ total: 1_500, remaining: 1_400 }, { open });
    expect(of("tasks")[0]).toMatch(/^Open: embed\/chunk-0, embed\/chunk-1, .*embed\/chunk-19, and 1,380 more\.$/);
    expect(commands).toContain("tasks document-1 --state open");
  });

  it("says that a group with a number of tasks has no list", () => {
    expect(why({}, { open: null }).of("tasks")).toEqual([
      "It was registered with a number of tasks, so it has no list of the open ones.",
    ]);
  });

  it("waits for its first task", () => {
    const { headline } = why({ total: 0, succeeded: 0, remaining: 0, sealed: false }, { open: [] });
    expect(headline).toBe("group document-1 waits for its first task: it has none yet, and is not sealed.");
  });

  it("waits for its seal", () => {
    const { headline, of } = why({ succeeded: 2, remaining: 0, sealed: false }, { open: [] });
    expect(headline).toBe("group document-1 waits for its seal: all 2 tasks have settled, and more may be added.");
    expect(of("sealed")).toEqual([
      "It is not sealed: more tasks may be added, and it does not complete before its seal.",
    ]);
  });

  it("is mended by the seal", () => {
    expect(why({ succeeded: 2, remaining: 0, sealed: false }, { open: [] }).commands[0]).toBe("seal document-1");
    expect(why({ sealed: false }).commands).not.toContain("seal document-1");
  });

  it("is a request that is complete and not sealed", () => {
    const given = { kind: "request", state: "complete", open: [] } as const;
    expect(why({ succeeded: 2, remaining: 0, sealed: false }, given).headline).toBe(
      "request document-1 is complete. It has not ended, because it is not sealed.",
    );
  });

  it("says when a task was last acked", () => {
    expect(why({}).of("last ack")).toEqual(["A task was last acked 14 minutes ago (2026-11-30 02:46:00 UTC)."]);
    expect(why({ lastAckAtMs: null }).of("last ack")).toEqual([
      "No task was acked yet. It was registered 20 minutes ago (2026-11-30 02:40:00 UTC).",
    ]);
  });

  it("says that it is sealed", () => {
    expect(why({}).of("sealed")).toEqual(["It is sealed: no more tasks are added."]);
  });

  it("says what ends it, and when", () => {
    expect(why({}).of("ends")).toEqual([
      "It times out in 10 minutes (2026-11-30 03:10:00 UTC), or earlier by its idleTimeoutSec if it has one.",
    ]);
    expect(why({ deadlineAtMs: null }).of("ends")).toEqual([
      "It has no deadline. It times out after its idleTimeoutSec, or its ttlSec, without a call that changes it.",
    ]);
    expect(why({}, { hasPolicy: true }).of("ends")[1]).toBe(
      "It has a policy: it may complete or fail before all tasks have settled.",
    );
  });

  it("says who delivers", () => {
    expect(why({}).of("callback")).toEqual(["After its end the Worker's object makes the callback, if it has one."]);
    expect(why({}, { backend: "upstash" }).of("callback")).toEqual([
      "After its end the instance of the last ack makes the callback, or a drain whose process has the handler.",
    ]);
  });

  it("shows the first error, and how to try the tasks again", () => {
    const errors = [{ taskId: "chunk-1", stage: null, message: "no text\u001b[2J" }];
    const { of, commands } = why({ failed: 1, succeeded: 0, errors, errorCount: 1 });
    expect(of("failed")).toEqual(['1 task failed. The first error of chunk-1: "no text\\u{1b}[2J"']);
    expect(commands).toContain("retry document-1 --failed");
  });

  it("names the commands that help", () => {
    expect(why({}).commands).toEqual([
      "extend document-1 --by 30m",
      "watch document-1",
      "cancel document-1 --reason TEXT",
    ]);
    expect(why({ deadlineAtMs: NOW_MS + 31 * MINUTE_MS }).commands).not.toContain("extend document-1 --by 30m");
    expect(why({ deadlineAtMs: null }).commands).not.toContain("extend document-1 --by 30m");
    expect(why({}, { kind: "request", state: "pending" }).commands).toContain("watch document-1 --request");
  });

  it("names the children of open tasks, and those that may be one", () => {
    const ofTask = { taskId: "chunk-2", stage: null, kind: "group", id: "document-1/chunk-2" } as const;
    const child = (status: object): Relative => {
      const whole = { ...OPEN, ...status } as GroupStatus;
      return { ...ofTask, snapshot: { ...ofTask, status: whole, state: whole.state, hasPolicy: false } };
    };
    const parent = { groupId: "document-1", requestId: null, stage: null, taskId: "chunk-2", generation: null };
    const dead = { ...COMPLETED, parent, delivery: { ...PENDING, state: "dead" } };
    for (const [relative, text] of [
      [child({}), "may be the child group document-1/chunk-2: open, 1 of 2 tasks open."],
      [child({ parent }), "waits for the child group document-1/chunk-2: open, 1 of 2 tasks open."],
      [
        child(dead),
        "waits for the child group document-1/chunk-2: completed, 0 of 2 tasks open, delivery dead letter.",
      ],
      [{ ...ofTask, snapshot: null }, "waits for the child group document-1/chunk-2: not registered yet, or expired."],
    ] as const) {
      const { of, commands } = why({}, { relatives: [relative] });
      expect(of("child")).toEqual([`The open task chunk-2 ${text}`]);
      expect(commands[0]).toBe("why document-1/chunk-2");
    }
  });

  it("does not wait for a child whose end settles another task, or one of another generation", () => {
    const parent = { groupId: "document-1", requestId: null, stage: "embed", taskId: "a", generation: 1 };
    const status = { ...OPEN, groupId: "a", parent } as GroupStatus;
    const of = (stage: string): Relative => {
      const child = { kind: "group", id: "a" } as const;
      return { ...child, taskId: "a", stage, snapshot: { ...child, status, state: "open", hasPolicy: false } };
    };
    const given = { open: [task("a", "parse"), task("a", "embed")], relatives: [of("parse"), of("embed")] };
    const settlesEmbed = "its parent is the task embed/a of group document-1, generation 1.";
    const first = why({}, given);
    expect(first.of("child")).toEqual([
      `The open task parse/a is not settled by the end of group a: ${settlesEmbed}`,
      "The open task embed/a waits for the child group a: open, 1 of 2 tasks open.",
    ]);
    expect(first.commands.filter((command) => command === "why a")).toHaveLength(1);
    expect(why({ generation: 2 }, given).of("child")[1]).toBe(
      `The open task embed/a is not settled by the end of group a: ${settlesEmbed}`,
    );
  });

  it("names the task that waits for it", () => {
    const parent = { groupId: null, requestId: "upload-7", stage: "parse", taskId: "a.pdf", generation: 3 };
    expect(why({ parent }).of("parent")).toEqual([
      "Its end will settle the task parse/a.pdf of request upload-7, if that is in generation 3.",
    ]);
    expect(why({ ...COMPLETED, parent: { ...parent, generation: null } }).of("parent")).toEqual([
      "Its end settles the task parse/a.pdf of request upload-7.",
    ]);
  });
});

describe("why an ended group is not over", () => {
  it("is over without a callback", () => {
    const { headline, commands } = why(COMPLETED);
    expect(headline).toBe(
      "group document-1 has completed. It has no callback for this end, so nothing is left to wait for.",
    );
    expect(commands).toEqual([]);
  });

  it("is over once the callback was delivered", () => {
    const delivery = { ...PENDING, state: "delivered", nextAttemptAtMs: null };
    expect(why({ ...COMPLETED, delivery }).headline).toBe(
      "group document-1 has completed, and its callback was made. Nothing is left to wait for.",
    );
  });

  it("waits for the next attempt, after an error", () => {
    const delivery = { ...PENDING, attempts: 3, lastError: "webhook to app.example: answered 503" };
    const { headline, of, commands } = why({ ...COMPLETED, delivery });
    expect(headline).toBe("group document-1 has completed. Its callback is not made yet.");
    expect(of("callback")).toEqual([
      "The delivery msg_1: 3 attempts so far.",
      'The last error: "webhook to app.example: answered 503"',
      "The next attempt is due in 1 minute (2026-11-30 03:01:00 UTC). If one is under way, its lease ends then.",
    ]);
    expect(commands).toEqual(["redeliver document-1"]);
  });

  it("names the handler that no instance has", () => {
    const delivery = { ...PENDING, attempts: 0, lastError: "no running instance has handler:publish" };
    const { of } = why({ ...COMPLETED, delivery }, { backend: "upstash" });
    expect(of("callback").slice(0, 2)).toEqual([
      "The delivery msg_1: no attempt so far.",
      'No process that drains has a handler named "publish". After a day without it, the delivery becomes a dead letter.',
    ]);
    expect(why({ ...COMPLETED, delivery }).of("callback")[1]).toContain(
      `The Worker's object has no handler named "publish".`,
    );
  });

  it("says what webhooks lack", () => {
    const delivery = { ...PENDING, attempts: 0, lastError: "no running instance sends webhooks" };
    expect(why({ ...COMPLETED, delivery }).of("callback")[1]).toBe(
      "No running instance sends webhooks. Set WEBHOOK_SECRET and WEBHOOK_ALLOWED_HOSTS on the Worker.",
    );
    expect(why({ ...COMPLETED, delivery }, { backend: "upstash" }).of("callback")[1]).toBe(
      "No running instance sends webhooks. Give a process that drains a tracker with the option webhooks.",
    );
  });

  it("says that no drain runs", () => {
    const delivery = { ...PENDING, attempts: 0, nextAttemptAtMs: NOW_MS - 5 * MINUTE_MS };
    expect(why({ ...COMPLETED, delivery }, { backend: "upstash" }).of("callback")[1]).toBe(
      "The next attempt has been due for 5 minutes. No drain runs: start drainEvery, AlarmClock or a cron route.",
    );
    expect(why({ ...COMPLETED, delivery }).of("callback")[1]).toBe(
      "The next attempt has been due for 5 minutes. The object's alarm is late, or an attempt is under way.",
    );
  });

  it("is a dead letter", () => {
    const lastError = "webhook to app.example: answered 410";
    const delivery = { ...PENDING, state: "dead", nextAttemptAtMs: null, lastError };
    const { headline, of, commands } = why({ ...COMPLETED, delivery });
    expect(headline).toBe("group document-1 has completed, but its callback is a dead letter: it is not tried again.");
    expect(of("callback").slice(1)).toEqual([
      `The last error: "${lastError}"`,
      "A dead letter is kept for seven days. `redeliver` queues it again.",
    ]);
    expect(commands).toEqual(["redeliver document-1"]);
    const toParent = { ...delivery, deliveryId: "msg_1-parent" };
    expect(why({ ...COMPLETED, delivery: toParent }).headline).toBe(
      "group document-1 has completed, but its delivery to its parent's task is a dead letter: it is not tried again.",
    );
  });

  it.each([
    [{ state: "timed_out", reason: "deadline", remaining: 1 }, "It timed out by its deadline, with 1 of 2 tasks open."],
    [{ state: "timed_out", reason: "idle", remaining: 1 }, "It timed out by its idle timeout, with 1 of 2 tasks open."],
    [
      { state: "timed_out", reason: "silent", remaining: 1 },
      "It timed out by its ttlSec without a call, with 1 of 2 tasks open.",
    ],
    [
      { state: "cancelled", reason: "deleted", remaining: 1 },
      'It was cancelled, with 1 of 2 tasks open. The reason: "deleted"',
    ],
    [
      { state: "failed", completionReason: "failure_tolerance_exceeded", failed: 1 },
      "It failed, because its policy could no longer be met: 1 task of 2 failed.",
    ],
    [
      { completionReason: "min_successful_reached", succeeded: 1, remaining: 1 },
      "Enough tasks succeeded: 1, with 1 of 2 tasks open.",
    ],
  ])("says how it ended: %j", (status, text) => {
    expect(why({ ...COMPLETED, ...status }).of("end")).toEqual([
      text,
      "It ended 1 minute ago (2026-11-30 02:59:00 UTC).",
    ]);
  });
});

describe("why an unknown id is unknown", () => {
  it("says that it was never registered, or has expired, and where else to look", () => {
    const unknown = { kind: "group", id: "a b" } as const;
    const { headline, findings, remedies } = explainUnknown(unknown, { place: "the Worker at x", other: "upstash" });
    expect(headline).toBe("group a b is not known in the Worker at x.");
    expect(findings[0]?.text).toBe("It was never registered under this id, it has expired, or it was removed.");
    expect(remedies.map(({ command }) => command)).toEqual(["why 'a b' --request", "why 'a b' --backend upstash"]);
  });

  it("names an id that looks like an option behind --", () => {
    const unknown = { kind: "group", id: "--url=x" } as const;
    const { remedies } = explainUnknown(unknown, { place: "the Worker at x", other: "upstash" });
    expect(remedies.map(({ command }) => command)).toEqual([
      "why --request -- '--url=x'",
      "why --backend upstash -- '--url=x'",
    ]);
  });
});

describe("the printed answer", () => {
  it("has the answer first, then the facts, then the commands", () => {
    const answer = {
      headline: "group a waits.",
      findings: [
        { topic: "tasks", text: "Open: b." },
        { topic: "ends", text: "Soon." },
        { topic: "ends", text: "Or later." },
      ],
      remedies: [{ command: "watch a", effect: "follow it" }],
    } as const;
    expect(whyText(answer, painter(false))).toBe(
      "group a waits.\n\n  tasks  Open: b.\n  ends   Soon.\n         Or later.\n\n" +
        "What you can do:\n  npx edge-coordinator watch a\n      follow it\n",
    );
  });
});
