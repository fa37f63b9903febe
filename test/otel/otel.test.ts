import { context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { UpstashCoordinator } from "../../src/backends/upstash/index.js";
import {
  CompletionTracker,
  CoordinationError,
  DrainableCoordinator,
  type HandlerEvent,
  MemoryCoordinator,
  RequestWaitTracker,
} from "../../src/index.js";
import { traced, tracedHandlers } from "../../src/otel/index.js";
import { verify, webhookSender } from "../../src/webhook/index.js";
import { startReceiver } from "../webhook/receiver.js";
import { type ReceivedSpan, startOtlpReceiver } from "./otlp-receiver.js";

const SECRET = `whsec_${btoa("k".repeat(32))}`;
const GROUP = "messaging.message.conversation_id";

let receiver: Awaited<ReturnType<typeof startOtlpReceiver>>;
let tracerProvider: BasicTracerProvider;
let meterProvider: MeterProvider;
beforeAll(async () => {
  receiver = await startOtlpReceiver();
  const processor = new BatchSpanProcessor(new OTLPTraceExporter({ url: `${receiver.url}/v1/traces` }));
  tracerProvider = new BasicTracerProvider({ spanProcessors: [processor] });
  const exporter = new OTLPMetricExporter({ url: `${receiver.url}/v1/metrics` });
  meterProvider = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter })] });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
});
afterAll(async () => {
  context.disable();
  await Promise.all([tracerProvider.shutdown(), meterProvider.shutdown()]);
  await receiver.close();
});

const providers = () => ({ tracerProvider, meterProvider });

/** The spans about one group, by their names, once so many have arrived at the collector. */
async function spansOf(groupId: string, count: number): Promise<ReceivedSpan[]> {
  const arrived = () => receiver.spans.filter(({ attributes }) => attributes[GROUP] === groupId);
  await expect
    .poll(
      async () => {
        await tracerProvider.forceFlush();
        return arrived().length;
      },
      { timeout: 10_000 },
    )
    .toBe(count);
  expect(receiver.faults).toEqual([]);
  return arrived().sort((a, b) => a.name.localeCompare(b.name));
}

const contextOf = ({ traceId, spanId }: ReceivedSpan): string => `00-${traceId}-${spanId}`;
/** Runs in a span of the application. */
const within = <T>(name: string, work: () => Promise<T>): Promise<T> =>
  tracerProvider.getTracer("app").startActiveSpan(name, (span) => work().finally(() => span.end()));

