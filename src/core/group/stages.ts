import { decode, encode } from "../host.js";
import type { Store } from "../store.js";

/** The counts of a stage. */
export interface StageCounts {
  total: number;
  succeeded: number;
  failed: number;
  processed: number;
  requeued: number;
  errors: number;
}

export interface StageView extends StageCounts {
  stage: string;
}

/** How many stages one group has at most. */
export const MAX_STAGES = 64;
/** The largest count of a stage. */
export const MAX_COUNT = 1_000_000_000_000;

const NAMES = "stages";
const stageName = (stage: string): string => `g:${stage}`;

/** The stages that one step has touched. A stage costs one read and one write a step, however many tasks it has. */
export interface Stages {
  touched: string[];
  counts: Record<string, StageCounts | undefined>;
  /** A count has left its range. */
  isOverflown?: boolean;
}

export const noStages = (): Stages => ({ touched: [], counts: {} });

/** The counts of a stage; `undefined` when it is new and no other may be added. */
export function countsOf(store: Store, stages: Stages, stage: string): StageCounts | undefined {
  const known = stages.counts[stageName(stage)];
  if (known !== undefined) return known;
  const names = stageNames(store);
  let counts: StageCounts = { total: 0, succeeded: 0, failed: 0, processed: 0, requeued: 0, errors: 0 };
  if (names.includes(stage)) counts = decode<StageCounts>(store.get(stageName(stage))!);
  else {
    if (names.length >= MAX_STAGES) return undefined;
    names.push(stage);
    store.set(NAMES, encode(names));
  }
  stages.counts[stageName(stage)] = counts;
  stages.touched.push(stage);
  return counts;
}

export function saveStages(store: Store, stages: Stages): void {
  for (const stage of stages.touched) store.set(stageName(stage), encode(stages.counts[stageName(stage)]!));
}

/** The stages in the order in which they were first named. */
export function viewStages(store: Store): StageView[] {
  const names = stageNames(store);
  store.load(names.map((name) => stageName(name)));
  return names.map((stage) => ({ ...decode<StageCounts>(store.get(stageName(stage))!), stage }));
}

/** Forgets all stages: a new use of the record begins without any. */
export const clearStages = (store: Store): void => store.remove(NAMES);

function stageNames(store: Store): string[] {
  const text = store.get(NAMES);
  return text === undefined ? [] : decode<string[]>(text);
}

/** Returns the members that a step reads for the stages of these tasks. */
export function stageMembers(tasks: readonly { stage?: string }[]): string[] {
  const members: string[] = [];
  const listed: Record<string, boolean | undefined> = {};
  for (const { stage } of tasks) {
    if (stage === undefined) continue;
    const name = stageName(stage);
    if (listed[name] === undefined) members.push(name);
    listed[name] = true;
  }
  if (members.length > 0) members.push(NAMES);
  return members;
}
