import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { compatibilityTable } from "../../scripts/compat/document.js";
import { NEWEST, OLDEST, ROWS } from "../../scripts/compat/table.js";

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const manifest = JSON.parse(read("package.json")) as Record<"peerDependencies" | "devDependencies", typeof OLDEST>;

it("docs/compatibility.md states what `npm run compat` runs", () => {
  expect(read("docs/compatibility.md")).toContain(compatibilityTable());
});

it("the oldest packages of the table are the oldest that package.json allows, the newest those of the tests", () => {
  const names = Object.keys(OLDEST) as (keyof typeof OLDEST)[];
  expect(names.sort()).toEqual(Object.keys(manifest.peerDependencies).sort());
  for (const name of names) {
    expect(manifest.peerDependencies[name]).toBe(`^${OLDEST[name]}`);
    expect(manifest.devDependencies[name]).toBe(NEWEST[name]);
  }
});

it(".ci/run runs the first row of the table", () => {
  expect(read(".ci/run")).toContain(`scripts/compat/index.ts --row ${ROWS[0]?.name}`);
});
