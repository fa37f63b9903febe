import type { Changes, Rows } from "../../../core/store.js";
import type { MemberRows } from "./member-rows.js";
import { IN_ROW, PackedMembers } from "./packed-members.js";
import type { Tables } from "./tables.js";

const SELECT = "SELECT head, packed FROM records WHERE name = ?";
const PUT =
  "INSERT INTO records (name, until, wake, head, packed) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE " +
  "SET until = excluded.until, wake = excluded.wake, head = excluded.head, packed = excluded.packed";

/** How a record is stored. */
type Stored = {
  readonly head: string;
  /** `null`: the record is spilled, each of its members has a row. */
  readonly packed: string | null;
};

/**
 * One record, for one transaction: it reads the record's row once.
 *
 * A record is *packed* or *spilled*.
 * - Packed: the members are one text in the record's row, so that an ack writes one row. A large value has a row of its own,
 *   so that one large result does not spill the record.
 * - Spilled: each member has a row. A record spills when head and members are larger than `rowChars`, in the transaction of
 *   the write that makes them so. All members spill, never a part: where a member is follows from the record's row alone.
 *
 * A spilled record stays spilled until it is cleared or removed, so that a record at the limit does not move its members
 * back and forth.
 */
export class SqliteRecord implements Rows {
  readonly #name: string;
  readonly #tables: Tables;
  readonly #rows: MemberRows;
  readonly #rowChars: number;
  /** `null`: not read yet. */
  #stored: Stored | undefined | null = null;
  #unpacked: PackedMembers | undefined;

  constructor(name: string, tables: Tables, rows: MemberRows, rowChars: number) {
    this.#name = name;
    this.#tables = tables;
    this.#rows = rows;
    this.#rowChars = rowChars;
  }

  readHead(): string | undefined {
    return this.#read()?.head;
  }

  read(names: readonly string[]): (string | false)[] {
    const stored = this.#read();
    if (stored === undefined) return names.map(() => false);
    if (stored.packed === null) {
      const found = this.#rows.read(this.#name, names);
      return names.map((name) => found.get(name) ?? false);
    }
    const values = this.#unpack(stored).read(names);
    const large = names.filter((_, i) => values[i] === IN_ROW);
    const found = this.#rows.read(this.#name, large);
    return values.map((value, i) => value ?? found.get(names[i] ?? "") ?? false);
  }

  /** Writes the changes. Call it once, last: the record does not read what it wrote. */
  commit(changes: Changes): void {
    this.#tables.create();
    if (changes.cleared) {
      this.#rows.removeAll(this.#name);
      this.#unpacked = undefined;
    }
    const stored = changes.cleared ? undefined : this.#read();
    const head = changes.head ?? stored?.head;
    if (head === undefined) {
      // A record without a head does not exist.
      if (changes.cleared) this.#tables.exec("DELETE FROM records WHERE name = ?", this.#name);
      return;
    }
    const packed = stored?.packed === null ? this.#writeRows(changes) : this.#pack(changes, head, stored);
    if (changes.head === undefined && packed === stored?.packed) return;
    this.#tables.exec(PUT, this.#name, changes.untilMs ?? null, changes.wakeAtMs ?? null, head, packed);
  }

  #read(): Stored | undefined {
    if (this.#stored === null) this.#stored = this.#tables.select<Stored>(SELECT, this.#name)[0];
    return this.#stored;
  }

  #unpack({ head, packed }: Stored): PackedMembers {
    this.#unpacked ??= new PackedMembers(packed ?? "", head.length, this.#rowChars);
    return this.#unpacked;
  }

  /** Returns the record's packed text; `null` when the record spilled. */
  #pack({ names, values }: Changes, head: string, stored: Stored | undefined): string | null {
    if (names.length === 0 && stored !== undefined) return stored.packed;
    const members = this.#unpack(stored ?? { head, packed: null });
    for (const [i, name] of names.entries()) this.#set(members, name, values[i] ?? false);
    const packed = members.toString();
    if (head.length + packed.length <= this.#rowChars) return packed;
    for (const [name, value] of members.members()) if (value !== IN_ROW) this.#rows.put(this.#name, name, value);
    return null;
  }

  #set(members: PackedMembers, name: string, value: string | false): void {
    const hadRow = members.take(name) === IN_ROW;
    if (value !== false && members.isLarge(value)) {
      members.set(name, IN_ROW);
      this.#rows.put(this.#name, name, value);
      return;
    }
    if (hadRow) this.#rows.remove(this.#name, name);
    if (value !== false) members.set(name, value);
  }

  /** Writes the members of a spilled record. */
  #writeRows({ names, values }: Changes): null {
    for (const [i, name] of names.entries()) {
      const value = values[i] ?? false;
      if (value === false) this.#rows.remove(this.#name, name);
      else this.#rows.put(this.#name, name, value);
    }
    return null;
  }
}
