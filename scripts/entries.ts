/** Every public entry point: its subpath in `exports` and the source behind it. */
export const ENTRIES: Readonly<Record<string, string>> = {
  ".": "src/index.ts",
  "./upstash": "src/backends/upstash/index.ts",
  "./durable-object": "src/backends/durable-object/object/index.ts",
  "./http": "src/backends/http/index.ts",
  "./hono": "src/hono/index.ts",
  "./webhook": "src/webhook/index.ts",
  "./capability": "src/capability/index.ts",
  "./otel": "src/otel/index.ts",
  "./config": "src/config/index.ts",
  "./worker": "worker/index.ts",
  "./testing": "src/testing/index.ts",
};

/** Sources that look like an entry point (an `index.ts`) and are none on purpose. */
export const INTERNAL_INDEXES: readonly string[] = ["src/core/registry.ts"];

/** Files that `exports` names as they are. */
export const PLAIN_EXPORTS: readonly string[] = ["./package.json"];
