import { applyTransition, type TransitionName } from "../../src/core/registry.js";
import { openDraft } from "../../src/core/transaction.js";
import { recordName } from "../../src/runtime/placement.js";

/** One transition as every store runs it: with its time, so that all decide alike. */
export interface Step {
  readonly nowMs: number;
  readonly transition: TransitionName;
  readonly id: string;
  readonly input: Record<string, unknown>;
}

/** What a store said to a step: its output, and whether the record is due. */
export interface Said {
  readonly output: unknown;
  readonly isDue: boolean;
}

/** A record as a store holds it. */
export interface Stored {
  readonly head: unknown;
  readonly members: Readonly<Record<string, unknown>>;
  readonly untilMs: number | null;
  readonly wakeAtMs: number | null;
}

interface ModelRecord {
  head: string;
  members: Map<string, string>;
  untilMs: number | undefined;
  wakeAtMs: number | undefined;
}

/** The plainest store there is: what the others are held against. */
export class Model {
  readonly #records = new Map<string, ModelRecord>();
  /** The members that the last step read. */
  lastRead: readonly string[] = [];

  apply({ nowMs, transition, id, input }: Step): Said {
    const name = nameOf({ transition, id });
    const record = this.#records.get(name);
    const asked: string[] = [];
    this.lastRead = asked;
    const draft = openDraft(
      {
        readHead: () => record?.head,
        read: (names) => {
          asked.push(...names);
          return names.map((member) => record?.members.get(member) ?? false);
        },
      },
      nowMs,
    );
    const output = applyTransition(transition, draft.store, structuredClone(input) as never);
    const changes = draft.changes();
    const { cleared, head, names, values, untilMs, wakeAtMs } = changes;
    if (changes.dirty) {
      if (cleared) this.#records.delete(name);
      if (head !== undefined) {
        const members = cleared || record === undefined ? new Map<string, string>() : record.members;
        for (const [i, member] of names.entries()) {
          const value = values[i];
          if (typeof value === "string") members.set(member, value);
          else members.delete(member);
        }
        this.#records.set(name, { head, members, untilMs, wakeAtMs });
      }
    }
    return { output: normal(output), isDue: wakeAtMs !== undefined && wakeAtMs <= nowMs };
  }

  state(): Record<string, Stored> {
    const state: Record<string, Stored> = {};
    for (const [name, { head, members, untilMs, wakeAtMs }] of this.#records) {
      state[name] = stored(head, members, untilMs ?? null, wakeAtMs ?? null);
    }
    return state;
  }
}

export function nameOf({ transition, id }: Pick<Step, "transition" | "id">): string {
  return recordName(transition.slice(0, transition.indexOf(".")), id);
}

/** A record in the form in which records of all stores can be compared. */
export function stored(
  head: string,
  members: Iterable<readonly [string, string]>,
  untilMs: number | null,
  wakeAtMs: number | null,
): Stored {
  return {
    head: normal(JSON.parse(head)),
    members: Object.fromEntries([...members].sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => [k, normal(v)])),
    untilMs,
    wakeAtMs,
  };
}

/**
 * A value in one form: objects' keys in one order, and so the texts that hold an object. Lua cannot tell an empty list
 * from an empty object.
 */
export function normal(value: unknown): unknown {
  if (typeof value === "string") return /^(\{|\[[{"])/.test(value) ? normal(JSON.parse(value)) : value;
  if (typeof value !== "object" || value === null) return value;
  if (Object.keys(value).length === 0) return "(empty)";
  if (Array.isArray(value)) return value.map(normal);
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => [key, normal(item)]));
}
