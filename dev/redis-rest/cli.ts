// `npm run redis`: a redis-server of one's own behind a REST server, until Ctrl-C.
import { randomBytes } from "node:crypto";
import { startRedis, startRestServer } from "./index.js";

const DEFAULT_PORT = 8079;

const port = Number(process.env.PORT ?? DEFAULT_PORT);
const token = process.env.UPSTASH_REDIS_REST_TOKEN ?? randomBytes(16).toString("hex");

const redis = await startRedis();
try {
  const rest = await startRestServer({ redisUrl: redis.url, token, port });
  console.log(`UPSTASH_REDIS_REST_URL=${rest.url}`);
  console.log(`UPSTASH_REDIS_REST_TOKEN=${token}`);
  console.log(`\nIn front of ${redis.url}; nothing is kept. Ctrl-C ends both.`);

  const signal = await new Promise<string>((resolve) => {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, resolve);
  });
  console.log(`${signal}: ending.`);
  await rest.close();
} finally {
  await redis.close();
}
