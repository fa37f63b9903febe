import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { BUGS } from "./bugs.js";
import { INDEX_BUGS } from "./index-bugs.js";
import { TRACE_BUGS } from "./trace-bugs.js";
import { TURN_BUGS } from "./turn-bugs.js";

const ALL = [...BUGS, ...INDEX_BUGS, ...TRACE_BUGS, ...TURN_BUGS];

describe("the list of bugs", () => {
  it.each(ALL)("can plant: $name", ({ file, from, to }) => {
    expect(readFileSync(file, "utf8").split(from)).toHaveLength(2);
    expect(to).not.toBe(from);
  });

  it("names each once", () => {
    expect(new Set(ALL.map(({ name }) => name)).size).toBe(ALL.length);
  });
});
