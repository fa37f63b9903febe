import type { GroupView } from "../../src/core/group/view.js";
import type { InputOf, OutputOf } from "../../src/core/registry.js";
import { keyOf, type ModelGroup, type ModelTask, type Setup } from "./group-model.js";
import { announcementOf, isMeant, ModelRecord, newTask, stageOf, taskOf } from "./record-model.js";
import { Violation } from "./violation.js";

type In<S extends Step> = InputOf<`completion.${S}`>;
type Out<S extends Step> = OutputOf<`completion.${S}`>;
type Step =
  | "register"
  | "add"
  | "seal"
  | "ack"
  | "count"
  | "retry"
  | "extend"
  | "heartbeat"
  | "cancel"
  | "cancelChild"
  | "remove"
  | "status"
  | "wait";

/** How long an operation is remembered at least. */
const REMEMBERED_MS = 60_000;
/** How many registrations of one record are known by their operation. */
const KNOWN_REGISTRATIONS = 8;

function expect(what: string, got: unknown, wanted: unknown): void {
  if (got !== wanted) throw new Violation(`${what}: ${JSON.stringify(got)}, and it must be ${JSON.stringify(wanted)}`);
}

/** One group or request, step by step: says what each answer must be. Only when a record is evicted is left open. */
export class GroupOracle extends ModelRecord {
  readonly #changes = new Map<number, number>();

