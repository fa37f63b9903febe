import type * as z from "zod/mini";
import { openedRoute } from "../capability/opened-routes.js";
import { delivery, groupStatus, stageCounts } from "../schemas/answers/groups.js";
import { problem } from "../schemas/answers/problem.js";
import { requestStatus } from "../schemas/answers/requests.js";
import { addedTask, groupTarget, task, taskRef } from "../schemas/bodies.js";
import { jsonSchemaOf, schemaOrReference } from "../schemas/described.js";
import { id, parentTask } from "../schemas/fields.js";
import { VERSION } from "../version.js";
import { CAPABILITIES } from "./capabilities.js";
import { GROUPS } from "./groups.js";
import type { Operation } from "./operation.js";
import { REQUESTS } from "./requests.js";
import { TRANSITIONS } from "./transitions.js";
import { TURNS } from "./turns.js";

/** Every route of the Worker, with its heading. */
export const OPERATIONS: Readonly<Record<string, readonly Operation[]>> = {
  groups: GROUPS,
  requests: REQUESTS,
  capabilities: CAPABILITIES,
  turns: TURNS,
  worker: TRANSITIONS,
};

const HEADINGS: Readonly<Record<string, string>> = {
  groups: "Groups of tasks: is this fan-out finished, and who runs the completion?",
  requests: "Requests that wait for tasks in stages.",
  capabilities: "Tokens for browsers and untrusted workers, and URLs that settle one task.",
  turns: "Permits and rate limits: whose turn is it?",
  worker: "The Worker itself, and the transitions that the library's client runs.",
};

/** The schemas that are described once. */
const NAMED: Readonly<Record<string, z.core.$ZodType>> = {
  Problem: problem,
  GroupStatus: groupStatus,
  RequestStatus: requestStatus,
  Delivery: delivery,
  StageCounts: stageCounts,
  Target: groupTarget,
  ParentTask: parentTask,
  AddedTask: addedTask,
  AckedTask: task,
  TaskRef: taskRef,
};
const NAMES = new Map(Object.entries(NAMED).map(([name, schema]) => [schema, name]));

const nameOf = (schema: z.core.$ZodType): string | undefined => NAMES.get(schema);
const schemaOf = (schema: z.core.$ZodType): object => schemaOrReference(schema, nameOf);

/** The status codes of problems, and what they say. */
const REFUSALS: Readonly<Record<number, string>> = {
  400: "The body, the path or a header is malformed.",
  401: "The token is missing, or opens nothing.",
  403: "The capability does not allow this call, or the tenant is suspended.",
  404: "There is no such record: not registered yet, or expired.",
  408: "The body took more than ten seconds.",
  409: "The call contradicts what is registered.",
  410: "The callback URL has expired, or its task can no longer be settled.",
  413: "The body is larger than 256 KB.",
  415: "The body is not JSON.",
  422: "A field is missing, unknown or out of range; `detail` names it.",
  429: "A quota was reached, or the record is busy: try again after `Retry-After` seconds.",
  500: "The Worker failed, or its configuration is wrong.",
  501: "This Worker sends no webhooks, has no key for capabilities, or the group was registered without a list of tasks.",
  503: "The storage did not answer: try again after `Retry-After` seconds.",
};
const OF_EVERY_CALL = [401, 403, 429, 500, 503] as const;
const OF_A_BODY = [400, 408, 413, 415, 422] as const;

const problemContent = { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } };

let built: object | undefined;

/**
 * Returns the description of the HTTP API, made from the schemas that check its calls.
 *
 * @see https://spec.openapis.org/oas/v3.1.1.html
 */
export function openApiDocument(): object {
  built ??= {
    openapi: "3.1.1",
    info: {
      title: "edge-coordinator",
      version: VERSION,
      summary: "Shared state for stateless functions.",
      description:
        "Send a bearer token and JSON. Errors are problem details (RFC 9457) with a stable `code`. An id in a path is " +
        "percent-encoded once.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/", description: "The Worker that this description came from." }],
    security: [{ token: [] }],
    tags: Object.entries(HEADINGS).map(([name, description]) => ({ name, description })),
    paths: pathsOf(),
    webhooks: { groupEnded: webhook() },
    components: {
      securitySchemes: {
        token: { type: "http", scheme: "bearer", description: "A token of COORDINATOR_TOKEN or COORDINATOR_TOKENS." },
        capability: {
          type: "http",
          scheme: "bearer",
          bearerFormat: "JWT",
          description: "A token for one group or one request, of `POST …/capabilities` or `mintCapability`.",
        },
      },
      schemas: Object.fromEntries(
        Object.entries(NAMED).map(([name, schema]) => [name, jsonSchemaOf(schema, nameOf)] as const),
      ),
      responses: Object.fromEntries(
        Object.entries(REFUSALS).map(([status, description]) => [
          `Problem${status}`,
          { description, content: problemContent },
        ]),
      ),
    },
  };
  return built;
}

