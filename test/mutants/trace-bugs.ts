import type { Bug } from "./bugs.js";

/** Bugs of the trace contexts that a group stores. */
export const TRACE_BUGS: readonly Bug[] = [
  {
    name: "the trace context of a registration is lost",
    file: "src/core/group/registration.ts",
    from: "  if (input.traceparent !== undefined) registration.traceparent = input.traceparent;\n",
    to: "",
  },
  {
    name: "a restart keeps the trace context of the generation before",
    file: "src/core/group/registration.ts",
    from: "  if (input.parent !== undefined) registration.parent = input.parent;\n",
    to:
      "  if (input.parent !== undefined) registration.parent = input.parent;\n" +
      "  if (before?.traceparent !== undefined) registration.traceparent = before.traceparent;\n",
  },
  {
    name: "the trace context of the ack that ended a group is lost",
    file: "src/core/group/acks.ts",
    from: "  touch(group);\n  traceEnd(group, input);\n  save(group);\n  return undefined;",
    to: "  touch(group);\n  save(group);\n  return undefined;",
  },
  {
    name: "an ack that ends nothing ends the group with its trace context",
    file: "src/core/group/acks.ts",
    from: "  if (head.ending !== undefined && traceparent !== undefined) head.ending.traceparent = traceparent;",
    to: "  if (traceparent !== undefined) head.ending = { ...head.ending, traceparent };",
  },
  {
    name: "a claim loses the trace contexts",
    file: "src/core/outbox/attempts.ts",
    from: "    registerTrace: delivery.registerTrace,\n    endTrace: delivery.endTrace,\n",
    to: "",
  },
];
