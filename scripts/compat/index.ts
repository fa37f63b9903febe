// `npm run compat`: the packed package, installed in a folder of its own, on the platforms of the table beside this file.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { transform } from "esbuild";
import { startRedis, startRestServer } from "../../dev/redis-rest/index.js";
import { compatibilityTable } from "./document.js";
import { output, Workshop } from "./folder.js";
import { PLATFORM_TYPES, ROWS, type Row } from "./table.js";
import { checkTypes } from "./types.js";
import { startWorker } from "./worker.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PROGRAMS = fileURLToPath(new URL("programs/", import.meta.url));
const USAGE = `npm run compat                  every row
npm run compat -- --row NAME    one row, or several: ${ROWS.map(({ name }) => name).join(", ")}
npm run compat -- --table       the table of docs/compatibility.md`;

/** Where all rows find the same: the tarball, and a Redis with a REST server. */
interface Site {
  readonly workshop: Workshop;
  readonly tarball: string;
  readonly redis: Readonly<Record<string, string>>;
}

function chosenRows(): readonly Row[] {
  const flag = { type: "boolean" } as const;
  const { values } = parseArgs({ options: { row: { type: "string", multiple: true }, table: flag, help: flag } });
  if (values.table === true) {
    console.log(compatibilityTable());
    process.exit(0);
  }
  const names = values.row ?? ROWS.map(({ name }) => name);
  const unknown = names.filter((name) => ROWS.every((row) => row.name !== name));
  if (values.help === true || unknown.length > 0) {
    console.log(unknown.length === 0 ? USAGE : `There is no row ${unknown.join(", ")}.\n${USAGE}`);
    process.exit(values.help === true ? 0 : 1);
  }
  return ROWS.filter(({ name }) => names.includes(name));
}

async function packTo(folder: string): Promise<string> {
  const said = await output("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", folder], { cwd: ROOT });
  const [{ filename, files }] = JSON.parse(said.slice(said.search(/^[[{]/m))) as [
    { filename: string; files: { path: string }[] },
  ];
  if (!files.some(({ path }) => path === "dist/src/index.js")) throw new Error("build first: npm run build");
  return join(folder, filename);
}

/** One row, from its installation to its end; says what was tried. */
async function tryRow({ workshop, tarball, redis }: Site, row: Row): Promise<string> {
  const beside = { ...row.packages, ...PLATFORM_TYPES, ...(row.workerd !== undefined && { workerd: row.workerd }) };
  const packages = Object.entries(beside).map(([name, version]) => `${name}@${version}`);
  const [project, node] = [await workshop.project(row.name, [tarball, ...packages]), await workshop.node(row.node)];
  const { code } = await transform(await readFile(join(PROGRAMS, "node.ts")), { loader: "ts", target: "es2022" });
  await writeFile(join(project, "program.js"), code);
  const worker = row.workerd === undefined ? undefined : await startWorker(project, PROGRAMS);
  const said: string[] = [];
  try {
    const address = worker && { WORKER_URL: worker.url, WORKER_TOKEN: worker.token };
    said.push((await output(node, ["program.js"], { cwd: project, env: { ...redis, ...address } })).trim());
  } finally {
    await worker?.close();
  }
  for (const version of row.typescript ?? []) {
    const folder = await workshop.project(`${row.name}-typescript-${version}`, [`typescript@${version}`]);
    await checkTypes(project, join(folder, "node_modules/typescript/bin/tsc"), PROGRAMS);
    said.push(`TypeScript ${version}: nodenext and bundler, with and without DOM, Workers`);
  }
  return said.join("\n  ");
}

const rows = chosenRows();
const workshop = await Workshop.open();
const redis = await startRedis();
const rest = await startRestServer({ redisUrl: redis.url, token: "the-token-of-compat" });
let failures = 0;
try {
  const tarball = await packTo(workshop.folder);
  const variables = { UPSTASH_REDIS_REST_URL: rest.url, UPSTASH_REDIS_REST_TOKEN: rest.token };
  for (const row of rows) {
    const sinceMs = performance.now();
    try {
      const said = await tryRow({ workshop, tarball, redis: variables }, row);
      console.log(`${row.name}: ok, ${((performance.now() - sinceMs) / 1000).toFixed(0)} s\n  ${said}`);
    } catch (error) {
      failures++;
      console.error(`${row.name}: FAILED\n${error instanceof Error ? error.message : String(error)}`);
    }
  }
} finally {
  await rest.close();
  await redis.close();
  await workshop.close();
}
console.log(`compat: ${rows.length - failures} of ${rows.length} rows ok.`);
process.exitCode = failures === 0 ? 0 : 1;