function pathsOf(): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const [tag, operations] of Object.entries(OPERATIONS)) {
    for (const operation of operations) {
      const path = paths[operation.path] ?? {};
      path[operation.method.toLowerCase()] = described(operation, tag);
      paths[operation.path] = path;
    }
  }
  return paths;
}

/** Returns the tokens that an operation accepts: the document's default, a capability too, or none at all. */
function securityOf({ method, path, isOpen }: Operation): object {
  if (isOpen) return { security: [] };
  return openedRoute(method, path) === undefined ? {} : { security: [{ token: [] }, { capability: [] }] };
}

function described(operation: Operation, tag: string): object {
  const { operationId, summary, description, body } = operation;
  return {
    operationId,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    ...securityOf(operation),
    parameters: parametersOf(operation),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: body.isOptional !== true,
            content: {
              [body.mediaType ?? "application/json"]: { schema: schemaOf(body.schema), example: body.example },
            },
          },
        }),
    responses: { ...answerOf(operation), ...refusalsOf(operation) },
  };
}

function parametersOf({ path, query, waits, traces }: Operation): object[] {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
  return [
    ...names.map((name) => {
      const schema = name === "token" ? { type: "string" } : schemaOf(id);
      return { name, in: "path", required: true, schema };
    }),
    ...Object.entries(query?.shape ?? {}).map(([name, schema]) => ({ name, in: "query", schema: schemaOf(schema) })),
    ...(waits
      ? [
          {
            name: "Prefer",
            in: "header",
            description: "`wait=20` waits up to 20 seconds, at most 60 (RFC 7240).",
            schema: { type: "string", pattern: "wait=\\d+" },
            example: "wait=20",
          },
        ]
      : []),
    ...(traces
      ? [
          {
            name: "traceparent",
            in: "header",
            description: "The caller's trace context (W3C), which deliveries link to. An invalid one is ignored.",
            schema: { type: "string" },
            example: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
          },
        ]
      : []),
  ];
}

function answerOf({ answer: { description, schema, mediaType, isStream } }: Operation): object {
  if (isStream) {
    const content = { "text/event-stream": { schema: { type: "string" } } };
    return { 200: { description, content }, 204: { description: "The client has received the last event." } };
  }
  if (mediaType !== undefined)
    return { 200: { description, content: { [mediaType]: { schema: { type: "string" } } } } };
  if (schema === undefined) return { 204: { description } };
  return { 200: { description, content: { "application/json": { schema: schemaOf(schema) } } } };
}

function refusalsOf({ body, query, path, problems = [], isOpen }: Operation): object {
  const other = { 405: { description: "The method is not one of this path.", content: problemContent } };
  if (isOpen) return { ...other, ...referencesTo(problems) };
  const ofInput: readonly number[] = body === undefined ? [] : OF_A_BODY;
  const ofPath: readonly number[] = path.includes("{") ? [400, 422] : [];
  const ofQuery: readonly number[] = query === undefined ? [] : [422];
  return referencesTo([...OF_EVERY_CALL, ...ofInput, ...ofPath, ...ofQuery, ...problems]);
}

function referencesTo(statuses: readonly number[]): object {
  const all = [...new Set(statuses)].sort((a, b) => a - b);
  return Object.fromEntries(all.map((status) => [status, { $ref: `#/components/responses/Problem${status}` }]));
}

/** Returns the description of a webhook. @see https://www.standardwebhooks.com */
function webhook(): object {
  const header = (name: string, description: string, required = true) => ({
    name,
    in: "header",
    required,
    description,
    schema: { type: "string" },
  });
  return {
    post: {
      operationId: "receiveEnd",
      summary: "A group or a request has ended",
      description:
        "A target `{ url }` receives it, at least once. Verify the signature, and make the effect idempotent on " +
        "`webhook-id`. Any answer but 2xx is retried; 410 ends the attempts.",
      security: [],
      parameters: [
        header("webhook-id", "the same in every attempt"),
        header("webhook-timestamp", "when this attempt was made, in seconds since 1970"),
        header("webhook-signature", "`v1,` and a signature of id, timestamp and body; several, separated by spaces"),
        header("traceparent", "a new trace for this attempt (W3C); absent if no call had a trace context", false),
      ],
      requestBody: {
        required: true,
        content: {
          "application/json": {
            schema: {
              type: "object",
              required: ["type", "timestamp", "data"],
              properties: {
                type: { type: "string", pattern: "^(group|request)\\.(completed|failed|timed_out|cancelled)$" },
                timestamp: { type: "string", format: "date-time", description: "when the group ended" },
                data: { $ref: "#/components/schemas/GroupStatus" },
                trace: {
                  type: "object",
                  description: "the trace contexts to link to, if calls had them",
                  properties: {
                    registered: { type: "string", description: "of the registration" },
                    ended: { type: "string", description: "of the ack that ended the group" },
                  },
                },
              },
            },
          },
        },
      },
      responses: { 200: { description: "Received." }, 410: { description: "The receiver is gone." } },
    },
  };
}
