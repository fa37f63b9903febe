import { startRestServer } from "../../dev/redis-rest/index.js";
import { Gateway } from "../gateway.js";

/** What this process is started with, as its one argument in JSON. */
export interface FrontStart {
  readonly redisUrl: string;
  readonly token: string;
  readonly workerUrl: string;
}

/** What stands ready: the REST server itself, and a gateway before it and before the Worker. */
export interface FrontReady {
  readonly restUrl: string;
  readonly restGatewayUrl: string;
  readonly workerGatewayUrl: string;
}

/** HTTP requests since the last question, at both gateways. */
export interface FrontCounts {
  readonly requests: number;
  readonly streams: number;
}

/** A new distance, or none; every question is answered with the counts, which then begin at 0. */
export interface FrontQuestion {
  readonly rttMs?: number;
}

// The REST server and the gateways, apart from the process of the clients, as they are in life.
const { redisUrl, token, workerUrl } = JSON.parse(process.argv[2] ?? "") as FrontStart;
const rest = await startRestServer({ redisUrl, token });
const gateways = [await Gateway.open(rest.url), await Gateway.open(workerUrl)] as const;

process.on("message", ({ rttMs }: FrontQuestion) => {
  const counts = { requests: 0, streams: 0 };
  for (const gateway of gateways) {
    counts.requests += gateway.requests;
    counts.streams += gateway.streams;
    gateway.requests = gateway.streams = 0;
    if (rttMs !== undefined) gateway.rttMs = rttMs;
  }
  process.send?.(counts satisfies FrontCounts);
});
process.once("disconnect", () => process.exit());

const [restGateway, workerGateway] = gateways;
process.send?.({
  restUrl: rest.url,
  restGatewayUrl: restGateway.url,
  workerGatewayUrl: workerGateway.url,
} satisfies FrontReady);
