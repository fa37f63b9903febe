/** How deep a caller's JSON may be nested: what is stored today is parsed and printed by recursion tomorrow. */
export const MAX_DEPTH = 64;

/** How deep a value is nested, told exactly up to one more than `MAX_DEPTH`; 0 for one that is no container. */
export function depthOf(value: unknown, limit = MAX_DEPTH + 1): number {
  if (typeof value !== "object" || value === null || limit === 0) return 0;
  let deepest = 0;
  for (const item of Object.values(value)) deepest = Math.max(deepest, depthOf(item, limit - 1));
  return deepest + 1;
}

/** Whether a text is JSON that can be stored. */
export function isStorableJson(text: string): boolean {
  try {
    return depthOf(JSON.parse(text)) <= MAX_DEPTH;
  } catch {
    return false;
  }
}
