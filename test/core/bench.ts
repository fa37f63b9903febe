import type { InputOf, OutputOf, TransitionName } from "../../src/core/registry.js";
import { Model } from "../differential/model.js";

export const T0 = 1_767_225_600_000;

/** Records of one id, without any timer: nothing happens but what a test does. */
export function bench(id = "id") {
  const model = new Model();
  let nowMs = T0;
  return {
    now: () => nowMs,
    pass: (ms: number) => {
      nowMs += ms;
    },
    run: <N extends TransitionName>(transition: N, input: InputOf<N>): OutputOf<N> =>
      model.apply({ nowMs, transition, id, input: input as Record<string, unknown> }).output as OutputOf<N>,
    record: (machine: string) => model.state()[`${machine}:${id}`],
  };
}
