import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { BUGS } from "./bugs.js";

describe("the list of bugs", () => {
  it.each(BUGS)("can plant: $name", ({ file, from, to }) => {
    expect(readFileSync(file, "utf8").split(from)).toHaveLength(2);
    expect(to).not.toBe(from);
  });

  it("names each once", () => {
    expect(new Set(BUGS.map(({ name }) => name)).size).toBe(BUGS.length);
  });
});
