import { pathSegment } from "./api/path-segment.js";
import { isListName, type ListName } from "./lists.js";

/** The view that the page shows. It is in the fragment of the address, which no server receives. */
export type Place =
  | { readonly view: "overview" }
  | { readonly view: "list"; readonly list: ListName }
  | { readonly view: "group"; readonly id: string; readonly parent: string | null };

/** Returns the place of a fragment. A fragment that names none is the overview. */
export function placeOf(fragment: string): Place {
  const [view, first = "", within, second = ""] = fragment.replace(/^#?\/?/, "").split("/");
  if (view === "list" && isListName(first)) return { view, list: first };
  const id = decoded(first);
  if (view !== "groups" || id === "") return { view: "overview" };
  const parent = within === "in" ? decoded(second) : "";
  return { view: "group", id, parent: parent === "" ? null : parent };
}

export const OVERVIEW = "#/";

export function listAddress(list: ListName): string {
  return `#/list/${list}`;
}

/** @param parent the group that led here: the page links back to it. */
export function groupAddress(id: string, parent?: string): string {
  const address = `#/groups/${pathSegment(id)}`;
  return parent === undefined ? address : `${address}/in/${pathSegment(parent)}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
