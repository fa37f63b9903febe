import type { Kind } from "../cli/snapshot.js";
import { pathSegment } from "./api/path-segment.js";
import { isListName, type ListName } from "./lists.js";

/** A group or a request. A group and a request with the same id are two records. */
export interface SubjectId {
  readonly kind: Kind;
  readonly id: string;
}

/** The view that the page shows. It is in the fragment of the address, which no server receives. */
export type Place =
  | { readonly view: "overview"; readonly kind: Kind }
  | { readonly view: "list"; readonly kind: Kind; readonly list: ListName }
  | ({ readonly view: "subject" } & SubjectId);

/** Returns the place of a fragment. A fragment that names none is the overview of its kind, of the groups by default. */
export function placeOf(fragment: string): Place {
  const [first, second = "", third] = fragment.replace(/^#?\/?/, "").split("/");
  const kind = (first === "list" ? third : first) === "requests" ? "request" : "group";
  if (first === "list" && isListName(kind, second)) return { view: "list", kind, list: second };
  const id = first === "groups" || first === "requests" ? decoded(second) : "";
  return id === "" ? { view: "overview", kind } : { view: "subject", kind, id };
}

export function overviewAddress(kind: Kind): string {
  return kind === "group" ? "#/" : "#/requests";
}

export function listAddress(list: ListName, kind: Kind): string {
  return `#/list/${list}${kind === "group" ? "" : "/requests"}`;
}

export function subjectAddress({ kind, id }: SubjectId): string {
  return `#/${kind}s/${pathSegment(id)}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
