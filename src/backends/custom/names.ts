import { nameOfList } from "../../core/group/listing.js";
import { partsOfRecord, recordName } from "../../runtime/placement.js";

/**
 * Returns a record's name in the store: the machine, a colon, and the percent-encoded id. The encoding keeps two ids from
 * becoming one in any path or collation. Injective: a machine's name holds no colon.
 */
export function storeName(machine: string, id: string): string {
  return recordName(machine, encodeURIComponent(id));
}

/** Returns the parts of a name; `undefined` when the text is not a record's name. */
export function partsOfName(name: string): { readonly machine: string; readonly id: string } | undefined {
  if (name.indexOf(":") < 1) return undefined;
  try {
    const { machine, id } = partsOfRecord(name);
    return { machine, id: decodeURIComponent(id) };
  } catch {
    return undefined;
  }
}

/** Returns the name of a machine's list in the store. */
export function listName(machine: string, list: number): string {
  return recordName(machine, nameOfList(list));
}
