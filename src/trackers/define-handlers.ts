import type { Handler } from "../delivery/handler.js";

/**
 * Returns the handlers as they are, checked: each is a function of an event and a context. Give the same value to a
 * `CompletionTracker` (memory, Redis, your own store) or to the class of a Durable Object. Clients elsewhere take the names and
 * payloads from its type, by `PayloadsOf`.
 *
 * @typeParam Env what the handlers read as `ctx.env`.
 *
 * @example
 * ```ts
 * import { CompletionTracker, defineHandlers, type HandlerEvent, MemoryCoordinator } from "edge-coordinator";
 *
 * const handlers = defineHandlers({
 *   publish: async ({ deliveryId, payload }: HandlerEvent<{ path: string }>) => console.log(deliveryId, payload.path),
 * });
 * const tracker = new CompletionTracker(new MemoryCoordinator(), { handlers });
 * await tracker.register("document-1", 1, { onEnd: { handler: "publish", payload: { path: "README.md" } } });
 * ```
 */
export function defineHandlers<const H extends { readonly [name: string]: Handler<never, never> }>(handlers: H): H {
  return handlers;
}
