import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Random } from "../../dev/random.js";

/** How far a delivery has come at the receiver: there, half of it, applied, half of the answer, the whole answer. */
export const MOMENTS = ["arrival", "body", "applied", "answer", "answered"] as const;
export type Moment = (typeof MOMENTS)[number];

/** One request that came. */
export interface Arrival {
  /** Once its text is taken. */
  groupId?: string;
  readonly deliveryId: string;
  /** Which attempt it says it is; webhooks do not say. */
  readonly attempt: number | undefined;
  readonly atMs: number;
  /** What it brought, once that was whole and taken. */
  text?: string;
}

const MAX_STEP_MS = 20;
/** Of deliveries, that the receiver has no time for: they must come again. */
const REFUSED = 0.1;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Takes deliveries, slowly, keeps what came, and can kill the sender at a moment of one. */
export class KillingReceiver {
  readonly arrivals: Arrival[] = [];
  /** The groups of which a delivery was answered, or began to be. */
  readonly answered = new Set<string>();
  readonly #random: Random;
  readonly #server: Server;
  #armed: { readonly moment: Moment; readonly kill: () => void } | undefined;

  private constructor(random: Random) {
    this.#random = random;
    this.#server = createServer((request, response) => void this.#take(request, response).catch(() => {}));
  }

  static async start(random: Random): Promise<KillingReceiver> {
    const receiver = new KillingReceiver(random);
    receiver.#server.listen(0, "127.0.0.1");
    await once(receiver.#server, "listening");
    return receiver;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Calls `kill` when the next delivery comes so far; without arguments: not any more. */
  arm(moment?: Moment, kill?: () => void): void {
    this.#armed = moment === undefined || kill === undefined ? undefined : { moment, kill };
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { headers } = request;
    const arrival: Arrival = {
      deliveryId: String(headers["webhook-id"] ?? headers["delivery-id"]),
      attempt: headers.attempt === undefined ? undefined : Number(headers.attempt),
      atMs: performance.now(),
    };
    this.arrivals.push(arrival);
    await this.#reach("arrival");
    let text = "";
    for await (const chunk of request) {
      if (text === "") this.#killAt("body");
      text += chunk;
    }
    if (this.#random.chance(REFUSED)) {
      response.writeHead(503).end();
      return;
    }
    arrival.text = text;
    arrival.groupId = groupOf(text);
    await this.#reach("applied");
    this.answered.add(arrival.groupId);
    response.writeHead(200, { "content-length": "4" }).write("do");
    await this.#reach("answer");
    response.end("ne");
    await pause(this.#random.next() * 4);
    this.#killAt("answered");
  }

  async #reach(moment: Moment): Promise<void> {
    this.#killAt(moment);
    await pause(this.#random.next() * MAX_STEP_MS);
  }

  #killAt(moment: Moment): void {
    if (this.#armed?.moment !== moment) return;
    const { kill } = this.#armed;
    this.#armed = undefined;
    kill();
  }
}

/** Webhooks and the handler tell of a group alike. */
function groupOf(text: string): string {
  return (JSON.parse(text) as { data: { groupId: string } }).data.groupId;
}
