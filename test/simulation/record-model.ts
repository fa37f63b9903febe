import type { InputOf } from "../../src/core/registry.js";
import { keyOf, type ModelAck, type ModelAnnouncement, ModelGroup, type ModelTask, type Setup } from "./group-model.js";
import type { World } from "./world.js";

type Lists = Pick<InputOf<"completion.add">, "lists" | "children">;

/** A removed group turns late copies of its calls away for so long. */
const REMOVED_MS = 60_000;

/** One record of the model: the group that stands, those before it, and what is kept for one that is not registered. */
export class ModelRecord {
  readonly world: World;
  /** Every generation that ever was: what they owe outlives them. */
  readonly generations = new Map<number, ModelGroup>();
  /** The answers of calls that are remembered for a minute. */
  readonly memory = new Map<string, string>();
  /** Early acks of a group that is not registered. */
  readonly early = new Map<string, ModelTask>();
  /** Cancels that a parent left for a child. The last one counts. */
  note: { readonly key: string; readonly generation: number; readonly untilMs: number } | undefined;
  registrations: string[] = [];
  removedAtMs: number | undefined;
  newest = -1;
  #standing: ModelGroup | undefined;
  #n = 0;

  constructor(world: World) {
    this.world = world;
  }

  /** The group that stands, hidden or not, after its clocks. */
  get any(): ModelGroup | undefined {
    const group = this.#standing;
    if (group?.isOpen !== true) return group;
    group.applyClocks(this.world.nowMs);
    if (!group.isOpen) this.ended(group);
    return group;
  }

  /** The group that callers see. */
  get group(): ModelGroup | undefined {
    const group = this.any;
    return this.removedAtMs === undefined ? group : undefined;
  }

  ended(group: ModelGroup, sparesChildren = false): void {
    if (group.isOpen || group.deliveries.size > 0) return;
    group.owe(sparesChildren);
    if (group.reason === "silent") this.world.say(() => "  ended by silence");
  }

  /** Its record is kept for its TTL after its end, and longer for what it owes. */
  get mayBeGone(): boolean {
    const group = this.#standing;
    const { nowMs } = this.world;
    if (group === undefined) return true;
    if (this.removedAtMs !== undefined) return nowMs >= this.removedAtMs + REMOVED_MS;
    return nowMs >= (group.overAtMs ?? group.clock().atMs) + group.setup.ttlMs;
  }

  /** Nothing is left of the record but what a parent has left. */
  forget(): void {
    this.#standing = undefined;
    this.removedAtMs = undefined;
    this.registrations = [];
    this.memory.clear();
    this.early.clear();
  }

  /** Begins a generation. `kept`: the one before it, restarted in place. */
  begin(number: number, setup: Setup, kept?: ModelGroup): ModelGroup {
    const { nowMs } = this.world;
    const group = new ModelGroup(number, kept?.chain ?? number, setup, nowMs);
    const old = this.#standing;
    if (kept !== undefined) continueInPlace(group, kept);
    else if (old !== undefined && this.removedAtMs !== undefined && setup.kind !== "indexed") {
      for (const { key, stage, op, before, early } of old.tasks.values()) {
        const task = taskOf(group, key, stage);
        for (const each of [op, early?.op, ...before]) if (each !== undefined) task.before.add(each);
      }
    }
    this.#standing = group;
    this.removedAtMs = undefined;
    this.newest = number;
    this.generations.set(number, group);
    return group;
  }

  /** The early acks that still count, in the order of arrival. */
  takeEarly(): ModelTask[] {
    const { nowMs } = this.world;
    const tasks = [...this.early.values()].filter(({ early }) => early !== undefined && early.untilMs > nowMs);
    this.early.clear();
    return tasks.sort((a, b) => (a.early?.n ?? 0) - (b.early?.n ?? 0));
  }

