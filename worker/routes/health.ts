import { type App, type AppContext, route } from "../context.js";
import { VERSION } from "../version.js";

/** `GET /health`: needs no token and touches no storage. */
export function healthRoutes(app: App): void {
  route(app, "/health", { GET: health });
}

function health(c: AppContext): Response {
  return c.json({ status: "ok", version: VERSION });
}
