import { Redis } from "ioredis";
import type { Command } from "./command.js";

/** A connection that never sends a command twice on its own, and does not wait long for a server that is away. */
export function connect(redisUrl: string): Redis {
  const redis = new Redis(redisUrl, {
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    retryStrategy: (times) => Math.min(times * 50, 500),
  });
  // Without a listener ioredis prints; the commands that failed say so themselves.
  redis.on("error", () => {});
  return redis;
}

/** The command's reply, strings as buffers; an error of Redis is returned, a lost connection throws. */
export async function send(redis: Redis, command: Command): Promise<unknown> {
  return settle(redis.callBuffer(command.name, [...command.args]));
}

/** The replies of one MULTI … EXEC, or the error that kept it from running. */
export async function sendTransaction(redis: Redis, commands: readonly Command[]): Promise<unknown[] | Error> {
  // All of them are written in one go, so that nothing of another request comes between MULTI and EXEC.
  const queued = [redis.callBuffer("MULTI"), ...commands.map(({ name, args }) => redis.callBuffer(name, [...args]))];
  const [result] = await Promise.all([settle(redis.callBuffer("EXEC")), ...queued.map(settle)]);
  if (result instanceof Error) return result;
  if (!Array.isArray(result)) throw new Error("EXEC answered without a list.");
  return result;
}

function settle(reply: Promise<unknown>): Promise<unknown> {
  return reply.catch((error: unknown) => {
    if (error instanceof Error && error.name === "ReplyError") return error;
    throw error;
  });
}
