import * as z from "zod/mini";
import { told } from "./fields.js";
import { problem } from "./problem.js";

export const output = z.strictObject({
  protocol: z.literal(1),
  output: told(z.unknown(), "null: the time of a watch is over"),
});

export const outcomes = z.strictObject({
  protocol: z.literal(1),
  outcomes: z.array(
    z.union([
      z.strictObject({ output: z.unknown() }),
      z.strictObject({
        problem,
        retryAfterSec: z.exactOptional(z.int()),
        noRoom: z.exactOptional(told(z.boolean(), "the answer of the batch was full: send the operation again")),
      }),
    ]),
  ),
});
