import { serve } from "@hono/node-server";
import { MemoryCoordinator } from "edge-coordinator";
import { receiver } from "./app.js";

const { WEBHOOK_SECRET: secret } = process.env;
if (secret === undefined) throw new Error("set WEBHOOK_SECRET to the secret that the sender signs with");

const app = receiver({
  coordinator: new MemoryCoordinator(),
  secret,
  fulfil: async ({ id, order }) => console.log(`order ${order} is fulfilled, by ${id}`),
});

// From this machine alone. In production, HOST=0.0.0.0 behind a proxy.
const hostname = process.env.HOST ?? "127.0.0.1";
serve({ fetch: app.fetch, hostname, port: Number(process.env.PORT ?? 3000) }, ({ port }) => {
  console.log(`Listening on http://localhost:${port}`);
});
