import { Redis } from "@upstash/redis";
import { PollingCompletion } from "../../test/polling/completion.js";
import type { Connection } from "../../test/polling/connection.js";
import { PollingRequestWait } from "../../test/polling/request-wait.js";
import { PollingStats } from "../../test/polling/stats.js";
import type { Address } from "../lab.js";

/** A client that sends what it is told, one request a command, once. */
export function bareRedis({ url, token }: Address, enableAutoPipelining = false): Redis {
  return new Redis({ url, token, enableAutoPipelining, retry: false, enableTelemetry: false });
}

/** The client's own way to send a command that is given as a list. */
class CommandClient extends Redis {
  async send<T>(path: string[], body: unknown): Promise<T> {
    return (await this.client.request<T>({ path, body })) as T;
  }
}

function commandClient({ url, token }: Address): CommandClient {
  return new CommandClient({ url, token, retry: false, enableTelemetry: false });
}

/** The polling design's connection: a request a command. */
export class RestConnection implements Connection {
  readonly #client: CommandClient;

  constructor(address: Address) {
    this.#client = commandClient(address);
  }

  async send(command: readonly string[]): Promise<unknown> {
    const { result } = await this.#client.send<{ result: unknown }>([], command);
    return result;
  }
}

/** The polling design's trackers over REST. */
export class PollingArm {
  readonly completion: PollingCompletion;
  readonly requests: PollingRequestWait;
  readonly stats: PollingStats;

  constructor(address: Address) {
    const connection = new RestConnection(address);
    this.completion = new PollingCompletion(connection);
    this.requests = new PollingRequestWait(connection);
    this.stats = new PollingStats(connection, "bench");
  }

  /** What a worker does when a task is done: ack, mark done, count. */
  async task(group: string, request: string, root: string): Promise<void> {
    await this.completion.ack(group);
    await this.requests.markDone(request, root);
    await this.stats.merge(request, { processed: 1 });
  }
}

/** The same commands, those of a task in one request: as fast as the design can be made without a script. */
export class PipelinedPolling {
  readonly #client: CommandClient;

  constructor(address: Address) {
    this.#client = commandClient(address);
  }

  async send(...commands: readonly (readonly string[])[]): Promise<unknown[]> {
    const replies = await this.#client.send<{ result: unknown }[]>(["pipeline"], commands);
    return replies.map(({ result }) => result);
  }

  async ack(group: string): Promise<void> {
    await this.send(...ackCommands(group));
  }

  async task(group: string, request: string, root: string): Promise<void> {
    const { pending, processed } = PollingRequestWait.keysOf(request);
    const counts = `stats|bench|${request}|processed`;
    await this.send(
      ...ackCommands(group),
      ["SREM", pending, root],
      ["INCR", processed],
      ["INCRBY", counts, "1"],
      ["EXPIRE", counts, TTL_SEC],
      ["RPUSH", "stats|bench", request],
      ["EXPIRE", "stats|bench", TTL_SEC],
    );
  }

  /** One look of the owner at its group: whether all is done. */
  async tick(group: string): Promise<boolean> {
    const counter = PollingCompletion.counterKey(group);
    const registration = PollingCompletion.registrationKey(group);
    const [, left] = await this.send(
      ["EXISTS", registration],
      ["GET", counter],
      ["EXPIRE", counter, TTL_SEC],
      ["EXPIRE", registration, TTL_SEC],
    );
    return Number(left ?? 0) <= 0;
  }

  /** One look of a waiter. */
  async isComplete(request: string): Promise<boolean> {
    const keys = Object.values(PollingRequestWait.keysOf(request));
    const [pending] = await this.send(["SCARD", keys[0] ?? ""], ...keys.map((key) => ["EXPIRE", key, TTL_SEC]));
    return Number(pending) === 0;
  }
}

const TTL_SEC = "3600";

function ackCommands(group: string): string[][] {
  const key = PollingCompletion.counterKey(group);
  return [
    ["GET", key],
    ["EXPIRE", key, TTL_SEC],
    ["DECR", key],
  ];
}