  get #nowMs(): number {
    return this.world.nowMs;
  }

  register(input: In<"register">, { outcome, view }: Out<"register">): void {
    if (outcome === "created" && input.restart === undefined && this.group !== undefined)
      this.#gone("a registration began it anew");
    if (
      outcome === "restart_lost" &&
      this.removedAtMs === undefined &&
      this.any !== undefined &&
      input.restart?.from === this.any.number
    )
      this.#gone("a restart lost");
    if (outcome === "created" && this.removedAtMs !== undefined && this.mayBeGone) this.forget();
    expect("the outcome of a registration", outcome, this.#outcomeOf(input));
    if (outcome === "created" && view !== undefined) this.#created(input, view.generation);
    if (view !== undefined) this.#seen(view);
  }

  #outcomeOf({ op, fingerprint, restart, kind, request }: In<"register">): Out<"register">["outcome"] {
    const standing = this.any;
    if (standing === undefined) return restart?.from === undefined ? "created" : "restart_lost";
    const isKnown = this.registrations.includes(op);
    if (this.removedAtMs !== undefined) {
      if (isKnown) return "removed";
      return restart?.from === undefined ? "created" : "restart_lost";
    }
    const isSame = fingerprint === standing.setup.fingerprint;
    if (isKnown) return "exists";
    if (isSame && (restart === undefined || (restart.from !== undefined && restart.from === standing.setup.from)))
      return "exists";
    if (restart === undefined) return "conflict";
    if (restart.from !== undefined && restart.from !== standing.number) return "restart_lost";
    if (restart.keep !== undefined && (standing.setup.kind !== kind || standing.setup.request !== (request === true)))
      return "conflict";
    return "created";
  }

  #created(input: In<"register">, number: number): void {
    if (number <= this.newest) throw new Violation("a generation that falls back");
    const { any: before, removedAtMs } = this;
    const early = before === undefined ? this.takeEarly() : [];
    if (before === undefined) this.registrations = [];
    const isKept = input.restart?.keep !== undefined && removedAtMs === undefined && before !== undefined;
    // The ids of decrements may be used again, and numbered tasks remember acks alone.
    if (before !== undefined && before.setup.kind !== "named" && !isKept && removedAtMs === undefined)
      this.memory.clear();
    const group = this.begin(number, setupOf(input), isKept ? before : undefined);
    this.registrations = [...this.registrations, input.op].slice(-KNOWN_REGISTRATIONS);
    if (group.setup.kind === "indexed")
      for (let i = 0; i < input.total; i++) taskOf(group, keyOf(undefined, String(i)), undefined).isAnnounced = true;
    this.announce(group, announcementOf(input));
    for (const { key, stage, early: ack } of early) {
      if (ack === undefined || !group.isOpen) continue;
      const task = this.#taskIn(group, key, stage);
      if (task === undefined) continue;
      if (!isListed(group, task)) {
        if (group.setup.grows) this.keepEarly(task, { ...ack, untilMs: Number.POSITIVE_INFINITY });
      } else if (task.state === "open" && (group.setup.kind !== "counted" || group.left > 0)) {
        this.count(group, task, ack);
        if (ack.next !== undefined && group.setup.grows && group.isOpen) this.announce(group, ack.next);
      }
    }
    group.decide(true, this.#nowMs);
    if (group.isOpen && this.isCancelledByNote(input.parent)) this.#endByParent(group);
    this.ended(group);
  }

  #endByParent(group: ModelGroup): void {
    group.isEndOfParent = true;
    group.end("cancelled", this.#nowMs, {});
  }

  /** A task by its key, if an id like this may be one of the group's. */
  #taskIn(group: ModelGroup, key: string, stage: string | undefined): ModelTask | undefined {
    return group.setup.kind === "indexed" ? group.tasks.get(key) : taskOf(group, key, stage);
  }

  add(input: In<"add">, { outcome, letters, refused, view }: Out<"add">) {
    const group = this.#standing(input.generation, outcome === "unknown" && refused === undefined);
    const known = this.memory.get(input.op);
    if (group === undefined) return expect("add", outcome, "unknown");
    if (known !== undefined) expect("the letters of a copy", letters, known);
    else if (!group.setup.grows) expect("add to a closed group", refused, "closed");
    else if (!group.isOpen) expect("add after the end", outcome, "late");
    else if (group.isSealed) expect("add after the seal", outcome, "sealed");
    else {
      expect("the letters", letters, this.announce(group, announcementOf(input)));
      this.#done(group, { op: input.op, answer: letters ?? "" });
    }
    if (view !== undefined) this.#seen(view);
  }

  seal(input: In<"seal">, { outcome, view }: Out<"seal">) {
    const group = this.#standing(input.generation, outcome === "unknown");
    if (group === undefined) return expect("seal", outcome, "unknown");
    if (this.memory.has(input.op)) expect("seal again", outcome, "sealed");
    else if (group.takesNoMore) expect("seal of a sealed group", outcome, "already");
    else if (!group.isOpen) expect("seal after the end", outcome, "late");
    else {
      expect("seal", outcome, "sealed");
      group.isSealed = true;
      this.#done(group, { op: input.op, answer: "" });
    }
    if (view !== undefined) this.#seen(view);
  }

  /** A call has changed the group: it is decided, and it lives on. */
  #done(group: ModelGroup, call?: { readonly op: string; readonly answer: string }): void {
    if (call !== undefined) this.memory.set(call.op, call.answer);
    group.decide(true, this.#nowMs);
    group.touchedAtMs = this.#nowMs;
    this.ended(group);
  }

  ack(input: In<"ack">, { results, refused, view }: Out<"ack">) {
    if (results.some(({ state }) => state === "unregistered") && this.group !== undefined)
      this.#gone("an ack finds no group");
    if (this.removedAtMs !== undefined && results.some(({ verdict }) => verdict === "early")) this.forget();
    const { group } = this;
    if (group === undefined) return this.#ackedBefore(input, results);
    if (input.next !== undefined && !group.setup.grows) return expect("next of a closed group", refused, "closed");
    const wanted = input.tasks.map((task) => this.#verdictOf(group, task, input));
    const isCounted = wanted.includes("accepted!");
    const next = input.next === undefined ? undefined : announcementOf(input.next);
    // What this call announces itself is not announced again by its early acks.
    for (const task of isCounted ? group.tasks.values() : [])
      if (task.early?.op === input.op) task.early = { ...task.early, next: undefined };
    if (isCounted && next !== undefined && group.isOpen) this.announce(group, next);
    if (isCounted || wanted.includes("early!")) this.#done(group);
    for (const [i, { verdict, state, remaining }] of results.entries()) {
      const [want] = (wanted[i] ?? "").split("!");
      const isCopy = want === "copy" && ["accepted", "early", "duplicate", "late", "cancelled"].includes(verdict);
      if (!isCopy) expect(`the verdict of ${JSON.stringify(input.tasks[i])}`, verdict, want);
      expect("the state", state, group.state);
      expect("what remains", remaining, group.left);
    }
    if (view !== undefined) this.#seen(view);
  }

  /** The verdict of one task, and its count. With "!": it changes something. */
  #verdictOf(
    group: ModelGroup,
    { stage, id, error, processed = 0 }: In<"ack">["tasks"][number],
    input: In<"ack">,
  ): string {
    const { generation, op } = input;
    const isFailure = error !== undefined;
    const isOfChain =
      generation === undefined ||
      generation === group.number ||
      (!isFailure && generation >= group.chain && generation < group.number);
    if (!isOfChain) return "unknown";
    const task = this.#taskIn(group, keyOf(stage, id), stage);
    if (task === undefined) return "unknown";
    // The letters of numbered tasks name no call: these are recognised for a minute.
    const isForgotten = group.setup.kind === "indexed" && this.#nowMs - task.countedAtMs >= REMEMBERED_MS;
    if (task.op === op) return isForgotten ? "copy" : "accepted";
    if (task.early?.op === op && group.isOpen) return "early";
    if (task.before.has(op) || task.early?.op === op) return "copy";
    // A call whose early acks counted is recognised as a whole where tasks are numbered.
    const isOfEarly = group.setup.kind === "indexed" && [...group.tasks.values()].some((each) => each.op === op);
    if (task.state !== "open") return isOfEarly ? "copy" : "duplicate";
    if (!isListed(group, task) && !group.setup.grows) return "unknown";
    if (group.state === "cancelled") return "cancelled";
    if (!group.isOpen || (group.setup.kind === "counted" && group.left === 0)) return "late";
    if (isListed(group, task)) {
      this.count(group, task, { op, isFailure, processed });
      return "accepted!";
    }
    const next = input.next === undefined ? undefined : announcementOf(input.next);
    this.keepEarly(task, { op, isFailure, processed, next, untilMs: Number.POSITIVE_INFINITY });
    return "early!";
  }

  #ackedBefore(input: In<"ack">, results: Out<"ack">["results"]): void {
    const isKept = input.earlyTtlMs > 0 && input.generation === undefined && this.removedAtMs === undefined;
    for (const [i, { stage, id, error, processed = 0 }] of input.tasks.entries()) {
      expect("the verdict of an early ack", results[i]?.verdict, isKept ? "early" : "unknown");
      if (!isKept) continue;
      const key = keyOf(stage, id);
      const task = this.early.get(key) ?? newTask(key, stage);
      this.early.set(key, task);
      const next = input.next === undefined ? undefined : announcementOf(input.next);
      const untilMs = this.#nowMs + input.earlyTtlMs;
      this.keepEarly(task, { op: input.op, isFailure: error !== undefined, processed, next, untilMs });
    }
  }

  counted(input: In<"count">, { verdict, state, complete }: Out<"count">) {
    const group = this.#standing(input.generation, state === "unregistered");
    if (group === undefined) return expect("count", verdict, "unknown");
    if (this.memory.has(input.op)) expect("count again", verdict, "accepted");
    else if (!group.isOpen) expect("count after the end", verdict, group.state === "cancelled" ? "cancelled" : "late");
    else {
      expect("count", verdict, "accepted");
      const counts = stageOf(group, input.stage);
      counts.processed += input.processed ?? 0;
      if (input.error !== undefined) {
        counts.errors++;
        group.errors++;
      }
      this.memory.set(input.op, "");
      group.touchedAtMs = this.#nowMs;
    }
    expect("complete", complete, group.hasNoOpenTask);
  }

  retry(input: In<"retry">, { outcome, letters, view }: Out<"retry">) {
    const group = this.#standing(input.generation, outcome === "unknown");
    if (group === undefined) return expect("retry", outcome, "unknown");
    const known = this.memory.get(input.op);
    if (known !== undefined) expect("the letters of a copy", letters, known);
    else if (!group.isOpen) expect("retry after the end", outcome, "late");
    else {
      const wanted = input.tasks.map(({ stage, id }) => reopen(group.tasks.get(keyOf(stage, id)))).join("");
      expect("the letters of a retry", letters, wanted);
      if (wanted.includes("r")) {
        this.memory.set(input.op, wanted);
        group.touchedAtMs = this.#nowMs;
      }
    }
    if (view !== undefined) this.#seen(view);
  }

  extend(input: In<"extend">, { view }: Out<"extend">): void {
    const group = this.#standing(undefined, view === undefined);
    const isMeantHere = input.generation === undefined || input.generation === group?.number;
    const atMs = this.#nowMs + input.timeoutMs;
    const isLater = group?.deadlineAtMs !== undefined && group.deadlineAtMs < atMs;
    if (group?.isOpen === true && isMeantHere && isLater && !this.memory.has(input.op)) {
      group.deadlineAtMs = atMs;
      this.memory.set(input.op, "");
    }
    if (view !== undefined) this.#seen(view);
  }

  heartbeat(_: In<"heartbeat">, { alive, state }: Out<"heartbeat">) {
    const group = this.#standing(undefined, state === "unregistered");
    if (group === undefined) return expect("a heartbeat of no group", alive, true);
    expect("the state", state, group.state);
    expect("alive", alive, group.isOpen);
    const { idleMs, ttlMs } = group.setup;
    if (group.isOpen && this.#nowMs - group.touchedAtMs >= (idleMs ?? ttlMs) / 8) group.touchedAtMs = this.#nowMs;
  }

  cancel(input: In<"cancel">, { view }: Out<"cancel">): void {
    const group = this.#standing(undefined, view === undefined);
    if (group?.isOpen === true && (input.generation === undefined || input.generation === group.number)) {
      group.end("cancelled", this.#nowMs, { reason: input.reason });
      this.ended(group, input.sparesChildren === true);
    }
    if (view !== undefined) this.#seen(view);
  }

  cancelChild(input: In<"cancelChild">, { cancelled }: Out<"cancelChild">): void {
    const group = this.any;
    const { key, generation } = input;
    this.note = { key, generation, untilMs: this.#nowMs + input.ttlMs };
    const isDue = group?.isOpen === true && isMeant(group.setup.parent, { key, generation });
    if (cancelled !== isDue && !(this.mayBeGone && !cancelled)) expect("a parent's cancel", cancelled, isDue);
    if (!cancelled || group === undefined) return;
    this.#endByParent(group);
    this.ended(group);
  }

  remove(input: In<"remove">, { found }: Out<"remove">) {
    const group = this.any;
    if (!found && group !== undefined && this.mayBeGone) return this.forget();
    if (this.memory.has(input.op)) return expect("remove again", found, true);
    expect("remove", found, group !== undefined && this.removedAtMs === undefined);
    if (group === undefined || !found) return;
    this.memory.set(input.op, "");
    this.removedAtMs = this.#nowMs;
    if (!group.isOpen) return;
    if (group.setup.request && group.hasNoOpenTask)
      group.end("completed", this.#nowMs, { completionReason: "all_completed" });
    else group.end("cancelled", this.#nowMs, { reason: "removed" });
    this.ended(group);
  }

  status(_: In<"status">, { view }: Out<"status">): void {
    this.#standing(undefined, view === undefined);
    if (view !== undefined) this.#seen(view);
  }

  wait({ background }: In<"wait">, { ready, recheckInMs, view }: Out<"wait">) {
    if (view !== undefined) return this.#seen(view, true);
    const group = this.#standing(undefined, recheckInMs === undefined);
    if (group === undefined) return;
    expect("a waiter is ready", ready, !group.isOpen || (group.setup.request && group.hasNoOpenTask));
    const aliveAtMs = Math.max(group.touchedAtMs, group.followedAtMs);
    if (group.clock().name !== "silent" || background === true) return;
    if (this.#nowMs < aliveAtMs + Math.ceil(group.setup.ttlMs / 4)) return;
    group.followedAtMs = this.#nowMs;
    this.world.say(() => "  a waiter puts off the end by silence");
  }

  /** The group that a call is for, if it names the generation that stands. `isUnknown`: the call found none. */
  #standing(generation: number | undefined, isUnknown: boolean): ModelGroup | undefined {
    const { group } = this;
    const isOther = generation !== undefined && generation !== group?.number;
    if (group === undefined || isOther) return undefined;
    if (isUnknown) this.#gone("it is unknown");
    return isUnknown ? undefined : group;
  }

  #gone(what: string): void {
    if (!this.mayBeGone) throw new Violation(`${what}, before its record may be gone`);
    this.forget();
  }

  #seen(view: GroupView, isHidden = false): void {
    const group = isHidden ? this.any : this.group;
    expect("the generation of a view", view.generation, group?.number);
    if (group === undefined) return;
    const before = this.#changes.get(group.number) ?? 0;
    if (view.changes < before) throw new Violation("a version that falls back");
    this.#changes.set(group.number, view.changes);
    expect("the state", view.state, group.state);
    expect("the total", view.total, group.total);
    expect("succeeded", view.succeeded, group.count("succeeded"));
    expect("failed", view.failed, group.count("failed"));
    expect("remaining", view.remaining, group.left);
    expect("sealed", view.sealed, group.takesNoMore);
    expect("the completion reason", view.completionReason, group.completionReason);
    expect("the error count", view.errorCount, group.errors);
    expect("the deadline", view.deadlineAtMs, group.deadlineAtMs);
    expect("the parent", view.parent, group.setup.parent?.body);
    if (!group.isEndOfParent) expect("the reason", view.reason, group.reason);
    const of = (stage: string, state: string): number =>
      [...group.tasks.values()].filter((task) => task.isAnnounced && task.stage === stage && task.state === state)
        .length;
    for (const { stage, total, succeeded, failed, processed, errors } of view.stages ?? []) {
      const counts = stageOf(group, stage);
      expect(
        `the counts of ${stage}`,
        `${[total, succeeded, failed, processed, errors]}`,
        `${[counts.total, of(stage, "succeeded"), of(stage, "failed"), counts.processed, counts.errors]}`,
      );
    }
    expect("the stages", view.stages?.length ?? 0, group.stages.size);
  }
}

/** Announced, or of a group whose tasks are only counted: any id is one of these. */
const isListed = (group: ModelGroup, task: ModelTask): boolean => task.isAnnounced || group.setup.kind === "counted";

function reopen(task: ModelTask | undefined): string {
  if (task?.isAnnounced !== true) return "u";
  if (task.state !== "failed") return "s";
  if (task.op !== undefined) task.before.add(task.op);
  task.state = "open";
  task.op = undefined;
  return "r";
}

function setupOf(input: In<"register">): Setup {
  const { kind, total, request, grows, policy, timeoutMs, idleMs, ttlMs, targets = {}, parent, fingerprint } = input;
  return {
    kind,
    total,
    request: request === true,
    grows: grows === true,
    policy,
    timeoutMs,
    idleMs,
    ttlMs,
    targets: Object.fromEntries(Object.entries(targets).map(([end, { route }]) => [end, route])),
    parent,
    fingerprint,
    from: input.restart?.from,
  };
}
