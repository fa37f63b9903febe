import {
  acksAnswer,
  addAnswer,
  childPage,
  decrementAnswer,
  groupList,
  groupStatus,
  heartbeatAnswer,
  retryAnswer,
} from "../schemas/answers/groups.js";
import {
  acksBody,
  addBody,
  cancelBody,
  childrenQuery,
  decrementBody,
  generationBody,
  groupBody,
  groupsQuery,
  retryBody,
} from "../schemas/bodies.js";
import type { Operation } from "./operation.js";
import { type SharedRoutes, sharedRoutes, statusAnswer } from "./shared.js";

const PATH = "/v1/groups/{id}";
const SHARED: SharedRoutes = {
  noun: "group",
  prefix: "",
  status: groupStatus,
  list: groupList,
  query: groupsQuery,
  read: "Read a group's status, or wait for its end",
  removal: "An open group",
  order: "In the order of their registration.",
};
const STATUS = statusAnswer(SHARED);
const UNKNOWN = [404] as const;

/** The routes of `/v1/groups`. */
export const GROUPS: readonly Operation[] = [
  ...sharedRoutes(SHARED),
  {
    method: "PUT",
    path: PATH,
    operationId: "registerGroup",
    summary: "Register a group of tasks",
    description:
      "Has either `tasks` or `total`. A repeated call changes nothing. A call with other tasks or targets gets 409, unless " +
      "it has `restart`.",
    body: {
      schema: groupBody,
      example: { tasks: ["chunk-1", "chunk-2"], timeoutSec: 600, onEnd: { url: "https://app.example/hooks" } },
    },
    traces: true,
    answer: STATUS,
    problems: [409, 501],
  },
  {
    method: "POST",
    path: `${PATH}/acks`,
    operationId: "ackTasks",
    summary: "Report tasks as done or failed",
    description: "A task counts once, however often it is reported. A task with an `error` has failed.",
    body: {
      schema: acksBody,
      example: { tasks: ["chunk-1", { id: "chunk-2", error: "no text" }] },
    },
    traces: true,
    answer: { description: "The verdict on each task, and the status.", schema: acksAnswer },
    problems: [409],
  },
  {
    method: "POST",
    path: `${PATH}/tasks`,
    operationId: "addTasks",
    summary: "Add tasks to an open group",
    body: { schema: addBody, example: { tasks: ["chunk-3", { id: "chunk-4", stage: "embed" }] } },
    answer: { description: "Which tasks are new.", schema: addAnswer },
    problems: [409],
  },
  {
    method: "GET",
    path: `${PATH}/children`,
    operationId: "listChildren",
    summary: "List the child groups of a group's open tasks",
    description: "Those that `group` of an added task names. Empty for a group without any, and for an unknown group.",
    query: childrenQuery,
    answer: { description: "A page of child groups.", schema: childPage },
  },
  {
    method: "POST",
    path: `${PATH}/seal`,
    operationId: "sealGroup",
    summary: "Say that no more tasks will be added",
    body: { schema: generationBody, isOptional: true, example: {} },
    answer: STATUS,
    problems: UNKNOWN,
  },
  {
    method: "POST",
    path: `${PATH}/retry`,
    operationId: "retryTasks",
    summary: "Open failed tasks again",
    body: { schema: retryBody, example: { tasks: ["chunk-2"] } },
    answer: { description: "Which tasks are open again.", schema: retryAnswer },
  },
  {
    method: "POST",
    path: `${PATH}/heartbeat`,
    operationId: "heartbeatGroup",
    summary: "Put off a group's idle timeout",
    body: { schema: generationBody, isOptional: true, example: {} },
    answer: { description: "Whether work for the group is worth doing.", schema: heartbeatAnswer },
  },
  {
    method: "POST",
    path: `${PATH}/cancel`,
    operationId: "cancelGroup",
    summary: "Cancel an open group",
    body: { schema: cancelBody, example: { reason: "the document was deleted" } },
    answer: STATUS,
    problems: UNKNOWN,
  },
  {
    method: "POST",
    path: `${PATH}/decrement`,
    operationId: "decrementGroup",
    summary: "Count tasks of a counted group as done",
    description: "A call with an `opId` counts once, however often it is sent. Without one, do not send it again.",
    body: { schema: decrementBody, example: { by: 1, opId: "message-17" } },
    traces: true,
    answer: { description: "How many tasks are left.", schema: decrementAnswer },
    problems: [404, 409],
  },
];
