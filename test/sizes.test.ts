import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { gzipBytes, USES } from "../bench/bundle.js";
import { ENTRIES } from "../scripts/entries.js";

describe("what an application bundles", () => {
  it.each(USES)("of $what stays within $most bytes", async ({ source, most }) => {
    expect(await gzipBytes(source)).toBeLessThanOrEqual(most);
  });

  const config = { what: "`./config`", source: `export * from "./src/config/index.ts"` };
  it.each([...USES, config])("of $what is no more as it is installed", async ({ source }) => {
    const installed = source.replace(/"\.\/(.+)\.ts"$/, `"./dist/$1.js"`);
    expect(installed).toContain("./dist/");
    expect(await gzipBytes(installed)).toBeLessThanOrEqual(1.03 * (await gzipBytes(source)));
  });
});

/** The built files that come with one, itself among them; what is imported on demand does not. */
function loadedWith(path: string, loaded = new Set<string>()): Set<string> {
  if (loaded.has(path)) return loaded;
  loaded.add(path);
  for (const [, name = ""] of readFileSync(path, "utf8").matchAll(/^(?:import|export) .*?"(\.[^"]+)";$/gm)) {
    loadedWith(join(dirname(path), name), loaded);
  }
  return loaded;
}

describe("what Node loads, a file at a time", () => {
  it.each(Object.entries(ENTRIES))("with %s is a few files", (_, source) => {
    const files = [...loadedWith(join("dist", source.replace(/\.ts$/, ".js")))];
    expect(files.length, files.join(" ")).toBeLessThanOrEqual(7);
    // A class that stood in two of them would be two classes.
    const errors = files.filter((file) =>
      readFileSync(file, "utf8").includes("CoordinationError = class extends Error"),
    );
    expect(errors).toHaveLength(1);
  });
});
