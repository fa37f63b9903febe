import { isDeepStrictEqual } from "node:util";
import { CoordinationError, type Coordinator } from "../../../src/index.js";
import type { Fault, FaultProxy, Lane } from "../../support/fault-proxy.js";
import { SILENCE_MS } from "../../support/silence.js";
import { bounded } from "./bounded.js";
import { nameOf, type Operation, type Outcome, outcomeOf, type Place } from "./operation.js";

/** A backend, and the network in front of it. */
export interface World {
  readonly proxy: FaultProxy;
  /** A client that sends by a lane, or straight to the backend; it sees what others with this id see. */
  client(id: string, lane?: Lane): Coordinator;
  /** Has the deliveries of this id come to their end. */
  settle(id: string): Promise<void>;
  hook(id: string): string;
  hooked(id: string): number;
}

/** One column of the matrix. */
export interface Column {
  readonly fault: Fault & string;
  /** The caller leaves when no answer comes. */
  readonly aborts?: true;
}

export const COLUMNS: readonly (Column & { readonly name: string })[] = [
  { name: "dropped before it arrived", fault: "dropped before" },
  { name: "dropped after it was applied", fault: "dropped after" },
  { name: "answered 502 after it was applied", fault: "error after" },
  { name: "answered 429 with Retry-After", fault: "busy before" },
  { name: "answered with a body that breaks off", fault: "truncated after" },
  { name: "answered with a body that is cut short", fault: "cut after" },
  { name: "answered by a page, before it arrived", fault: "html before" },
  { name: "answered by a page, after it was applied", fault: "html after" },
  { name: "replayed at once", fault: "replayed" },
  { name: "replayed late, after other operations", fault: "replayed late" },
  { name: "answered by a slow drip", fault: "slow" },
  { name: "answered by half, and then silence", fault: "stalled after" },
  { name: "left by its caller before it arrived", fault: "silent before", aborts: true },
  { name: "left by its caller after it was applied", fault: "silent after", aborts: true },
];

/** How long a wait may take that is not left in silence. */
const WAIT_MS = 30_000;
/** How many cells are tried side by side. */
const AT_ONCE = 32;

/** What an operation does on a sound network. */
interface Reference {
  readonly value: unknown;
  /** The state without the operation, with it, and with what others did afterwards. */
  readonly none: unknown;
  readonly one: unknown;
  readonly late: unknown;
  /** The same after a copy that counts as well. */
  readonly copied: { readonly one: unknown; readonly late: unknown } | undefined;
  /** How many requests it made. */
  readonly steps: number;
}

/** What became of one operation under one fault. */
export interface Cell {
  /** The operation, and which of its requests met the fault. */
  readonly name: string;
  /** What is wrong; none when all is well. */
  readonly wrong: readonly string[];
  readonly outcome: "value" | "told no" | "told unknown" | "aborted";
}

export class Matrix {
  readonly #world: World;
  readonly #references = new Map<Operation, Promise<Reference>>();
  #made = 0;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  /** Tries one fault on every request of every operation. */
  async column(operations: readonly Operation[], column: Column): Promise<Cell[]> {
    const rows = operations.map(async (operation) => {
      const { steps } = await this.#reference(operation);
      const cells = Array.from({ length: steps }, (_, step) =>
        this.#limited(() => this.#cell(operation, column, step)),
      );
      return Promise.all(cells);
    });
    return (await Promise.all(rows)).flat();
  }

