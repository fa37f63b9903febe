import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as tstl from "typescript-to-lua";
import { OURS } from "./flatten.js";
import { failOn, options } from "./options.js";

export interface LuaExpression {
  readonly lua: string;
  /** The names of the entries that it uses. */
  readonly uses: readonly string[];
}

/** A function or a constant of the Lua, as an entry of the table `L` that holds them all. */
export interface LuaEntry extends LuaExpression {
  /** Its name in the source, or in the compiler's library. */
  readonly name: string;
}

/** The Lua of one file. */
export interface CompiledFile {
  readonly entries: readonly LuaEntry[];
  /** The expression of each export, by the export's name. */
  readonly exported: ReadonlyMap<string, LuaExpression>;
}

/** What a file's Lua declares at its top level: `local function name(…` or `local name = …`. */
const FUNCTION = /^local function (\w+)/;
const CONSTANT = /^local (\w+) = /;
/** The names of our own values, and those of the compiler's library. */
const NAME = new RegExp(`\\b(?:${OURS}|__TS__)(\\w+)`, "g");
const LUA_WORDS = new Set(
  "and break do else elseif end for function if in local nil not or repeat return then until while".split(" "),
);
const EXPORT = /^____exports\.(\w+) = (.*)$/;

/** Compiles a TypeScript file without imports to Lua. What it exports must be expressions of one line. */
export function compile(source: string, folder: string): CompiledFile {
  // In a text or a key, or as a parameter, it would be taken for the table or for an entry of it.
  const taken = source.match(/__TS__|\bL\b/);
  if (taken !== null) throw new Error(`the core must not use the name ${taken[0]}`);
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
  const exported = new Map<string, LuaExpression>();
  const entries: LuaEntry[] = [];
  for (const text of statementsOf(lua)) {
    const [, name, value] = EXPORT.exec(text) ?? [];
    if (name !== undefined && value !== undefined) exported.set(name, { lua: inTable(value), uses: usedIn(value) });
    else if (!/^(local ____exports = \{\}|return ____exports)$/.test(text)) entries.push(entryOf(text));
  }
  return { entries, exported };
}

/**
 * Turns a declaration into an entry of the table `L`. Redis makes all functions of a script anew at each run. A function that
 * uses others as local variables costs a search among all local variables for each of them. With the table it costs none.
 */
function entryOf(statement: string): LuaEntry {
  const [start, name] = FUNCTION.exec(statement) ?? CONSTANT.exec(statement) ?? [];
  if (start === undefined || name === undefined) {
    const why = "the core must have no classes, errors, `delete`, or functions that need each other";
    throw new Error(`the Lua has another form than expected (${why}): ${statement}`);
  }
  const isFunction = start.startsWith("local function");
  const value = statement.slice(start.length);
  const uses = usedIn(value);
  // The table does not exist yet when its constants are made.
  if (!isFunction && uses.length > 0) throw new Error(`a constant of the core must use no other: ${statement}`);
  return { name, lua: `${keyOf(name)} = ${isFunction ? "function" : ""}${inTable(value)}`, uses };
}

function usedIn(lua: string): string[] {
  return [...lua.matchAll(NAME)].map(([name]) => name);
}

/** Returns the Lua with the table's entries instead of the names. */
function inTable(lua: string): string {
  return lua.replace(NAME, (name) => `L.${keyOf(name)}`);
}

/** Returns a name's key in the table. A word of Lua would be no key. */
function keyOf(name: string): string {
  const key = name.startsWith(OURS) ? name.slice(OURS.length) : name;
  return LUA_WORDS.has(key) ? name : key;
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
