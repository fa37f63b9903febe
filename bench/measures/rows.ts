import type { Bench, Measure } from "../bench.js";
import { atMost, figure, type Result } from "../result.js";

const TASKS = 100;
const FEW = 10;
const MANY = 5_000;
const what = "rows written";

/** What acks and registrations write in the object's SQLite, by the storage's own count. */
export const rows: Measure = {
  name: "rows",
  title: "SQLite rows of an ack, of a group, and of a call among many records",
  async run(bench) {
    return [
      ...(await ofAcks(bench)),
      ...(await ofGroup(bench)),
      ...(await amongRecords(bench)),
      figure(1, "rows", { what, arm: "bare Durable Object, a counter", note: "by its one statement" }),
    ];
  },
};

async function ofAcks({ lab: { worker } }: Bench): Promise<Result[]> {
  const group = `rows-${crypto.randomUUID()}`;
  await worker.do("register", { group, tasks: ["a", "b", "c"] });
  const { rows } = await worker.do("rowsWritten", { group, task: "a" });
  const duplicate = await worker.do("rowsWritten", { group, task: "a" });
  return [
    figure(rows, "rows", { what, arm: "ours, Durable Object, an ack that counts", target: atMost(1) }),
    figure(duplicate.rows, "rows", { what, arm: "ours, Durable Object, a copy of it", target: atMost(0) }),
  ];
}

async function ofGroup({ lab: { worker } }: Bench): Promise<Result[]> {
  const tasks = Array.from({ length: TASKS }, () => crypto.randomUUID());
  const whole = (isIndexed: boolean) =>
    worker.do("rowsOfGroup", { group: `whole-${crypto.randomUUID()}`, tasks, isIndexed });
  const [alone, indexed] = [await whole(false), await whole(true)];
  const registration = `ours, Durable Object, a registration of ${TASKS} tasks`;
  const group = `ours, Durable Object, a group of ${TASKS} tasks one by one`;
  const ofGroup = { what, note: "with the table of the new object" };
  const withMarks = { what, note: "with the table of the new object, and a mark for the message to the index" };
  return [
    figure(alone.registration, "rows", { ...ofGroup, arm: registration, target: atMost(3) }),
    figure(indexed.registration, "rows", { ...withMarks, arm: `${registration}, with an index`, target: atMost(3) }),
    figure(alone.rows, "rows", { ...ofGroup, arm: group, target: atMost(110) }),
    figure(indexed.rows, "rows", { ...withMarks, arm: `${group}, with an index`, target: atMost(110) }),
  ];
}

/** Small trackers of one namespace and shard share an object. */
async function amongRecords({ lab: { worker } }: Bench): Promise<Result[]> {
  const few = await worker.do("rowsAmong", { records: FEW });
  const many = await worker.do("rowsAmong", { records: MANY });
  return [
    figure(many.rows, "rows", {
      what: "rows read and written",
      arm: `ours, Durable Object, a claim among ${MANY.toLocaleString("en")} records`,
      target: atMost(few.rows),
      note: `the target is the figure among ${FEW}`,
    }),
  ];
}
