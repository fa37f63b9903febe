import { expect, it } from "vitest";
import { IndexNews } from "../../src/backends/durable-object/object/index-news.js";
import type { IndexMessage } from "../../src/backends/durable-object/protocol.js";
import { settle } from "../../src/testing/index.js";

const RECORD = "completion:g";

/** An object with one record, whose index answers when the test says so. */
function object() {
  const sent: IndexMessage[] = [];
  const answers: (() => void)[] = [];
  const state = { nowMs: 1_000, version: 1, marked: RECORD as string | undefined };
  const records = {
    exists: true,
    markedAtMs: 0,
    get marked() {
      return state.marked;
    },
    untilOf: () => 1_000_000,
    mark: () => {
      state.marked = RECORD;
    },
    unmark: () => {
      state.marked = undefined;
    },
    postponeMark: () => {},
  };
  const news = new IndexNews({
    records: records as never,
    now: () => state.nowMs,
    isIndexed: () => true,
    brief: () => ({ brief: {}, line: { list: 0, atMs: state.version } }) as never,
    send: (line) => {
      sent.push(line);
      return new Promise((resolve) => answers.push(() => resolve(line.sentAtMs)));
    },
    onFailure: () => {},
  });
  const answer = async (): Promise<void> => {
    answers.shift()?.();
    await settle();
  };
  return { news, sent, answer, state };
}

it("waits for one message in its alarm, and sends one more for all that ask meanwhile", async () => {
  const { news, sent, answer, state } = object();
  const ended: string[] = [];
  const first = news.tellAgain(RECORD, () => {});
  await settle();
  state.version = 2;
  state.nowMs += 1;
  const asked = [1, 2, 3].map(() => news.tellAgain(RECORD, () => {}).then(() => ended.push("asked")));
  const alarm = news.tell().then(() => ended.push("alarm"));
  await settle();
  expect(sent).toHaveLength(1);
  await answer();
  await Promise.all([first, alarm]);
  expect(ended).toEqual(["alarm"]);
  expect(sent.map(({ line }) => line?.atMs)).toEqual([1, 2]);
  await answer();
  await Promise.all(asked);
  expect([sent.length, ended.length, state.marked]).toEqual([2, 4, undefined]);
});
