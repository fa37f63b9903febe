/** Returns an id as a segment of a path. A half of a surrogate pair cannot be encoded, and is in no id of the Worker. */
export function pathSegment(id: string): string {
  return encodeURIComponent(id.replace(/\p{Surrogate}/gu, "\uFFFD"));
}
