import * as z from "zod/mini";
import { CAPABILITY_VERBS } from "../../src/capability/capability.js";
import { taskRef } from "./bodies.js";
import { described } from "./described.js";
import { generation, list, text, whole } from "./fields.js";

/** The body of `POST /v1/groups/:id/capabilities`, and of a request. */
export const capabilityBody = z.strictObject({
  verbs: list(z.enum(CAPABILITY_VERBS), 1, CAPABILITY_VERBS.length),
  tasks: z.exactOptional(list(taskRef, 1, 64)),
  generation: z.exactOptional(
    z.union([generation, z.literal("current")], { error: 'must be a whole number, or "current"' }),
  ),
  ttlSec: z.exactOptional(
    described(whole(1, 86_400), { description: "at most 900 without a generation", default: 900 }),
  ),
});

const values = list(text(64), 0, 16);

/** The body of `POST /v1/groups/:id/callbacks`, and of a request. */
export const callbackBody = z
  .strictObject({
    task: taskRef,
    effect: z.exactOptional(described(z.enum(["success", "failure", "heartbeat"]), { default: "success" })),
    outcome: z.exactOptional(
      z.strictObject({
        pointer: described(text(256), { description: "a JSON pointer (RFC 6901) into the body of the call" }),
        failure: z.exactOptional(described(values, { description: "values that fail the task" })),
        ignore: z.exactOptional(described(values, { description: "values that settle nothing, such as progress" })),
      }),
    ),
    generation: z.exactOptional(described(generation, { description: "the current one by default" })),
    ttlSec: z.exactOptional(described(whole(1, 604_800), { default: 86_400 })),
  })
  .check(
    z.refine(({ effect, outcome }) => effect === undefined || outcome === undefined, {
      error: "must not have both an effect and an outcome",
    }),
  );

/** The body of a call of a callback URL. */
export const anyBody = z.unknown();
