import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

/** One layer of the library: what its files are, and which layers and packages they may import besides their own. */
export interface Layer {
  readonly name: string;
  /** Paths from the root of the repository: a folder (ends in `/`), a file, or a pattern for one folder's own files. */
  readonly files: RegExp;
  /** Layers that it may import. Its own is always allowed. */
  readonly layers: readonly string[];
  /** Layers that it may reach by `import()` or by a type only, so that importing it does not load them. */
  readonly lazyLayers?: readonly string[];
  /** Packages that it may import, by name without a subpath. */
  readonly packages: readonly string[];
}

/** What lies below every public class: no tracker and no backend. */
const FOUNDATION = ["errors", "lib", "core", "runtime", "contract"] as const;

/**
 * The rooms of the library, from low to high. A file belongs to the first room that matches it, and imports its own room or
 * those that are named. A folder that matches none is refused, so that somebody places it.
 */
export const LAYERS: readonly Layer[] = [
  { name: "errors", files: /^src\/errors\.ts$/, layers: [], packages: [] },
  { name: "lib", files: /^src\/lib\//, layers: ["errors"], packages: [] },
  { name: "core", files: /^src\/core\//, layers: ["lib"], packages: [] },
  { name: "runtime", files: /^src\/runtime\//, layers: ["errors", "lib", "core"], packages: [] },
  { name: "contract", files: /^src\/coordinator\.ts$/, layers: ["errors", "lib", "core", "runtime"], packages: [] },
  { name: "http", files: /^src\/http\//, layers: FOUNDATION, packages: [] },
  { name: "delivery", files: /^src\/delivery\//, layers: FOUNDATION, packages: [] },
  { name: "trackers", files: /^src\/trackers\//, layers: [...FOUNDATION, "delivery"], packages: [] },
  { name: "webhook", files: /^src\/webhook\//, layers: [...FOUNDATION, "http", "delivery", "trackers"], packages: [] },
  { name: "capability", files: /^src\/capability\//, layers: [...FOUNDATION, "delivery", "trackers"], packages: [] },
  {
    name: "otel",
    files: /^src\/otel\//,
    layers: [...FOUNDATION, "delivery", "trackers"],
    packages: ["@opentelemetry/api"],
  },
  { name: "memory", files: /^src\/backends\/memory\//, layers: [...FOUNDATION, "delivery"], packages: [] },
  { name: "custom", files: /^src\/backends\/custom\//, layers: [...FOUNDATION, "delivery"], packages: [] },
  { name: "http backend", files: /^src\/backends\/http\//, layers: [...FOUNDATION, "http"], packages: [] },
  {
    name: "upstash",
    files: /^src\/backends\/upstash\//,
    layers: [...FOUNDATION, "http", "delivery"],
    packages: ["@upstash/redis"],
  },
  {
    name: "durable-object",
    files: /^src\/backends\/durable-object\/object\//,
    layers: [...FOUNDATION, "http", "delivery", "trackers", "webhook", "durable-object client"],
    packages: ["cloudflare:workers"],
  },
  {
    name: "durable-object client",
    files: /^src\/backends\/durable-object\/[^/]+\.ts$/,
    layers: [...FOUNDATION, "http"],
    packages: [],
  },
  {
    name: "index",
    files: /^src\/index\.ts$/,
    layers: [...FOUNDATION, "delivery", "trackers", "memory", "custom"],
    packages: [],
  },
  {
    name: "config",
    files: /^src\/config\//,
    layers: [...FOUNDATION, "http", "delivery", "trackers", "memory", "custom"],
    lazyLayers: ["upstash", "http backend", "durable-object client"],
    packages: ["zod"],
  },
  {
    name: "dashboard",
    files: /^dashboard\//,
    layers: ["core", "delivery", "trackers", "command line"],
    packages: ["hono"],
  },
  { name: "hono", files: /^src\/hono\//, layers: [...FOUNDATION, "http", "delivery", "trackers"], packages: ["hono"] },
  {
    name: "testing",
    files: /^src\/testing\//,
    layers: [...FOUNDATION, "http", "delivery", "trackers", "webhook", "memory", "custom"],
    packages: [],
  },
  {
    name: "worker",
    files: /^worker\//,
    layers: [
      ...FOUNDATION,
      "http",
      "delivery",
      "trackers",
      "webhook",
      "capability",
      "memory",
      "custom",
      "upstash",
      "durable-object client",
      "durable-object",
      "index",
      "config",
      "hono",
    ],
    packages: ["cloudflare:workers", "hono", "zod"],
  },
  { name: "development servers", files: /^dev\//, layers: [], packages: [] },
  {
    name: "command line",
    files: /^cli\//,
    layers: ["index", "config", "lib", "runtime", "http", "delivery", "trackers", "capability", "worker"],
    lazyLayers: ["http backend", "development servers"],
    packages: [
      "commander",
      "miniflare",
      "node:child_process",
      "node:crypto",
      "node:events",
      "node:fs",
      "node:module",
      "node:path",
      "node:readline",
      "node:timers",
      "node:url",
    ],
  },
];

/** A source file: its path from the root of the repository, with forward slashes, and its text. */
export interface Source {
  readonly path: string;
  readonly text: string;
}

interface Import {
  /** What stands in quotes; null where an `import()` computes it. */
  readonly specifier: string | null;
  readonly lazy: boolean;
}

function isTypeOnly(node: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  if (ts.isExportDeclaration(node)) return node.isTypeOnly;
  return node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
}

function importsOf(source: Source): Import[] {
  const found: Import[] = [];
  const textOf = (node: ts.Node | undefined) => (node && ts.isStringLiteralLike(node) ? node.text : null);
  const visit = (node: ts.Node): void => {
    if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier) {
      found.push({ specifier: textOf(node.moduleSpecifier), lazy: isTypeOnly(node) });
    } else if (ts.isImportTypeNode(node)) {
      const argument = node.argument;
      found.push({ specifier: ts.isLiteralTypeNode(argument) ? textOf(argument.literal) : null, lazy: true });
    } else if (ts.isImportEqualsDeclaration(node) && ts.isExternalModuleReference(node.moduleReference)) {
      found.push({ specifier: textOf(node.moduleReference.expression), lazy: node.isTypeOnly });
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      found.push({ specifier: textOf(node.arguments[0]), lazy: true });
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(source.path, source.text, ts.ScriptTarget.ES2022, true));
  return found;
}

function layerOf(path: string): Layer | undefined {
  return LAYERS.find((layer) => layer.files.test(path));
}

/** `@scope/name/sub` → `@scope/name`, `name/sub` → `name`; a built-in's scheme stays. */
function packageOf(specifier: string): string {
  const parts = specifier.split("/");
  return specifier.startsWith("@") ? parts.slice(0, 2).join("/") : (parts[0] ?? specifier);
}

/** The source file that a relative import names. */
function importedFile(path: string, specifier: string): string {
  const file = posix.join(posix.dirname(path), specifier);
  // In these folders alone a file holds JSX, and no other.
  const isJsx = /^dashboard\/(views|parts)\//.test(file);
  return file.replace(/\.js$/, isJsx ? ".tsx" : ".ts");
}

function faultOf(layer: Layer, path: string, { specifier, lazy }: Import): string | null {
  if (specifier === null) return "an import() must name its module in quotes";
  if (!specifier.startsWith(".")) {
    const name = packageOf(specifier);
    return layer.packages.includes(name) ? null : `${layer.name} may not import the package ${name}`;
  }
  const imported = importedFile(path, specifier);
  const other = layerOf(imported);
  if (other === undefined) return `${imported} belongs to no layer`;
  if (other === layer || layer.layers.includes(other.name)) return null;
  if (layer.lazyLayers?.includes(other.name)) {
    return lazy ? null : `${layer.name} may import ${other.name} (${imported}) only by import() or as a type`;
  }
  return `${layer.name} may not import ${other.name} (${imported})`;
}

/** Every import that breaks the layering, one line each; empty when all is well. */
export function checkImports(sources: readonly Source[]): string[] {
  return sources.flatMap((source) => {
    const layer = layerOf(source.path);
    if (layer === undefined) return [`${source.path}: belongs to no layer`];
    return importsOf(source).flatMap((found) => {
      const fault = faultOf(layer, source.path, found);
      return fault === null ? [] : [`${source.path}: ${fault}`];
    });
  });
}

/** Every circle of imports, types included: its files, the first one twice. Empty when there is none. */
export function circlesOf(sources: readonly Source[]): string[][] {
  const imports = new Map(
    sources.map((source) => {
      const relative = importsOf(source).flatMap(({ specifier }) => (specifier?.startsWith(".") ? [specifier] : []));
      return [source.path, relative.map((specifier) => importedFile(source.path, specifier))];
    }),
  );
  const circles: string[][] = [];
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string): void => {
    const at = trail.indexOf(path);
    if (at >= 0) circles.push([...trail.slice(at), path]);
    if (at >= 0 || done.has(path)) return;
    trail.push(path);
    for (const imported of imports.get(path) ?? []) visit(imported);
    trail.pop();
    done.add(path);
  };
  for (const path of imports.keys()) visit(path);
  return circles;
}

/** The sources that the rules hold for: `src/`, `worker/`, `cli/` and `dashboard/`. */
export function readSources(): Source[] {
  const root = join(dirname(fileURLToPath(import.meta.url)), "..");
  return ["src", "worker", "cli", "dashboard"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .map((name) => `${folder}/${name.replaceAll("\\", "/")}`)
      .filter((path) => /\.tsx?$/.test(path))
      .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") })),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const sources = readSources();
  const circles = circlesOf(sources).map((circle) => `a circle: ${circle.join(" → ")}`);
  const faults = [...checkImports(sources), ...circles];
  for (const fault of faults) console.error(`imports: ${fault}`);
  if (faults.length > 0) process.exit(1);
  console.log(`imports: ${sources.length} files keep to their layers, and no import is part of a circle.`);
}
