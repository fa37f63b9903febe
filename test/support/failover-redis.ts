import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { Redis } from "ioredis";
import { type RedisProcess, type RestServer, startRedis, startRestServer } from "../../dev/redis-rest/index.js";

const SYNC_TIMEOUT_MS = 10_000;
const LOOK_MS = 10;

/** The one way from a standby to its primary. Once it is cut, nothing more comes through, without a notice. */
class Link {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async to(port: number): Promise<Link> {
    const server = createServer((standby) => {
      const primary = connect(port, "127.0.0.1");
      for (const socket of [standby, primary]) {
        link.#sockets.add(socket);
        socket.on("error", () => {});
      }
      standby.pipe(primary);
      primary.pipe(standby);
    });
    const link = new Link(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return link;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("The link has no port.");
    return address.port;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.unpipe().pause();
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

/** A server of the pair, and a connection for orders to it. */
interface Member {
  readonly process: RedisProcess;
  readonly orders: Redis;
}

async function startMember(): Promise<Member> {
  const process = await startRedis();
  const orders = new Redis(process.url, { maxRetriesPerRequest: 0, retryStrategy: () => null });
  orders.on("error", () => {});
  return { process, orders };
}

/**
 * A Redis behind the REST protocol that is replicated to a standby, asynchronously. `cut` and `failOver` lose what was
 * written in between: the address stays, and the standby answers.
 */
export class FailoverRedis {
  #primary: Member;
  #standby: Member | undefined;
  #link: Link | undefined;
  #rest: RestServer;
  readonly #token: string;

  private constructor(primary: Member, rest: RestServer, token: string) {
    this.#primary = primary;
    this.#rest = rest;
    this.#token = token;
  }

  static async start(token: string): Promise<FailoverRedis> {
    const primary = await startMember();
    return new FailoverRedis(primary, await startRestServer({ redisUrl: primary.process.url, token }), token);
  }

  /** The REST server's; the same after a failover. */
  get url(): string {
    return this.#rest.url;
  }

  /** Has a new standby copy everything, and follow. */
  async replicate(): Promise<void> {
    const standby = await startMember();
    this.#standby = standby;
    this.#link = await Link.to(this.#primary.process.port);
    await this.#primary.orders.config("SET", "repl-diskless-sync-delay", "0");
    await standby.orders.replicaof("127.0.0.1", this.#link.port);
    const untilMs = Date.now() + SYNC_TIMEOUT_MS;
    while (!(await standby.orders.info("replication")).includes("master_link_status:up")) {
      if (Date.now() > untilMs) throw new Error("The standby did not follow.");
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** Resolves when the standby has all that was written until now. */
  async settle(): Promise<void> {
    const { orders } = this.#primary;
    // WAIT goes by the writes of its own connection: this one comes after all the others.
    await orders.incr("settled");
    if ((await orders.wait(1, SYNC_TIMEOUT_MS)) < 1) throw new Error("The standby does not follow.");
  }

  /** From now on, what is written is lost by the failover. */
  cut(): void {
    this.#link?.cut();
  }

  /** kill -9 of the primary; the standby takes its place, as it is. */
  async failOver(): Promise<void> {
    const { process, orders } = this.#primary;
    await process.close();
    orders.disconnect();
    if (this.#standby === undefined) throw new Error("There is no standby.");
    this.#primary = this.#standby;
    this.#standby = undefined;
    this.#link?.close();
    await this.#primary.orders.replicaof("NO", "ONE");
    const { port } = new URL(this.#rest.url);
    await this.#rest.close();
    const redisUrl = this.#primary.process.url;
    this.#rest = await startRestServer({ redisUrl, token: this.#token, port: Number(port) });
  }

  async close(): Promise<void> {
    await this.#rest.close();
    this.#link?.close();
    for (const member of [this.#primary, this.#standby]) {
      member?.orders.disconnect();
      await member?.process.close();
    }
  }
}
