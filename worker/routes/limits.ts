import { RateLimiter } from "../../src/trackers/rate-limiter.js";
import { readJson } from "../body.js";
import { type App, type AppContext, pathSegment, route } from "../context.js";
import { parse } from "../schemas/parse.js";
import { limitBody } from "../schemas/turn-bodies.js";

/** The route of `/v1/limits/:key`: rate limits for callers in any language. */
export function limitRoutes(app: App): void {
  route(app, "/v1/limits/:key", { POST: limit });
}

/**
 * Answers 200 also when the call is not allowed: the check itself succeeded. A 429 would say that this caller asks too
 * often, and HTTP clients would send the check again by themselves. For the same reason it has no `RateLimit` fields:
 * they would describe the caller of the Worker, not the key.
 */
async function limit(c: AppContext): Promise<Response> {
  const key = pathSegment(c, 3);
  const { cost = 1, ...options } = parse(limitBody, await readJson(c.req.raw));
  return c.json(await new RateLimiter(c.var.coordinator, options).limit(key, cost, { signal: c.req.raw.signal }));
}
