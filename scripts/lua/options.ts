import ts from "typescript";

/** How the staged sources are read, by TypeScript and by its Lua compiler alike. */
export const options = {
  target: ts.ScriptTarget.ES2022,
  lib: ["lib.es2022.d.ts"],
  types: [],
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: true,
} satisfies ts.CompilerOptions;

/** Throws what a compiler complains of. */
export function failOn(diagnostics: readonly ts.Diagnostic[], what: string): void {
  const errors = diagnostics.filter(({ category }) => category === ts.DiagnosticCategory.Error);
  if (errors.length === 0) return;
  const host: ts.FormatDiagnosticsHost = {
    getCanonicalFileName: (name) => name,
    getCurrentDirectory: () => "",
    getNewLine: () => "\n",
  };
  throw new Error(`${what}\n${ts.formatDiagnostics(errors, host)}`);
}
