import {
  type Attributes,
  type Context,
  type Counter,
  context,
  type Histogram,
  type Link,
  type MeterProvider,
  metrics,
  SpanKind,
  type Tracer,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";
import { CoordinationError } from "../errors.js";
import type { AttemptObserver } from "../runtime/backend.js";
import { recordFailure } from "./failure.js";
import { traceparentOf } from "./trace-context.js";

/** Where spans and measurements go. */
export interface TracingOptions {
  /** @default the global provider of `@opentelemetry/api` */
  readonly tracerProvider?: TracerProvider | undefined;
  /** @default the global provider of `@opentelemetry/api`, as it is when this option is read: set it up before */
  readonly meterProvider?: MeterProvider | undefined;
}

/** One operation, in the words of OpenTelemetry's conventions for messaging. */
export interface Operation {
  readonly name: "register" | "ack" | "wait" | "deliver";
  readonly type: "send" | "receive" | "process";
  /** A name of few values, such as a machine or a handler. */
  readonly destination: string;
  /** Attributes of the span alone: a metric must not have an attribute of many values. */
  readonly ids: Attributes;
  /** How many messages it sends or consumes. */
  readonly messages: number;
  /** The context that the span begins in. */
  readonly parent: Context;
  readonly links?: Link[];
  /** An abort by the caller is no failure. */
  readonly signal?: AbortSignal | undefined;
}

/** An operation while it runs. */
export interface Observed extends AttemptObserver {
  set(attributes: Attributes): void;
}

const SCOPE = "edge-coordinator";
const KINDS = { send: SpanKind.PRODUCER, receive: SpanKind.CLIENT, process: SpanKind.CONSUMER } as const;
/** The boundaries that the conventions advise for durations, in seconds. */
const BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/**
 * The spans and the metrics of operations.
 *
 * @see https://opentelemetry.io/docs/specs/semconv/messaging/
 */
export class Telemetry {
  readonly #tracer: Tracer;
  readonly #operationSec: Histogram;
  readonly #processSec: Histogram;
  readonly #sent: Counter;
  readonly #consumed: Counter;

  constructor({ tracerProvider = trace.getTracerProvider(), meterProvider }: TracingOptions) {
    this.#tracer = tracerProvider.getTracer(SCOPE);
    const meter = (meterProvider ?? metrics.getMeterProvider()).getMeter(SCOPE);
    const seconds = { unit: "s", advice: { explicitBucketBoundaries: BOUNDARIES } };
    const messages = { unit: "{message}" };
    this.#operationSec = meter.createHistogram("messaging.client.operation.duration", {
      ...seconds,
      description: "Duration of a registration, an ack or a wait.",
    });
    this.#processSec = meter.createHistogram("messaging.process.duration", {
      ...seconds,
      description: "Duration of one attempt of a delivery.",
    });
    this.#sent = meter.createCounter("messaging.client.sent.messages", {
      ...messages,
      description: "Registrations, and tasks that calls acked.",
    });
    this.#consumed = meter.createCounter("messaging.client.consumed.messages", {
      ...messages,
      description: "Attempts of deliveries.",
    });
  }

  /** Runs an operation in a span of its own, which is active meanwhile. */
  async observe<T>(operation: Operation, work: (observed: Observed) => Promise<T>): Promise<T> {
    const { name, type, destination, ids, parent, links = [], signal } = operation;
    const named = {
      "messaging.system": "edge_coordinator",
      "messaging.operation.name": name,
      "messaging.operation.type": type,
      "messaging.destination.name": destination,
    };
    const options = { kind: KINDS[type], attributes: { ...named, ...ids }, links };
    const span = this.#tracer.startSpan(`${name} ${destination}`, options, parent);
    const beganMs = performance.now();
    let errorType: string | undefined;
    const observed: Observed = {
      traceparent: traceparentOf(span),
      failed: (error) => {
        errorType = recordFailure(span, error);
      },
      set: (attributes) => void span.setAttributes(attributes),
    };
    try {
      return await context.with(trace.setSpan(parent, span), () => work(observed));
    } catch (error) {
      if (!isExpected(error, signal)) observed.failed(error);
      throw error;
    } finally {
      span.end();
      const tookSec = (performance.now() - beganMs) / 1000;
      this.#measure(operation, tookSec, errorType === undefined ? named : { ...named, "error.type": errorType });
    }
  }

  #measure({ type, messages }: Operation, tookSec: number, attributes: Attributes): void {
    (type === "process" ? this.#processSec : this.#operationSec).record(tookSec, attributes);
    if (type === "send") this.#sent.add(messages, attributes);
    if (type === "process") this.#consumed.add(messages, attributes);
  }
}

/** A wait whose time is over and a call that its caller ended have not failed. */
function isExpected(error: unknown, signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true || (error instanceof CoordinationError && error.code === "wait_timeout");
}
