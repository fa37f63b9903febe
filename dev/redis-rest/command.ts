import { RestError } from "./rest-error.js";

/** A command and its arguments. The name is in capitals, which also keeps ioredis from reshaping the reply. */
export interface Command {
  readonly name: string;
  readonly args: readonly (string | Buffer)[];
}

/** What needs a connection of its own, or changes the one that all requests share. */
const REFUSED = new Set(
  (
    "ASKING AUTH BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN CLIENT DEBUG DISCARD EXEC FAILOVER HELLO MIGRATE " +
    "MONITOR MULTI PSUBSCRIBE PSYNC PUNSUBSCRIBE QUIT READONLY READWRITE REPLCONF REPLICAOF RESET SELECT SHUTDOWN SLAVEOF SSUBSCRIBE " +
    "SUBSCRIBE SUNSUBSCRIBE SWAPDB SYNC UNSUBSCRIBE UNWATCH WAIT WAITAOF WATCH"
  ).split(" "),
);

function argument(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw new RestError(400, "ERR failed to parse command: an argument must be a string, a number or a boolean");
}

/** @throws RestError 400 when there is no command, or one that is not available over HTTP */
export function makeCommand(name: string | undefined, args: readonly (string | Buffer)[]): Command {
  if (name === undefined || name === "") throw new RestError(400, "ERR empty command");
  const upper = name.toUpperCase();
  if (REFUSED.has(upper)) throw new RestError(400, `ERR Command is not available: '${upper}'`);
  return { name: upper, args };
}

/**
 * A command as a JSON array: `["SET", "key", 1]`.
 *
 * @throws RestError 400
 */
export function parseCommand(value: unknown): Command {
  if (!Array.isArray(value)) throw new RestError(400, "ERR failed to parse command: expected a JSON array");
  const [name, ...args] = value.map(argument);
  return makeCommand(name, args);
}

/**
 * Several commands: an array of arrays.
 *
 * @throws RestError 400
 */
export function parseCommands(value: unknown): Command[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw new RestError(400, "ERR failed to parse pipeline: expected an array of commands");
  }
  return value.map(parseCommand);
}

/**
 * A command in the path: `/set/key/value?EX=100`. A body is the last argument of the path, the query's pairs follow it.
 *
 * @throws RestError 400
 */
export function commandFromPath(segments: readonly string[], body: Buffer, query: URLSearchParams): Command {
  const [name, ...args] = segments;
  const options = [...query]
    .filter(([key]) => key !== "_token")
    .flatMap(([key, value]) => (value ? [key, value] : [key]));
  return makeCommand(name, [...args, ...(body.length > 0 ? [body] : []), ...options]);
}
