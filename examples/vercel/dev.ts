// `npm run dev`: the app on node:http, without a Vercel account.
import { existsSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { serve } from "./serve.js";
import { handle } from "./src/handle.js";

if (existsSync(".env")) process.loadEnvFile();

// On Vercel the function goes on until this has settled. Here the process lives on anyway.
const context = { waitUntil: (work: Promise<unknown>) => void work.catch((error) => console.error(error)) };
const server = serve((request) => handle(request, context));
server.listen(Number(process.env.PORT ?? 3000), () => {
  const url = `http://localhost:${(server.address() as AddressInfo).port}`;
  process.env.APP_URL ||= url;
  process.env.CRON_SECRET ||= "only-for-development";
  console.log(`Listening on ${url}`);
});
