/** A route says where a delivery goes: `handler:NAME`, a webhook, a task, or child groups. It is stored with the delivery. */

/** The route of every webhook. The delivery's body is its URL. */
export const WEBHOOK_ROUTE = "url";
/**
 * The route that settles the task of another group or request. Every draining process can deliver to it. The delivery's
 * body is the task as JSON.
 */
export const TASK_ROUTE = "task";
/** The route that cancels child groups. Every draining process can deliver to it. The body says which, as JSON. */
export const CASCADE_ROUTE = "cascade";
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
