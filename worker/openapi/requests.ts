import {
  requestAddAnswer,
  requestList,
  requestResult,
  requestStatus,
  resultPage,
  taskPage,
} from "../schemas/answers.js";
import {
  requestAckBody,
  requestBody,
  requestCancelBody,
  requestCountBody,
  requestsQuery,
  requestTasksBody,
  resultsQuery,
  tasksQuery,
} from "../schemas/bodies.js";
import type { Answer, Operation } from "./operation.js";

const PATH = "/v1/requests/{id}";
const STATUS: Answer = { description: "The request's status.", schema: requestStatus };
const UNKNOWN = [404] as const;

/** The routes of `/v1/requests`. */
export const REQUESTS: readonly Operation[] = [
  {
    method: "GET",
    path: "/v1/requests",
    operationId: "listRequests",
    summary: "Find requests by state and by delivery",
    description:
      "Open ones come oldest first, ended ones newest first. `state=stuck` lists open ones without an ack for `olderThan`, " +
      "300 seconds by default. A page looks at up to 100 lines, so it may hold fewer items, and still have a `next`.",
    query: requestsQuery,
    answer: { description: "A page of requests.", schema: requestList },
    problems: [501],
  },
  {
    method: "PUT",
    path: PATH,
    operationId: "registerRequest",
    summary: "Register a request that waits for its tasks",
    description: "A repeated call changes nothing.",
    body: { schema: requestBody, isOptional: true, example: { timeoutSec: 60 } },
    traces: true,
    answer: STATUS,
    problems: [409, 501],
  },
  {
    method: "GET",
    path: PATH,
    operationId: "getRequest",
    summary: "Read a request's status, or wait until it is complete",
    description:
      "With `Prefer: wait=20` the answer comes at the end, or with the status as it stands after 20 seconds.",
    answer: STATUS,
    waits: true,
    problems: UNKNOWN,
  },
  {
    method: "DELETE",
    path: PATH,
    operationId: "removeRequest",
    summary: "Remove a request",
    description: "A pending request is cancelled first. Answers 204 whether or not the request existed.",
    answer: { description: "The request is gone." },
  },
  {
    method: "POST",
    path: `${PATH}/tasks`,
    operationId: "addRequestTasks",
    summary: "Add tasks of a stage",
    body: { schema: requestTasksBody, example: { stage: "parse", taskIds: ["document-1"] } },
    answer: { description: "Which tasks are new.", schema: requestAddAnswer },
  },
  {
    method: "GET",
    path: `${PATH}/tasks`,
    operationId: "listRequestTasks",
    summary: "List a request's tasks",
    description: "In the order in which they were added. A page holds at most 1 MB.",
    query: tasksQuery,
    answer: { description: "A page of tasks.", schema: taskPage },
    problems: [404, 501],
  },
  {
    method: "POST",
    path: `${PATH}/acks`,
    operationId: "ackRequestTask",
    summary: "Report a task as done or failed",
    description: "A task counts once, however often it is reported. With an `error` it has failed.",
    body: {
      schema: requestAckBody,
      example: { stage: "parse", taskId: "document-1", next: [{ stage: "embed", taskIds: ["chunk-1", "chunk-2"] }] },
    },
    traces: true,
    answer: { description: "The verdict on the task.", schema: requestResult },
  },
  {
    method: "POST",
    path: `${PATH}/counts`,
    operationId: "countRequestWork",
    summary: "Count work that ends no task",
    body: { schema: requestCountBody, example: { stage: "embed", requeued: 1 } },
    answer: { description: "The verdict on the count.", schema: requestResult },
  },
  {
    method: "POST",
    path: `${PATH}/seal`,
    operationId: "sealRequest",
    summary: "Say that no more tasks will be added",
    answer: STATUS,
    problems: UNKNOWN,
  },
  {
    method: "POST",
    path: `${PATH}/cancel`,
    operationId: "cancelRequest",
    summary: "Cancel a request",
    body: { schema: requestCancelBody, example: { reason: "the client left" } },
    answer: STATUS,
    problems: UNKNOWN,
  },
  {
    method: "GET",
    path: `${PATH}/results`,
    operationId: "listRequestResults",
    summary: "List the results of a request's tasks",
    description: "A page holds at most 1 MB.",
    query: resultsQuery,
    answer: { description: "A page of results.", schema: resultPage },
    problems: [404, 501],
  },
  {
    method: "GET",
    path: `${PATH}/events`,
    operationId: "streamRequest",
    summary: "Follow a request",
    description:
      "Server-sent events: `progress` with the status at the beginning and after changes, then one named like the state " +
      "at the end. `Last-Event-ID` continues after an event.",
    answer: { description: "A stream of events.", isStream: true },
    problems: UNKNOWN,
  },
];
