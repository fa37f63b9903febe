import { once } from "node:events";
import { Agent, createServer, type IncomingMessage, type ServerResponse, request as sendRequest } from "node:http";
import type { AddressInfo } from "node:net";

const IDLE_MS = 2_000;

/**
 * A server's front door, as far away as it is told: what goes in and what comes out are each held up by half of the round trip.
 * It counts the HTTP requests that pass, those for streams too.
 */
export class Gateway {
  rttMs = 0;
  requests = 0;
  /** Those whose path begins with `/subscribe`. */
  streams = 0;
  readonly #target: string;
  /** Idle connections are closed before a server closes them: one that both use at that moment would look like a fault. */
  readonly #agent = new Agent({ keepAlive: true, timeout: IDLE_MS });
  readonly #server = createServer((request, response) => this.#pass(request, response));

  private constructor(target: string) {
    this.#target = target;
  }

  /** @param target an address without a slash at its end. */
  static async open(target: string): Promise<Gateway> {
    const gateway = new Gateway(target);
    gateway.#server.listen(0, "127.0.0.1");
    await once(gateway.#server, "listening");
    return gateway;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    this.#agent.destroy();
  }

  #pass(incoming: IncomingMessage, response: ServerResponse): void {
    this.requests++;
    if (incoming.url?.startsWith("/subscribe") === true) this.streams++;
    const { method, headers } = incoming;
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () =>
      this.#halfWay(() => {
        const outgoing = sendRequest(this.#target + incoming.url, { method, headers, agent: this.#agent }, (answer) =>
          this.#answer(answer, response),
        );
        outgoing.on("error", () => response.destroy());
        response.on("close", () => outgoing.destroy());
        outgoing.end(Buffer.concat(chunks));
      }),
    );
  }

  #answer(answer: IncomingMessage, response: ServerResponse): void {
    this.#halfWay(() => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      response.flushHeaders();
    });
    // Timers of one length fire in the order in which they were set: the chunks stay in theirs.
    answer.on("data", (chunk: Buffer) => this.#halfWay(() => response.write(chunk)));
    answer.on("end", () => this.#halfWay(() => response.end()));
  }

  #halfWay(go: () => void): void {
    if (this.rttMs === 0) go();
    else setTimeout(go, this.rttMs / 2);
  }
}
