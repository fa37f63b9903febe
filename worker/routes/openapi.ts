import { type App, route } from "../context.js";
import { openApiDocument } from "../openapi/document.js";

/** `GET /openapi.json`: the description of the HTTP API. It needs no token, and holds nothing of this Worker's data. */
export function openApiRoutes(app: App): void {
  route(app, "/openapi.json", {
    GET: (c) => {
      c.header("cache-control", "public, max-age=300");
      c.header("access-control-allow-origin", "*");
      return c.json(openApiDocument());
    },
  });
}
