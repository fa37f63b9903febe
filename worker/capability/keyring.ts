import { importKeys, readKeys, type SigningKey, type TokenKind } from "../../src/capability/signing-key.js";
import { segmentsOf } from "../../src/capability/token.js";
import { CoordinationError } from "../../src/errors.js";
import { entriesOf, isTenant, keyPrefixOf, TENANT_FORM, VariableError, type WorkerEnv } from "../env.js";

/** A key, and the prefix of all names that its tokens can access. */
export interface TenantKey {
  readonly key: SigningKey;
  readonly keyPrefix: string;
}

/** The keys of all tenants. */
export interface Keyring {
  /** Returns the key that signs for a key prefix; `undefined` when its tenant has none. */
  signerOf(keyPrefix: string): SigningKey | undefined;
  /**
   * Returns the key that a token's header names. `undefined` for any other text. The header is one of a few constant texts, so
   * no part of it is interpreted.
   */
  keyOf(kind: TokenKind, text: string): TenantKey | undefined;
}

/** The keys of one variable, or of one tenant in it. */
interface KeyTexts {
  readonly variable: "COORDINATOR_CAPABILITY_KEY" | "COORDINATOR_CAPABILITY_KEYS";
  readonly keyPrefix: string;
  readonly keys: string;
}

/** The keyring of the last read variables, cached: variables do not change while the Worker runs. */
let last: { readonly variables: string; readonly keyring: Keyring } | undefined;

/** @throws {CoordinationError} `misconfigured`, naming the variable. */
export async function keyringOf(env: WorkerEnv): Promise<Keyring> {
  const variables = JSON.stringify([env.COORDINATOR_CAPABILITY_KEY, env.COORDINATOR_CAPABILITY_KEYS]);
  // A finished keyring is cached, and no promise: a Worker's request must not await the work of another.
  if (last?.variables !== variables) last = { variables, keyring: await imported(env) };
  return last.keyring;
}

/** Returns whether some tenant has a key, or should have. Does not check the keys. */
export function hasKeys({ COORDINATOR_CAPABILITY_KEY = "", COORDINATOR_CAPABILITY_KEYS = "" }: WorkerEnv): boolean {
  return COORDINATOR_CAPABILITY_KEY.trim() !== "" || COORDINATOR_CAPABILITY_KEYS.trim() !== "";
}

/** @throws {CoordinationError} `misconfigured`, naming the first variable that is malformed. */
export function checkCapabilityVariables(env: WorkerEnv): void {
  const owners = new Map<string, string>();
  for (const { variable, keyPrefix, keys } of textsOf(env)) {
    for (const bytes of blaming(variable, () => readKeys(keys, variable))) {
      // HMAC pads a key with zeros, up to 64 bytes: with or without them at its end it is one key, and signs the same.
      const text = bytes.join().replace(/(,0)+$/, "");
      const owner = owners.get(text);
      // A token says nothing about its tenant but which key has signed it.
      if (owner !== undefined) throw new VariableError(variable, `${variable}: a key is given twice`);
      owners.set(text, keyPrefix);
    }
  }
}

async function imported(env: WorkerEnv): Promise<Keyring> {
  checkCapabilityVariables(env);
  const signers = new Map<string, SigningKey>();
  const known: Readonly<Record<TokenKind, Map<string, TenantKey>>> = { capability: new Map(), callback: new Map() };
  for (const { variable, keyPrefix, keys } of textsOf(env)) {
    for (const key of await importKeys(keys, variable)) {
      if (!signers.has(keyPrefix)) signers.set(keyPrefix, key);
      for (const kind of ["capability", "callback"] as const) known[kind].set(key.headers[kind], { key, keyPrefix });
    }
  }
  return {
    signerOf: (keyPrefix) => signers.get(keyPrefix),
    keyOf: (kind, text) => known[kind].get(segmentsOf(text)?.header ?? ""),
  };
}

function textsOf(env: WorkerEnv): KeyTexts[] {
  const { COORDINATOR_CAPABILITY_KEY: own = "" } = env;
  const single: KeyTexts[] =
    own.trim() === "" ? [] : [{ variable: "COORDINATOR_CAPABILITY_KEY", keyPrefix: keyPrefixOf(), keys: own }];
  const variable = "COORDINATOR_CAPABILITY_KEYS";
  const shared = entriesOf(env, variable, "tenants with their keys").map(([tenant, keys], i): KeyTexts => {
    if (!isTenant(tenant)) throw new VariableError(variable, `${variable}: tenant ${i + 1} must be ${TENANT_FORM}`);
    if (typeof keys !== "string") throw new VariableError(variable, `${variable} must have a text for each tenant`);
    return { variable, keyPrefix: keyPrefixOf(tenant), keys };
  });
  return [...single, ...shared];
}

function blaming<Value>(variable: keyof WorkerEnv, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    throw error instanceof CoordinationError ? new VariableError(variable, error.message) : error;
  }
}
