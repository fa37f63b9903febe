/** A row of the table of guarantees that is shown by figures of its own. */
export interface Row {
  readonly row: string;
  /** The promise, in one sentence. */
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
    promise: "Trackers agree with a model of their promises, for random calls in random order.",
    backends: BACKENDS,
  },
  {
    row: "T3",
    promise:
      "Every invariant holds while instances crash, stall and repeat calls, and the network loses, doubles and delays messages.",
  },
  { row: "T3b", promise: "The tests find planted bugs." },
  {
    row: "T4",
    promise:
      "Under every network fault a call is applied at most once, and its error says correctly whether it was applied.",
    backends: ["upstash", "http"],
  },
  {
    row: "T5",
    promise: "A Worker that is killed during its deliveries delivers all of them, each with one effect.",
    backends: ["durable-object"],
  },
  {
    row: "T6",
    promise:
      "After failed, repeated or lost alarms and after restarts, every waiter gets its answer and every delivery is made.",
    backends: ["durable-object"],
  },
  {
    row: "T7",
    promise:
      "A failover that loses the last writes may delay a group, but never completes it falsely. Resent acks repair it.",
    backends: ["upstash"],
  },
  {
    row: "T9",
    promise: "If the backend never answers, each call still ends at its deadline, and the event loop does not stall.",
  },
  {
    row: "T10",
    promise: "Ended groups leave nothing behind.",
    backends: ["memory", "upstash", "durable-object"],
  },
  {
    row: "T11",
    promise:
      "Permits, runs and limits keep their promises while instances crash, clocks step, and the network loses, doubles and delays messages.",
    backends: ["permits", "runs", "limits"],
  },
  {
    row: "S1",
    promise:
      "A token is looked up by its SHA-256, and other secrets are compared in constant time. Several may be valid at once.",
  },
  { row: "S2", promise: "A webhook goes only to allowed hosts, over https." },
  {
    row: "S3",
    promise: "Webhooks are signed by the Standard Webhooks specification, and the receiver's check refuses forgeries.",
  },
  { row: "S4", promise: "Two different ids never share a key, whatever characters they have." },
  { row: "S5", promise: "A tenant sees only its own data." },
  { row: "S6", promise: "No error message, log or response contains a secret or a payload." },
  { row: "S7", promise: "Input above a limit is refused, and none of it is stored." },
  {
    row: "S8",
    promise: "A request with a bad token causes no storage operation. A read of an unknown id stores nothing.",
  },
];
