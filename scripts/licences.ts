import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Plugin } from "rolldown";

/** A module's folder and name, where it belongs to a package. Greedy: the package of a nested package is the inner one. */
const PACKAGE = /^(.*[\\/]node_modules[\\/])((?:@[^\\/]+[\\/])?[^\\/]+)/;

/**
 * Writes the licences of all packages that a bundle contains into a file beside it. Reads the names from the bundle, so that
 * no list has to be kept.
 */
export function licences(fileName: string): Plugin {
  return {
    name: "licences",
    generateBundle(_, bundle) {
      const folders = new Map<string, string>();
      for (const file of Object.values(bundle)) {
        for (const id of file.type === "chunk" ? file.moduleIds : []) {
          const [, folder = "", name] = PACKAGE.exec(id) ?? [];
          if (name !== undefined) folders.set(name.replaceAll("\\", "/"), join(folder, name));
        }
      }
      const texts = [...folders].sort().map(([name, folder]) => `${name}\n\n${licenceIn(folder)}`);
      const source = `The code beside this file contains these packages.\n\n${texts.join("\n\n---\n\n")}\n`;
      this.emitFile({ type: "asset", fileName, source });
    },
  };
}

/** @throws Error for a package without a licence file: it must not be passed on. */
function licenceIn(folder: string): string {
  const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
  if (file === undefined) throw new Error(`no licence file in ${folder}`);
  return readFileSync(join(folder, file), "utf8").trim();
}