describe("a traced coordinator", () => {
  it("has spans of register, ack and wait in the caller's trace, and a delivery in its own, with links", async () => {
    const events: HandlerEvent[] = [];
    const active: (string | undefined)[] = [];
    const handlers = {
      publish: async (event: HandlerEvent): Promise<void> => {
        events.push(event);
        active.push(trace.getActiveSpan()?.spanContext().spanId);
      },
    };
    const tracker = new CompletionTracker(traced(new MemoryCoordinator(), providers()), { handlers });
    await within("app", async () => {
      await tracker.register("one", ["a", "b"], { onEnd: { handler: "publish", payload: 1 } });
      await tracker.ack("one", "a");
      await tracker.ack("one", ["b", "a"]);
      await tracker.wait("one");
    });
    await expect.poll(() => events.length).toBe(1);
    const [first, last, deliver, register, wait] = (await spansOf("one", 5)) as ReceivedSpan[] as [
      ReceivedSpan,
      ReceivedSpan,
      ReceivedSpan,
      ReceivedSpan,
      ReceivedSpan,
    ];
    await tracerProvider.forceFlush();
    const app = receiver.spans.find(({ name }) => name === "app");
    for (const span of [first, last, register, wait]) {
      expect([span.traceId, span.parentSpanId], span.name).toEqual([app?.traceId, app?.spanId]);
    }
    expect([first, last, deliver, register, wait].map(({ name, kind }) => [name, kind])).toEqual([
      ["ack completion", "producer"],
      ["ack completion", "producer"],
      ["deliver handler:publish", "consumer"],
      ["register completion", "producer"],
      ["wait completion", "client"],
    ]);
    expect(register.attributes).toEqual({
      "messaging.system": "edge_coordinator",
      "messaging.operation.name": "register",
      "messaging.operation.type": "send",
      "messaging.destination.name": "completion",
      [GROUP]: "one",
      "edge_coordinator.outcome": "created",
    });
    expect(first.attributes).toMatchObject({ "edge_coordinator.verdict": "accepted" });
    expect(first.attributes).not.toHaveProperty("edge_coordinator.ended");
    expect(last.attributes).toMatchObject({ "messaging.batch.message_count": 2, "edge_coordinator.ended": true });
    expect([deliver.parentSpanId, deliver.traceId === app?.traceId]).toEqual([undefined, false]);
    expect(deliver.links).toEqual([
      { traceparent: contextOf(register), attributes: { "edge_coordinator.link": "registered" } },
      { traceparent: contextOf(last), attributes: { "edge_coordinator.link": "ended" } },
    ]);
    expect(deliver.attributes).toMatchObject({
      "messaging.operation.type": "process",
      "messaging.message.id": events[0]?.deliveryId,
      "edge_coordinator.attempt": 1,
    });
    expect(active).toEqual([deliver.spanId]);
    expect(events[0]?.trace).toEqual({ registered: `${contextOf(register)}-01`, ended: `${contextOf(last)}-01` });
  });

  it("records failures with their code: of calls that are refused, and of attempts", async () => {
    const failing = (event: HandlerEvent): void => {
      if (event.attempt === 1) throw new CoordinationError("backend_rejected", "the index answered 500");
      if (event.attempt === 2) throw new TypeError("no such field");
    };
    const retry = { baseDelayMs: 0 };
    const coordinator = traced(new MemoryCoordinator(), providers());
    const tracker = new CompletionTracker(coordinator, { handlers: { failing }, retry, onEvent: () => {} });
    await tracker.register("two", 1, { onEnd: { handler: "failing" } });
    await expect(tracker.register("two", 2)).rejects.toMatchObject({ code: "conflict" });
    await expect(tracker.ack("two", "a", { next: ["b"] })).rejects.toMatchObject({ code: "conflict" });
    expect(await tracker.wait("two", { timeoutMs: 1 })).toMatchObject({ state: "open" });
    await expect(tracker.wait("two", { signal: AbortSignal.abort() })).rejects.toThrow();
    await tracker.decrement("two");
    const spans = await spansOf("two", 9);
    const failed = spans.filter(({ isError }) => isError);
    expect(failed.map(({ name, attributes, events }) => [name, attributes["error.type"], ...events])).toEqual([
      ["ack completion", "conflict", "exception"],
      ["deliver handler:failing", "backend_rejected", "exception"],
      ["deliver handler:failing", "TypeError", "exception"],
      ["register completion", "conflict", "exception"],
    ]);
    const attempts = spans.filter(({ name }) => name.startsWith("deliver"));
    expect(new Set(attempts.map(({ traceId }) => traceId)).size).toBe(3);
    expect(spans.filter(({ attributes }) => attributes["error.type"] !== undefined)).toEqual(failed);
  });

  it("gives webhooks the trace of their delivery, and a call its own traceparent", async () => {
    const hooks = await startReceiver((_, response) => void response.writeHead(204).end());
    const webhooks = webhookSender({ secrets: SECRET, allowedHosts: hooks.host, allowHttp: true });
    const requests = new RequestWaitTracker(traced(new MemoryCoordinator(), providers()), { stages: ["s"], webhooks });
    const remote = "4bf92f3577b34da6a3ce929d0e0e4736";
    await requests.register("three", { onEnd: { url: hooks.url }, traceparent: `00-${remote}-00f067aa0ba902b7-01` });
    await requests.seal("three");
    await expect.poll(() => hooks.received.length).toBe(1);
    const [deliver, register] = await spansOf("three", 2);
    expect([register?.traceId, register?.parentSpanId]).toEqual([remote, "00f067aa0ba902b7"]);
    const { headers, body } = hooks.received[0] as (typeof hooks.received)[number];
    expect(headers.traceparent).toBe(`${contextOf(deliver as ReceivedSpan)}-01`);
    expect(deliver?.attributes["messaging.destination.name"]).toBe(`url:${hooks.host}`);
    const { payload } = await verify({ secrets: SECRET, headers, body });
    expect(payload).toMatchObject({ trace: { registered: `${contextOf(register as ReceivedSpan)}-01` } });
    await hooks.close();
  });

  it("drains, as its backend does, and links to what Redis has stored", async () => {
    const redis = { url: inject("restUrl"), token: inject("restToken"), keyPrefix: `otel-${crypto.randomUUID()}:` };
    const coordinator = traced(new UpstashCoordinator(redis), providers());
    expect(coordinator).toBeInstanceOf(DrainableCoordinator);
    const tracker = new CompletionTracker(coordinator, { handlers: { publish: () => {} } });
    await tracker.register("four", ["a"], { onEnd: { handler: "publish" } });
    await tracker.ack("four", "a");
    await coordinator.drain();
    const [ack, deliver, register] = (await spansOf("four", 3)) as [ReceivedSpan, ReceivedSpan, ReceivedSpan];
    expect(deliver.links.map(({ traceparent }) => traceparent)).toEqual([contextOf(register), contextOf(ack)]);
    expect((await tracker.list({ state: "completed" })).items).toMatchObject([{ groupId: "four" }]);
  });

  it("keeps the settings of the coordinator, and adds no waker that it lacks", async () => {
    const whole = new MemoryCoordinator({ ttlSec: 60, completionTimeoutSec: 5 });
    const coordinator = traced(whole, providers());
    expect([coordinator.isDistributed, coordinator.defaultTtlSec, coordinator.completionTimeoutSec]).toEqual([
      false,
      60,
      5,
    ]);
    expect(await coordinator.incr("n")).toBe(1);
    expect(await whole.getInt("n")).toBe(1);
    expect(() => traced(undefined as never)).toThrow(expect.objectContaining({ code: "misconfigured" }));
    expect(() => traced(whole, { tracer: 1 } as never)).toThrow(expect.objectContaining({ code: "invalid_input" }));
  });

  it("without an SDK does the same work, and passes the caller's trace on", async () => {
    const events: HandlerEvent[] = [];
    const handlers = { publish: (event: HandlerEvent) => void events.push(event) };
    const tracker = new CompletionTracker(traced(new MemoryCoordinator()), { handlers });
    const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
    await tracker.register("five", 1, { onEnd: { handler: "publish" }, traceparent });
    await tracker.decrement("five");
    await expect.poll(() => events.map((event) => event.trace)).toEqual([{ registered: traceparent }]);
  });
});

