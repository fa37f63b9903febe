import {
  requestAddAnswer,
  requestList,
  requestResult,
  requestRetryAnswer,
  requestStatus,
} from "../schemas/answers/requests.js";
import {
  requestAckBody,
  requestBody,
  requestCancelBody,
  requestCountBody,
  requestsQuery,
  requestTasksBody,
} from "../schemas/bodies.js";
import type { Operation } from "./operation.js";
import { type SharedRoutes, sharedRoutes, statusAnswer } from "./shared.js";

const PATH = "/v1/requests/{id}";
const SHARED: SharedRoutes = {
  noun: "request",
  prefix: "Request",
  status: requestStatus,
  list: requestList,
  query: requestsQuery,
  read: "Read a request's status, or wait until it is complete",
  removal: "A pending request",
  order: "In the order in which they were added.",
};
const STATUS = statusAnswer(SHARED);
const UNKNOWN = [404] as const;

/** The routes of `/v1/requests`. */
export const REQUESTS: readonly Operation[] = [
  ...sharedRoutes(SHARED),
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
    method: "POST",
    path: `${PATH}/tasks`,
    operationId: "addRequestTasks",
    summary: "Add tasks of a stage",
    body: { schema: requestTasksBody, example: { stage: "parse", taskIds: ["document-1"] } },
    answer: { description: "Which tasks are new.", schema: requestAddAnswer },
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
    path: `${PATH}/retry`,
    operationId: "retryRequestTasks",
    summary: "Open failed tasks of a stage again",
    body: { schema: requestTasksBody, example: { stage: "parse", taskIds: ["document-1"] } },
    answer: { description: "Which tasks are open again.", schema: requestRetryAnswer },
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
];
