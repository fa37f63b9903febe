import type { Measure } from "../bench.js";
import { acks } from "./acks.js";
import { alarms } from "./alarms.js";
import { bill } from "./bill.js";
import { group } from "./group.js";
import { indexedGroups } from "./indexed-groups.js";
import { joined } from "./joined.js";
import { largeGroups } from "./large-groups.js";
import { lists } from "./lists.js";
import { requestsPerOperation } from "./requests-per-operation.js";
import { rows } from "./rows.js";
import { scripts } from "./scripts.js";
import { sizes } from "./sizes.js";
import { turnsLimits } from "./turns-limits.js";
import { turnsLocks } from "./turns-locks.js";
import { wait } from "./wait.js";
import { waiters } from "./waiters.js";
import { wholeTask } from "./whole-task.js";

/** All measures, in the order in which they are run and shown. */
export const MEASURES: readonly Measure[] = [
  requestsPerOperation,
  joined,
  group,
  rows,
  bill,
  acks,
  scripts,
  wholeTask,
  wait,
  waiters,
  largeGroups,
  indexedGroups,
  lists,
  alarms,
  turnsLimits,
  turnsLocks,
  sizes,
];
