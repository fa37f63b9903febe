import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

/**
 * Bundles the dashboard into `worker/dashboard.gen.ts`: three texts with their hashes, which `worker/routes/dashboard.ts`
 * serves. So a bundle of the Worker has the dashboard in it, and its user runs no step.
 */

const root = fileURLToPath(new URL("../", import.meta.url));
const target = join(root, "worker/dashboard.gen.ts");
/** The page loads before its user reads anything: this bounds all three texts together, compressed. */
const MAX_GZIP_BYTES = 40 * 1024;

/** hono's licence asks for its notice in every copy. */
const NOTICE = `/*! Contains hono (https://hono.dev).\n${readFileSync(join(root, "node_modules/hono/LICENSE"), "utf8").trim()}\n*/`;

async function bundled(entry: string, banner: Readonly<Record<string, string>>): Promise<string> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    minify: true,
    format: "esm",
    // The first with `light-dark()` and `AbortSignal.any`. docs/dashboard.md names them.
    target: ["chrome123", "firefox124", "safari17.5"],
    jsx: "automatic",
    jsxImportSource: "hono/jsx/dom",
    legalComments: "none",
    banner,
    write: false,
    logLevel: "error",
  });
  return outputFiles[0]?.text ?? "";
}

const texts = {
  page: readFileSync(join(root, "dashboard/index.html"), "utf8"),
  script: await bundled("dashboard/main.tsx", { js: NOTICE }),
  style: await bundled("dashboard/dashboard.css", {}),
};

const bytes = Object.values(texts).reduce((sum, text) => sum + gzipSync(text).length, 0);
if (bytes > MAX_GZIP_BYTES)
  throw new Error(`the dashboard takes ${bytes} bytes compressed, more than ${MAX_GZIP_BYTES}`);

const lines = Object.entries(texts).map(([name, text]) => {
  const hash = createHash("sha256").update(text).digest("base64url").slice(0, 16);
  return `  ${name}: { hash: "${hash}", text: ${JSON.stringify(text)} },\n`;
});
/** Without this type, the published declarations would repeat the texts. */
const type = `Readonly<Record<${Object.keys(texts)
  .map((name) => JSON.stringify(name))
  .join(" | ")}, { readonly hash: string; readonly text: string }>>`;
const module = `// Made by \`npm run generate\` from \`dashboard/\`.
export const DASHBOARD: ${type} = {\n${lines.join("")}};\n`;
// A file that is the same keeps its time, so that no build runs for nothing.
if (!existsSync(target) || readFileSync(target, "utf8") !== module) writeFileSync(target, module);
process.stdout.write(`the dashboard takes ${bytes} bytes compressed\n`);
