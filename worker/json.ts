/** The deepest nesting of a caller's JSON. Later calls parse and print stored JSON recursively. */
export const MAX_DEPTH = 64;

/** Returns how deep a value is nested, up to one more than `MAX_DEPTH`; 0 when it is neither an object nor a list. */
export function depthOf(value: unknown, limit = MAX_DEPTH + 1): number {
  if (typeof value !== "object" || value === null || limit === 0) return 0;
  let deepest = 0;
  for (const item of Object.values(value)) deepest = Math.max(deepest, depthOf(item, limit - 1));
  return deepest + 1;
}

/** Returns whether a text is JSON that can be stored. */
export function isStorableJson(text: string): boolean {
  try {
    return depthOf(JSON.parse(text)) <= MAX_DEPTH;
  } catch {
    return false;
  }
}
