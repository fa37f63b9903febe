import { createHash } from "node:crypto";
import { type Dirent, statSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import type { Random } from "../dev/random.js";
import { Complaint } from "./complaint.js";

/** One file that is to be indexed. */
export interface Document {
  /** The name of its group: the path within the folder, shortened where it is too long for an id. */
  readonly id: string;
  readonly file: string;
}

export interface Library {
  readonly documents: readonly Document[];
  /** What was found, before the limit. */
  readonly found: number;
  /** For the heading: where they are from. */
  readonly label: string;
}

const TEXT_FILE = /\.(md|mdx|markdown|txt|rst|adoc|org)$/i;
const README = /^readme\.md$/i;
/** Smaller ones say nothing, larger ones are data. */
const MIN_BYTES = 1;
const MAX_BYTES = 64 * 1024;
const MAX_ID_BYTES = 200;

/** The READMEs of the packages that are installed below `root`. */
export async function installedReadmes(root: string, limit: number, random: Random): Promise<Library> {
  const folder = join(root, "node_modules");
  const files = await walk(folder, (entry) => README.test(entry.name));
  if (files.length === 0) throw new Complaint("no installed package has a README.md: run npm ci, or name a folder");
  return choose(folder, files, limit, random, "READMEs of the installed packages");
}

/** The text files of a folder, those in hidden folders and in `node_modules` left out. */
export async function documentsOf(folder: string, limit: number, random: Random): Promise<Library> {
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found === undefined) throw new Complaint(`there is no folder ${folder}`);
  if (!found.isDirectory()) throw new Complaint(`${folder} is not a folder`);
  const files = await walk(folder, (entry) => TEXT_FILE.test(entry.name), /^\.|^node_modules$/);
  if (files.length === 0) throw new Complaint(`there are no documents (.md, .txt, .rst …) in ${folder}`);
  return choose(folder, files, limit, random, `documents in ${folder}`);
}

async function walk(folder: string, wanted: (entry: Dirent) => boolean, skipped?: RegExp): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const found = await Promise.all(
    entries.map(async (entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return skipped?.test(entry.name) ? [] : walk(path, wanted, skipped);
      if (!entry.isFile() || !wanted(entry)) return [];
      const { size } = await stat(path);
      return size >= MIN_BYTES && size <= MAX_BYTES ? [path] : [];
    }),
  );
  return found.flat();
}

function choose(folder: string, files: string[], limit: number, random: Random, label: string): Library {
  const chosen = random.shuffle(files.sort()).slice(0, limit);
  return { documents: chosen.map((file) => ({ id: idOf(relative(folder, file)), file })), found: files.length, label };
}

function idOf(path: string): string {
  const id = path.split(sep).join("/");
  if (Buffer.byteLength(id) <= MAX_ID_BYTES) return id;
  const digest = createHash("sha256").update(id).digest("hex").slice(0, 16);
  return `${digest}…${Array.from(id).slice(-40).join("")}`;
}
