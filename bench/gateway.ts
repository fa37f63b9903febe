import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

const REQUEST_LINE = /\b[A-Z]+ (\S+) HTTP\/1\.1\r\n/g;
/** Longer than any request line: what may be the beginning of one at the end of a piece. */
const MAX_LINE = 1_024;

/**
 * A server's front door, as far away as it is told: what goes in and what comes out are each held up by half of the round trip,
 * as they are, so that the door itself takes next to no time. It counts the HTTP requests that pass, those for streams too.
 */
export class Gateway {
  rttMs = 0;
  requests = 0;
  /** Those whose path begins with `/subscribe`. */
  streams = 0;
  readonly #target: URL;
  readonly #server = createServer({ noDelay: true }, (client) => this.#pass(client));

  private constructor(target: string) {
    this.#target = new URL(target);
  }

  /** @param target an address with a port. */
  static async open(target: string): Promise<Gateway> {
    const gateway = new Gateway(target);
    gateway.#server.listen(0, "127.0.0.1");
    await once(gateway.#server, "listening");
    return gateway;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #pass(client: Socket): void {
    const { hostname, port } = this.#target;
    const server = connect({ host: hostname, port: Number(port), noDelay: true });
    const seen = { rest: "" };
    client.on("data", (piece) => this.#count(seen, piece));
    this.#forward(client, server);
    this.#forward(server, client);
  }

  #forward(from: Socket, to: Socket): void {
    // Timers of one length fire in the order in which they were set: the pieces stay in theirs.
    from.on("data", (piece) => this.#halfWay(() => to.write(piece)));
    from.on("end", () => this.#halfWay(() => to.end()));
    from.on("error", () => to.destroy());
    from.on("close", () => this.#halfWay(() => to.destroySoon()));
  }

  #count(seen: { rest: string }, piece: Buffer): void {
    const text = seen.rest + piece.toString("latin1");
    let counted = 0;
    for (const line of text.matchAll(REQUEST_LINE)) {
      this.requests++;
      if (line[1]?.startsWith("/subscribe") === true) this.streams++;
      counted = line.index + line[0].length;
    }
    seen.rest = text.slice(Math.max(counted, text.length - MAX_LINE));
  }

  #halfWay(go: () => void): void {
    if (this.rttMs === 0) go();
    else setTimeout(go, this.rttMs / 2);
  }
}
