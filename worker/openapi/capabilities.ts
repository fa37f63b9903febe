import { callbackAnswer, callbackUrl, capability } from "../schemas/answers/capabilities.js";
import { anyBody, callbackBody, capabilityBody } from "../schemas/capability-bodies.js";
import type { Operation } from "./operation.js";

function mints(records: "groups" | "requests", name: "Group" | "Request", task: unknown): readonly Operation[] {
  return [
    {
      method: "POST",
      path: `/v1/${records}/{id}/capabilities`,
      operationId: `mint${name}Capability`,
      summary: "Make a token for a browser or an untrusted worker",
      description:
        "A JWT that allows only the given verbs on this record. Without a `generation` it lives at most 15 minutes, with one " +
        "at most a day. Touches no storage, unless the generation is `current`.",
      body: { schema: capabilityBody, example: { verbs: ["ack", "fail"], tasks: [task], ttlSec: 300 } },
      answer: { description: "The token.", schema: capability },
      problems: [404, 501],
    },
    {
      method: "POST",
      path: `/v1/${records}/{id}/callbacks`,
      operationId: `mint${name}Callback`,
      summary: "Make a URL that settles one task",
      description: "For a service that can send no token. Without a `generation` it is for the current one.",
      body: { schema: callbackBody, example: { task, outcome: { pointer: "/status", failure: ["failed"] } } },
      answer: { description: "The URL, which is a secret.", schema: callbackUrl },
      problems: [404, 501],
    },
  ];
}

/** The routes that make capabilities and callback URLs, and the one that those URLs lead to. */
export const CAPABILITIES: readonly Operation[] = [
  ...mints("groups", "Group", "chunk-1"),
  ...mints("requests", "Request", { stage: "parse", id: "document-1" }),
  {
    method: "POST",
    path: "/c/{token}",
    operationId: "callBack",
    summary: "Settle the task of a callback URL",
    description:
      "A body of any type is the task's result, or its error. A body that is too large is the result `{ truncated: true }`. " +
      "A repeated call changes nothing.",
    body: { schema: anyBody, isOptional: true, mediaType: "*/*", example: { status: "succeeded", output: "a text" } },
    traces: true,
    answer: { description: "The task is settled.", schema: callbackAnswer },
    problems: [403, 408, 410, 413, 422, 429, 500, 503],
    isOpen: true,
  },
];
