import type { Changes } from "../../src/core/store.js";
import { Violation } from "./violation.js";

interface Life {
  readonly generation: number;
  readonly isOpen: boolean;
}

/** Follows groups by their events, and compares these with the stored state: one event for each beginning and each end. */
export class Told {
  readonly #lives = new Map<string, Life>();

  see(name: string, { dirty, head, events }: Changes): void {
    if (!dirty) {
      if (events.length > 0) throw new Violation(`a step that wrote nothing tells of ${name}`);
      return;
    }
    let life = this.#lives.get(name);
    for (const { type, generation } of events) {
      if (type === "registered") {
        if (life !== undefined && generation <= life.generation) throw new Violation(`${name} is registered twice`);
        life = { generation, isOpen: true };
      } else if (life?.isOpen !== true || life.generation !== generation) {
        throw new Violation(`an end of ${name} has two events, or one of another generation`);
      } else life = { generation, isOpen: false };
    }
    if (life === undefined && head === undefined) return;
    const stored = storedLife(head);
    if (stored !== undefined && (stored.generation !== life?.generation || stored.isOpen !== life.isOpen)) {
      throw new Violation(`the events of ${name} say ${JSON.stringify(life)}, and it is ${JSON.stringify(stored)}`);
    }
    if (life !== undefined) this.#lives.set(name, life);
  }
}

function storedLife(head: string | undefined): Life | undefined {
  if (head === undefined) return undefined;
  const { fields } = JSON.parse(head) as { readonly fields: { readonly state: string; readonly generation?: number } };
  return fields.generation === undefined
    ? undefined
    : { generation: fields.generation, isOpen: fields.state === "open" };
}
