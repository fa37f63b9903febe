import type { OnEvent, Wake, WakingMachine } from "./coordinator.js";
import { isEphemeral } from "./ephemeral.js";
import { emit } from "./events.js";
import type { InputOf, OutputOf } from "./machines/index.js";
import { recordName } from "./tags.js";

type AnyWake = Wake<WakingMachine>;
type WokenName = `${WakingMachine}.woken`;

const LOOK_AGAIN_MS = 10_000;
const MAX_LOOKED = 1_000;

/** How a call left its record. */
interface Due {
  /** It is this call that made it due. */
  readonly isFresh: boolean;
  /** The caller's own. */
  readonly waitUntil: ((work: Promise<unknown>) => void) | undefined;
}

/** Runs the `woken` step of one record. */
export type RunWoken = (machine: WakingMachine, id: string, input: InputOf<WokenName>) => Promise<OutputOf<WokenName>>;

/** Those who act when a record wakes. */
export class Wakes {
  readonly #run: RunWoken;
  readonly #onEvent: OnEvent | undefined;
  /** What the coordinator can do by itself, where nobody else is there. */
  readonly #own: AnyWake;
  /** When the coordinator itself last looked at records that stay due. */
  readonly #looked = new Map<string, number>();
  readonly #byMachine = new Map<string, Set<AnyWake>>();

  constructor(run: RunWoken, own: AnyWake, onEvent: OnEvent | undefined) {
    this.#run = run;
    this.#own = own;
    this.#onEvent = onEvent;
  }

  add(machine: WakingMachine, wake: AnyWake): () => void {
    const wakes = this.#byMachine.get(machine) ?? new Set();
    this.#byMachine.set(machine, wakes.add(wake));
    return () => wakes.delete(wake);
  }

  /**
   * Has a record woken; the caller waits for nothing. Where work ends with its request and nobody said how to keep it
   * alive, an attempt would be spent on nothing: it is left to `drain`. By itself the coordinator looks when the record
   * becomes due, and then now and then: most of what stays due is for others.
   */
  wakeSoon(machine: WakingMachine, id: string, { isFresh, waitUntil }: Due): void {
    const wakes = this.#of(machine);
    if (wakes.length === 0 && !this.#mayLook(recordName(machine, id)) && !isFresh) return;
    const canLast = !isEphemeral() || [waitUntil, ...wakes.map((wake) => wake.waitUntil)].some((keep) => keep);
    if (!canLast) return;
    // Others may be near that can do what nobody here can: it is left to them as it is.
    const work = this.#wakeAll(machine, id, wakes.length === 0 ? [leaving(this.#own)] : wakes);
    this.#keep(machine, id, work, [waitUntil, ...wakes.map((wake) => wake.waitUntil)]);
  }

  /**
   * Runs `woken` for each who may act, or with what the coordinator can do by itself, and waits until they have acted.
   * False: a step failed, and the record may still be due.
   */
  async wake(machine: WakingMachine, id: string): Promise<boolean> {
    const wakes = this.#of(machine);
    const work = this.#wakeAll(machine, id, wakes.length === 0 ? [this.#own] : wakes);
    this.#keep(
      machine,
      id,
      work,
      wakes.map((wake) => wake.waitUntil),
    );
    return work;
  }

  /** Whether the coordinator's own look at a record that stays due is not too soon after its last one. */
  #mayLook(record: string): boolean {
    const nowMs = Date.now();
    if (nowMs - (this.#looked.get(record) ?? 0) < LOOK_AGAIN_MS) return false;
    if (this.#looked.size >= MAX_LOOKED) this.#looked.clear();
    this.#looked.set(record, nowMs);
    return true;
  }

  #of(machine: WakingMachine): readonly AnyWake[] {
    return [...(this.#byMachine.get(machine) ?? [])];
  }

  #keep(machine: string, id: string, work: Promise<unknown>, keepers: readonly AnyWake["waitUntil"][]): void {
    for (const waitUntil of new Set(keepers)) void this.#guard(machine, id, async () => waitUntil?.(work));
  }

  /** The `woken` steps one after the other, the acts side by side. Never rejects. */
  async #wakeAll(machine: WakingMachine, id: string, wakes: readonly AnyWake[]): Promise<boolean> {
    const acts: Promise<boolean>[] = [];
    let isDone = true;
    for (const wake of wakes) {
      const isWoken = await this.#guard(machine, id, async () => {
        // Only the last one puts off what nobody here can deliver.
        const input = wake === wakes.at(-1) ? wake.input() : leaving(wake).input();
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

/** The same, but what it cannot do is left as it is. */
function leaving(wake: AnyWake): AnyWake {
  return { input: () => ({ ...wake.input(), more: true }), act: (id, output) => wake.act(id, output) };
}
