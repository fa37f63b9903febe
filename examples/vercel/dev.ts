// `npm run dev`: the app on node:http, for this machine alone, without a Vercel account.
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { serve } from "@hono/node-server";
import { handle } from "./src/handle.js";

if (existsSync(".env")) process.loadEnvFile();

// On Vercel the function goes on until this has settled. Here the process lives on anyway.
const context = { waitUntil: (work: Promise<unknown>) => void work.catch((error) => console.error(error)) };
const fetch = (request: Request) => handle(request, context);
serve({ fetch, hostname: "127.0.0.1", port: Number(process.env.PORT ?? 3000) }, ({ port }) => {
  process.env.APP_URL ||= `http://127.0.0.1:${port}`;
  for (const name of ["API_TOKEN", "CRON_SECRET"]) {
    if (process.env[name]) continue;
    process.env[name] = randomBytes(16).toString("hex");
    console.log(`${name}=${process.env[name]} (of this run alone; .env sets one that stays)`);
  }
  console.log(`Listening on http://localhost:${port}`);
});
