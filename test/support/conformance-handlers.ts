import { caseHandlers, type RecordedDelivery } from "../../src/testing/index.js";

/** What the conformance cases' handlers received in this isolate, in order. */
export const received: RecordedDelivery[] = [];

/** The conformance cases' handlers, for an object that runs them. */
export const conformanceHandlers = caseHandlers((delivery) => void received.push(delivery));
