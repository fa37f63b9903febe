/** What the Worker of the benchmarks does when it is asked: by name, with what it takes and what it answers. */
export interface Jobs {
  /** One row written in a bare object, so many times, by so many clients at once. */
  bare: { takes: Load; gives: object };
  register: {
    takes: { group: string; tasks: number | string[]; indexed?: boolean; keyPrefix?: string };
    gives: object;
  };
  /** Acks of tasks that are numbers, `to` not among them, a thousand a call. */
  ackNumbers: { takes: { group: string; from: number; to: number }; gives: object };
  /** Acks of the tasks `0`, `1` and so on, by calls from the Worker to the object. */
  acks: { takes: Load & { group: string; keyPrefix?: string }; gives: object };
  /** The same inside the object, one after the other, without a call between them. */
  burst: { takes: { group: string; from: number; operations: number }; gives: object };
  /** One ack, and what the storage's cursors say that it wrote. */
  rowsWritten: { takes: { group: string; task: string }; gives: { rows: number } };
  /** A whole group by the names of its tasks, in a new object: what its registration wrote, and that with its acks. */
  rowsOfGroup: {
    takes: { group: string; tasks: string[]; isIndexed: boolean };
    gives: { registration: number; rows: number };
  };
  /** One call in a new object that holds so many other records: the rows that it reads and writes. */
  rowsAmong: { takes: { records: number }; gives: { rows: number } };
  /** Calls of one user's rate limit, by calls from the Worker to the object. */
  limits: { takes: Load; gives: object };
  /** Acquires and releases of free locks: a key for each client. */
  locks: { takes: Load; gives: object };
  /** The same in bare objects, with a row for each lock. */
  bareLocks: { takes: Load; gives: object };
  /** The rows of one call of a limit, and of one acquire with its release, in objects that have their tables. */
  rowsOfTurns: { takes: object; gives: { allowed: number; denied: number; lock: number; bareLock: number } };
  /** Adds lines of ended groups to the index of a key prefix, which has one shard. */
  addLines: { takes: { keyPrefix: string; lines: number }; gives: object };
  /** Pages of 50 ended groups. */
  pages: { takes: Load & { keyPrefix: string }; gives: object };
  databaseBytes: { takes: { group: string }; gives: { bytes: number } };
  /** So many alarms within a second: how late each was, in milliseconds, from its instant to what it sets off. */
  alarms: { takes: { alarms: number }; gives: { groups: number[]; bare: number[] } };
}

export interface Load {
  operations: number;
  clients: number;
}

export type JobName = keyof Jobs;
export const JOB_PATH = "/bench/";
/** One row written in a bare object: the least that a call over HTTP can do. */
export const BARE_PATH = `${JOB_PATH}hit`;
