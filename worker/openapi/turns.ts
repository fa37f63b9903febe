import {
  acquireAnswer,
  extendPermitAnswer,
  limitAnswer,
  releaseAnswer,
  semaphoreStatus,
} from "../schemas/answers/turns.js";
import { acquireBody, extendPermitBody, limitBody, releaseBody, semaphoreQuery } from "../schemas/turn-bodies.js";
import type { Operation } from "./operation.js";

const PATH = "/v1/semaphores/{key}";

/** The routes of `/v1/semaphores` and `/v1/limits`. */
export const TURNS: readonly Operation[] = [
  {
    method: "GET",
    path: PATH,
    operationId: "getSemaphore",
    summary: "Read who holds a permit and who waits",
    query: semaphoreQuery,
    answer: { description: "The holders and the first 100 waiters.", schema: semaphoreStatus },
  },
  {
    method: "POST",
    path: `${PATH}/acquire`,
    operationId: "acquirePermit",
    summary: "Take a permit",
    description:
      "With `Prefer: wait=20` the call waits in line for up to 20 seconds. A `permitId` of yours makes the call repeatable: " +
      "a repeated call gets the same permit, and continues its place in line.",
    body: { schema: acquireBody, example: { permits: 5, leaseSec: 60, permitId: "job-17" } },
    answer: { description: "The permit, or why there is none.", schema: acquireAnswer },
    waits: true,
  },
  {
    method: "POST",
    path: `${PATH}/extend`,
    operationId: "extendPermit",
    summary: "Begin a permit's lease anew",
    body: { schema: extendPermitBody, example: { permitId: "job-17", leaseSec: 60 } },
    answer: { description: "Whether the caller still holds it.", schema: extendPermitAnswer },
  },
  {
    method: "POST",
    path: `${PATH}/release`,
    operationId: "releasePermit",
    summary: "Give a permit or a place in line back",
    body: { schema: releaseBody, example: { permitId: "job-17" } },
    answer: { description: "Whether the caller held it.", schema: releaseAnswer },
  },
  {
    method: "POST",
    path: "/v1/limits/{key}",
    operationId: "takeFromLimit",
    summary: "Count a call against a rate limit",
    description: "Answers 200 also when the call is not allowed. Takes nothing then. `cost: 0` reads without taking.",
    body: { schema: limitBody, example: { limit: 100, windowSec: 60, burst: 20 } },
    answer: { description: "Whether the call is allowed.", schema: limitAnswer },
  },
];
