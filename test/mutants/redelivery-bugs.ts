import type { Bug } from "./bugs.js";

const file = "src/core/outbox/deliveries.ts";

/** Bugs of deliveries that a call queues again. The simulation must catch each. */
export const REDELIVERY_BUGS: readonly Bug[] = [
  {
    name: "dead letters of earlier generations are lost when the group redelivers",
    file,
    from: "  for (const { key } of outbox.dead) keys.push(key);\n  outbox.dead = [];",
    to: "  outbox.dead = [];",
  },
  {
    name: "a delivery that was made is not queued again",
    file,
    from: "  close(outbox, key);\n  delivery.state",
    to: '  if (delivery.state === "delivered") return false;\n  close(outbox, key);\n  delivery.state',
  },
  {
    name: "a delivery that is queued again keeps the attempts that it has used",
    file,
    from: "  delivery.base = delivery.attempts;\n  delivery.queuedAtMs",
    to: "  delivery.queuedAtMs",
  },
  {
    name: "a delivery is queued again while its attempt is under way",
    file,
    from: "    if (due.key === key && due.leased) return false;",
    to: "    if (due.key === key && due.leased) break;",
  },
];
