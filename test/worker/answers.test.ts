import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { HttpCoordinator } from "../../src/backends/http/index.js";
import { CompletionTracker } from "../../src/index.js";
import { TOKEN } from "./client.js";

const MB = 1_048_576;
const RESULTS = 400;
const ITEMS = 3_000;

let worker: WorkerHost;
let sizes: number[] = [];
let c: HttpCoordinator;

beforeAll(async () => {
  worker = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN } });
  const measured = async (url: string, init: RequestInit): Promise<Response> => {
    const response = await fetch(url, init);
    const text = await response.text();
    sizes.push(text.length);
    return new Response(text, response);
  };
  c = new HttpCoordinator({ url: worker.url, token: TOKEN, fetch: measured });
  for (let i = 0; i < ITEMS; i += 100) await c.rpush("list", ...items(i, 100));
  const tracker = new CompletionTracker(c);
  await tracker.register("group", RESULTS);
  for (let i = 0; i < RESULTS; i += 10) {
    const tasks = Array.from({ length: 10 }, (_, j) => ({ id: `t${i + j}`, result: "r".repeat(16_000) }));
    await tracker.ack("group", tasks);
  }
});
afterAll(() => worker.close());

function items(from: number, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${from + i}:${"x".repeat(2_000)}`);
}

interface BatchOutcome {
  readonly output?: { readonly values?: readonly string[]; readonly next?: number; readonly items?: readonly object[] };
  readonly problem?: {
    readonly status: number;
    readonly code: string;
    readonly retryable: boolean;
    readonly applied: string;
  };
  readonly noRoom?: boolean;
}

async function batch(operations: readonly object[]): Promise<{ outcomes: readonly BatchOutcome[]; bytes: number }> {
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };
  const answer = await fetch(`${worker.url}/v1/batch`, {
    method: "POST",
    headers,
    body: JSON.stringify({ operations }),
  });
  const text = await answer.text();
  expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "application/json"]);
  return { ...(JSON.parse(text) as { outcomes: readonly BatchOutcome[] }), bytes: Buffer.byteLength(text) };
}

describe("row 61: a small batch that asks for much", () => {
  it("is answered by pages that divide 4 MB among them", async () => {
    const read = { transition: "kv.lrange", id: "list", input: {} };
    const { outcomes, bytes } = await batch(Array.from({ length: 10 }, () => read));
    expect(bytes).toBeLessThan(4.1 * MB);
    // A tenth of 4 MB each, and where it goes on.
    expect(outcomes.map(({ output }) => output?.next)).toEqual(Array(10).fill(209));
    const tenth = await batch([{ ...read, input: { bytes: 1_000 } }, read]);
    expect(tenth.outcomes.map(({ output }) => output?.values?.length)).toEqual([1, 523]);
  });

  it("reads whole lists all the same, request by request", async () => {
    sizes = [];
    const lists = await Promise.all(Array.from({ length: 10 }, () => c.lrange("list")));
    for (const list of lists) expect(list).toEqual(items(0, ITEMS));
    expect(Math.max(...sizes)).toBeLessThan(4.1 * MB);
  });
});

describe("row 60: a hundred pages of results in one turn", () => {
  it("all come, in answers of 4 MB at most", async () => {
    sizes = [];
    const tracker = new CompletionTracker(c);
    const pages = await Promise.all(Array.from({ length: 100 }, () => tracker.results("group", { limit: 100 })));
    for (const page of pages) expect(page?.items.length).toBeGreaterThan(0);
    expect(Math.max(...sizes)).toBeLessThan(4.1 * MB);
  });
});

describe("row 60: answers that are no pages", () => {
  const GROUPS = 100;
  const id = (i: number): string => `failing-${i}`;

  it("stop at 4 MB too: the other operations fail as retryable, and succeed when sent again", async () => {
    const tracker = new CompletionTracker(c);
    // A status with 16 KB of metadata and twenty errors of 256 bytes, whose characters JSON writes with six.
    const error = "\u0001".repeat(1_000);
    const metadata = "x".repeat(16_000);
    for (let i = 0; i < GROUPS; i++) {
      await tracker.register(id(i), 100, { metadata });
      for (let from = 0; from < 100; from += 25) {
        const tasks = Array.from({ length: 25 }, (_, j) => ({ id: `t${from + j}`, error }));
        await tracker.ack(id(i), tasks);
      }
    }
    const read = Array.from({ length: GROUPS }, (_, i) => ({ transition: "completion.status", id: id(i), input: {} }));
    const { outcomes, bytes } = await batch(read);
    expect(bytes).toBeLessThan(4.2 * MB);
    const told = outcomes.filter(({ output }) => output !== undefined).length;
    expect(told).toBeGreaterThan(3);
    expect(told).toBeLessThan(GROUPS);
    for (const { output, problem, noRoom } of outcomes) {
      if (output !== undefined) continue;
      expect(problem).toMatchObject({ status: 429, code: "limit_exceeded", retryable: true, applied: "no" });
      expect(noRoom).toBe(true);
    }
    sizes = [];
    const all = await Promise.all(Array.from({ length: GROUPS }, (_, i) => tracker.status(id(i))));
    expect(all.map((status) => status?.failed)).toEqual(Array(GROUPS).fill(100));
    expect(Math.max(...sizes)).toBeLessThan(4.2 * MB);
  });
});
