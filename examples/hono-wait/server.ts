import { serve } from "@hono/node-server";
import { app } from "./app.js";

// From this machine alone. In production, HOST=0.0.0.0 behind a proxy that authenticates.
const hostname = process.env.HOST ?? "127.0.0.1";
serve({ fetch: app.fetch, hostname, port: Number(process.env.PORT ?? 3000) }, ({ port }) => {
  console.log(`Listening on http://localhost:${port}`);
});
