import { answerName } from "../recent-operations.js";
import { type AckInput, ack, countStage, decrement } from "./acks.js";
import { brief } from "./brief.js";
import { abandon, cancel, cancelChild, PARENTS_CANCEL, remove } from "./cancellation.js";
import { children, redeliver, settle, take, woken } from "./delivering.js";
import { add, seal } from "./growth.js";
import { expectedMarks } from "./indexed.js";
import { progress, results, status, tasks, wait } from "./looks.js";
import { register } from "./registration.js";
import { extend, heartbeat, retry } from "./repair.js";
import { stageMembers } from "./stages.js";

/** The transitions of a group. Each is atomic. A request is a group too, in a record of its own kind. */
export const completion = {
  register,
  add,
  seal,
  ack,
  decrement,
  count: countStage,
  retry,
  extend,
  heartbeat,
  cancel,
  cancelChild,
  abandon,
  remove,
  status,
  brief,
  wait,
  progress,
  tasks,
  results,
  children,
  take,
  redeliver,
  woken,
  settle,
};

function expectedOfAck({ op, tasks: acked }: AckInput): string[] {
  const names = expectedMarks(acked, op);
  for (const name of stageMembers(acked)) names.push(name);
  return names;
}

/** An absent record, or one that the call registered before. */
const expectedOfRegister = (): string[] => ["reg", PARENTS_CANCEL];

const expectedOfDecrement = ({ op }: { op: string }): string[] => [answerName(op)];

/**
 * The members that a transition probably reads. Redis reads them with the head in one command. The saved command pays
 * for the write to the due queue that each write makes.
 */
export const expected = { register: expectedOfRegister, ack: expectedOfAck, decrement: expectedOfDecrement };
