import type * as z from "zod/mini";
import { resultPage, taskPage } from "../schemas/answers/groups.js";
import { extendBody, redeliverBody, resultsQuery, tasksQuery } from "../schemas/bodies.js";
import type { Answer, Operation } from "./operation.js";

/** The words and schemas of the routes that groups and requests share. */
export interface SharedRoutes {
  /** `group` or `request`, as in the path and in the texts. */
  readonly noun: "group" | "request";
  /** The word before `Tasks` and `Results` in the names of operations. */
  readonly prefix: "" | "Request";
  readonly status: z.ZodMiniType;
  readonly list: z.ZodMiniType;
  readonly query: z.ZodMiniObject;
  readonly read: string;
  readonly removal: string;
  readonly order: string;
}

/** Returns the answer with the status. */
export function statusAnswer({ noun, status }: Pick<SharedRoutes, "noun" | "status">): Answer {
  return { description: `The ${noun}'s status.`, schema: status };
}

/** Returns the routes that find, read, follow, extend, redeliver and remove a group or a request. */
export function sharedRoutes(routes: SharedRoutes): Operation[] {
  const { noun, prefix, list, query, read, removal, order } = routes;
  const name = noun === "group" ? "Group" : "Request";
  const path = `/v1/${noun}s/{id}`;
  return [
    {
      method: "GET",
      path: `/v1/${noun}s`,
      operationId: `list${name}s`,
      summary: `Find ${noun}s by state and by delivery`,
      description:
        "Open ones come oldest first, ended ones newest first. `state=stuck` lists open ones without an ack for `olderThan`, " +
        "300 seconds by default. A page looks at up to 100 lines, so it may hold fewer items, and still have a `next`.",
      query,
      answer: { description: `A page of ${noun}s.`, schema: list },
      problems: [501],
    },
    {
      method: "GET",
      path,
      operationId: `get${name}`,
      summary: read,
      description: "With `Prefer: wait=20` the answer comes at the end, or with the current status after 20 seconds.",
      answer: statusAnswer(routes),
      waits: true,
      problems: [404],
    },
    {
      method: "DELETE",
      path,
      operationId: `remove${name}`,
      summary: `Remove a ${noun}`,
      description: `${removal} is cancelled first. Answers 204 whether or not the ${noun} existed.`,
      answer: { description: `The ${noun} is gone.` },
    },
    {
      method: "GET",
      path: `${path}/tasks`,
      operationId: `list${prefix}Tasks`,
      summary: `List a ${noun}'s tasks`,
      description: `${order} A page holds at most 1 MB.`,
      query: tasksQuery,
      answer: { description: "A page of tasks.", schema: taskPage },
      problems: [404, 501],
    },
    {
      method: "GET",
      path: `${path}/results`,
      operationId: `list${prefix}Results`,
      summary: `List the results of a ${noun}'s tasks`,
      description: "A page holds at most 1 MB.",
      query: resultsQuery,
      answer: { description: "A page of results.", schema: resultPage },
      problems: [404, 501],
    },
    {
      method: "GET",
      path: `${path}/events`,
      operationId: `stream${name}`,
      summary: `Follow a ${noun}`,
      description:
        "Server-sent events: `progress` with the status at the beginning and after changes, then one named like the state " +
        "at the end. `Last-Event-ID` continues after an event.",
      answer: { description: "A stream of events.", isStream: true },
      problems: [404],
    },
    {
      method: "POST",
      path: `${path}/extend`,
      operationId: `extend${name}`,
      summary: `Move a ${noun}'s deadline`,
      description: "The new deadline is `timeoutSec` from now.",
      body: { schema: extendBody, example: { timeoutSec: 600 } },
      answer: statusAnswer(routes),
      problems: [404],
    },
    {
      method: "POST",
      path: `${path}/redeliver`,
      operationId: `redeliver${name}`,
      summary: "Deliver a dead letter again",
      body: { schema: redeliverBody, isOptional: true, example: {} },
      answer: statusAnswer(routes),
      problems: [404],
    },
  ];
}
