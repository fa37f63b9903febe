/** The way to Redis: one command, one reply. Whoever brings it may count the commands, or hold them up. */
export interface Connection {
  send(command: readonly string[]): Promise<unknown>;
}

/** A key of several parts. The polling design escapes nothing in them. */
export function joinKey(...parts: readonly string[]): string {
  return parts.join("|");
}

/** A counter's reply as a number; a missing one reads as 0. */
export function countOf(reply: unknown): number {
  return Number(reply ?? 0);
}
