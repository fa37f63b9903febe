import type * as z from "zod/mini";
import { MAX_ANSWER_BYTES, MAX_PAGE_BYTES } from "../../src/core/limits.js";
import { handlerOf, isWebhook } from "../../src/core/outbox/routes.js";
import type { InputOf } from "../../src/core/registry.js";
import { CoordinationError } from "../../src/errors.js";
import { Problem } from "../../src/http/problem.js";
import { PROTOCOL } from "../../src/http/protocol.js";
import { validTraceparent } from "../../src/lib/traceparent.js";
import { isPaged, isWatchable, lostAnswer, type PublicTransition } from "../../src/runtime/access.js";
import { isListed } from "../../src/runtime/listing.js";
import { MAX_HOP_MS } from "../../src/runtime/long-poll.js";
import { BatchAnswer, type OperationOutcome, problemOutcome } from "../batch-answer.js";
import { readJson } from "../body.js";
import { type App, type AppContext, pathSegment, route, traceOf } from "../context.js";
import { isRegistration } from "../quotas/limited.js";
import { batchBody, listBody, operationBody, runBody, watchBody } from "../schemas/bodies.js";
import { parse } from "../schemas/parse.js";
import { INPUTS } from "../schemas/transitions.js";
import { checkTargets, type NamedTargets } from "../targets.js";

/**
 * The routes of `/v1/run`, `/v1/batch`, `/v1/watch` and `/v1/list`, which `HttpCoordinator` calls. They run public transitions only,
 * never those of the outbox.
 *
 * The client owns the retries, because it knows whether it received the answer. The Worker makes one call of the object.
 */
export function transitionRoutes(app: App): void {
  route(app, "/v1/run/:machine/:transition", { POST: run });
  route(app, "/v1/batch", { POST: batch });
  route(app, "/v1/watch/:machine/:transition", { POST: watch });
  route(app, "/v1/list/:machine", { POST: list });
}

/** One page of the tenant's index, for `HttpCoordinator`. */
async function list(c: AppContext): Promise<Response> {
  const machine = pathSegment(c, 3);
  if (!isListed(machine)) throw unknownTransition();
  const query = { machine, ...parse(listBody, await readJson(c.req.raw)) };
  return c.json({ protocol: PROTOCOL, output: await c.var.coordinator.list(query, { signal: c.req.raw.signal }) });
}

async function run(c: AppContext): Promise<Response> {
  const name = transitionOf(c);
  return c.json({ protocol: PROTOCOL, output: await runOne(c, name, parse(runBody, await readJson(c.req.raw))) });
}

/** @param pageBytes the largest answer, for a transition that returns a page. */
async function runOne(
  c: AppContext,
  name: PublicTransition,
  { id, input }: z.output<typeof runBody>,
  pageBytes = MAX_PAGE_BYTES,
): Promise<object> {
  const checked = traced(c, name, inputOf(name, input));
  checkTargets(c, targetsOf(name, checked));
  const bounded = isPaged(name) ? { ...checked, bytes: Math.min(pageBytes, bytesOf(checked)) } : checked;
  return c.var.coordinator.run(name, id, bounded, { signal: c.req.raw.signal, resend: false });
}

/** Returns the input with the trace context of the request, where it can have one and brings none of its own. */
function traced<Input>(c: AppContext, name: PublicTransition, input: Input): Input {
  if (!/^(completion|request)\.(register|ack|decrement)$/.test(name)) return input;
  const traceparent = validTraceparent(traceOf(c).traceparent);
  return traceparent === undefined ? input : { traceparent, ...input };
}

function bytesOf({ bytes = MAX_PAGE_BYTES }: { readonly bytes?: number }): number {
  return bytes;
}

/**
 * Runs several operations like single calls. The coordinator keeps operations on one record in order.
 *
 * The answer is bounded. Pages share its limit, so that each of them makes progress. Other outcomes that do not fit are
 * replaced by a problem that says that the operation may be sent again.
 */
async function batch(c: AppContext): Promise<Response> {
  const { operations } = parse(batchBody, await readJson(c.req.raw));
  const names = operations.map((operation) => String(Object(operation).transition));
  // The request itself is counted already.
  await c.var.quotas.furtherCalls(operations.length - 1);
  await c.var.quotas.reserve(names.filter(isRegistration).length);
  const pages = names.filter(isPaged).length;
  const pageBytes = Math.floor(MAX_ANSWER_BYTES / Math.max(1, pages));
  const answer = new BatchAnswer();
  await Promise.all(operations.map(async (operation, at) => answer.add(at, await outcomeOf(c, operation, pageBytes))));
  return c.body(answer.text(), 200, { "content-type": "application/json" });
}

async function outcomeOf(c: AppContext, operation: unknown, pageBytes: number): Promise<OperationOutcome> {
  try {
    const { transition, ...body } = parse(operationBody, operation, "operation");
    if (!isDescribed(transition)) throw unknownTransition();
    const output = await runOne(c, transition, body, pageBytes);
    return { outcome: { output }, applied: lostAnswer(transition) };
  } catch (error) {
    if (!c.req.raw.signal.aborted) c.var.report(error);
    return { outcome: problemOutcome(error), applied: "no" };
  }
}

/** A watch that times out answers with the `output` `null`: the client then asks again. */
async function watch(c: AppContext): Promise<Response> {
  const name = transitionOf(c);
  if (!isWatchable(name)) throw unknownTransition();
  const { id, input, timeoutMs = MAX_HOP_MS } = parse(watchBody, await readJson(c.req.raw));
  try {
    const options = { timeoutMs, signal: c.req.raw.signal };
    const output = await c.var.coordinator.watch(name, id, inputOf(name, input), options);
    return c.json({ protocol: PROTOCOL, output });
  } catch (error) {
    if (error instanceof CoordinationError && error.code === "wait_timeout")
      return c.json({ protocol: PROTOCOL, output: null });
    throw error;
  }
}

function transitionOf(c: AppContext): PublicTransition {
  const name = `${pathSegment(c, 3)}.${pathSegment(c, 4)}`;
  if (!isDescribed(name)) throw unknownTransition();
  return name;
}

function isDescribed(name: string): name is PublicTransition {
  return Object.hasOwn(INPUTS, name);
}

function unknownTransition(): Problem {
  return new Problem("not_found", "this version of the Worker offers no such transition");
}

function inputOf<N extends PublicTransition>(name: N, input: unknown): InputOf<N> {
  const schema: z.ZodMiniType<InputOf<N>> = INPUTS[name];
  return parse(schema, input, "input");
}

/** Returns the URLs and the handlers that a registration names. */
function targetsOf(name: PublicTransition, input: InputOf<PublicTransition>): NamedTargets {
  if (name !== "completion.register" && name !== "request.register") return { urls: [], handlers: [] };
  const { success, failure, complete, timeout, end } = (input as InputOf<"completion.register">).targets ?? {};
  const targets = [success, failure, complete, timeout, end].filter((target) => target !== undefined);
  return {
    urls: targets.flatMap(({ route, body }) => (isWebhook(route) ? [body] : [])),
    handlers: targets.flatMap(({ route }) => handlerOf(route) ?? []),
  };
}
