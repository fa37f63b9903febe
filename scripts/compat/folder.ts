import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
/** Ends only what hangs: a busy machine takes minutes to install. */
const HANGS_MS = 600_000;

/** What a command printed, on both of its streams. Rejects with it when the command fails. */
export async function output(
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): Promise<string> {
  const env = { ...process.env, ...options.env };
  const limits = { timeout: HANGS_MS, maxBuffer: 64 * 1024 * 1024 };
  try {
    const { stdout, stderr } = await run(command, args, { cwd: options.cwd, env, ...limits });
    return stdout + stderr;
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${args.join(" ")} failed:\n${stdout}${stderr}`, { cause: error });
  }
}

/** A place outside of the repository, where packages are installed by the npm and the registry that are configured. */
export class Workshop {
  readonly folder: string;
  readonly #nodes = new Map<string, Promise<string>>();

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async open(): Promise<Workshop> {
    return new Workshop(await mkdtemp(join(tmpdir(), "edge-coordinator-compat-")));
  }

  /** A project with these packages. Their own install scripts may run: they fetch binaries. */
  async project(name: string, packages: readonly string[]): Promise<string> {
    const folder = join(this.folder, name);
    await mkdir(folder);
    const manifest = { private: true, type: "module", allowScripts: { node: true, workerd: true } };
    await writeFile(join(folder, "package.json"), JSON.stringify(manifest));
    const quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--prefer-offline"];
    await output("npm", ["install", ...quiet, ...packages], { cwd: folder });
    return folder;
  }

  /** The path of a Node, installed once. */
  node(version: string): Promise<string> {
    const known = this.#nodes.get(version) ?? this.#installNode(version);
    this.#nodes.set(version, known);
    return known;
  }

  async #installNode(version: string): Promise<string> {
    const folder = await this.project(`node-${version}`, [`node@${version}`]);
    return join(folder, "node_modules/node/bin/node");
  }

  close(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}
