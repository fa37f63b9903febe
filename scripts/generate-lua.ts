import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import * as tstl from "typescript-to-lua";
import { machines } from "../src/machines/index.js";

/**
 * Compiles each machine to one Lua script for Redis, from the very functions that run in memory and in a Durable Object, and writes
 * them with their SHA-1 to `src/backends/upstash/scripts.gen.ts`. Only `src/platform.ts` has a twin of its own, in `lua/`.
 */

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
/** Not below node_modules: the compiler takes what stands there for another project's. */
const stage = mkdtempSync(join(tmpdir(), "edge-coordinator-lua-"));
const target = join(root, "src/backends/upstash/scripts.gen.ts");

const SHARED = ["store.ts", "draft.ts", "backoff.ts", "machines"];
/** Tells a server that locks by key that this script declares all of its keys. A stock Redis refuses it. */
const KEY_LOCKING = "#!lua flags=allow-key-locking\n";

/** Sources as the Lua compiler resolves them: beside each other, imported without an extension. */
function stageSources(): void {
  mkdirSync(join(stage, "src"), { recursive: true });
  for (const name of SHARED) cpSync(join(root, "src", name), join(stage, "src", name), { recursive: true });
  rmSync(join(stage, "src/machines/index.ts"));
  cpSync(join(root, "lua/platform.ts"), join(stage, "src/platform.ts"));
  cpSync(join(root, "lua/script.ts"), join(stage, "script.ts"));
  for (const path of readdirSync(stage, { recursive: true, encoding: "utf8" })) {
    if (!path.endsWith(".ts")) continue;
    const file = join(stage, path);
    const text = readFileSync(file, "utf8");
    writeFileSync(
      file,
      text.replace(/from "(\.[^"]*)\.js"/g, 'from "$1"').replace(/from "\.\.\/src\//g, 'from "./src/'),
    );
  }
}

function compile(machine: string): string {
  const entry = join(stage, `${machine}.ts`);
  writeFileSync(
    entry,
    `import { ${machine} } from "./src/machines/${machine}";\nimport { run } from "./script";\nexport const reply = run(${machine} as never);\n`,
  );
  let lua = "";
  const { diagnostics } = tstl.transpileFiles(
    [entry],
    {
      target: ts.ScriptTarget.ES2022,
      lib: ["lib.es2022.d.ts"],
      types: [],
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      strict: true,
      noUncheckedIndexedAccess: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: true,
      rootDir: stage,
      outDir: stage,
      luaTarget: tstl.LuaTarget.Lua51,
      luaLibImport: tstl.LuaLibImportKind.RequireMinimal,
      luaBundle: `${machine}.lua`,
      luaBundleEntry: entry,
      noImplicitSelf: true,
      noHeader: true,
      removeComments: true,
    },
    (name, text) => {
      if (name.endsWith(`${machine}.lua`)) lua = text;
    },
  );
  const errors = diagnostics.filter((diagnostic) => diagnostic.category === ts.DiagnosticCategory.Error);
  if (errors.length > 0 || lua === "") {
    const host = {
      getCanonicalFileName: (name: string) => name,
      getCurrentDirectory: () => stage,
      getNewLine: () => "\n",
    };
    throw new Error(`${machine} does not compile to Lua\n${ts.formatDiagnostics(errors, host)}`);
  }
  return asScript(lua);
}

/** Makes a script out of a bundle: Redis refuses the global `require`, and wants a text returned. */
function asScript(bundle: string): string {
  const script = bundle
    .replace(/^local ____originalRequire = require\n/m, "local ____originalRequire\n")
    .replace(/\nreturn ____entry\s*$/, "\nreturn ____entry.reply\n");
  if (script === bundle || !script.includes(".reply\n"))
    throw new Error("the Lua bundle has another form than expected");
  return script;
}

const sha1 = (text: string): string => createHash("sha1").update(text).digest("hex");

stageSources();
const entries = Object.keys(machines).map((machine) => {
  const lua = compile(machine);
  process.stdout.write(`${machine}: ${lua.length} characters of Lua, ${sha1(lua)}\n`);
  return `  ${JSON.stringify(machine)}: {
    lua: ${JSON.stringify(lua)},
    sha: ${JSON.stringify(sha1(lua))},
    keyLockingSha: ${JSON.stringify(sha1(KEY_LOCKING + lua))},
  },`;
});

rmSync(stage, { recursive: true });
mkdirSync(dirname(target), { recursive: true });
writeFileSync(
  target,
  `// Made by \`npm run generate\` from src/machines and lua/.
export const KEY_LOCKING = ${JSON.stringify(KEY_LOCKING)};

export const scripts = {
${entries.join("\n")}
} as const;
`,
);