  /** Keeps an early ack, in the group or before its registration. The first one counts; its copies extend its time. */
  keepEarly(task: ModelTask, ack: Omit<ModelAck, "n">): void {
    const { early } = task;
    if (early !== undefined && early.untilMs > this.world.nowMs) early.untilMs = Math.max(early.untilMs, ack.untilMs);
    else task.early = { ...ack, n: this.#n++ };
  }

  /** Announces tasks, counts the early acks among them, and announces what follows these. Returns a letter a task. */
  announce(group: ModelGroup, first: ModelAnnouncement): string {
    const queue = [first];
    let letters = "";
    for (let i = 0; i < queue.length; i++) {
      const { refs, children } = queue[i] as ModelAnnouncement;
      const fresh = new Set<string>();
      for (const { stage, id } of refs) {
        const task = taskOf(group, keyOf(stage, id), stage);
        const letter = task.isAnnounced ? "d" : task.early === undefined ? "n" : "e";
        if (i === 0) letters += letter;
        if (letter === "d") continue;
        task.isAnnounced = true;
        if (stage !== undefined) stageOf(group, stage).total++;
        fresh.add(task.key);
        const { early } = task;
        task.early = undefined;
        if (early === undefined || !group.isOpen) continue;
        this.count(group, task, early);
        if (early.next !== undefined) queue.push(early.next);
      }
      group.children.push(...children.filter(({ key }) => fresh.has(key)));
    }
    return letters;
  }

  count(
    group: ModelGroup,
    task: ModelTask,
    { op, isFailure, processed }: Pick<ModelAck, "op" | "isFailure" | "processed">,
  ): void {
    task.isAnnounced = true;
    task.state = isFailure ? "failed" : "succeeded";
    task.op = op;
    task.countedAtMs = this.world.nowMs;
    if (isFailure) group.errors++;
    if (task.stage !== undefined) {
      const counts = stageOf(group, task.stage);
      counts.processed += processed;
      if (isFailure) counts.errors++;
    }
    group.decide(false, this.world.nowMs);
  }

  /** A cancel that the parent left applies to this registration. */
  isCancelledByNote(parent: Setup["parent"]): boolean {
    const { note } = this;
    return note !== undefined && note.untilMs > this.world.nowMs && isMeant(parent, note);
  }
}

/** A child that names no generation of its parent belongs to whichever ended; else to that one and later ones. */
export function isMeant(
  parent: Setup["parent"],
  { key, generation }: { readonly key: string; readonly generation: number },
): boolean {
  return parent?.key === key && (parent.generation === undefined || parent.generation <= generation);
}

/** What has succeeded stays, with all that was announced; what has failed is open again. */
function continueInPlace(group: ModelGroup, kept: ModelGroup): void {
  for (const task of kept.tasks.values()) {
    const { op, early, before } = task;
    const next: ModelTask = { ...task, before: new Set(before) };
    if (task.state === "failed") {
      next.state = "open";
      next.op = undefined;
      if (op !== undefined) next.before.add(op);
    }
    if (early?.isFailure === true) {
      next.early = undefined;
      next.before.add(early.op);
    }
    group.tasks.set(task.key, next);
  }
  for (const [stage, counts] of kept.stages) group.stages.set(stage, { ...counts });
  group.children.push(...kept.children);
}

export function taskOf(group: ModelGroup, key: string, stage: string | undefined): ModelTask {
  const known = group.tasks.get(key);
  if (known !== undefined) return known;
  const task = newTask(key, stage);
  group.tasks.set(key, task);
  return task;
}

export function newTask(key: string, stage: string | undefined): ModelTask {
  return {
    key,
    stage,
    isAnnounced: false,
    state: "open",
    op: undefined,
    countedAtMs: 0,
    early: undefined,
    before: new Set(),
  };
}

export function stageOf(group: ModelGroup, stage: string): { total: number; processed: number; errors: number } {
  const counts = group.stages.get(stage) ?? { total: 0, processed: 0, errors: 0 };
  group.stages.set(stage, counts);
  return counts;
}

export function announcementOf({ lists, children = [] }: Lists): ModelAnnouncement {
  return {
    refs: lists.flatMap((text) => {
      const [stage = "", ...ids] = JSON.parse(text) as string[];
      return ids.map((id) => ({ stage: stage === "" ? undefined : stage, id }));
    }),
    children: children.map(({ stage, id, groupId }) => ({ key: keyOf(stage, id), groupId })),
  };
}
