/** A row of the table of guarantees that is shown by figures of its own. */
export interface Row {
  readonly row: string;
  /** What is promised, in one sentence. */
  readonly promise: string;
  /** Where it must be shown; none: it is no matter of a backend. */
  readonly backends?: readonly string[];
}

/** The fault table's rows: each is a named case on every one of these. */
export const FAULTS = 42;
export const BACKENDS = ["memory", "upstash", "durable-object", "http"] as const;
/** Rows that are no matter of the machines, and where they are shown instead. */
export const SHOWN_ELSEWHERE: Readonly<Record<number, readonly string[]>> = {
  39: ["upstash", "durable-object", "http"],
};

/** Rows that a test states the figures of, or a command that is no test (`npm run mutants`, `npm run mutation`). */
export const ROWS: readonly Row[] = [
  {
    row: "T2",
    promise: "Trackers agree with a model of what they promise, whatever is called in whichever order.",
    backends: BACKENDS,
  },
  {
    row: "T3",
    promise:
      "Many instances that die, stall and repeat themselves over a network that loses, doubles and delays keep every invariant.",
  },
  { row: "T3b", promise: "A bug that is planted is found." },
  {
    row: "T4",
    promise: "Whatever the network does to a call, it is applied once, and what the caller is told about that is true.",
    backends: ["upstash", "http"],
  },
  {
    row: "T5",
    promise: "A Worker that is killed around its deliveries delivers all of them; their effect is one.",
    backends: ["durable-object"],
  },
  {
    row: "T6",
    promise: "Alarms that throw, ring twice or are lost, and restarts, leave no waiter and no delivery behind.",
    backends: ["durable-object"],
  },
  {
    row: "T7",
    promise:
      "A failover that loses the last writes may make a group late, and never falsely complete; acks that are sent again repair it.",
    backends: ["upstash"],
  },
  {
    row: "T9",
    promise: "A backend that swallows everything ends no call later than its time, and stalls no event loop.",
  },
  {
    row: "T10",
    promise: "What is over leaves nothing behind.",
    backends: ["memory", "upstash", "durable-object"],
  },
  {
    row: "S1",
    promise: "Tokens are compared in constant time, all filled up to one length; several live side by side.",
  },
  { row: "S2", promise: "A webhook goes to hosts that are allowed, over https, and nowhere else." },
  { row: "S3", promise: "Webhooks are signed as Standard Webhooks says, and the receiver's check holds." },
  { row: "S4", promise: "No two ids share a place, whatever they are made of." },
  { row: "S5", promise: "A tenant sees what is its own, and nothing else." },
  { row: "S6", promise: "No secret and no payload stands in a message, a log or an answer." },
  { row: "S7", promise: "What is too large or too many is refused, and nothing of it is stored." },
  { row: "S8", promise: "A bad token costs no storage operation, and reading makes nothing." },
];
