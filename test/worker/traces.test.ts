import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { HttpCoordinator } from "../../src/backends/http/index.js";
import { mintCapability } from "../../src/capability/index.js";
import { CompletionTracker, RequestWaitTracker } from "../../src/index.js";
import { validTraceparent } from "../../src/lib/traceparent.js";
import { verify } from "../../src/webhook/index.js";
import { keyOf } from "../capability/forge.js";
import { type ReceivedWebhook, type Receiver, startReceiver } from "../webhook/receiver.js";
import { type Client, clientOf, freshId, TOKEN } from "./client.js";

const SECRET = `whsec_${btoa("k".repeat(32))}`;
const KEY = keyOf(1);
/** Trace contexts; the first is recorded, the others are not. */
const [ONE, TWO, THREE] = ["1", "2", "3"].map((n) => `00-${n.repeat(32)}-${n.repeat(16)}-0${n === "1" ? 1 : 0}`) as [
  string,
  string,
  string,
];

let worker: WorkerHost;
let receiver: Receiver;
let call: Client;
let remote: HttpCoordinator;
let answers: number[] = [];
/** How many webhooks came before the test. */
let before = 0;

beforeAll(async () => {
  receiver = await startReceiver((_, response) => void response.writeHead(answers.shift() ?? 204).end());
  worker = await startWorker({
    vars: {
      COORDINATOR_TOKEN: TOKEN,
      COORDINATOR_CAPABILITY_KEY: KEY,
      WEBHOOK_SECRET: SECRET,
      WEBHOOK_ALLOWED_HOSTS: receiver.host,
      WEBHOOK_ALLOW_HTTP: "true",
    },
  });
  call = clientOf(worker.url);
  remote = new HttpCoordinator({ url: worker.url, token: TOKEN, allowHttp: true });
});
afterAll(async () => {
  await worker.close();
  await receiver.close();
});
beforeEach(() => {
  answers = [];
  before = receiver.received.length;
});

const traced = (traceparent: string) => ({ headers: { traceparent } });
const webhook = {
  onEnd: {
    get url() {
      return receiver.url;
    },
  },
};

