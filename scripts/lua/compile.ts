import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as tstl from "typescript-to-lua";
import { failOn, options } from "./options.js";

/** A top-level statement of the Lua. */
export interface LuaStatement {
  readonly lua: string;
  /** The names that it declares, as the source has them. */
  readonly declares: readonly string[];
}

/** The Lua of one file. */
export interface CompiledFile {
  readonly statements: readonly LuaStatement[];
  /** The expression of each export, by the export's name. */
  readonly exported: ReadonlyMap<string, string>;
}

const DECLARATION = /^local (?:function )?([\w, ]+)/;
const EXPORT = /^____exports\.(\w+) = (.*)$/;

/** Compiles a TypeScript file without imports to Lua. What it exports must be expressions of one line. */
export function compile(source: string, folder: string): CompiledFile {
  const file = join(folder, "all-scripts.ts");
  writeFileSync(file, source);
  let lua = "";
  const { diagnostics } = tstl.transpileFiles(
    [file],
    {
      ...options,
      rootDir: folder,
      outDir: folder,
      luaTarget: tstl.LuaTarget.Lua51,
      luaLibImport: tstl.LuaLibImportKind.Inline,
      noImplicitSelf: true,
      noHeader: true,
      removeComments: true,
    },
    (path, text) => {
      if (path.endsWith("all-scripts.lua")) lua = text;
    },
  );
  failOn(diagnostics, "the machines do not compile to Lua");
  const exported = new Map<string, string>();
  const statements: LuaStatement[] = [];
  for (const text of statementsOf(lua)) {
    const [, name, value] = EXPORT.exec(text) ?? [];
    if (name !== undefined && value !== undefined) exported.set(name, value);
    else if (!/^(local ____exports = \{\}|return ____exports)$/.test(text))
      statements.push(statement(text, statements));
  }
  return { statements, exported };
}

function statement(lua: string, before: readonly LuaStatement[]): LuaStatement {
  const [, names] = DECLARATION.exec(lua) ?? [];
  // The compiler writes ____ before a name that is a word of Lua.
  if (names !== undefined) return { lua, declares: names.split(",").map((name) => name.trim().replace(/^____/, "")) };
  // The compiler's library declares its errors, and gives them their values in a block after that.
  const last = before.at(-1);
  if (!lua.startsWith("do\n") || last === undefined) throw new Error(`the Lua has another form than expected: ${lua}`);
  return { lua, declares: last.declares };
}

/** A statement begins where a line is not indented and closes nothing. No text in the Lua goes over a line. */
function statementsOf(lua: string): string[] {
  return lua
    .split(/\n(?=[^\s})\]])(?!end\b|else\b|elseif\b|until\b)/)
    .filter((text) => !text.startsWith("--"))
    .map((text) => renumbered(text.replace(/^\s+/gm, "").trimEnd()))
    .filter((text) => text !== "");
}

/** The compiler numbers its own names through a file; here from one on in each statement, whatever stands before it. */
function renumbered(statement: string): string {
  const names = new Map<string, string>();
  return statement.replace(/\b(____\w+?_|__continue)(\d+)\b/g, (name, stem: string) => {
    if (!names.has(name)) names.set(name, `${stem}${names.size + 1}`);
    return names.get(name) ?? name;
  });
}
