import { describe, expect, it } from "vitest";
import { checkImports, circlesOf, readSources } from "../scripts/check-imports.js";

/** One planted file at a time: the path decides its layer. */
function faultsOf(path: string, text: string): string[] {
  return checkImports([{ path, text }]);
}

describe("the import rules", () => {
  it("hold for every source", () => {
    const sources = readSources();
    expect(sources.length).toBeGreaterThan(0);
    expect(checkImports(sources)).toEqual([]);
    expect(circlesOf(sources)).toEqual([]);
  });

  it("find a circle, of types too", () => {
    const text = (path: string) => `import type { X } from "./${path}.js";`;
    const sources = [
      ["a", "b"],
      ["b", "c"],
      ["c", "b"],
      ["d", "a"],
    ].map(([path, imported = ""]) => {
      return { path: `src/lib/${path}.ts`, text: text(imported) };
    });
    expect(circlesOf(sources)).toEqual([["src/lib/b.ts", "src/lib/c.ts", "src/lib/b.ts"]]);
  });

  it.each([
    ["a tool imports the core", "src/lib/clock.ts", `import { x } from "../core/kv.js";`],
    ["the core imports a tracker", "src/core/kv.ts", `import { x } from "../trackers/dedupe.js";`],
    ["the core imports the contract", "src/core/kv.ts", `import type { Coordinator } from "../coordinator.js";`],
    ["the core imports the runtime", "src/core/group/record.ts", `import { x } from "../../runtime/wakers.js";`],
    ["the core imports a package", "src/core/kv.ts", `import { z } from "zod";`],
    ["the runtime imports the contract", "src/runtime/drain.ts", `import type { X } from "../coordinator.js";`],
    ["the runtime imports a backend", "src/runtime/drain.ts", `import { x } from "../backends/memory/coordinator.js";`],
    ["a tracker imports a backend", "src/trackers/dedupe.ts", `import { x } from "../backends/memory/coordinator.js";`],
    ["a backend imports another", "src/backends/http/answer.ts", `import { x } from "../memory/coordinator.js";`],
    [
      "a backend imports a type of another",
      "src/backends/http/answer.ts",
      `import type { X } from "../upstash/index.js";`,
    ],
    [
      "a backend re-exports a tracker",
      "src/backends/memory/coordinator.ts",
      `export * from "../../trackers/dedupe.js";`,
    ],
    [
      "the client of an object imports the object",
      "src/backends/durable-object/client.ts",
      `import { x } from "./object/object.js";`,
    ],
    ["the index imports a backend with a package", "src/index.ts", `export * from "./backends/upstash/index.js";`],
    ["the index imports the object", "src/index.ts", `export * from "./backends/durable-object/object/index.js";`],
    ["hono outside its folder", "src/trackers/request-wait.ts", `import type { Context } from "hono";`],
    ["a subpath of hono outside its folder", "src/webhook/sign.ts", `import { x } from "hono/factory";`],
    ["zod outside config", "src/coordinator.ts", `import * as z from "zod";`],
    [
      "the Redis client outside its backend",
      "src/backends/http/answer.ts",
      `import { Redis } from "@upstash/redis/cloudflare";`,
    ],
    [
      "Workers outside the object",
      "src/backends/durable-object/client.ts",
      `import { env } from "cloudflare:workers";`,
    ],
    ["Workers by an inline type", "src/coordinator.ts", `type X = import("cloudflare:workers").DurableObject;`],
    ["a Node module in src", "src/runtime/placement.ts", `import { createHash } from "node:crypto";`],
    ["a Node module without its scheme", "src/runtime/placement.ts", `import { createHash } from "crypto";`],
    ["a Node module by import()", "src/webhook/sign.ts", `await import("node:crypto");`],
    [
      "config loads a backend that may not be chosen",
      "src/config/create.ts",
      `import { x } from "../backends/upstash/index.js";`,
    ],
    ["an import() whose module is computed", "src/config/create.ts", `await import(name);`],
    [
      "the library imports the Worker",
      "src/backends/durable-object/object/index.ts",
      `import worker from "../../../../worker/index.js";`,
    ],
    ["the library imports a test", "src/testing/index.ts", `import { x } from "../../test/support/provided.js";`],
    ["a folder without a place in the rules", "src/extras/index.ts", ""],
    ["a file at the root without a place in the rules", "src/extra.ts", ""],
  ])("refuse: %s", (_, path, text) => {
    expect(faultsOf(path, text)).toHaveLength(1);
  });

  it.each([
    ["src/core/group/completion.ts", `import { x } from "../store.js"; import { y } from "../outbox/deliveries.js";`],
    ["src/backends/upstash/index.ts", `import { Redis } from "@upstash/redis"; import { x } from "../../core/kv.js";`],
    [
      "src/config/create.ts",
      `import type { X } from "../backends/http/index.js"; await import("../backends/upstash/index.js");`,
    ],
    ["src/backends/durable-object/object/index.ts", `import { DurableObject } from "cloudflare:workers";`],
    [
      "worker/index.ts",
      `import { Hono } from "hono"; import { x } from "../src/backends/durable-object/object/index.js";`,
    ],
    ["src/runtime/placement.ts", `const text = 'import "node:fs"'; // import "node:fs"`],
  ])("allow what %s needs", (path, text) => {
    expect(faultsOf(path, text)).toEqual([]);
  });
});
