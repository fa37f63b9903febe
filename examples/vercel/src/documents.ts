import {
  CompletionTracker,
  type HandlerContext,
  type HandlerEvent,
  type PayloadsOf,
  RequestWaitTracker,
} from "edge-coordinator";
import { UpstashCoordinator } from "edge-coordinator/upstash";
import { type AppContext, type Env, waitUntilOf } from "./env.js";

export const STAGES = ["index"] as const;

/** The task of an HTTP request that waits for a document. */
export interface Waiting {
  readonly requestId: string;
  readonly stage: (typeof STAGES)[number];
  readonly taskId: string;
}

/** Called at least once at the end of a document, now or by a drain: no process has to live until then. */
const handlers = {
  publish: async ({ deliveryId, payload, status }: HandlerEvent<Waiting>, ctx: HandlerContext<Env>) => {
    const publication = { document: payload.taskId, chunks: status.total };
    console.log("published", publication);
    if (ctx.env.PUBLISH_URL) {
      const response = await fetch(ctx.env.PUBLISH_URL, {
        method: "POST",
        // It may come twice, with the same key: that makes the effect once.
        headers: { "content-type": "application/json", "idempotency-key": deliveryId },
        body: JSON.stringify(publication),
        signal: ctx.signal,
      });
      if (!response.ok) throw new Error(`PUBLISH_URL answered ${response.status}`);
    }
    // Last, so that the wait ends when the publication is out.
    const requests = new RequestWaitTracker(ctx.coordinator, { stages: STAGES });
    await requests.ack(payload.requestId, payload.stage, payload.taskId, { processed: status.total });
  },
};

export function coordinatorOf(c: AppContext): UpstashCoordinator {
  return new UpstashCoordinator({
    url: c.env.UPSTASH_REDIS_REST_URL,
    token: c.env.UPSTASH_REDIS_REST_TOKEN,
    keyPrefix: "documents:",
    onEvent: (event) => console.log(event.type, event),
  });
}

/** Made for each request, since edge functions share no I/O between them; nothing is sent by making one. */
export function documentsOf(c: AppContext, coordinator = coordinatorOf(c)) {
  return new CompletionTracker<PayloadsOf<typeof handlers>, Env>(coordinator, {
    handlers,
    env: c.env,
    waitUntil: waitUntilOf(c),
    timeoutSec: Number(c.env.DEADLINE_SEC || 600),
    // An attempt and the drain's budget together stay below 25 s.
    attemptTimeoutSec: 8,
    onEvent: (event) => console.log(event.type, event),
  });
}