  #reference(operation: Operation): Promise<Reference> {
    const known = this.#references.get(operation) ?? this.#limited(() => this.#measure(operation));
    this.#references.set(operation, known);
    return known;
  }

  async #measure(operation: Operation): Promise<Reference> {
    const untouched = this.#place();
    await operation.prepare?.(untouched);
    const none = plain(await operation.observe(untouched), untouched.id);
    const once = this.#place();
    const lane = this.#world.proxy.lane();
    await operation.prepare?.(once);
    const value = plain(await operation.run({ ...once, c: this.#world.client(once.id, lane) }), once.id);
    const steps = lane.requests.length;
    const one = plain(await operation.observe(once), once.id);
    const { run, meanwhile, sentOnce } = operation;
    const late = await this.#left(operation, [run, meanwhile]);
    const copied = sentOnce && {
      one: await this.#left(operation, [run, run]),
      late: await this.#left(operation, [run, meanwhile, run]),
    };
    return { value, none, one, late, copied, steps };
  }

  /** The state after these steps. */
  async #left(operation: Operation, steps: readonly Operation["meanwhile"][]): Promise<unknown> {
    const place = this.#place();
    await operation.prepare?.(place);
    for (const step of steps) await step?.(place);
    return plain(await operation.observe(place), place.id);
  }

  async #cell(operation: Operation, column: Column, step: number): Promise<Cell> {
    const reference = await this.#reference(operation);
    const { fault, aborts } = column;
    const place = this.#place();
    const lane = this.#world.proxy.lane();
    const client = this.#world.client(place.id, lane);
    const caller = new AbortController();
    const reason = new Error("the caller left");
    const name = `${nameOf(operation)}, request ${step + 1}`;
    await operation.prepare?.(place);
    if (aborts) void lane.silent().then(() => caller.abort(reason));
    lane.faults.push(...Array<Fault>(step).fill("none"), fault);
    const c = bounded(client, { signal: caller.signal });
    const waitMs = fault === "stalled after" ? SILENCE_MS : WAIT_MS;
    const outcome = await outcomeOf(operation.run({ ...place, c, waitMs }));
    const isMet = lane.faults.length === 0;
    const told = verdictOf(outcome, reason);
    // A caller whose error says that nothing was applied may call again, and does.
    const isAgain = told === "told no" && (outcome as { error: CoordinationError }).error.retryable;
    if (isAgain) await operation.run(place);
    const isLate = fault === "replayed late";
    if (isLate) {
      await operation.meanwhile?.(place);
      await lane.replay();
    }
    const left = plain(await operation.observe(place), place.id);
    const { healsFrom = reference.steps, halfway } = operation;
    const hasLanded = fault.endsWith("after") && step === healsFrom - 1;
    const isApplied = told === "value" || isAgain || step >= healsFrom || hasLanded;
    const applied = fault.startsWith("replayed") ? (reference.copied ?? reference) : reference;
    const wanted = isApplied ? (isLate ? applied.late : applied.one) : reference.none;
    const isHalfway = told === "aborted" && halfway !== undefined && isDeepStrictEqual(left, halfway);
    const wrong: string[] = [];
    if (!isMet) wrong.push("the fault met nothing");
    if (!isHalfway && !isDeepStrictEqual(left, wanted)) wrong.push(`left ${show(left)} instead of ${show(wanted)}`);
    if ("value" in outcome) {
      const value = plain(outcome.value, place.id);
      if (!isDeepStrictEqual(value, reference.value)) wrong.push(`gave ${show(value)}, not ${show(reference.value)}`);
    }
    wrong.push(...untrue(operation, column, { outcome, told, isApplied: fault.endsWith("after") }));
    return { name, wrong, outcome: told };
  }

  #place(): Place {
    const id = `id-${++this.#made}`;
    const world = this.#world;
    return {
      id,
      c: world.client(id),
      hook: world.hook(id),
      hooked: () => world.hooked(id),
      settle: () => world.settle(id),
      waitMs: WAIT_MS,
      memo: {},
    };
  }

  async #limited<T>(work: () => Promise<T>): Promise<T> {
    while (this.#running >= AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running++;
    try {
      return await work();
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }
}

function verdictOf(outcome: Outcome, reason: unknown): Cell["outcome"] {
  if ("value" in outcome) return "value";
  if (outcome.error === reason) return "aborted";
  return outcome.error instanceof CoordinationError && outcome.error.applied === "no" ? "told no" : "told unknown";
}

/** What a caller was told that is not so, or that it should not have been told at all. */
function untrue(
  { reads, waits, sentOnce }: Operation,
  { fault, aborts }: Column,
  { outcome, told, isApplied }: { outcome: Outcome; told: Cell["outcome"]; isApplied: boolean },
): string[] {
  if (told === "value") return [];
  if (told === "aborted") return aborts ? [] : ["rejected with the reason of a caller who had not left"];
  const { error } = outcome as { error: unknown };
  if (!(error instanceof CoordinationError)) return [`threw ${String(error)}`];
  const wrong: string[] = [];
  // One fault alone is waited out.
  const isEndOfWait = waits && error.code === "wait_timeout" && fault === "stalled after";
  const isSentOnce = sentOnce === true && error.retryable;
  if (!isEndOfWait && !isSentOnce) wrong.push(`threw ${error.code} for one fault`);
  if (reads && error.applied !== "no") wrong.push("said of a read that it may have been applied");
  if (!reads && isApplied && error.applied === "no") wrong.push("said that nothing was applied, but it was");
  return wrong;
}

/** The value without what differs from one run to the next: ids, instants, generations. */
function plain(value: unknown, id: string): unknown {
  const text = JSON.stringify(value, (_, field: unknown) => {
    if (typeof field === "number" && field > 1e12) return "an instant";
    if (typeof field === "string") return field.startsWith("msg_") ? "msg" : plainText(field, id);
    return field;
  });
  return text === undefined ? undefined : JSON.parse(text);
}

/** A version begins with its generation. */
function plainText(text: string, id: string): string {
  return text.replace(/^\d{13}(?=\.\d+$)/, "an instant").replaceAll(id, "ID");
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? "nothing";
}
