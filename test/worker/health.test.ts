import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { clientOf, TOKEN } from "./client.js";

const CANARY = "Canary7f3a91";
const SECRET = `whsec_${btoa("k".repeat(32))}`;
const HOSTS = "hooks.example";
const sound = { COORDINATOR_TOKEN: TOKEN };

/** One Worker serves many sets of variables. */
const WITH_VARS = `
  import worker from "./worker/index.js";
  export { CoordinatorWorkerObject } from "./worker/index.js";
  export default {
    fetch: (request, env) => worker.fetch(request, { ...env, ...JSON.parse(request.headers.get("x-vars")) }),
  };`;

let shared: WorkerHost;
let worker: WorkerHost | undefined;
beforeAll(async () => {
  shared = await startWorker({ source: WITH_VARS });
});
afterEach(async () => {
  await worker?.close();
  worker = undefined;
});
afterAll(() => shared.close());

async function healthOf(vars: Record<string, string>, source?: string) {
  if (source !== undefined) worker = await startWorker({ vars, source });
  const headers = { "x-vars": JSON.stringify(vars) };
  return clientOf((worker ?? shared).url)("GET", "/health", { token: null, headers });
}

describe("/health of a Worker that is misconfigured", () => {
  it.each<[string, Record<string, string>, string[]]>([
    ["no token", {}, ["COORDINATOR_TOKEN"]],
    ["a short token", { COORDINATOR_TOKEN: CANARY }, ["COORDINATOR_TOKEN"]],
    ["tokens that are no JSON", { COORDINATOR_TOKENS: CANARY }, ["COORDINATOR_TOKENS"]],
    ["a tenant's name", { COORDINATOR_TOKENS: `{"${CANARY}-token":"{"}` }, ["COORDINATOR_TOKENS"]],
    [
      "a malformed secret",
      { ...sound, WEBHOOK_SECRET: `whsec_${CANARY}`, WEBHOOK_ALLOWED_HOSTS: HOSTS },
      ["WEBHOOK_SECRET"],
    ],
    ["no hosts", { ...sound, WEBHOOK_SECRET: SECRET }, ["WEBHOOK_ALLOWED_HOSTS"]],
    ["no secret", { ...sound, WEBHOOK_ALLOWED_HOSTS: HOSTS }, ["WEBHOOK_SECRET"]],
    [
      "a malformed host",
      { ...sound, WEBHOOK_SECRET: SECRET, WEBHOOK_ALLOWED_HOSTS: `https://${CANARY}` },
      ["WEBHOOK_ALLOWED_HOSTS"],
    ],
    [
      "a switch",
      { ...sound, WEBHOOK_SECRET: SECRET, WEBHOOK_ALLOWED_HOSTS: HOSTS, WEBHOOK_ALLOW_HTTP: CANARY },
      ["WEBHOOK_ALLOW_HTTP"],
    ],
    [
      "secrets that are no JSON",
      { ...sound, WEBHOOK_SECRETS: CANARY, WEBHOOK_ALLOWED_HOSTS: HOSTS },
      ["WEBHOOK_SECRETS"],
    ],
    [
      "the secret of a tenant",
      { ...sound, WEBHOOK_SECRETS: `{"a":"${SECRET}","b":"${CANARY}"}`, WEBHOOK_ALLOWED_HOSTS: HOSTS },
      ["WEBHOOK_SECRETS"],
    ],
    [
      "the hosts of a tenant",
      { ...sound, WEBHOOK_SECRET: SECRET, WEBHOOK_TENANT_HOSTS: `{"a":"${HOSTS}","b":"${CANARY}/../a"}` },
      ["WEBHOOK_TENANT_HOSTS"],
    ],
    ["a list of tenants", { ...sound, COORDINATOR_SUSPENDED: `a ["${CANARY}"]` }, ["COORDINATOR_SUSPENDED"]],
    ["a numbered variable", { COORDINATOR_TOKENS_7: `{"sha256:${CANARY}":"a"}` }, ["COORDINATOR_TOKENS_7"]],
    [
      "three of them",
      { COORDINATOR_TOKEN: CANARY, WEBHOOK_SECRET: SECRET, COORDINATOR_QUOTAS: `{"${CANARY}":1}` },
      ["COORDINATOR_TOKEN", "WEBHOOK_ALLOWED_HOSTS", "COORDINATOR_QUOTAS"],
    ],
  ])("is degraded, and names the variable and no value: %s", async (_, vars, misconfigured) => {
    const { status, json, text, headers } = await healthOf(vars);
    expect([status, json]).toEqual([200, { status: "degraded", version: expect.any(String), misconfigured }]);
    expect(headers.get("cache-control")).toBe("no-store");
    expect(text).not.toContain(CANARY);
  });

  it.each<[string, Record<string, string>]>([
    ["no webhooks", {}],
    ["webhooks of all", { WEBHOOK_SECRET: SECRET, WEBHOOK_ALLOWED_HOSTS: HOSTS }],
    [
      "webhooks of tenants",
      { WEBHOOK_SECRETS: `{"a":"${SECRET}"}`, WEBHOOK_ALLOWED_HOSTS: HOSTS, WEBHOOK_ALLOW_HTTP: "false" },
    ],
  ])("is ok where nothing is wrong: %s", async (_, vars) => {
    expect((await healthOf({ ...sound, ...vars })).json).toEqual({ status: "ok", version: expect.any(String) });
  });

  it.each(["undefined", `(() => { throw new Error("${CANARY}"); })()`])(
    "is degraded without the binding of the objects: %s",
    async (namespace) => {
      const source = `
        import { createWorker } from "./worker/index.js";
        export { CoordinatorWorkerObject } from "./worker/index.js";
        export default createWorker({ namespace: () => ${namespace} });`;
      const { json, text } = await healthOf(sound, source);
      expect(json).toMatchObject({ status: "degraded", misconfigured: ["COORDINATOR"] });
      expect(text).not.toContain(CANARY);
    },
  );
});
