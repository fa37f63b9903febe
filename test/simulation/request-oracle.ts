import type { TransitionName } from "../../src/core/registry.js";
import type { RequestView, StageRoots } from "../../src/core/request/record.js";
import type { RequestOutcome } from "../../src/core/request/request.js";
import { Violation } from "./violation.js";
import type { World } from "./world.js";

interface Mark {
  readonly op: string;
  readonly failed: boolean;
  readonly processed: number;
  readonly next: readonly StageRoots[];
}

interface Life {
  readonly roots: Set<string>;
  /** What each mark brings: it counts once its root is registered. */
  readonly marks: Map<string, Mark>;
  sealed: boolean;
}

interface Input {
  readonly op: string;
  readonly stage: string;
  readonly root: string;
  readonly roots: readonly string[];
  readonly processed: number;
  readonly error?: string;
  readonly next?: readonly StageRoots[];
}

type Output = RequestOutcome & { readonly view?: RequestView; readonly ready?: boolean; readonly found?: boolean };

const nameOf = (stage: string, root: string): string => `${stage}/${root}`;

/** The one request of a run: what it must be by the steps that were applied. */
export class RequestOracle {
  readonly #world: World;
  #life: Life | undefined;
  /** What waiters may be told for a minute after the cleanup. */
  #cleaned: { readonly life: Life; readonly untilMs: number } | undefined;
  #cleanups = 0;
  readonly #counted = new Set<string>();
  /** Whether some waiter was told of the end. */
  told = false;

  constructor(world: World) {
    this.#world = world;
  }

  observe(transition: TransitionName, input: Input, output: Output): void {
    const life = this.#life;
    // A late copy of a call that has counted gets the same answer, and changes nothing.
    const isCopy = this.#counted.has(input.op);
    const counts = output.verdict === "accepted" || output.verdict === "early" || output.found === true;
    if (input.op !== undefined && counts) this.#counted.add(input.op);
    if (isCopy) return;
    if (transition === "request.register" && output.verdict === "accepted") {
      if (life !== undefined) throw new Violation("a request that stands was registered anew");
      this.#life = { roots: new Set(), marks: new Map(), sealed: false };
      return;
    }
    if (life === undefined) {
      this.#afterwards(transition, output);
      return;
    }
    if (output.verdict === "unknown") throw new Violation("a request that stands is unknown");
    if (transition === "request.roots" && output.verdict === "accepted") {
      if (life.sealed) throw new Violation("a sealed request took roots");
      this.#add(life, input.stage, input.roots);
    }
    if (transition === "request.seal") life.sealed = true;
    if (transition === "request.mark") this.#marked(life, input, output);
    if (transition === "request.cleanup") {
      if (isComplete(life)) this.#cleaned = { life, untilMs: this.#world.nowMs + 60_000 };
      this.#life = undefined;
      this.#cleanups++;
    }
    if (output.view !== undefined) this.#seen(life, output.view);
    const isSaid = output.complete ?? (transition === "request.wait" ? output.ready : undefined);
    if (isSaid !== undefined && isSaid !== isComplete(life))
      throw new Violation(`complete: ${isSaid}, and it is ${!isSaid}`);
    if (output.ready === true && output.view === undefined)
      throw new Violation("a waiter of a known request hears nothing");
    if (transition === "request.wait" && output.ready === true) this.told = true;
  }

  settled(): void {
    // One that was cleaned up and begun again waits for messages that are done.
    if (this.#cleanups > 0) return;
    if (this.#life !== undefined && !isComplete(this.#life)) throw new Violation("the request is not complete");
    if (this.#life !== undefined && !this.told) throw new Violation("no waiter was told that the request is complete");
  }

  /** A request that is gone: only a registration brings it back, and no caller reads success. */
  #afterwards(transition: TransitionName, { verdict, ready, view }: Output): void {
    if (verdict !== undefined && verdict !== "unknown")
      throw new Violation(`${transition} counts for a request that is gone`);
    if (ready !== undefined && view !== undefined) {
      if (this.#cleaned === undefined || this.#cleaned.untilMs <= this.#world.nowMs)
        throw new Violation("a ghost is read");
      this.#seen(this.#cleaned.life, view);
      this.told = true;
    } else if (view !== undefined) throw new Violation("a request that is gone has a status");
  }

  #add(life: Life, stage: string, added: readonly string[]): void {
    for (const root of added) {
      const name = nameOf(stage, root);
      if (life.roots.has(name)) continue;
      life.roots.add(name);
      this.#handOn(life, life.marks.get(name));
    }
  }

  #handOn(life: Life, mark: Mark | undefined): void {
    for (const { stage, roots } of mark?.next ?? []) this.#add(life, stage, roots);
  }

  #marked(life: Life, input: Input, { verdict }: Output): void {
    if (verdict !== "accepted" && verdict !== "early") return;
    const name = nameOf(input.stage, input.root);
    const before = life.marks.get(name);
    if (before !== undefined && before.op !== input.op) throw new Violation(`the root ${name} counts twice`);
    if (before !== undefined) return;
    const { op, error, processed, next = [] } = input;
    const mark = { op, failed: error !== undefined, processed, next };
    life.marks.set(name, mark);
    const isEarly = !life.roots.has(name);
    if (isEarly !== (verdict === "early")) throw new Violation(`a mark that is early: ${isEarly}, is told ${verdict}`);
    if (!isEarly) this.#handOn(life, mark);
  }

  #seen(life: Life, view: RequestView): void {
    if (view.complete !== isComplete(life))
      throw new Violation(`complete: ${view.complete}, and it is ${!view.complete}`);
    const counted = [...life.marks].flatMap(([name, mark]) => (life.roots.has(name) ? [mark] : []));
    const failed = counted.filter((mark) => mark.failed).length;
    const processed = counted.reduce((all, mark) => all + mark.processed, 0);
    const sum = (field: "processed" | "errorCount"): number =>
      view.stages.reduce((all, stage) => all + stage[field], 0);
    if (sum("errorCount") !== failed) throw new Violation(`${failed} failures read as ${sum("errorCount")}`);
    if (sum("processed") !== processed) throw new Violation(`${processed} processed read as ${sum("processed")}`);
  }
}

function isComplete({ roots, marks, sealed }: Life): boolean {
  return [...roots].every((root) => marks.has(root)) && (roots.size > 0 || sealed);
}
