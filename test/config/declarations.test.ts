import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { afterAll, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "config-types-"));
afterAll(() => rmSync(folder, { recursive: true }));

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  lib: ["lib.es2022.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
  types: [],
  strict: true,
  exactOptionalPropertyTypes: true,
};

it("has types that need no package, not even its own", () => {
  cpSync(join(ROOT, "dist/src"), folder, { recursive: true, filter: (path) => !/\.(js|map)$/.test(path) });
  // Far from any package: a type that comes from one cannot be found.
  const program = ts.createProgram([join(folder, "config/index.d.ts")], { ...OPTIONS, noEmit: true });
  const faults = ts
    .getPreEmitDiagnostics(program)
    .map((fault) => ts.flattenDiagnosticMessageText(fault.messageText, "\n"));
  expect(faults).toEqual([]);
  expect(program.getSourceFiles().some(({ fileName }) => fileName.endsWith("config/create.d.ts"))).toBe(true);
});
