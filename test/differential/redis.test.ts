import { Redis } from "ioredis";
import { afterAll, describe, expect, inject, it } from "vitest";
import { scripts } from "../../src/backends/upstash/scripts.gen.js";
import { scriptOf } from "../../src/backends/upstash/scripts.js";
import type { TransitionName } from "../../src/core/registry.js";
import type { IndexLine } from "../../src/core/store.js";
import { expectAgreement } from "./compare.js";
import { nameOf, normal, type Said, type Step, type Stored, stored } from "./model.js";
import { randomSteps } from "./steps.js";

const SEED = Number(process.env.DIFFERENTIAL_SEED ?? 1);
const RUNS = Number(process.env.DIFFERENTIAL_RUNS ?? 100);
const STEPS = 300;
/** Ahead of the real time by more than any run lasts: Redis evicts by its own clock, and must not. */
const AHEAD_MS = 86_400_000 * 3_650;

/** The script as it is deployed, with a clock that the test sets: TIME answers ARGV[6] and ARGV[7]. */
const FIXED_TIME = `
local ____redis = redis
local redis = { call = function(command, ...)
  if command == "TIME" then return { ARGV[6], ARGV[7] } end
  return ____redis.call(command, ...)
end }
`;

const redis = new Redis(inject("redisUrl"));
afterAll(() => redis.disconnect());

let stores = 0;
let shasOnce: Promise<Readonly<Record<string, string>>> | undefined;

/** The digests of the scripts, which are loaded once. */
function loaded(): Promise<Readonly<Record<string, string>>> {
  shasOnce ??= Promise.all(
    (Object.keys(scripts) as TransitionName[]).map(async (transition) => [
      transition,
      (await redis.script("LOAD", FIXED_TIME + scriptOf(transition))) as string,
    ]),
  ).then((entries) => Object.fromEntries(entries) as Record<string, string>);
  return shasOnce;
}

async function run(steps: readonly Step[]): Promise<{ said: Said[]; state: Record<string, Stored> }> {
  const prefix = `differential-${process.pid}-${++stores}:`;
  const due = `${prefix}due`;
  const index = `${prefix}index`;
  const shas = await loaded();
  const pipeline = redis.pipeline();
  for (const step of steps) {
    const [, name = ""] = step.transition.split(".");
    const record = nameOf(step);
    const time = [Math.floor(step.nowMs / 1_000), (step.nowMs % 1_000) * 1_000];
    const args = [name, JSON.stringify(step.input), record, `${prefix}channel`, "0", ...time];
    pipeline.evalsha(shas[step.transition] ?? "", 3, prefix + record, due, index, ...args);
  }
  const replies = (await pipeline.exec()) ?? [];
  const said = replies.map(([error, reply]) => {
    if (error) return { output: `error: ${error.message}`, isDue: false };
    const text = String(reply);
    return { output: normal(JSON.parse(text.slice(1).split(/[\n\t]/, 1)[0] ?? "")), isDue: text[0] !== "=" };
  });
  const state: Record<string, Stored> = {};
  const scores = new Map(pairs(await redis.zrange(index, 0, -1, "WITHSCORES")));
  for (const record of new Set(steps.map(nameOf))) {
    const { h, ...members } = await redis.hgetall(prefix + record);
    const wake = await redis.zscore(due, record);
    const until = await redis.pexpiretime(prefix + record);
    if (h === undefined) expect(wake, `a line of ${record}, which is gone`).toBeNull();
    else
      state[record] = stored(h, Object.entries(members), until < 0 ? null : until, wake === null ? null : Number(wake));
    checkIndex(record, h, until, scores);
  }
  await redis.del(due, index, ...steps.map((step) => prefix + nameOf(step)));
  return { said, state };
}

/** The index holds what the record's head says, and when the record expires. */
function checkIndex(
  record: string,
  head: string | undefined,
  until: number,
  scores: ReadonlyMap<string, string>,
): void {
  const { line } = JSON.parse(head ?? "{}") as { line?: IndexLine };
  const score = line === undefined ? undefined : String(line.list * 1e14 + line.atMs);
  expect(scores.get(record), `the line of ${record}`).toBe(score);
  const expiry = score === undefined || head === undefined ? undefined : String(50e14 + until);
  expect(scores.get(`~${record}`), `the expiry of ${record}`).toBe(expiry);
}

function pairs(reply: readonly string[]): [string, string][] {
  return reply.flatMap((name, i) => (i % 2 === 0 ? [[name, reply[i + 1] ?? ""] as [string, string]] : []));
}

describe(`Redis and memory, ${RUNS * STEPS} transitions from seed ${SEED}`, () => {
  it("say and hold the same, step by step", { timeout: 900_000 }, async () => {
    const startAtMs = Date.now() + AHEAD_MS;
    for (let i = 0; i < RUNS; i++) await expectAgreement(randomSteps(SEED * 100_000 + i, STEPS, startAtMs), run);
  });
});
