import { writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import * as tstl from "typescript-to-lua";
import { failOn, options } from "./options.js";

const ENDING = /\n____exports\.reply = (.*)\nreturn ____exports\s*$/;

/** Compiles files, each of which exports its `reply`, to one Lua script each, in its top-level statements. */
export function compile(sources: ReadonlyMap<string, string>, folder: string): Map<string, string[]> {
  const fileOf = (name: string): string => name.replace(".", "_");
  for (const [name, text] of sources) writeFileSync(join(folder, `${fileOf(name)}.ts`), text);
  const compiled = new Map<string, string>();
  const { diagnostics } = tstl.transpileFiles(
    [...sources.keys()].map((name) => join(folder, `${fileOf(name)}.ts`)),
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
    (path, text) => compiled.set(basename(path, ".lua"), text),
  );
  failOn(diagnostics, "the machines do not compile to Lua");
  return new Map(
    [...sources.keys()].map((name) => {
      const lua = compiled.get(fileOf(name));
      if (lua === undefined) throw new Error(`nothing came of ${name}`);
      return [name, statementsOf(asScript(lua))];
    }),
  );
}

/** Makes a script out of a module: Redis wants the reply returned. */
function asScript(lua: string): string {
  const script = lua.replace("local ____exports = {}\n", "").replace(ENDING, "\nreturn $1");
  if (script.includes("____exports")) throw new Error("the Lua has another form than expected");
  return script;
}

/** A statement begins where a line is not indented and closes nothing. No text in the Lua goes over a line. */
function statementsOf(lua: string): string[] {
  return lua
    .split(/\n(?=[^\s})\]])(?!end\b|else\b|elseif\b|until\b)/)
    .filter((text) => !text.startsWith("--"))
    .map((text) => renumbered(text.replace(/^\s+/gm, "").trimEnd()));
}

/** The compiler numbers its own variables through a file; here from one on in each statement, whatever stands before it. */
function renumbered(statement: string): string {
  const names = new Map<string, string>();
  return statement.replace(/\b(____\w+?)_(\d+)\b/g, (name, stem: string) => {
    if (!names.has(name)) names.set(name, `${stem}_${names.size + 1}`);
    return names.get(name) ?? name;
  });
}
