import type { Targets } from "../core/outbox/deliveries.js";
import { isWebhook } from "../core/outbox/routes.js";
import { hexDigest } from "../lib/digest.js";
import type { GroupTasks } from "./registration.js";

/**
 * Returns a digest of what two equal registrations have in common: the tasks, their number or their range, the policy, and
 * the durable targets. Leaves out the deadline and the metadata: a redelivered message may compute them anew.
 */
export async function specDigest(group: GroupTasks, policy: string, targets: Targets | undefined): Promise<string> {
  const spec = { tasks: tasksOf(group), policy, targets: routes(targets) };
  return hexDigest("SHA-256", JSON.stringify(spec));
}

function tasksOf(group: GroupTasks): unknown {
  if ("tasks" in group) return [...group.tasks].sort();
  return "indexed" in group ? { indexed: group.total } : group.total;
}

function routes(targets: Targets | undefined): unknown {
  return [targets?.complete, targets?.timeout, targets?.end].map((target) =>
    target === undefined
      ? null
      : [target.route, isWebhook(target.route) ? target.body : sorted(JSON.parse(target.body))],
  );
}

/** Returns the same value with sorted object keys. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return { list: value.map(sorted) };
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return { object: entries.map(([key, item]) => [key, sorted(item)]) };
}
