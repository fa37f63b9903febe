import { context } from "@opentelemetry/api";
import type { Coordinator } from "../coordinator.js";
import type { AckInput, AckOutput } from "../core/group/acks.js";
import type { RegisterOutput } from "../core/group/registration.js";
import type { InputOf, OutputOf, TransitionName } from "../core/registry.js";
import type { RunOptions, Wake, WakingMachine, WatchableTransition, WatchOptions } from "../runtime/backend.js";
import { ForwardingBackend } from "../runtime/forwarding-backend.js";
import { refusalOf } from "./failure.js";
import type { Operation, Telemetry } from "./telemetry.js";
import { continued } from "./trace-context.js";
import { tracedWake } from "./traced-wake.js";

/** The steps that send a message to a group, and the operation that each is. */
const SENDING: Readonly<Record<string, "register" | "ack">> = { register: "register", ack: "ack", decrement: "ack" };

/** A coordinator's calls, with a span for each registration, ack, wait and delivery. */
export class TracedBackend extends ForwardingBackend {
  readonly #telemetry: Telemetry;

  constructor(whole: Coordinator, telemetry: Telemetry) {
    super(whole);
    this.#telemetry = telemetry;
  }

  override async run<N extends TransitionName>(
    name: N,
    id: string,
    input: InputOf<N>,
    options?: RunOptions,
  ): Promise<OutputOf<N>> {
    const [machine = "", step = ""] = name.split(".");
    const operation = isJoin(machine) && Object.hasOwn(SENDING, step) ? SENDING[step] : undefined;
    if (operation === undefined) return super.run(name, id, input, options);
    const sent = input as Sent;
    const described: Operation = {
      name: operation,
      type: "send",
      destination: machine,
      messages: sent.tasks?.length ?? sent.by ?? 1,
      parent: continued(context.active(), sent.traceparent),
      signal: options?.signal,
      ids: {
        "messaging.message.conversation_id": id,
        ...(sent.tasks === undefined ? {} : { "messaging.batch.message_count": sent.tasks.length }),
      },
    };
    return this.#telemetry.observe(described, async (observed) => {
      const { traceparent } = observed;
      const traced = traceparent === undefined ? input : ({ ...sent, traceparent } as InputOf<N>);
      const output = await super.run(name, id, traced, options);
      observed.set(outcomeOf(output as object));
      const refusal = refusalOf(output as object);
      if (refusal !== undefined) observed.failed(refusal);
      return output;
    });
  }

  /** A watch in the background belongs to no caller that waits. */
  override async watch<N extends WatchableTransition>(
    name: N,
    id: string,
    input: InputOf<N>,
    options: WatchOptions,
  ): Promise<OutputOf<N>> {
    const [machine = "", step] = name.split(".");
    const watch = (): Promise<OutputOf<N>> => super.watch(name, id, input, options);
    if (!isJoin(machine) || step !== "wait" || options.background === true) return watch();
    const described: Operation = {
      name: "wait",
      type: "receive",
      destination: machine,
      messages: 0,
      parent: context.active(),
      signal: options.signal,
      ids: { "messaging.message.conversation_id": id },
    };
    return this.#telemetry.observe(described, watch);
  }

  override onWake<M extends WakingMachine>(machine: M, wake: Wake<M>): () => void {
    return super.onWake(machine, tracedWake(wake, this.#telemetry));
  }
}

/** The fields of the inputs of steps that send. */
type Sent = Partial<AckInput & InputOf<"completion.decrement">>;

/** The machines of groups and requests. */
const isJoin = (machine: string): boolean => machine === "completion" || machine === "request";

/** Returns what became of a call, for its span. */
function outcomeOf(output: object): Record<string, string | boolean> {
  const { outcome, results } = output as Partial<RegisterOutput & AckOutput>;
  if (outcome !== undefined) return { "edge_coordinator.outcome": outcome };
  const lines = results ?? [];
  const [line] = lines;
  return {
    ...(lines.length === 1 && line !== undefined ? { "edge_coordinator.verdict": line.verdict } : {}),
    ...(lines.some(({ ended }) => ended) ? { "edge_coordinator.ended": true } : {}),
  };
}
