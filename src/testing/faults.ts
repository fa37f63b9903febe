import { type Coordinator, coordinatorOver } from "../coordinator.js";
import type { InputOf, OutputOf, TransitionName } from "../core/registry.js";
import { CoordinationError } from "../errors.js";
import { checkInteger } from "../lib/validate.js";
import type { RunOptions } from "../runtime/backend.js";
import { ForwardingBackend } from "../runtime/forwarding-backend.js";

/** Which calls a fault hits: every n-th, or by a chance that a seed makes repeatable. Default: every call. */
export type FaultPlan = FaultScope &
  ({ readonly everyNth?: number } | { readonly seed: number; readonly chance?: number });

/** Options that restrict a fault. */
export interface FaultScope {
  /** Only calls of these transitions are hit and counted. Default: all. */
  readonly transitions?: readonly TransitionName[];
  /** How many calls are hit at most. Default: no limit. */
  readonly times?: number;
}

/** Returns a generator of numbers from 0 to 1 that is repeatable by its seed ("mulberry32"). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/**
 * A network that loses replies: the call is applied, its reply is dropped, and the same call is sent again, as HTTP clients
 * do. A call that may not be sent again fails with `applied: "unknown"`, though it was applied.
 *
 * @param plan.resend false: the client never sends a call again, and every lost reply fails that way.
 */
export function losingReplies(
  coordinator: Coordinator,
  plan: FaultPlan & { readonly resend?: boolean } = {},
): Coordinator {
  return faulty(coordinator, plan, async (send, mayResend) => {
    await send();
    if (mayResend && plan.resend !== false) return send();
    throw new CoordinationError("backend_unavailable", "the reply was lost", { retryable: true, applied: "unknown" });
  });
}

/** A backend that refuses calls before it applies them. */
export function refusing(coordinator: Coordinator, plan: FaultPlan = {}): Coordinator {
  return faulty(coordinator, plan, async () => {
    throw new CoordinationError("backend_unavailable", "the backend refused", { retryable: true });
  });
}

/** A network that delivers calls twice; the caller gets the first reply. */
export function duplicating(coordinator: Coordinator, plan: FaultPlan = {}): Coordinator {
  return faulty(coordinator, plan, async (send) => {
    const reply = await send();
    await send();
    return reply;
  });
}

/**
 * A network that reorders calls.
 *
 * @param options.hold what a call waits for; default: a random number of turns of the event loop.
 */
export function delaying(
  coordinator: Coordinator,
  options: { readonly seed?: number; readonly hold?: () => Promise<void> } = {},
): Coordinator {
  const random = seededRandom(options.seed ?? 1);
  const turns = async (): Promise<void> => {
    for (let i = Math.floor(random() * 4); i > 0; i--) await new Promise((resolve) => setTimeout(resolve, 0));
  };
  const hold = options.hold ?? turns;
  return faulty(coordinator, {}, async (send) => {
    await hold();
    return send();
  });
}

type Fault = <Reply>(send: () => Promise<Reply>, resend: boolean) => Promise<Reply>;

/** Returns a coordinator that calls another one through a faulty network. */
function faulty(inner: Coordinator, plan: FaultPlan, fault: Fault): Coordinator {
  return coordinatorOver(new FaultyBackend(inner, hits(plan), fault), inner);
}

class FaultyBackend extends ForwardingBackend {
  readonly #isHit: (transition: TransitionName) => boolean;
  readonly #fault: Fault;

  constructor(inner: Coordinator, isHit: (transition: TransitionName) => boolean, fault: Fault) {
    super(inner);
    this.#isHit = isHit;
    this.#fault = fault;
  }

  override run<N extends TransitionName>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: RunOptions = {},
  ): Promise<OutputOf<N>> {
    const send = (): Promise<OutputOf<N>> => super.run(transition, id, structuredClone(input), options);
    return this.#isHit(transition) ? this.#fault(send, options.resend !== false) : send();
  }
}

function hits(plan: FaultPlan): (transition: TransitionName) => boolean {
  const { transitions, times = Number.POSITIVE_INFINITY } = plan;
  const isNext = turns(plan);
  let met = 0;
  return (transition) => {
    if (met >= times || transitions?.includes(transition) === false || !isNext()) return false;
    met++;
    return true;
  };
}

function turns(plan: FaultPlan): () => boolean {
  if ("seed" in plan) {
    const { seed, chance = 0.5 } = plan;
    const random = seededRandom(seed);
    return () => random() < chance;
  }
  const everyNth = plan.everyNth ?? 1;
  checkInteger(everyNth, "everyNth", 1, Number.MAX_SAFE_INTEGER);
  let calls = 0;
  return () => ++calls % everyNth === 0;
}
