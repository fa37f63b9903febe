import type { Grant } from "../../src/capability/capability.js";
import { taskText } from "../../src/capability/claims.js";
import { type Coordinator, coordinatorOver } from "../../src/coordinator.js";
import type { AckInput, AckLine, AckOutput } from "../../src/core/group/acks.js";
import type { TaskAck } from "../../src/core/group/record.js";
import type { InputOf, OutputOf, TransitionName } from "../../src/core/registry.js";
import { forbidden } from "../../src/http/bearer.js";
import { Problem } from "../../src/http/problem.js";
import type { RunOptions, WatchableTransition, WatchOptions } from "../../src/runtime/backend.js";
import type { EveryMethod } from "../../src/runtime/forwarding-backend.js";
import { REALM } from "../auth.js";

/** The verb that each step needs. A step that is missing here is refused. */
const VERBS: Readonly<Record<string, Grant["verbs"]>> = {
  status: ["status"],
  wait: ["status"],
  tasks: ["status"],
  progress: ["events"],
  results: ["results"],
  ack: ["ack", "fail"],
  cancel: ["cancel"],
};
/** The steps whose input may name a generation. The output of the others shows it. */
const OF_GENERATION: readonly string[] = ["wait", "tasks", "results", "ack", "cancel"];

/**
 * Returns a coordinator that runs only the transitions that a capability allows, on its record and its generation. It refuses
 * again what the routes refuse, so that a route that is added later opens nothing.
 */
export function restricted(whole: Coordinator, grant: Grant): Coordinator {
  return coordinatorOver(new RestrictedBackend(whole, grant), whole);
}

/** Forwards nothing by itself: a new method of backends is refused here until this class names it. */
class RestrictedBackend implements EveryMethod {
  readonly drain = undefined;
  readonly #whole: Coordinator;
  readonly #grant: Grant;

  constructor(whole: Coordinator, grant: Grant) {
    this.#whole = whole;
    this.#grant = grant;
  }

  async run<N extends TransitionName>(
    name: N,
    id: string,
    input: InputOf<N>,
    options?: RunOptions,
  ): Promise<OutputOf<N>> {
    const allowed = allowedInput(this.#grant, { name, id }, input);
    return ofGeneration(this.#grant, name, await this.#whole.run(name, id, allowed, options));
  }

  async watch<N extends WatchableTransition>(
    name: N,
    id: string,
    input: InputOf<N>,
    options: WatchOptions,
  ): Promise<OutputOf<N>> {
    const allowed = allowedInput(this.#grant, { name, id }, input);
    return ofGeneration(this.#grant, name, await this.#whole.watch(name, id, allowed, options));
  }

  onWake(): never {
    throw refusal("deliver");
  }

  async list(): Promise<never> {
    throw refusal("list groups or requests");
  }
}

/** Returns the input with the capability's generation. @throws {Problem} `forbidden`. */
function allowedInput<N extends TransitionName>(
  grant: Grant,
  { name, id }: { readonly name: N; readonly id: string },
  input: InputOf<N>,
): InputOf<N> {
  const [machine, step = ""] = name.split(".");
  const verbs = Object.hasOwn(VERBS, step) ? (VERBS[step] ?? []) : [];
  if (machine !== grant.machine || id !== grant.id) throw refusal("access another group or request");
  if (!verbs.some((verb) => grant.verbs.includes(verb))) throw refusal(`run ${step}`);
  const checked = (step === "ack" ? allowedAck(grant, input as AckInput) : input) as { readonly generation?: number };
  const named = checked.generation;
  if (grant.generation === undefined || !OF_GENERATION.includes(step)) return checked as InputOf<N>;
  if (named !== undefined && named !== grant.generation) throw refusal("name another generation");
  return { ...checked, generation: grant.generation } as InputOf<N>;
}

/** The status of the group is in the answer only if the capability may read it. */
function allowedAck(grant: Grant, input: AckInput): AckInput {
  if (input.next !== undefined) throw refusal("hand on to further tasks by next");
  for (const task of input.tasks) checkTask(grant, task);
  const { view, ...rest } = input;
  return view === true && grant.verbs.includes("status") ? input : rest;
}

function checkTask({ verbs, tasks }: Grant, { error, ...task }: TaskAck): void {
  const verb = error === undefined ? "ack" : "fail";
  if (!verbs.includes(verb)) throw refusal(`${verb} tasks`);
  if (tasks !== undefined && !tasks.some((each) => taskText(each) === taskText(task))) {
    throw refusal(`${verb} a task that it does not name`);
  }
}

/** The output of a group whose generation is another one is never shown. @throws {Problem} `not_found`. */
function ofGeneration<N extends TransitionName>({ generation }: Grant, name: N, output: OutputOf<N>): OutputOf<N> {
  if (generation === undefined) return output;
  if (name.endsWith(".ack")) return ackOfGeneration(generation, output as AckOutput) as OutputOf<N>;
  const { view, ready } = output as { readonly view?: { readonly generation: number }; readonly ready?: boolean };
  const isGone = view === undefined && ready === true && name.endsWith(".wait");
  if (!isGone && (view === undefined || view.generation === generation)) return output;
  throw new Problem("not_found", "the generation of this capability has ended, or is not known");
}

/** A task of another generation is answered as one of an unknown group. */
function ackOfGeneration(generation: number, { results, view, ...rest }: AckOutput): AckOutput {
  const lines = results.map((line): AckLine => {
    const isOther = line.verdict === "unknown" && line.generation !== generation;
    return isOther ? { verdict: "unknown", state: "unregistered", ended: false } : line;
  });
  const own = view?.generation === generation ? { view } : {};
  return { ...rest, results: lines, ...own };
}

export function refusal(what: string): Problem {
  return forbidden(REALM, `this capability does not allow to ${what}`);
}
