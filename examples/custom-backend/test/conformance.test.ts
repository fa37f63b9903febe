import { env } from "cloudflare:workers";
import { conformanceCases } from "edge-coordinator/testing";
import { beforeEach, it } from "vitest";
import { d1Backend, SCHEMA } from "../src/d1-backend.js";
import { storeHarness } from "./harness.js";

declare global {
  namespace Cloudflare {
    interface Env {
      DB: D1Database;
    }
  }
}

/** Each case has the table to itself: a drain takes whatever is due. */
beforeEach(() => env.DB.batch([...SCHEMA, "DELETE FROM records"].map((statement) => env.DB.prepare(statement))));

/** A database that takes every statement, and answers none. */
const never = () => new Promise<never>(() => {});
const statement = { bind: () => statement, first: never, all: never, run: never };
const silent = { prepare: () => statement } as unknown as D1Database;

for (const { name, whyNot, run } of conformanceCases()) {
  it(name, { timeout: 30_000 }, async (ctx) => {
    const harness = storeHarness(
      (aheadMs) => d1Backend(env.DB, { now: () => Date.now() + aheadMs() }),
      () => d1Backend(silent),
    );
    const reason = whyNot(harness);
    if (reason !== undefined) ctx.skip(reason);
    await run(harness);
  });
}
