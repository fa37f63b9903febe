import type { Coordinator } from "../../src/index.js";

/** An increment that is sent once: what becomes of it is its caller's to find out. */
export async function incrOnce(c: Coordinator, id: string): Promise<number> {
  const input = { op: crypto.randomUUID(), ttlMs: 60_000, delta: 1 };
  return Number((await c.run("kv.incr", id, input, { resend: false })).result);
}
