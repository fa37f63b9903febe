import type { Measure } from "../bench.js";
import { atMost, figure } from "../result.js";

const TASKS = 100;

/** What acks and registrations write in the object's SQLite, by the storage's own count. */
export const rows: Measure = {
  name: "rows",
  title: "SQLite rows of an ack and of a group",
  async run({ lab: { worker } }) {
    const group = `rows-${crypto.randomUUID()}`;
    await worker.do("register", { group, tasks: ["a", "b", "c"] });
    const { rows } = await worker.do("rowsWritten", { group, task: "a" });
    const duplicate = await worker.do("rowsWritten", { group, task: "a" });
    const tasks = Array.from({ length: TASKS }, () => crypto.randomUUID());
    const whole = await worker.do("rowsOfGroup", { group: `whole-${crypto.randomUUID()}`, tasks });
    const what = "rows written";
    const ofGroup = { what, note: "with the table of the new object" };
    return [
      figure(rows, "rows", { what, arm: "ours, Durable Object, an ack that counts", target: atMost(1) }),
      figure(duplicate.rows, "rows", { what, arm: "ours, Durable Object, a copy of it", target: atMost(0) }),
      figure(whole.registration, "rows", {
        ...ofGroup,
        arm: `ours, Durable Object, a registration of ${TASKS} tasks`,
        target: atMost(3),
      }),
      figure(whole.rows, "rows", {
        ...ofGroup,
        arm: `ours, Durable Object, a group of ${TASKS} tasks one by one`,
        target: atMost(110),
      }),
      figure(1, "rows", { what, arm: "bare Durable Object, a counter", note: "by its one statement" }),
    ];
  },
};
