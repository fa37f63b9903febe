import { type completion, completion as steps } from "../../src/core/group/completion.js";
import { openDraft } from "../../src/core/transaction.js";

export type Steps = typeof completion;
export type StepName = keyof Steps;

/** One record of a group, as the plainest store keeps it. Its clock moves when a test says so. */
export class PlainRecord {
  nowMs: number;
  #head: string | undefined;
  readonly #members = new Map<string, string>();

  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }

  run<N extends StepName>(step: N, input: Parameters<Steps[N]>[1]): ReturnType<Steps[N]> {
    const draft = openDraft(
      { readHead: () => this.#head, read: (names) => names.map((name) => this.#members.get(name) ?? false) },
      this.nowMs,
    );
    const transition = steps[step] as (store: typeof draft.store, input: unknown) => ReturnType<Steps[N]>;
    const output = transition(draft.store, structuredClone(input));
    const { dirty, cleared, head, names, values } = draft.changes();
    if (!dirty) return output;
    if (cleared) {
      this.#members.clear();
      this.#head = undefined;
    }
    if (head !== undefined) this.#head = head;
    for (const [i, name] of names.entries()) {
      const value = values[i];
      if (typeof value === "string") this.#members.set(name, value);
      else this.#members.delete(name);
    }
    return output;
  }
}
