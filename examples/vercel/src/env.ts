import type { Context } from "hono";

/** The project's environment variables. */
export interface Env {
  readonly UPSTASH_REDIS_REST_URL?: string;
  readonly UPSTASH_REDIS_REST_TOKEN?: string;
  /** Where this app is reached, such as https://app.example. */
  readonly APP_URL?: string;
  /** What clients have to send, as a bearer token, to add documents and to read how far they are. */
  readonly API_TOKEN?: string;
  /** What the callers of the routes below /internal have to send: Vercel Cron, QStash, the app itself. */
  readonly CRON_SECRET?: string;
  /** With it chunks go through QStash, which tries again until they are done. */
  readonly QSTASH_TOKEN?: string;
  readonly QSTASH_URL?: string;
  /** Who is told of a finished document. */
  readonly PUBLISH_URL?: string;
  /** How long a document may take, in seconds. */
  readonly DEADLINE_SEC?: string;
}

/** What is needed of a request's context, whichever route it is in. */
export type AppContext = Pick<Context<{ Bindings: Env }>, "env" | "executionCtx">;

/** Keeps the function alive after its response, where the platform can do that. */
export function waitUntilOf(c: AppContext): ((work: Promise<unknown>) => void) | undefined {
  try {
    const { executionCtx } = c;
    return (work) => executionCtx.waitUntil(work);
  } catch {
    // Hono's way to say that there is none.
    return undefined;
  }
}
