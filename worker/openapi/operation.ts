import type * as z from "zod/mini";

/** A route of the Worker, as `/openapi.json` describes it. */
export interface Operation {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** With the path's parameters in braces. */
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  /** The fields of the query. */
  readonly query?: z.ZodMiniObject;
  readonly body?: Body;
  readonly answer: Answer;
  /** The call waits as long as the header `Prefer: wait=20` says. */
  readonly waits?: true;
  /** The call stores the trace context of the header `traceparent`. */
  readonly traces?: true;
  /** The status codes of problems that only some calls have. */
  readonly problems?: readonly (403 | 404 | 408 | 409 | 410 | 413 | 422 | 429 | 500 | 501 | 503)[];
  /** Needs no token in a header. */
  readonly isOpen?: true;
}

export interface Body {
  readonly schema: z.ZodMiniType;
  readonly isOptional?: true;
  /** @default "application/json" */
  readonly mediaType?: string;
  readonly example: unknown;
}

export interface Answer {
  readonly description: string;
  /** Absent: 204, without a body. */
  readonly schema?: z.ZodMiniType;
  /** A text of another media type. */
  readonly mediaType?: string;
  /** A stream of server-sent events. */
  readonly isStream?: true;
}
