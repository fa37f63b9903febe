import { DEFAULT_KEY_PREFIX } from "../../../runtime/placement.js";
import type { SqliteRecords } from "./records.js";

/** The part of the object's name that the client put before the tag. */
export class KeyPrefix {
  readonly #id: DurableObjectId;
  readonly #records: SqliteRecords;
  #text: string | undefined;

  constructor(id: DurableObjectId, records: SqliteRecords) {
    this.#id = id;
    this.#records = records;
  }

  get text(): string {
    this.#text ??= prefixOf(this.#id.name) ?? this.#records.own ?? DEFAULT_KEY_PREFIX;
    return this.#text;
  }

  /** An object that was started by its alarm does not know its own name. A prefix other than the default is therefore stored. */
  remember(): void {
    if (this.text !== DEFAULT_KEY_PREFIX) this.#records.own = this.text;
  }
}

function prefixOf(name: string | undefined): string | undefined {
  const brace = name?.indexOf("{") ?? -1;
  return brace < 0 ? undefined : name?.slice(0, brace);
}
