import { decodeBase64Url } from "../src/capability/base64url.js";
import { hexDigest, hexOf } from "../src/lib/digest.js";
import { separated } from "../src/lib/separated.js";
import {
  entriesOf,
  isTenant,
  keyPrefixOf,
  type MoreTokens,
  TENANT_FORM,
  VariableError,
  type WorkerEnv,
} from "./env.js";

/** The rights of a token. */
export interface TokenRights {
  /** The prefix of all names that the token can access. */
  readonly keyPrefix: string;
  /** Whether it opens its tenant also while that is suspended: an operator's token. */
  readonly whileSuspended: boolean;
}

/** The variables that hold tokens, with the numbered ones in their order. */
type TokenVariable = "COORDINATOR_TOKEN" | "COORDINATOR_TOKENS" | MoreTokens;

const MIN_TOKEN_LENGTH = 16;
const MAX_TOKEN_LENGTH = 512;
/**
 * The most tokens. A call costs the same for any number. Reading the variables costs an isolate some 10 µs of a slow core for each
 * digest and 40 µs for each token, once: 20 ms for 2,000 digests. The platform's free plan allows a call 10 ms.
 */
const MAX_TOKENS = 2_000;
const NUMBERED = /^COORDINATOR_TOKENS_\d+$/;

/** The rights of the last read variables, cached: variables do not change while the Worker runs. */
let last: { readonly texts: readonly unknown[]; readonly rights: ReadonlyMap<string, TokenRights> } | undefined;

/**
 * Returns the rights of each valid token, by the SHA-256 of the token in hexadecimal digits.
 *
 * @throws {CoordinationError} `misconfigured`, naming the variable and the number of the entry, when there is no token or one is
 * malformed. A Worker without a token refuses every request.
 */
export async function liveTokens(env: WorkerEnv): Promise<ReadonlyMap<string, TokenRights>> {
  const values = env as Readonly<Record<string, unknown>>;
  const texts = variablesIn(env).flatMap((name) => [name, values[name]]);
  const isKnown = last?.texts.length === texts.length && texts.every((text, i) => text === last?.texts[i]);
  // A finished map is cached, and no promise: a Worker's request must not await the work of another.
  if (!isKnown || last === undefined) last = { texts, rights: await readTokens(env) };
  return last.rights;
}

function variablesIn(env: WorkerEnv): TokenVariable[] {
  const numbered = Object.keys(env).filter((name): name is MoreTokens => NUMBERED.test(name));
  return ["COORDINATOR_TOKEN", "COORDINATOR_TOKENS", ...numbered.sort((a, b) => numberOf(a) - numberOf(b))];
}

const numberOf = (name: string): number => Number(name.slice(name.lastIndexOf("_") + 1));

/** A token or a digest of one, and its place in its variable. */
interface Entry {
  readonly text: string;
  readonly variable: TokenVariable;
  /** From 1. */
  readonly number: number;
  readonly rights: TokenRights;
}

async function readTokens(env: WorkerEnv): Promise<ReadonlyMap<string, TokenRights>> {
  const entries = variablesIn(env).flatMap((variable) =>
    variable === "COORDINATOR_TOKEN" ? ownEntries(env) : tenantEntries(env, variable),
  );
  if (entries.length === 0) {
    const places = "`wrangler secret put` one of them, or write it into .dev.vars for `wrangler dev`";
    throw new VariableError("COORDINATOR_TOKEN", `neither COORDINATOR_TOKEN nor COORDINATOR_TOKENS is set: ${places}`);
  }
  if (entries.length > MAX_TOKENS) {
    const places = "COORDINATOR_TOKEN, COORDINATOR_TOKENS and COORDINATOR_TOKENS_1 and so on";
    throw new VariableError("COORDINATOR_TOKENS", `${places} must hold at most ${MAX_TOKENS} tokens together`);
  }
  const seen = new Map<string, Entry>();
  for (const entry of entries) {
    // A token needs a promise, a digest none: thousands of promises take longer than all the rest.
    const digest = digestIn(entry) ?? (await hexDigest("SHA-256", checked(entry)));
    const before = seen.get(digest);
    if (before !== undefined) {
      const first = `entry ${before.number} of ${before.variable}`;
      throw wrong(
        entry,
        `is the same token as ${first}: a token must be given once, whether as it is or as its digest`,
      );
    }
    seen.set(digest, entry);
  }
  return new Map([...seen].map(([digest, { rights }]) => [digest, rights]));
}

function ownEntries(env: WorkerEnv): Entry[] {
  const rights = { keyPrefix: keyPrefixOf(), whileSuspended: true };
  return separated(env.COORDINATOR_TOKEN ?? "").map((text, i) => ({
    text,
    variable: "COORDINATOR_TOKEN",
    number: i + 1,
    rights,
  }));
}

function tenantEntries(env: WorkerEnv, variable: Exclude<TokenVariable, "COORDINATOR_TOKEN">): Entry[] {
  return entriesOf(env, variable, "tokens with their tenants").map(([text, value], i) => {
    const fields = typeof value === "object" ? Object(value) : { tenant: value };
    const { tenant, whileSuspended = false, ...others } = fields as Readonly<Record<string, unknown>>;
    if (Object.keys(others).length > 0) {
      throw new VariableError(variable, `${variable}: entry ${i + 1} must have tenant and whileSuspended alone`);
    }
    if (!isTenant(tenant)) throw new VariableError(variable, `${variable}: tenant ${i + 1} must be ${TENANT_FORM}`);
    if (typeof whileSuspended !== "boolean") {
      throw new VariableError(variable, `${variable}: whileSuspended of entry ${i + 1} must be true or false`);
    }
    return { text, variable, number: i + 1, rights: { keyPrefix: keyPrefixOf(tenant), whileSuspended } };
  });
}

/** Returns the digest that an entry holds, in hexadecimal digits. `undefined` for a token. */
function digestIn(entry: Entry): string | undefined {
  const [, digits] = /^sha256:(.*)$/.exec(entry.text) ?? [];
  if (digits === undefined) return undefined;
  if (/^[0-9a-f]{64}$/i.test(digits)) return digits.toLowerCase();
  const bytes = decodeBase64Url(digits);
  if (bytes?.length === 32) return hexOf(bytes);
  throw wrong(entry, "must have 64 hexadecimal digits after `sha256:`, or 43 characters of base64url without padding");
}

/** @see https://www.rfc-editor.org/rfc/rfc6750#section-2.1 for what a bearer token may look like. */
function checked(entry: Entry): string {
  const { text } = entry;
  if (text.length < MIN_TOKEN_LENGTH || text.length > MAX_TOKEN_LENGTH) {
    const length = `${MIN_TOKEN_LENGTH} to ${MAX_TOKEN_LENGTH} characters`;
    throw wrong(entry, `must be a token of ${length}, or \`sha256:\` and its digest`);
  }
  if (/^[A-Za-z0-9._~+/-]+=*$/.test(text)) return text;
  throw wrong(
    entry,
    "must be a token of A-Z, a-z, 0-9, and - . _ ~ + /, with = at its end, or `sha256:` and its digest",
  );
}

function wrong({ variable, number }: Entry, message: string): VariableError {
  return new VariableError(variable, `${variable}: entry ${number} ${message}`);
}
