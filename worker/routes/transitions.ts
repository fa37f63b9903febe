import type * as z from "zod/mini";
import { MAX_ANSWER_BYTES, MAX_PAGE_BYTES } from "../../src/core/limits.js";
import { handlerOf, isWebhook } from "../../src/core/outbox/routes.js";
import type { InputOf } from "../../src/core/registry.js";
import { CoordinationError } from "../../src/errors.js";
import { Problem } from "../../src/http/problem.js";
import { PROTOCOL } from "../../src/http/protocol.js";
import { isPaged, isWatchable, lostAnswer, type PublicTransition } from "../../src/runtime/access.js";
import { BatchAnswer, type OperationOutcome, problemOutcome } from "../batch-answer.js";
import { readJson } from "../body.js";
import { type App, type AppContext, pathSegment, route } from "../context.js";
import { batchBody, operationBody, runBody, watchBody } from "../schemas/bodies.js";
import { parse } from "../schemas/parse.js";
import { INPUTS } from "../schemas/transitions.js";
import { checkTargets, type NamedTargets } from "../targets.js";

/** How long a watch lasts unless it says otherwise, and at most. */
const MAX_HOP_MS = 25_000;

/**
 * `/v1/run`, `/v1/batch` and `/v1/watch`: what `HttpCoordinator` speaks. Public transitions only, never the outbox's own.
 *
 * The client owns the retries here: it knows best whether its answer has come. So a call is tried once towards its object.
 */
export function transitionRoutes(app: App): void {
  route(app, "/v1/run/:machine/:transition", { POST: run });
  route(app, "/v1/batch", { POST: batch });
  route(app, "/v1/watch/:machine/:transition", { POST: watch });
}

async function run(c: AppContext): Promise<Response> {
  const name = transitionOf(c);
  return c.json({ protocol: PROTOCOL, output: await runOne(c, name, parse(runBody, await readJson(c.req.raw))) });
}

/** @param pageBytes how large the answer may be, where it is a page. */
async function runOne(
  c: AppContext,
  name: PublicTransition,
  { id, input }: z.output<typeof runBody>,
  pageBytes = MAX_PAGE_BYTES,
): Promise<object> {
  const checked = inputOf(name, input);
  checkTargets(c, targetsOf(name, checked));
  const bounded = isPaged(name) ? { ...checked, bytes: Math.min(pageBytes, bytesOf(checked)) } : checked;
  return c.var.coordinator.run(name, id, bounded, { signal: c.req.raw.signal, resend: false });
}

function bytesOf({ bytes = MAX_PAGE_BYTES }: { readonly bytes?: number }): number {
  return bytes;
}

/**
 * Runs several as if each had come by itself; the coordinator keeps those on one record in their order.
 *
 * The answer is bounded. Pages divide its room among them, so that each of them goes on. Whatever else comes when the room is
 * taken is not answered: its outcome says that it may be sent again.
 */
async function batch(c: AppContext): Promise<Response> {
  const { operations } = parse(batchBody, await readJson(c.req.raw));
  const pages = operations.filter((operation) => isPaged(String(Object(operation).transition))).length;
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

/** Its `output` is `null` when the time is over: to be asked again is part of how it works, not a fault. */
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

/** Where a registration would have its ends told. */
function targetsOf(name: PublicTransition, input: InputOf<PublicTransition>): NamedTargets {
  if (name !== "completion.register") return { urls: [], handlers: [] };
  const { complete, timeout, end } = (input as InputOf<"completion.register">).targets ?? {};
  const targets = [complete, timeout, end].filter((target) => target !== undefined);
  return {
    urls: targets.flatMap(({ route, body }) => (isWebhook(route) ? [body] : [])),
    handlers: targets.flatMap(({ route }) => handlerOf(route) ?? []),
  };
}
