import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { ENTRIES } from "../../scripts/entries.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const TSC = join(root, "node_modules/@typescript/native/bin/tsc");
const readme = readFileSync(join(root, "README.md"), "utf8");
const pages = readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md"));
/** Every whole example of the docstrings: those that begin with their imports. */
const docstrings = ["src", "worker"].flatMap((room) =>
  readdirSync(join(root, room), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".gen.ts"))
    .flatMap((name) =>
      blocksOf(`${room}/${name}`, readFileSync(join(root, room, name), "utf8").replace(/^ *\* ?/gm, "")),
    )
    .filter(({ block }) => block.startsWith("import ")),
);
/** Every example of the README, of the pages beside it, and of the docstrings. */
const blocks = [
  ...blocksOf("README.md", readme),
  ...pages.flatMap((name) => blocksOf(name, readFileSync(join(root, "docs", name), "utf8"))),
  ...docstrings,
];

function blocksOf(page: string, text: string): { name: string; block: string }[] {
  return [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map((match, i) => ({
    name: `${page.replace(/\W/g, "-")}-${i + 1}`,
    block: match[1] ?? "",
  }));
}

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

/** What the compiler says of each example; the globals of Node and of Workers clash, so there are two programs. */
async function problemsOf(examples: typeof blocks, globals: string, lib: string[]): Promise<Map<string, string[]>> {
  const files = examples.map(({ name, block }) => write(`${name}.ts`, block));
  const config = write(
    `tsconfig-${examples.length}.json`,
    JSON.stringify({
      compilerOptions: {
        target: "es2022",
        module: "nodenext",
        moduleResolution: "nodenext",
        lib,
        types: [],
        strict: true,
        noEmit: true,
        skipLibCheck: true,
        exactOptionalPropertyTypes: true,
      },
      files: [...files, write("at-hand.d.ts", `export {};${AT_HAND}`), globals],
    }),
  );
  const listed = await output(TSC, "-p", config, "--pretty", "false", "--listFiles");
  return new Map(files.map((file, i) => [examples[i]?.name ?? "", said(file, listed)]));
}

/** The errors of a file, and those of no file. A file that the compiler did not read has one as well. */
function said(file: string, listed: readonly string[]): string[] {
  const name = basename(file);
  if (!listed.some((line) => line.endsWith(`/${name}`))) return ["it was not compiled"];
  return listed.filter((line) => line.includes(`${name}(`) || line.startsWith("error "));
}

/** The lines that a program prints, however it ends. */
function output(...args: readonly string[]): Promise<string[]> {
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: root, maxBuffer: 2 ** 26 }, (_, stdout, stderr) => {
      resolve((stdout + stderr).split("\n"));
    });
  });
}

const isWorker = ({ block }: (typeof blocks)[number]): boolean =>
  /durable-object|edge-coordinator\/worker|ExportedHandler|DurableObject/.test(block);
const modules = join(root, "node_modules");
const problems = new Map<string, string[]>();

beforeAll(async () => {
  const workers = join(modules, "@cloudflare/workers-types/2023-07-01/index.d.ts");
  const node = join(modules, "@types/node/index.d.ts");
  const inWorkers = await problemsOf(blocks.filter(isWorker), workers, ["es2022"]);
  const elsewhere = blocks.filter((example) => !isWorker(example));
  const inNode = await problemsOf(elsewhere, node, ["es2022", "dom", "dom.iterable"]);
  for (const [name, said] of [...inWorkers, ...inNode]) problems.set(name, said);
});

describe("the documents", () => {
  it.each(blocks)("have an example that compiles: $name", ({ name }) => {
    expect(problems.get(name)).toEqual([]);
  });

  /** A drain without handlers puts the deliveries off that need them. */
  it("bring handlers along wherever an example drains, in docstrings too", () => {
    const drains = /drainRoutes\(|drainEvery\(|\.drain\(|extends AlarmClock/;
    expect(docstrings.length).toBeGreaterThan(15);
    const examples = blocks.filter(({ block }) => block.startsWith("import ") && drains.test(block));
    expect(examples.length).toBeGreaterThan(6);
    for (const { name, block } of examples)
      expect(block, name).toMatch(/new CompletionTracker\([^;]*(handlers|webhooks)/);
  });

  it.each(["README.md", ...pages.map((name) => `docs/${name}`)])("have links that lead somewhere: %s", (page) => {
    const text = readFileSync(join(root, page), "utf8");
    for (const [, link = "", anchor] of text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)) {
      const target = link === "" ? join(root, page) : join(root, dirname(page), link);
      expect(existsSync(target), `${page}: ${link}`).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(readFileSync(target, "utf8")), `${page}: ${link}`).toContain(anchor);
    }
  });

  it("have an example with a handler that runs as a program, to the end of its callback", async () => {
    const tsx = join(root, "node_modules/tsx/dist/cli.mjs");
    const { stdout } = await promisify(execFile)(process.execPath, [tsx, write("run.mts", blocks[1]?.block ?? "")]);
    expect(stdout).toMatch(/^README\.md is indexed: 1 of 1 msg_[0-9a-f]{32}\n$/);
  });

  it("has a program for Node that runs on Redis, to the end of its callback", async () => {
    const [, options = ""] = /UpstashCoordinator\((\{ url, token \})\)/.exec(firstOf("getting-started-node.md")) ?? [];
    const rest = JSON.stringify({ url: inject("restUrl"), token: inject("restToken"), keyPrefix: "node-guide:" });
    const acks = `await tracker.ack("document-1", ["chunk-1", "chunk-2"]);\n`;
    const program = firstOf("getting-started-node.md").replace(options, rest) + acks;
    const tsx = join(root, "node_modules/tsx/dist/cli.mjs");
    const { stdout } = await promisify(execFile)(process.execPath, [tsx, write("node.mts", program)]);
    expect(stdout).toMatch(/^README\.md msg_[0-9a-f]{32}\n$/);
  });

  it("names commands that package.json has", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: object };
    for (const [, name] of readme.matchAll(/npm run ([a-z:]+)/g)) expect(Object.keys(scripts)).toContain(name);
  });

  it("has a README of at most 190 lines, and a design of at most 120", () => {
    expect(readme.split("\n").length - 1).toBeLessThanOrEqual(190);
    expect(readFileSync(join(root, "docs/design.md"), "utf8").split("\n").length - 1).toBeLessThanOrEqual(120);
  });
});

/** The first example of a page in `docs`. */
function firstOf(page: string): string {
  const [first] = blocksOf(page, readFileSync(join(root, "docs", page), "utf8"));
  return first?.block ?? "";
}

/** The anchors that GitHub gives the headings of a page. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, "")
      .replaceAll(" ", "-"),
  );
}
