import { recordName } from "../../runtime/placement.js";

/**
 * A record's name in the store: the machine, a colon, and the id percent-encoded, so that no store, path or collation can
 * take two ids for one. Injective: a machine's name holds no colon.
 */
export function storeName(machine: string, id: string): string {
  return recordName(machine, encodeURIComponent(id));
}

/** The parts of a name; `undefined` when it is none. */
export function partsOfName(name: string): { readonly machine: string; readonly id: string } | undefined {
  const colon = name.indexOf(":");
  if (colon < 1) return undefined;
  try {
    return { machine: name.slice(0, colon), id: decodeURIComponent(name.slice(colon + 1)) };
  } catch {
    return undefined;
  }
}
