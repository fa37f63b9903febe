import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { HttpCoordinator } from "../src/backends/http/index.js";
import { UpstashCoordinator } from "../src/backends/upstash/index.js";
import { MAX_READ_BYTES } from "../src/http/read-body.js";
import type { Coordinator } from "../src/index.js";
import { ManualClock } from "../src/testing/index.js";
import { readJson, readOptionalJson } from "../worker/body.js";

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** A server whose every answer goes on for as long as it is read; says how many bytes it has sent. */
async function endless(status: number): Promise<{ url: string; sent: () => number; requests: () => number }> {
  const chunk = Buffer.alloc(65_536, 0x20);
  let sent = 0;
  let requests = 0;
  server = createServer((request, response) => {
    requests++;
    request.resume();
    response.writeHead(status, { "content-type": "application/json" });
    const write = (): void => {
      while (!response.destroyed && response.write(chunk)) sent += chunk.length;
    };
    response.on("drain", write);
    write();
  });
  await new Promise<void>((done) => void server?.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, sent: () => sent, requests: () => requests };
}

const CLIENTS: readonly (readonly [string, (url: string) => Coordinator])[] = [
  ["the Worker", (url) => new HttpCoordinator({ url, token: "a-token-of-these-tests", random: () => 0 })],
  ["Upstash", (url) => new UpstashCoordinator({ url, token: "a-token-of-these-tests" })],
];
/** What a socket's two ends keep beyond what was read. */
const BUFFERED = 8_388_608;

describe("row 79: an answer that never ends", () => {
  it.each(CLIENTS)("of %s is cut at 16 MiB, and says so", async (_, make) => {
    const { url, sent, requests } = await endless(200);
    const read = make(url).run("kv.getInt", "n", {}, { resend: false });
    await expect(read).rejects.toMatchObject({
      code: "backend_unavailable",
      retryable: true,
      applied: "no",
      message: expect.stringMatching(/longer than 16777216 bytes.*check/),
    });
    expect(requests()).toBe(1);
    expect(sent()).toBeLessThan(MAX_READ_BYTES + BUFFERED);
  });

  it.each(CLIENTS)("of %s that is no success is judged by its status", async (_, make) => {
    const { url, sent } = await endless(401);
    await expect(make(url).getInt("n")).rejects.toMatchObject({ code: "unauthorized" });
    expect(sent()).toBeLessThan(BUFFERED);
  });
});

describe("row 79: a body that stalls", () => {
  /** A request whose body has begun, and does not go on. */
  function stalled() {
    let isCancelled = false;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode('{"total":')),
      cancel: () => {
        isCancelled = true;
      },
    });
    const leave = new AbortController();
    const request = new Request("https://worker.example/", {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body,
      signal: leave.signal,
      duplex: "half",
    } as RequestInit);
    return { request, leave, isCancelled: () => isCancelled };
  }

  it.each([readJson, readOptionalJson])("is read for ten seconds: %o", async (read) => {
    const clock = new ManualClock();
    const { request, isCancelled } = stalled();
    const outcome = read(request, clock).catch((error: unknown) => error);
    await clock.advance(9_999);
    expect(isCancelled()).toBe(false);
    await clock.advance(1);
    expect(await outcome).toMatchObject({ code: "request_timeout" });
    expect(isCancelled()).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it("is read no longer than its client stays", async () => {
    const clock = new ManualClock();
    const { request, leave, isCancelled } = stalled();
    const outcome = readJson(request, clock).catch((error: unknown) => error);
    leave.abort(new Error("the client left"));
    await outcome;
    expect(isCancelled()).toBe(true);
    expect(clock.pending).toBe(0);
  });
});
