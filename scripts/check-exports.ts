import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ENTRIES, INTERNAL_INDEXES, PLAIN_EXPORTS } from "./entries.js";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");

/** The built file behind a source, as `exports` names it. */
function target(source: string, extension: "js" | "d.ts"): string {
  return `./dist/${source.replace(/\.ts$/, `.${extension}`)}`;
}

function indexFiles(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .map((name) => `${folder}/${name.replaceAll("\\", "/")}`)
    .filter((path) => path.endsWith("/index.ts"));
}

/** What is wrong between `exports` of package.json, the list of entry points, the sources and the built files. */
function checkExports(): string[] {
  const manifest: { exports: Record<string, unknown> } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const faults: string[] = [];

  for (const [subpath, source] of Object.entries(ENTRIES)) {
    const wanted = { types: target(source, "d.ts"), default: target(source, "js") };
    if (!existsSync(join(ROOT, source))) faults.push(`${subpath}: its source ${source} is missing`);
    if (JSON.stringify(manifest.exports[subpath]) !== JSON.stringify(wanted)) {
      faults.push(`${subpath}: package.json must export ${JSON.stringify(wanted)}`);
    }
    for (const path of Object.values(wanted)) {
      if (!existsSync(join(ROOT, path))) faults.push(`${subpath}: ${path} was not built`);
    }
  }

  for (const subpath of Object.keys(manifest.exports)) {
    if (!(subpath in ENTRIES) && !PLAIN_EXPORTS.includes(subpath)) faults.push(`${subpath}: not in scripts/entries.ts`);
  }

  const known = [...Object.values(ENTRIES), ...INTERNAL_INDEXES];
  for (const source of [...indexFiles("src"), ...indexFiles("worker")]) {
    if (!known.includes(source)) faults.push(`${source}: neither an entry point nor listed as internal`);
  }
  return faults;
}

const faults = checkExports();
for (const fault of faults) console.error(`exports: ${fault}`);
if (faults.length > 0) process.exit(1);
console.log(`exports: ${Object.keys(ENTRIES).length} entry points are built and exported.`);
