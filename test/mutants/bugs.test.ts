import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ALL_BUGS } from "./all-bugs.js";

describe("the list of bugs", () => {
  it.each(ALL_BUGS)("can plant: $name", ({ file, from, to }) => {
    expect(readFileSync(file, "utf8").split(from)).toHaveLength(2);
    expect(to).not.toBe(from);
  });

  it("names each once", () => {
    expect(new Set(ALL_BUGS.map(({ name }) => name)).size).toBe(ALL_BUGS.length);
  });
});