describe("traced handlers", () => {
  it("have a span with links each, where another process than the caller's delivers", async () => {
    const active: (string | undefined)[] = [];
    const handlers = tracedHandlers(
      { publish: (_: HandlerEvent<{ n: number }>) => void active.push(trace.getActiveSpan()?.spanContext().spanId) },
      providers(),
    );
    const tracker = new CompletionTracker(new MemoryCoordinator(), { handlers });
    const ended = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
    await tracker.register("six", ["a"], { onEnd: { handler: "publish", payload: { n: 1 } } });
    await tracker.ack("six", "a", { traceparent: ended });
    const [deliver] = await spansOf("six", 1);
    expect(deliver).toMatchObject({ name: "deliver handler:publish", kind: "consumer", parentSpanId: undefined });
    expect(deliver?.links).toMatchObject([{ traceparent: ended.slice(0, -3) }]);
    expect(active).toEqual([deliver?.spanId]);
  });
});

describe("the metrics", () => {
  it("count messages and time operations, without an attribute of many values", async () => {
    const tracker = new CompletionTracker(traced(new MemoryCoordinator(), { meterProvider }), {
      handlers: { counted: () => {} },
    });
    await tracker.register("seven", ["a", "b", "c"], { onEnd: { handler: "counted" } });
    await tracker.ack("seven", ["a", "b", "c"]);
    const named = (operation: string, destination: string) => ({
      "messaging.system": "edge_coordinator",
      "messaging.operation.name": operation,
      "messaging.operation.type": operation === "deliver" ? "process" : "send",
      "messaging.destination.name": destination,
    });
    const pointOf = async (name: string) => {
      await meterProvider.forceFlush();
      return receiver
        .points()
        .filter((point) => point.name === name && point.attributes["messaging.destination.name"] === "handler:counted");
    };
    await expect
      .poll(() => pointOf("messaging.process.duration"))
      .toMatchObject([{ unit: "s", value: 1, attributes: named("deliver", "handler:counted") }]);
    expect(await pointOf("messaging.client.consumed.messages")).toMatchObject([{ unit: "{message}", value: 1 }]);
    const points = receiver.points();
    const sent = points.filter(({ name }) => name === "messaging.client.sent.messages");
    expect(sent.find(({ attributes }) => attributes["messaging.operation.name"] === "ack")?.value).toBeGreaterThan(5);
    const timed = points.filter(({ name }) => name === "messaging.client.operation.duration");
    expect(timed.map(({ attributes }) => attributes["messaging.operation.name"])).toEqual(
      expect.arrayContaining(["register", "ack", "wait"]),
    );
    expect(timed[0]?.bounds).toEqual([0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]);
    expect(timed.some(({ attributes }) => attributes["error.type"] === "conflict")).toBe(true);
    const names = new Set(points.flatMap(({ attributes }) => Object.keys(attributes)));
    expect([...names].sort()).toEqual([
      "error.type",
      "messaging.destination.name",
      "messaging.operation.name",
      "messaging.operation.type",
      "messaging.system",
    ]);
  });
});
