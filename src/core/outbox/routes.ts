/** A route says where a delivery goes: `handler:NAME`, a webhook, or the root of a request. It is stored with the delivery. */

/** The route of every webhook. The delivery's body is its URL. */
export const WEBHOOK_ROUTE = "url";
/**
 * The route that marks the root of a request. Every draining process can deliver to it. The delivery's body is the root
 * as JSON.
 */
export const REQUEST_ROUTE = "request";
const HANDLER = "handler:";

/** Whether a route leads to a webhook. */
export function isWebhook(route: string): boolean {
  return route === WEBHOOK_ROUTE;
}

/** Returns the route to a handler. The delivery's body is the payload as JSON. */
export function handlerRoute(name: string): string {
  return HANDLER + name;
}

/** Returns the name of the handler that a route leads to; `undefined` for any other route. */
export function handlerOf(route: string): string | undefined {
  return route.startsWith(HANDLER) ? route.slice(HANDLER.length) : undefined;
}
