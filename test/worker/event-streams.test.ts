import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { type Client, clientOf, freshId, TOKEN } from "./client.js";

const OTHER = "a-token-of-another-tenant";
/** A Worker whose objects are overloaded between `/away` and `/back`. */
const FAILING = `
  import { createWorker } from "./worker/index.js";
  export { CoordinatorWorkerObject } from "./worker/index.js";
  let isAway = false;
  const away = () => Promise.reject(Object.assign(new Error("away"), { overloaded: true, retryable: true }));
  const objects = (all) => ({
    idFromName: (name) => all.idFromName(name),
    get: (id) => {
      const object = all.get(id);
      return new Proxy({}, { get: (_, step) => (...given) => (isAway ? away() : object[step](...given)) });
    },
  });
  const worker = createWorker({ namespace: (env) => objects(env.COORDINATOR) });
  export default {
    fetch: (request, env, ctx) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/away" || pathname === "/back") {
        isAway = pathname === "/away";
        return new Response("ok");
      }
      return worker.fetch(request, env, ctx);
    },
  };
`;

let worker: WorkerHost;
let call: Client;

beforeAll(async () => {
  const vars = { COORDINATOR_TOKEN: TOKEN, COORDINATOR_TOKENS: JSON.stringify({ [OTHER]: "other" }) };
  worker = await startWorker({ vars, source: FAILING });
  call = clientOf(worker.url);
});
afterAll(() => worker.close());

interface Event {
  readonly event: string;
  readonly id: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Follows a stream: each event as it comes. */
class Follower {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #events: Event[] = [];
  #text = "";
  #isOver = false;

  constructor(readonly response: Response) {
    this.#reader = (response.body as ReadableStream<Uint8Array>).getReader();
  }

