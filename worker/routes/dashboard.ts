import { Problem } from "../../src/http/problem.js";
import { type App, type AppContext, route } from "../context.js";
import { DASHBOARD } from "../dashboard.gen.js";
import { isDashboardOn, type WorkerEnv } from "../env.js";

/** The page's own script and style, and calls of its own Worker. Nothing inline, nothing from elsewhere. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

const HEADERS = {
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  // The browser asks each time, and gets a 304: a page and a script of two versions never meet.
  "cache-control": "no-cache",
};

/** `GET /`: the dashboard. It needs no token, and holds nothing of this Worker's data: its script calls the HTTP API. */
export function dashboardRoutes(app: App): void {
  route(app, "/", { GET: (c) => answer(c, DASHBOARD.page, "text/html; charset=utf-8") });
  route(app, "/dashboard.js", { GET: (c) => answer(c, DASHBOARD.script, "text/javascript; charset=utf-8") });
  route(app, "/dashboard.css", { GET: (c) => answer(c, DASHBOARD.style, "text/css; charset=utf-8") });
}

function answer(
  c: AppContext,
  { text, hash }: { readonly text: string; readonly hash: string },
  type: string,
): Response {
  if (!isOn(c.env)) throw new Problem("not_found", "the dashboard of this Worker is turned off");
  const etag = `"${hash}"`;
  const headers = { ...HEADERS, etag };
  if (isNamed(c.req.header("if-none-match"), etag)) return c.body(null, 304, headers);
  return c.body(text, 200, { ...headers, "content-type": type });
}

/** A malformed variable turns the dashboard off. `/health` names it. */
function isOn(env: WorkerEnv): boolean {
  try {
    return isDashboardOn(env);
  } catch {
    return false;
  }
}

/** A proxy that compresses makes the ETag a weak one. */
function isNamed(ifNoneMatch: string | undefined, etag: string): boolean {
  const named = (ifNoneMatch ?? "").split(",").map((each) => each.trim().replace(/^W\//, ""));
  return named.includes(etag) || named.includes("*");
}
