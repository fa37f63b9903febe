import type { InputOf, OutputOf, TransitionName } from "../../src/core/registry.js";
import { Model } from "../differential/model.js";

export const T0 = 1_767_225_600_000;

/** Records of one id, without any timer: nothing happens but what a test does. */
export function bench(id = "id") {
  const model = new Model();
  let nowMs = T0;
  const run = <N extends TransitionName>(transition: N, input: InputOf<N>): OutputOf<N> =>
    model.apply({ nowMs, transition, id, input: input as Record<string, unknown> }).output as OutputOf<N>;
  return {
    now: () => nowMs,
    pass: (ms: number) => {
      nowMs += ms;
    },
    run,
    /** The members that a step reads. */
    reads: <N extends TransitionName>(transition: N, input: InputOf<N>): readonly string[] => {
      run(transition, input);
      return model.lastRead;
    },
    record: (machine: string) => model.state()[`${machine}:${id}`],
  };
}

export type Bench = ReturnType<typeof bench>;

export const TARGET = { route: "handler:x", body: "null" };

/** A registration of two tasks without ids. */
export const registration = (more: Partial<InputOf<"completion.register">> = {}): InputOf<"completion.register"> => ({
  op: "register",
  fingerprint: "s",
  kind: "counted",
  total: 2,
  lists: [],
  timeoutMs: 0,
  ttlMs: 600_000,
  deliveryId: "msg_1",
  ...more,
});

/** Tasks as an announcement lists them: those of a stage together, at most 64 a list. */
export function listed(ids: readonly string[], stage = ""): { lists: string[] } {
  const lists: string[] = [];
  for (let i = 0; i < ids.length; i += 64) lists.push(JSON.stringify([stage, ...ids.slice(i, i + 64)]));
  return { lists };
}

/** A registration of tasks with ids. */
export const named = (
  ids: readonly string[],
  more: Partial<InputOf<"completion.register">> = {},
): InputOf<"completion.register"> => registration({ kind: "named", total: 0, ...listed(ids), ...more });

/** A registration of a group to which tasks can be added. */
export const open = (
  ids: readonly string[],
  more: Partial<InputOf<"completion.register">> = {},
): InputOf<"completion.register"> => named(ids, { grows: true, ...more });

export const ack = (op: string, ...ids: string[]): InputOf<"completion.ack"> => ({
  op,
  tasks: ids.map((id) => ({ id })),
  earlyTtlMs: 300_000,
});

/** The verdicts of an ack. */
export const verdicts = (b: Bench, input: InputOf<"completion.ack">): string[] =>
  Array.from(b.run("completion.ack", input).results, ({ verdict }) => verdict);