  static async of(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Follower> {
    return new Follower(await fetch(worker.url + path, { headers: { authorization: `Bearer ${TOKEN}`, ...headers } }));
  }

  /** Returns the next event; `undefined` when the stream is over. */
  async next(): Promise<Event | undefined> {
    while (this.#events.length === 0 && !this.#isOver) {
      const { done, value } = await this.#reader.read();
      this.#isOver = done;
      this.#text += new TextDecoder().decode(value);
      const blocks = this.#text.split("\n\n");
      this.#text = blocks.pop() ?? "";
      for (const block of blocks) {
        const [, event, id, data] = /^event: (.*)\nid: (.*)\ndata: (.*)$/.exec(block) ?? [];
        if (event !== undefined && id !== undefined && data !== undefined) {
          this.#events.push({ event, id, data: JSON.parse(data) });
        }
      }
    }
    return this.#events.shift();
  }

  close(): Promise<void> {
    return this.#reader.cancel();
  }
}

interface Kind {
  readonly made: () => Promise<string>;
  readonly done: (path: string, task: string) => Promise<unknown>;
  readonly end: string;
  readonly open: (data: Event["data"]) => unknown;
}

const group: Kind = {
  made: async () => {
    const path = `/v1/groups/${freshId()}`;
    await call("PUT", path, { body: { tasks: ["a", "b"] } });
    return path;
  },
  done: (path, task) => call("POST", `${path}/acks`, { body: { tasks: [task] } }),
  end: "completed",
  open: ({ remaining }) => remaining,
};
const request: Kind = {
  made: async () => {
    const path = `/v1/requests/${freshId()}`;
    await call("PUT", path);
    await call("POST", `${path}/tasks`, { body: { stage: "s", taskIds: ["a", "b"] } });
    await call("POST", `${path}/seal`);
    return path;
  },
  done: (path, task) => call("POST", `${path}/acks`, { body: { stage: "s", taskId: task } }),
  end: "complete",
  open: ({ open }) => open,
};

const SOURCE = { accept: "text/event-stream" };

describe.each([
  ["a group", group],
  ["a request", request],
] as const)("the events of %s", (_, { made, done, end, open }) => {
  it("report each change, and the end last", async () => {
    const path = await made();
    const events = await Follower.of(`${path}/events`);
    const { headers } = events.response;
    expect([events.response.status, headers.get("content-type")]).toEqual([200, "text/event-stream"]);
    expect(headers.get("cache-control")).toBe("no-store, no-transform");
    const first = await events.next();
    expect([first?.event, open(first?.data ?? {})]).toEqual(["progress", 2]);
    await done(path, "a");
    const second = await events.next();
    expect([second?.event, open(second?.data ?? {})]).toEqual(["progress", 1]);
    await done(path, "b");
    const last = await events.next();
    expect([last?.event, open(last?.data ?? {}), last?.data.state]).toEqual([end, 0, end]);
    expect(last?.data).toEqual((await call("GET", path)).json);
    expect(await events.next()).toBeUndefined();
  });

  it("go on after the event that the client has received, and are 204 after the end", async () => {
    const path = await made();
    const before = await Follower.of(`${path}/events`);
    const { id = "" } = (await before.next()) ?? {};
    await before.close();
    expect(id).toMatch(/^\d+\.\d+$/);
    const again = await Follower.of(`${path}/events`, { "last-event-id": id });
    await done(path, "a");
    const news = await again.next();
    expect([news?.event, open(news?.data ?? {})]).toEqual(["progress", 1]);
    await again.close();
    await done(path, "b");
    const late = await Follower.of(`${path}/events`, { "last-event-id": news?.id ?? "" });
    const last = await late.next();
    expect([last?.event, await late.next()]).toEqual([end, undefined]);
    const over = await call("GET", `${path}/events`, { headers: { "last-event-id": last?.id ?? "" } });
    expect([over.status, over.text]).toEqual([204, ""]);
    // Another version is no reason to keep the end from a client.
    const other = await Follower.of(`${path}/events`, { "last-event-id": "1.1" });
    expect((await other.next())?.event).toBe(end);
  });

  it("are unknown to another tenant, as those of no record are", async () => {
    const path = await made();
    const none = path.replace(/[^/]+$/, freshId());
    for (const [each, token] of [
      [path, OTHER],
      [none, TOKEN],
    ] as const) {
      const plain = await call("GET", `${each}/events`, { token });
      expect([plain.status, plain.json.code]).toEqual([404, "not_found"]);
      let lastEventId = "";
      for (let nth = 1; nth <= 5; nth++) {
        const headers = { ...SOURCE, ...(lastEventId === "" ? {} : { "last-event-id": lastEventId }) };
        const { status, text } = await call("GET", `${each}/events`, { token, headers });
        expect([status, text]).toEqual([200, expect.stringContaining("event: unknown")]);
        expect(text).toContain('data: {"state":"unknown"}');
        lastEventId = `unknown-${nth}`;
        expect(text).toContain(`id: ${lastEventId}`);
      }
      const headers = { ...SOURCE, "last-event-id": lastEventId };
      expect((await call("GET", `${each}/events`, { token, headers })).status).toBe(404);
    }
    // The version of one tenant's record says nothing about another's.
    const events = await Follower.of(`${path}/events`);
    const { id = "" } = (await events.next()) ?? {};
    await events.close();
    const stolen = { "last-event-id": id };
    expect((await call("GET", `${path}/events`, { token: OTHER, headers: stolen })).status).toBe(404);
  });

  it("end with the end of a record that is removed", async () => {
    const path = await made();
    const events = await Follower.of(`${path}/events`);
    await events.next();
    await call("DELETE", path);
    const last = await events.next();
    expect([last?.event, await events.next()]).toEqual(["cancelled", undefined]);
  });

  it("say when to connect again while the objects are overloaded, and only to a client that reads a stream", async () => {
    const path = await made();
    await fetch(`${worker.url}/away`);
    try {
      const passing = await call("GET", `${path}/events`, { headers: SOURCE });
      expect([passing.status, passing.text]).toEqual([200, expect.stringMatching(/^retry: \d+\n\n$/)]);
      expect(passing.headers.get("content-type")).toBe("text/event-stream");
      const plain = await call("GET", `${path}/events`);
      expect([plain.status, plain.json.retryable]).toEqual([429, true]);
    } finally {
      await fetch(`${worker.url}/back`);
    }
    const events = await Follower.of(`${path}/events`, SOURCE);
    expect((await events.next())?.event).toBe("progress");
    await events.close();
  });

  it("have no body for HEAD, and need a token", async () => {
    const path = await made();
    const head = await call("HEAD", `${path}/events`);
    expect([head.status, head.text]).toEqual([200, ""]);
    expect((await call("GET", `${path}/events`, { token: null })).status).toBe(401);
  });
});