/** The n-th webhook, with what its signature covers. */
async function arrived(n = 1): Promise<{ header: string | undefined; trace: unknown; received: ReceivedWebhook }> {
  await expect.poll(() => receiver.received.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(before + n);
  const received = receiver.received[before + n - 1] as ReceivedWebhook;
  const { payload } = await verify({ secrets: SECRET, headers: received.headers, body: received.body });
  const header = received.headers.traceparent as string | undefined;
  return { header, trace: (payload as { trace?: unknown }).trace, received };
}

describe("a webhook", () => {
  it("is a new trace at each attempt, and its signed body names the traces to link to", async () => {
    answers = [503];
    const path = `/v1/groups/${freshId()}`;
    await call("PUT", path, { body: { tasks: ["a", "b"], ...webhook }, ...traced(ONE) });
    await call("POST", `${path}/acks`, { body: { tasks: ["a"] }, ...traced(THREE) });
    await call("POST", `${path}/acks`, { body: { tasks: ["b"] }, ...traced(TWO) });
    const [first, second] = [await arrived(1), await arrived(2)];
    expect(first.trace).toEqual({ registered: ONE, ended: TWO });
    expect(second.received.body).toBe(first.received.body);
    for (const { header } of [first, second])
      expect(header).toMatch(/^00-(?!1{32}|2{32})[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    expect(validTraceparent(first.header)).toBe(first.header);
    expect(first.header?.slice(0, 35)).not.toBe(second.header?.slice(0, 35));
  });

  it("is not recorded where neither of the linked traces is", async () => {
    const path = `/v1/groups/${freshId()}`;
    await call("PUT", path, { body: { total: 1, ...webhook }, ...traced(TWO) });
    await call("POST", `${path}/decrement`, { body: {}, ...traced(THREE) });
    const { header, trace } = await arrived();
    expect([header?.slice(-3), trace]).toEqual(["-00", { registered: TWO, ended: THREE }]);
  });

  it.each([undefined, "00-not-a-trace", `${ONE}, ${TWO}`])("has neither where calls send: %s", async (traceparent) => {
    const headers = traceparent === undefined ? {} : { traceparent };
    const path = `/v1/groups/${freshId()}`;
    expect((await call("PUT", path, { body: { tasks: ["a"], ...webhook }, headers })).status).toBe(200);
    await call("POST", `${path}/acks`, { body: { tasks: ["a"] }, headers });
    const { header, received } = await arrived();
    expect(header).toBeUndefined();
    expect(Object.keys(JSON.parse(received.body))).toEqual(["type", "timestamp", "data"]);
  });
});

describe("the trace of the ack that ended the group", () => {
  const ends: Readonly<Record<string, (id: string) => Promise<unknown>>> = {
    "an ack of the library's client": (id) => new CompletionTracker(remote).ack(id, "a", { traceparent: TWO }),
    "a failure of the library's client": (id) =>
      new CompletionTracker(remote).fail(id, "a", "broken", { traceparent: TWO }),
    "an operation of a batch with its own trace": async (id) => {
      const tracker = new CompletionTracker(remote);
      await Promise.all([
        tracker.ack(id, "a", { traceparent: TWO }),
        tracker.ack("another", "a", { traceparent: THREE }),
      ]);
    },
    "an operation of a batch, by the header": (id) =>
      call("POST", "/v1/batch", {
        body: { operations: [{ transition: "completion.ack", id, input: ackOf("a") }] },
        ...traced(TWO),
      }),
    "a transition, by the header": (id) =>
      call("POST", "/v1/run/completion/ack", { body: { id, input: ackOf("a") }, ...traced(TWO) }),
    "a transition's own input, over the header": (id) =>
      call("POST", "/v1/run/completion/ack", {
        body: { id, input: { ...ackOf("a"), traceparent: TWO } },
        ...traced(THREE),
      }),
    "a callback URL": async (id) => {
      const { json } = await call("POST", `/v1/groups/${id}/callbacks`, { body: { task: "a" } });
      const { url } = json as unknown as { url: string };
      await call("POST", url.slice(worker.url.length), { token: null, body: {}, ...traced(TWO) });
    },
    "a capability": async (id) => {
      const token = (await mintCapability({ keys: KEY, groupId: id, verbs: ["ack"] })).token;
      await call("POST", `/v1/groups/${id}/acks`, { token, body: { tasks: ["a"] }, ...traced(TWO) });
    },
  };
  it.each(Object.keys(ends))("comes from %s", async (name) => {
    const id = freshId();
    await new CompletionTracker(remote).register(id, ["a"], { ...webhook, traceparent: ONE });
    await ends[name]?.(id);
    expect((await arrived()).trace).toEqual({ registered: ONE, ended: TWO });
  });

  it.each(["ack", "fail", "POST"])("comes from a request's last task: %s", async (how) => {
    const id = freshId();
    const requests = new RequestWaitTracker(remote, { stages: ["parse"] });
    if (how === "POST") await call("PUT", `/v1/requests/${id}`, { body: webhook, ...traced(ONE) });
    else await requests.register(id, { ...webhook, traceparent: ONE });
    await requests.add(id, "parse", "a");
    await requests.seal(id);
    if (how === "ack") await requests.ack(id, "parse", "a", { traceparent: TWO });
    if (how === "fail") await requests.fail(id, "parse", "a", "broken", { traceparent: TWO });
    if (how === "POST")
      await call("POST", `/v1/requests/${id}/acks`, { body: { stage: "parse", taskId: "a" }, ...traced(TWO) });
    expect((await arrived()).trace).toEqual({ registered: ONE, ended: TWO });
  });

  it("goes on to the parent that the end of its child ends", async () => {
    const [parent, child] = [freshId(), freshId()];
    const tracker = new CompletionTracker(remote);
    await tracker.register(parent, ["child"], { ...webhook, traceparent: ONE });
    await tracker.register(child, ["a"], { parent: { groupId: parent, taskId: "child" } });
    await tracker.ack(child, "a", { traceparent: TWO });
    expect((await arrived()).trace).toEqual({ registered: ONE, ended: TWO });
  });
});

const ackOf = (id: string) => ({ op: freshId(), tasks: [{ id }], earlyTtlMs: 0 });
