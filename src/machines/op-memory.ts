/** What the last operations answered, so that one that arrives twice counts once and is told the same again. */
export interface RememberedOp {
  op: string;
  result: string;
}

export function recall(ops: readonly RememberedOp[], op: string): string | undefined {
  for (const entry of ops) {
    if (entry.op === op) return entry.result;
  }
  return undefined;
}

/** Adds one; beyond `most` the oldest goes. */
export function remember(ops: RememberedOp[], entry: RememberedOp, most: number): void {
  ops.push(entry);
  if (ops.length > most) ops.shift();
}
