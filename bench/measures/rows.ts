import type { Measure } from "../bench.js";
import { atMost, figure } from "../result.js";

/** What an ack writes in the object's SQLite, by the storage's own count. */
export const rows: Measure = {
  name: "rows",
  title: "SQLite rows of an ack",
  async run({ lab: { worker } }) {
    const group = `rows-${crypto.randomUUID()}`;
    await worker.do("register", { group, tasks: ["a", "b", "c"] });
    const { rows } = await worker.do("rowsWritten", { group, task: "a" });
    const duplicate = await worker.do("rowsWritten", { group, task: "a" });
    const what = "rows written";
    return [
      figure(rows, "rows", { what, arm: "ours, Durable Object, an ack that counts", target: atMost(2) }),
      figure(duplicate.rows, "rows", { what, arm: "ours, Durable Object, a copy of it", target: atMost(0) }),
      figure(1, "rows", { what, arm: "bare Durable Object, a counter", note: "by its one statement" }),
    ];
  },
};
