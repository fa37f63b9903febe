import * as z from "zod/mini";
import { type Duration, inMillis, inSeconds } from "../lib/duration.js";
import { misconfigured } from "../lib/misconfigured.js";
import { checkKeyPrefix, MAX_SEC } from "../lib/validate.js";
import type { CoordinatorConfig, ParsedConfig } from "./config.js";
import { describeIssue } from "./zod-issue.js";

const text = z.string().check(z.refine((value) => value !== "", { error: "must not be empty" }));

const keyPrefix = z._default(
  z.string().check(z.refine(isKeyPrefix, { error: "must be at most 256 bytes of well-formed text without { or }" })),
  "coord:",
);

/** A number, or a text with its unit. */
const duration = (convert: (value: Duration, field: string) => number) =>
  z.transform((value: Duration, payload): number => {
    try {
      return convert(value, "");
    } catch (error) {
      payload.issues.push({ code: "custom", input: value, message: (error as Error).message.trim() });
      return z.NEVER;
    }
  });

const seconds = (byDefault: number) =>
  z._default(
    z.pipe(
      duration(inSeconds),
      z
        .number()
        .check(z.refine((value) => value >= 0 && value <= MAX_SEC, { error: `must be 0 to ${MAX_SEC} seconds` })),
    ),
    byDefault,
  );

const milliseconds = (max: number, byDefault: number) =>
  z._default(
    z.pipe(
      duration(inMillis),
      z.number().check(
        z.refine((value) => Number.isInteger(value) && value >= 1 && value <= max, {
          error: `must be a whole number of milliseconds from 1 to ${max}`,
        }),
      ),
    ),
    byDefault,
  );

const ttlSec = seconds(3_600);
/** In seconds, without 0 (for ever). */
const finiteTtlSec = z._default(
  z.pipe(
    duration(inSeconds),
    z.number().check(
      z.refine((value) => value > 0 && value <= MAX_SEC, {
        error: `must be more than 0 and at most ${MAX_SEC} seconds`,
      }),
    ),
  ),
  3_600,
);

function isKeyPrefix(value: string): boolean {
  try {
    checkKeyPrefix(value, "");
    return true;
  } catch {
    return false;
  }
}

/** The types are written out, not inferred. An editor then shows them, and a user's build needs no types of zod. */
const schema: z.ZodMiniType<ParsedConfig, CoordinatorConfig> = z.strictObject({
  backend: z._default(text, "memory"),
  upstash: z.prefault(
    z.strictObject({
      url: z.optional(text),
      token: z.optional(text),
      keyPrefix,
      ttlSec,
      keyLocking: z._default(
        z.union([z.literal("auto"), z.boolean()], { error: 'must be "auto", true or false' }),
        "auto",
      ),
      allowHttp: z._default(z.boolean(), false),
      requestTimeoutMs: milliseconds(600_000, 10_000),
    }),
    {},
  ),
  durableObject: z.prefault(
    z.strictObject({
      binding: z._default(text, "COORDINATOR"),
      keyPrefix,
      ttlSec,
      locationHint: z.optional(text),
      jurisdiction: z.optional(text),
      callTimeoutMs: milliseconds(600_000, 10_000),
    }),
    {},
  ),
  http: z.prefault(
    z.strictObject({
      url: z.optional(text),
      token: z.optional(text),
      ttlSec: finiteTtlSec,
      requestTimeoutMs: milliseconds(300_000, 30_000),
      allowHttp: z._default(z.boolean(), false),
    }),
    {},
  ),
  completionTimeoutSec: seconds(1_800),
  customParams: z._default(z.record(z.string(), z.unknown()), {}),
});

/**
 * Returns a checked config with its defaults. Reads no environment, so its result holds only the secrets of `input`. Does not
 * check whether an address answers or a custom backend exists: `createCoordinator` does.
 *
 * @param input a `CoordinatorConfig` of any origin, such as parsed JSON. A result of this function comes back equal.
 * @throws {CoordinationError} `misconfigured`: the message names every wrong field and what it must be, and no value.
 *
 * @example
 * ```ts
 * import { parseConfig } from "edge-coordinator/config";
 *
 * const config = parseConfig(JSON.parse('{ "backend": "upstash", "upstash": { "keyPrefix": "shop:" } }'));
 * config.upstash.ttlSec; // 3600
 * ```
 */
export function parseConfig(input: unknown): ParsedConfig {
  const outcome = z.safeParse(schema, input, { error: describeIssue });
  if (outcome.success) return outcome.data;
  throw misconfigured(outcome.error.issues.map(sentence).join("; "));
}

function sentence({ path, message }: z.core.$ZodIssue): string {
  return `${path.length === 0 ? "the config" : path.map(String).join(".")} ${message}`;
}
