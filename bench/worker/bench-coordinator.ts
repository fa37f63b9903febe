import type { ObjectReply } from "../../src/backends/durable-object/object/index.js";
import type { HandlerEvent } from "../../src/delivery/handler.js";
import { announced } from "../../src/trackers/group/announcement.js";
import { countRows, rowsWritten } from "../../test/support/row-counts.js";
import { CoordinatorWorkerObject } from "../../worker/index.js";
import { lateness } from "./lateness.js";

/** The library's object, which can be asked what its work costs. */
export class BenchCoordinator extends CoordinatorWorkerObject {
  /** As the Worker has it. */
  override index = true;
  override readonly handlers = {
    /** Called at a deadline. */
    bell: ({ status }: HandlerEvent): void => {
      lateness.groups.push(Date.now() - (status.deadlineAtMs ?? Number.NaN));
    },
  };

  /** Acks one after the other, in one turn of the object. */
  burst(group: string, from: number, operations: number): void {
    for (let n = from; n < from + operations; n++) this.#ack(group, String(n));
  }

  /** The rows that one ack writes, by the storage's own count. */
  rowsWritten(group: string, task: string): number {
    return rowsWritten(this.ctx.storage.sql, () => this.#ack(group, task));
  }

  /**
   * The rows that a whole group writes, from its registration to its end: its tasks by name, acked one by one. With an index,
   * they include the marks for messages to the index.
   */
  rowsOfGroup(group: string, tasks: string[], isIndexed: boolean): { registration: number; rows: number } {
    this.index = isIndexed;
    const { lists } = announced(tasks, "tasks", tasks.length).announcement;
    const named = { op: "register", fingerprint: "s", kind: "named" as const, total: 0, lists };
    const given = { ...named, timeoutMs: 0, ttlMs: 60_000, deliveryId: "msg_register" };
    const registration = rowsWritten(this.ctx.storage.sql, () => {
      this.#done(this.run("completion.register", group, given));
    });
    const acks = rowsWritten(this.ctx.storage.sql, () => {
      for (const task of tasks) this.#ack(group, task);
    });
    return { registration, rows: registration + acks };
  }

  /** The rows of a call of a rate limit, and of a lock with its release, once the record's tables exist. */
  rowsOfTurns(): { allowed: number; denied: number; lock: number } {
    const id = crypto.randomUUID();
    const take = (cost: number) => () => {
      const input = { limit: 10, windowMs: 3_600_000, burst: 10, cost };
      this.#done(this.run("limiter.take", id, input));
    };
    const lock = (op: string) => () => {
      this.#done(this.run("semaphore.acquire", id, { op, permits: 1, leaseMs: 30_000, queue: false }));
      this.#done(this.run("semaphore.release", id, { op }));
    };
    const { sql } = this.ctx.storage;
    take(1)();
    lock("first")();
    const allowed = rowsWritten(sql, take(2));
    return { allowed, denied: rowsWritten(sql, take(10)), lock: rowsWritten(sql, lock("second")) };
  }

  /** The rows that a call reads and writes in an object that holds so many other records. */
  rowsAmong(records: number): number {
    const { sql } = this.ctx.storage;
    const claim = (key: string): void => {
      this.#done(this.run("dedupe.claim", key, { op: `op-${key}`, ttlMs: 3_600_000 }));
    };
    for (let n = 0; n < records; n++) claim(`other-${n}`);
    const end = countRows(sql);
    claim("one more");
    const { read, written } = end();
    return read + written;
  }

  /** Copies the line of the group `first` so many times, in an object that is an index. */
  addLines(lines: number): void {
    const numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)";
    const columns = "'completion:document-' || i, list, at - i, until, sent, brief";
    const copies = `SELECT ${columns} FROM n, lines WHERE name = 'completion:first'`;
    this.ctx.storage.sql.exec(`INSERT INTO lines ${numbers} ${copies}`, lines);
  }

  databaseBytes(): number {
    return this.ctx.storage.sql.databaseSize;
  }

  #ack(group: string, id: string): void {
    this.#done(this.run("completion.ack", group, { op: `op-${id}`, tasks: [{ id }], earlyTtlMs: 60_000 }));
  }

  #done(reply: ObjectReply): void {
    if (!reply.ok) throw new Error(reply.message);
  }
}
