import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A value as OTLP/JSON writes it. @see https://github.com/open-telemetry/opentelemetry-proto */
type AnyValue =
  | { stringValue: string }
  | { intValue: string | number }
  | { doubleValue: number }
  | { boolValue: boolean };
interface KeyValue {
  readonly key: string;
  readonly value: AnyValue;
}
type Attributes = Readonly<Record<string, string | number | boolean>>;

interface SpanJson {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly attributes: readonly KeyValue[];
  readonly links: readonly { traceId: string; spanId: string; attributes: readonly KeyValue[] }[];
  readonly events: readonly { name: string }[];
  readonly status: { readonly code: number; readonly message?: string };
}

/** A span as it arrived. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** `undefined`: a root. */
  readonly parentSpanId: string | undefined;
  readonly name: string;
  readonly kind: "internal" | "server" | "client" | "producer" | "consumer";
  readonly attributes: Attributes;
  readonly links: readonly { readonly traceparent: string; readonly attributes: Attributes }[];
  readonly events: readonly string[];
  readonly isError: boolean;
}

interface PointJson {
  readonly attributes: readonly KeyValue[];
  readonly asInt?: string | number;
  readonly asDouble?: number;
  readonly count?: string | number;
  readonly explicitBounds?: readonly number[];
}
interface MetricJson {
  readonly name: string;
  readonly unit: string;
  readonly sum?: { readonly dataPoints: readonly PointJson[] };
  readonly histogram?: { readonly dataPoints: readonly PointJson[] };
}

/** A point of a metric as it arrived: the sum of a counter, or the count of a histogram. */
export interface ReceivedPoint {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  readonly attributes: Attributes;
  readonly bounds: readonly number[] | undefined;
}

const KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"] as const;

/** A real OTLP/HTTP collector on loopback, of JSON. It answers 400 to what it does not understand. */
export async function startOtlpReceiver() {
  const spans: ReceivedSpan[] = [];
  const faults: string[] = [];
  let points: ReceivedPoint[] = [];
  const server = createServer(async (request, response) => {
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      if (request.method !== "POST" || request.headers["content-type"] !== "application/json")
        throw new Error("not OTLP");
      const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
      if (request.url === "/v1/traces") spans.push(...spansOf(body));
      else if (request.url === "/v1/metrics") points = pointsOf(body);
      else throw new Error(`no such path: ${request.url}`);
      response.writeHead(200, { "content-type": "application/json" }).end("{}");
    } catch (error) {
      faults.push(String(error));
      response.writeHead(400).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    faults,
    /** The points of the last export: the sums since the start. */
    points: () => points,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function spansOf(body: unknown): ReceivedSpan[] {
  const { resourceSpans } = body as { resourceSpans: { scopeSpans: { spans: SpanJson[] }[] }[] };
  return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans.map(spanOf)));
}

function spanOf({ kind, attributes, links, events, status, parentSpanId, ...span }: SpanJson): ReceivedSpan {
  if (!/^[0-9a-f]{32}$/.test(span.traceId) || !/^[0-9a-f]{16}$/.test(span.spanId)) throw new Error("malformed ids");
  return {
    ...span,
    parentSpanId: parentSpanId || undefined,
    kind: KINDS[kind] as ReceivedSpan["kind"],
    attributes: attributesOf(attributes),
    links: links.map((link) => ({
      traceparent: `00-${link.traceId}-${link.spanId}`,
      attributes: attributesOf(link.attributes),
    })),
    events: events.map(({ name }) => name),
    isError: status.code === 2,
  };
}

function pointsOf(body: unknown): ReceivedPoint[] {
  const { resourceMetrics } = body as { resourceMetrics: { scopeMetrics: { metrics: MetricJson[] }[] }[] };
  const metrics = resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics));
  return metrics.flatMap(({ name, unit, sum, histogram }) =>
    (sum ?? histogram ?? { dataPoints: [] }).dataPoints.map((point) => ({
      name,
      unit,
      value: Number(point.asInt ?? point.asDouble ?? point.count),
      attributes: attributesOf(point.attributes),
      bounds: point.explicitBounds,
    })),
  );
}

function attributesOf(list: readonly KeyValue[]): Attributes {
  return Object.fromEntries(
    list.map(({ key, value }) => {
      if ("intValue" in value) return [key, Number(value.intValue)];
      return [key, Object.values(value)[0] as string | number | boolean];
    }),
  );
}
