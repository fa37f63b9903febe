import { callbackForm, newCallback } from "../../src/capability/callback.js";
import { capabilityForm, newGrant } from "../../src/capability/capability.js";
import { type RecordId, recordOf } from "../../src/capability/claims.js";
import type { SigningKey } from "../../src/capability/signing-key.js";
import { signToken } from "../../src/capability/token.js";
import { CoordinationError } from "../../src/errors.js";
import { Problem } from "../../src/http/problem.js";
import { readJson } from "../body.js";
import { keyringOf } from "../capability/keyring.js";
import { type App, type AppContext, pathSegment, route } from "../context.js";
import { tenantOf } from "../env.js";
import { callbackBody, capabilityBody } from "../schemas/capability-bodies.js";
import { parse } from "../schemas/parse.js";

/** The routes that mint capabilities and callback URLs, for the bearer of a tenant's token. */
export function capabilityRoutes(app: App): void {
  for (const records of ["groups", "requests"]) {
    route(app, `/v1/${records}/:id/capabilities`, { POST: mintCapability });
    route(app, `/v1/${records}/:id/callbacks`, { POST: mintCallback });
  }
}

async function mintCapability(c: AppContext): Promise<Response> {
  const record = recordIn(c);
  const { generation, ...input } = parse(capabilityBody, await readJson(c.req.raw));
  const key = await signerOf(c);
  const pinned = generation === "current" ? await currentGeneration(c, record) : generation;
  const grant = newGrant(record, { ...input, generation: pinned }, Date.now());
  return c.json({ token: await signToken(key, capabilityForm, grant), expiresAtMs: grant.exp * 1000 });
}

async function mintCallback(c: AppContext): Promise<Response> {
  const record = recordIn(c);
  const { task, effect, outcome, ...input } = parse(callbackBody, await readJson(c.req.raw));
  const key = await signerOf(c);
  const generation = input.generation ?? (await currentGeneration(c, record));
  const fields = { task, effect: outcome ?? effect ?? "success", generation, ttlSec: input.ttlSec };
  const callback = newCallback(record, fields, Date.now());
  const { origin } = new URL(c.req.url);
  const url = `${origin}/c/${await signToken(key, callbackForm, callback)}`;
  return c.json({ url, expiresAtMs: callback.exp * 1000 });
}

/** Returns the group or the request in the path. */
function recordIn(c: AppContext): RecordId {
  const id = pathSegment(c, 3);
  return recordOf(pathSegment(c, 2) === "groups" ? { groupId: id } : { requestId: id });
}

async function signerOf(c: AppContext): Promise<SigningKey> {
  const signer = (await keyringOf(c.env)).signerOf(c.var.keyPrefix);
  if (signer !== undefined) return signer;
  const variable =
    tenantOf(c.var.keyPrefix) === undefined
      ? "COORDINATOR_CAPABILITY_KEY"
      : "COORDINATOR_CAPABILITY_KEYS for its tenant";
  throw new CoordinationError("unsupported", `this Worker signs no capabilities for this token: set ${variable}`);
}

async function currentGeneration(c: AppContext, { machine, id }: RecordId): Promise<number> {
  const { view } = await c.var.coordinator.run(`${machine}.status`, id, {}, { signal: c.req.raw.signal });
  if (view !== undefined) return view.generation;
  throw new Problem("not_found", "there is no such group or request: a generation exists once it is registered");
}
