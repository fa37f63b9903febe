import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { onUpstash, onWorker, throughGateways } from "../arms/ours.js";
import type { Measure } from "../bench.js";
import { TOKEN } from "../lab.js";
import { OPERATIONS } from "../operations.js";
import { atMost, figure, type Result } from "../result.js";

/** HTTP requests of each public operation, counted where they arrive: the most that one takes. */
export const requestsPerOperation: Measure = {
  name: "requests-per-operation",
  title: "HTTP requests of a public operation",
  async run({ lab }) {
    await lab.setRtt(0);
    const results: Result[] = [];
    for (const { arm, trackers } of throughGateways(lab)) {
      let most = 0;
      for (const { name, prepare, run } of OPERATIONS) {
        await prepare?.(trackers, name);
        await lab.counts();
        await run(trackers, name);
        most = Math.max(most, (await lab.counts()).requests);
      }
      const note = `the most of ${OPERATIONS.length} operations`;
      results.push(figure(most, "requests", { what: "HTTP requests an operation", arm, target: atMost(1), note }));
    }
    return [...results, ...(await triesAtDeadServers())];
  },
};

/** How often a call is tried whose replies are all lost, counted by the server that loses them. */
async function triesAtDeadServers(): Promise<Result[]> {
  const arms = { "ours, Redis over REST": onUpstash, "ours, Worker over HTTP": onWorker };
  const results: Result[] = [];
  for (const [arm, on] of Object.entries(arms)) {
    let tries = 0;
    const server = createServer((request) => {
      tries++;
      request.socket.destroy();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const { groups } = on({ url: `http://127.0.0.1:${port}`, token: TOKEN });
    await groups.ack("group", "task").then(
      () => Promise.reject(new Error("the server should have lost the reply")),
      () => {},
    );
    await new Promise((resolve) => server.close(resolve));
    results.push(
      figure(tries, "requests", { what: "tries of a call whose replies are all lost", arm, target: atMost(3) }),
    );
  }
  return results;
}
