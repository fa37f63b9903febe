import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { startWorker } from "../worker-host.js";

export const SITE_TOKEN = "development-token-1";

/** A Worker for people and tests that look at the dashboard: its clock can run behind, and a new version have a handler. */
const SOURCE = `
  import { CoordinatorWorkerObject, createWorker } from "./worker/index.js";
  const site = { behindMs: 0, handlers: {}, isDown: false };
  export class SiteCoordinator extends CoordinatorWorkerObject {
    handlers = site.handlers;
    async alarm() {
      // The object would set its next alarm by a clock that runs behind, in the past, again and again.
      if (site.behindMs > 0) return this.ctx.storage.setAlarm(Date.now() + 300);
      // As after a deploy: the object of the earlier version ends, and the platform repeats the alarm in a new one.
      if (this.handlers !== site.handlers) this.ctx.abort("a new version is deployed");
      await super.alarm();
    }
    get retry() { return { maxAttempts: 12, baseDelayMs: 1000, maxDelayMs: 2000 }; }
    now() { return Date.now() - site.behindMs; }
    onEvent() {}
  }
  const handlersOf = (names) => Object.fromEntries(names.map((name) => [name, () => {}]));
  const worker = createWorker({ onEvent: () => {} });
  export default {
    fetch: async (request, env, ctx) => {
      const { pathname, searchParams } = new URL(request.url);
      if (pathname !== "/site") return site.isDown ? new Response("down", { status: 503 }) : worker.fetch(request, env, ctx);
      if (searchParams.has("behindMs")) site.behindMs = Number(searchParams.get("behindMs"));
      if (searchParams.has("handler")) site.handlers = handlersOf(searchParams.get("handler").split(","));
      if (searchParams.has("isDown")) site.isDown = searchParams.get("isDown") === "true";
      return new Response("ok");
    },
  };
`;

/** A running Worker with its receiver of webhooks. */
export interface Site {
  readonly url: string;
  /** Where webhooks may go to. It answers 410 until `receives` is set. */
  readonly receiverUrl: string;
  receives: boolean;
  /** Calls the HTTP API. Returns the answer's JSON; throws for a status that is not 2xx. */
  call(method: string, path: string, body?: unknown): Promise<unknown>;
  /** Changes the Worker: how far its clock is behind, which handlers it has, separated by commas, whether it answers. */
  set(change: { readonly behindMs?: number; readonly handler?: string; readonly isDown?: boolean }): Promise<void>;
  close(): Promise<void>;
}

export async function startSite(vars: Readonly<Record<string, string>> = {}): Promise<Site> {
  const state = { receives: false };
  const receiver = createServer((request, response) => {
    request.resume();
    response.writeHead(state.receives ? 204 : 410).end();
  });
  const port = await listening(receiver);
  const worker = await startWorker({
    className: "SiteCoordinator",
    source: SOURCE,
    vars: {
      COORDINATOR_TOKEN: SITE_TOKEN,
      WEBHOOK_SECRET: `whsec_${Buffer.from("a secret of the development site").toString("base64")}`,
      WEBHOOK_ALLOWED_HOSTS: `127.0.0.1:${port}`,
      WEBHOOK_ALLOW_HTTP: "true",
      ...vars,
    },
  });
  return {
    url: worker.url,
    receiverUrl: `http://127.0.0.1:${port}/hooks`,
    get receives() {
      return state.receives;
    },
    set receives(receives) {
      state.receives = receives;
    },
    call: (method, path, body) => call(worker.url, method, path, body),
    set: async (change) => {
      const query = new URLSearchParams(Object.entries(change).map(([name, value]) => [name, String(value)]));
      await fetch(`${worker.url}/site?${query}`);
    },
    close: async () => {
      receiver.closeAllConnections();
      receiver.close();
      await worker.close();
    },
  };
}

function listening(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

async function call(url: string, method: string, path: string, body: unknown): Promise<unknown> {
  const response = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${SITE_TOKEN}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text === "" ? null : JSON.parse(text);
}
