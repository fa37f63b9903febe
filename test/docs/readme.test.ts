import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import ts from "typescript";
import { afterAll, describe, expect, it } from "vitest";
import { ENTRIES } from "../../scripts/entries.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const readme = readFileSync(join(root, "README.md"), "utf8");
const blocks = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1] ?? "");

/** What a reader has at hand where the README's examples begin. */
const AT_HAND = `
declare global {
  const url: string;
  const token: string;
  const waitUntil: (work: Promise<unknown>) => void;
}
`;

/** Beside the sources, so that packages resolve; removed in the end. */
const folder = mkdtempSync(join(root, "node_modules/.readme-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, block: string): string {
  let text = block;
  for (const [subpath, source] of Object.entries(ENTRIES)) {
    const specifier = subpath === "." ? "edge-coordinator" : `edge-coordinator/${subpath.slice(2)}`;
    text = text.replaceAll(`"${specifier}"`, JSON.stringify(join(root, source).replace(/\.ts$/, ".js")));
  }
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

function problems(name: string, block: string): string[] {
  const isWorker = /durable-object|edge-coordinator\/worker/.test(block);
  const globals = isWorker ? "@cloudflare/workers-types/2023-07-01" : "@types/node";
  const files = [
    write(name, block),
    write("at-hand.d.ts", `export {};${AT_HAND}`),
    join(root, "node_modules", globals, "index.d.ts"),
  ];
  const program = ts.createProgram(files, {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    lib: isWorker ? ["lib.es2022.d.ts"] : ["lib.es2022.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
    types: [],
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    exactOptionalPropertyTypes: true,
  });
  return ts
    .getPreEmitDiagnostics(program)
    .map(({ file, messageText }) => `${file?.fileName ?? ""}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`);
}

describe("the README", () => {
  it.each(blocks.map((block, i) => [i + 1, block] as const))(
    "has an example %i that compiles",
    (n, block) => {
      expect(problems(`example-${n}.ts`, block)).toEqual([]);
    },
    60_000,
  );

  it("begins with an example that runs as a program, to the end of its callback", async () => {
    const tsx = join(root, "node_modules/tsx/dist/cli.mjs");
    const { stdout } = await promisify(execFile)(process.execPath, [tsx, write("run.mts", blocks[0] ?? "")]);
    expect(stdout).toMatch(/^README\.md is indexed: 2 of 2 msg_[0-9a-f]{32}\n$/);
  });

  it("names commands that package.json has", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: object };
    for (const [, name] of readme.matchAll(/npm run ([a-z:]+)/g)) expect(Object.keys(scripts)).toContain(name);
  });
});
