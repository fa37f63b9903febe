import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { Hono } from "hono";
import createClient from "openapi-fetch";
import openapiTS, { astToString } from "openapi-typescript";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod/mini";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { MemoryCoordinator } from "../../src/index.js";
import type { AppEnv } from "../../worker/context.js";
import { OPERATIONS, openApiDocument } from "../../worker/openapi/document.js";
import { callbackRoutes } from "../../worker/routes/callbacks.js";
import { capabilityRoutes } from "../../worker/routes/capabilities.js";
import { groupRoutes } from "../../worker/routes/groups.js";
import { healthRoutes } from "../../worker/routes/health.js";
import { limitRoutes } from "../../worker/routes/limits.js";
import { metricsRoutes } from "../../worker/routes/metrics.js";
import { openApiRoutes } from "../../worker/routes/openapi.js";
import { reindexRoutes } from "../../worker/routes/reindex.js";
import { requestRoutes } from "../../worker/routes/requests.js";
import { semaphoreRoutes } from "../../worker/routes/semaphores.js";
import { tenantRoutes } from "../../worker/routes/tenant.js";
import { transitionRoutes } from "../../worker/routes/transitions.js";
import { TOKEN } from "./client.js";

const ALL = Object.values(OPERATIONS).flat();
const SOURCE = JSON.stringify(openApiDocument());

/** What the Worker routes, in the form of OpenAPI. */
function routed(): string[] {
  const app = new Hono<AppEnv>();
  healthRoutes(app, () => {});
  const quotasOf = (): never => {
    throw new Error("only the routes are read");
  };
  reindexRoutes(app, { whole: () => ({}) as never });
  metricsRoutes(app, { whole: () => ({}) as never, misconfigured: async () => [] });
  callbackRoutes(app, { whole: () => new MemoryCoordinator(), quotasOf, tell: () => {} });
  for (const routes of [
    openApiRoutes,
    groupRoutes,
    requestRoutes,
    capabilityRoutes,
    semaphoreRoutes,
    limitRoutes,
    tenantRoutes,
    transitionRoutes,
  ])
    routes(app);
  const own = app.routes.filter(({ method }) => method !== "ALL");
  return own.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, "{$1}")}`).sort();
}

describe("the description of the HTTP API", () => {
  it("describes every route of the Worker, and no other", () => {
    expect(ALL.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(routed());
    expect(new Set(ALL.map(({ operationId }) => operationId)).size).toBe(ALL.length);
  });

  it.each(ALL.flatMap(({ operationId, body }) => (body === undefined ? [] : [{ operationId, body }])))(
    "has an example that $operationId accepts",
    ({ body }) => {
      expect(z.safeParse(body.schema, body.example)).toMatchObject({ success: true });
    },
  );

  it("has no fault that a linter of OpenAPI finds", async () => {
    const config = await createConfig({ extends: ["recommended-strict"] });
    const problems = await lintFromString({ source: SOURCE, absoluteRef: "openapi.json", config });
    expect(problems.map(({ ruleId, message, location }) => [ruleId, message, location[0]?.pointer])).toEqual([]);
  });
});

/** A program that a user might write. It must compile against the types that are generated from the description. */
const PROGRAM = `
import createClient from "openapi-fetch";
import type { components, paths } from "./generated.js";

export async function use(client: ReturnType<typeof createClient<paths>>): Promise<components["schemas"]["GroupStatus"] | undefined> {
  const path = { id: "document-1" };
  await client.PUT("/v1/groups/{id}", { params: { path }, body: { tasks: ["a", { id: "b", stage: "embed" }], timeoutSec: 60 } });
  const { data, error } = await client.POST("/v1/groups/{id}/acks", { params: { path }, body: { tasks: ["a"] } });
  if (error !== undefined) throw new Error(error.code);
  const verdicts: ("accepted" | "duplicate" | "early" | "late" | "cancelled" | "unknown")[] = data.results.map(({ verdict }) => verdict);
  const page = await client.GET("/v1/groups/{id}/tasks", { params: { path, query: { state: "open", limit: 10 } } });
  const open: string[] = page.data?.items.map(({ taskId }) => taskId) ?? [];
  void [verdicts, open];
  const waited = await client.GET("/v1/groups/{id}", { params: { path, header: { Prefer: "wait=1" } } });
  return waited.data;
}

export async function wrong(client: ReturnType<typeof createClient<paths>>): Promise<void> {
  const path = { id: "document-1" };
  // @ts-expect-error: tasks are a list
  await client.PUT("/v1/groups/{id}", { params: { path }, body: { tasks: "a" } });
  // @ts-expect-error: no such route
  await client.GET("/v1/group/{id}", { params: { path } });
  // @ts-expect-error: seconds are a number
  await client.POST("/v1/groups/{id}/extend", { params: { path }, body: { timeoutSec: "60" } });
}
`;

describe("a client that is generated from the description", () => {
  let worker: WorkerHost;
  const folder = mkdtempSync(fileURLToPath(new URL("../../node_modules/.openapi-", import.meta.url)));
  beforeAll(async () => {
    worker = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN } });
    writeFileSync(`${folder}/generated.ts`, astToString(await openapiTS(SOURCE)));
    writeFileSync(`${folder}/program.ts`, PROGRAM);
    writeFileSync(`${folder}/package.json`, '{ "type": "module" }');
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true });
    await worker.close();
  });

  it("compiles, with types that refuse what the Worker refuses, and calls the Worker", async () => {
    const options = {
      strict: true,
      exactOptionalPropertyTypes: true,
      module: ts.ModuleKind.NodeNext,
      target: ts.ScriptTarget.ES2022,
      skipLibCheck: true,
      types: [],
      lib: ["lib.es2022.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
      outDir: folder,
    };
    const program = ts.createProgram([`${folder}/program.ts`], options);
    const faults = ts
      .getPreEmitDiagnostics(program)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
    expect(faults).toEqual([]);
    program.emit();
    const { use } = await import(/* @vite-ignore */ `${folder}/program.js`);
    const client = createClient({ baseUrl: worker.url, headers: { authorization: `Bearer ${TOKEN}` } });
    expect(await use(client)).toMatchObject({ groupId: "document-1", state: "open", total: 2, remaining: 1 });
  });

  it("reads the description from the Worker without a token", async () => {
    const answer = await fetch(`${worker.url}/openapi.json`);
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "application/json"]);
    expect(await answer.text()).toBe(SOURCE);
  });
});
