import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** A copy of an example, as a reader has it: beside it the package from its tarball, not from the sources. */
export interface InstalledExample {
  /** Below the repository's node_modules, so that other packages resolve as if they were installed. */
  readonly folder: string;
  remove(): Promise<void>;
}

/** Packs what `npm run build` has made, and installs it beside a copy of `examples/NAME`. */
export async function installedExample(name: string): Promise<InstalledExample> {
  const folder = await mkdtemp(join(ROOT, "node_modules", `.example-${name}-`));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    await install(name, folder);
  } catch (error) {
    await remove();
    throw error;
  }
  return { folder, remove };
}

async function install(name: string, folder: string): Promise<void> {
  const installed = join(folder, "node_modules/edge-coordinator");
  await cp(join(ROOT, "examples", name), folder, {
    recursive: true,
    filter: (source) => !/[\\/](node_modules|\.wrangler|\.vercel)$/.test(source),
  });
  await mkdir(installed, { recursive: true });
  const tarball = await packTo(folder);
  await run("tar", ["-xzf", tarball, "--strip-components=1", "-C", installed]);
  await rm(tarball);
}

/** Packs what `npm run build` has made into a folder; resolves with the tarball's path. */
export async function packTo(folder: string): Promise<string> {
  const pack = ["pack", "--ignore-scripts", "--json", "--pack-destination", folder];
  const { stdout } = await run("npm", pack, { cwd: ROOT, maxBuffer: 64 * 1024 * 1024 });
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  return join(folder, filename);
}
