import { app } from "./app.js";

/** What Vercel hands in with a request. */
export interface VercelContext {
  waitUntil?(work: Promise<unknown>): void;
}

/** Serves a request. Hono has the context as `c.executionCtx`, which `handle` of hono/vercel would leave out. */
export function handle(request: Request, context?: VercelContext): Response | Promise<Response> {
  const waitUntil = context?.waitUntil?.bind(context);
  return app.fetch(request, process.env, waitUntil && { waitUntil, passThroughOnException() {}, props: {} });
}
