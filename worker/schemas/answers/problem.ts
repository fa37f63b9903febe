import * as z from "zod/mini";
import type { ProblemCode } from "../../../src/http/problem.js";
import { text, told } from "./fields.js";

const CODES = {
  malformed: true,
  unauthorized: true,
  forbidden: true,
  suspended: true,
  not_found: true,
  method_not_allowed: true,
  request_timeout: true,
  conflict: true,
  gone: true,
  too_large: true,
  unsupported_media_type: true,
  invalid_input: true,
  limit_exceeded: true,
  rate_limited: true,
  internal: true,
  misconfigured: true,
  unsupported: true,
  backend_rejected: true,
  backend_unavailable: true,
  wait_timeout: true,
} as const satisfies Record<ProblemCode, true>;

export const problem = z.strictObject({
  type: told(text, "`about:blank`: the status code says it all; `code` says more. Else `…#quota-exceeded`"),
  title: text,
  status: z.int(),
  detail: told(text, "for people; holds no value that the caller sent"),
  code: told(z.enum(Object.keys(CODES) as [ProblemCode, ...ProblemCode[]]), "for programs; never changes its meaning"),
  retryable: told(z.boolean(), "the same call may succeed later"),
  applied: told(z.enum(["no", "unknown"]), "`unknown`: the call may have been applied"),
  "violated-policies": z.exactOptional(told(z.array(text), "the quotas that were reached")),
});
