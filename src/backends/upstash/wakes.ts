import type { OnEvent, Wake, WakingMachine } from "../../coordinator.js";
import { isEphemeral } from "../../ephemeral.js";
import { emit } from "../../events.js";
import type { InputOf, OutputOf } from "../../machines/index.js";

type AnyWake = Wake<WakingMachine>;
type WokenName = `${WakingMachine}.woken`;

/** Runs the `woken` step of one record. */
export type RunWoken = (machine: WakingMachine, id: string, input: InputOf<WokenName>) => Promise<OutputOf<WokenName>>;

/** Able to do nothing: enough for what a step does by itself, such as ending a group at its deadline. */
const NOBODY: AnyWake = { input: () => ({}), act: async () => {} };

/** Those who act when a record wakes. */
export class Wakes {
  readonly #run: RunWoken;
  readonly #onEvent: OnEvent | undefined;
  readonly #byMachine = new Map<string, Set<AnyWake>>();

  constructor(run: RunWoken, onEvent: OnEvent | undefined) {
    this.#run = run;
    this.#onEvent = onEvent;
  }

  add(machine: WakingMachine, wake: AnyWake): () => void {
    const wakes = this.#byMachine.get(machine) ?? new Set();
    this.#byMachine.set(machine, wakes.add(wake));
    return () => wakes.delete(wake);
  }

  /**
   * Has a record woken, if there is somebody to act; the caller waits for nothing. Where work ends with its request
   * and nobody said how to keep it alive, an attempt would be spent on nothing: it is left to `drain`.
   */
  wakeSoon(machine: WakingMachine, id: string): void {
    const wakes = [...(this.#byMachine.get(machine) ?? [])];
    const canLast = !isEphemeral() || wakes.some(({ waitUntil }) => waitUntil !== undefined);
    if (wakes.length > 0 && canLast) void this.wake(machine, id);
  }

  /**
   * Runs `woken` for each who may act, or once for nobody in particular, and waits until they have acted.
   * False: a step failed, and the record may still be due.
   */
  async wake(machine: WakingMachine, id: string): Promise<boolean> {
    const wakes = [...(this.#byMachine.get(machine) ?? [])];
    const work = this.#wakeAll(machine, id, wakes);
    for (const wake of wakes) void this.#guard(machine, id, async () => wake.waitUntil?.(work));
    return work;
  }

  /** The `woken` steps one after the other, the acts side by side. Never rejects. */
  async #wakeAll(machine: WakingMachine, id: string, wakes: readonly AnyWake[]): Promise<boolean> {
    const acts: Promise<boolean>[] = [];
    let isDone = true;
    const all = wakes.length === 0 ? [NOBODY] : wakes;
    for (const wake of all) {
      const isWoken = await this.#guard(machine, id, async () => {
        // Only the last one puts off what nobody here can deliver.
        const input = wake === all.at(-1) ? wake.input() : { ...wake.input(), more: true };
        const output = await this.#run(machine, id, input);
        acts.push(this.#guard(machine, id, () => wake.act(id, output)));
      });
      if (!isWoken) isDone = false;
    }
    await Promise.all(acts);
    return isDone;
  }

  /** Reports what fails; says whether nothing did. */
  async #guard(machine: string, id: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      this.#report(machine, id, error);
      return false;
    }
  }

  #report(machine: string, id: string, error: unknown): void {
    emit(this.#onEvent, { type: "wake_failed", machine, id, error });
  }
}
