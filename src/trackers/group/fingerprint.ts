import type { Policy } from "../../core/group/record.js";
import type { Targets } from "../../core/outbox/deliveries.js";
import { isWebhook } from "../../core/outbox/routes.js";
import { hexDigest } from "../../lib/digest.js";
import type { GroupTasks } from "./announcement.js";

/** The parts that two equal registrations have in common. */
export interface Fingerprinted {
  readonly tasks: GroupTasks;
  readonly isOpen: boolean;
  readonly policy: Policy | undefined;
  readonly targets: Targets | undefined;
  /** The parent's task, as JSON. */
  readonly parent: string | undefined;
}

/**
 * Returns a digest of what two equal registrations have in common, in any order of their tasks and fields. Leaves out the
 * deadline and the metadata: a redelivered message may compute them anew.
 */
export async function fingerprint({ tasks, isOpen, policy, targets, parent }: Fingerprinted): Promise<string> {
  const { kind, total, announcement } = tasks;
  const ids = tasks.tasks.map(({ stage = "", id }) => JSON.stringify([stage, id])).sort();
  const children = (announcement.children ?? []).map((child) => JSON.stringify(sorted(child))).sort();
  const parts = [kind, total, isOpen, ids, children, sorted(policy ?? {}), routes(targets), parent ?? null];
  return hexDigest("SHA-256", JSON.stringify(parts));
}

function routes(targets: Targets = {}): unknown {
  const { success, failure, complete, timeout, end } = targets;
  return [success, failure, complete, timeout, end].map((target) =>
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
