import { describe, expect, it } from "vitest";
import { rootTraceparent, validTraceparent } from "../src/lib/traceparent.js";

const [TRACE, SPAN] = ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"];

describe("a traceparent", () => {
  it.each([
    ["00", `00-${TRACE}-${SPAN}-01`, "01"],
    ["00, not sampled", `00-${TRACE}-${SPAN}-00`, "00"],
    ["00 with flags that are not defined", `00-${TRACE}-${SPAN}-ff`, "01"],
    ["a later version", `cc-${TRACE}-${SPAN}-02`, "00"],
    ["a later version with more fields", `01-${TRACE}-${SPAN}-01-what-the-future-holds`, "01"],
  ])("of version %s is read as one of version 00", (_, text, flags) => {
    expect(validTraceparent(text)).toBe(`00-${TRACE}-${SPAN}-${flags}`);
  });

  it.each([
    ["nothing", undefined],
    ["no text", 5],
    ["an object that has no text", { toString: 0 }],
    ["a list of one", [`00-${TRACE}-${SPAN}-01`]],
    ["an empty text", ""],
    ["the version ff", `ff-${TRACE}-${SPAN}-01`],
    ["version 00 with more fields", `00-${TRACE}-${SPAN}-01-more`],
    ["a later version that does not go on with a dash", `01-${TRACE}-${SPAN}-01.more`],
    ["capital letters", `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ["a trace id of zeros", `00-${"0".repeat(32)}-${SPAN}-01`],
    ["a span id of zeros", `00-${TRACE}-${"0".repeat(16)}-01`],
    ["a short trace id", `00-${TRACE.slice(1)}-${SPAN}-01`],
    ["a short span id", `00-${TRACE}-${SPAN.slice(1)}-01`],
    ["two of them", `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`],
    ["spaces", ` 00-${TRACE}-${SPAN}-01`],
    ["a line break", `00-${TRACE}-${SPAN}-01\n`],
  ])("is ignored: %s", (_, value) => {
    expect(validTraceparent(value)).toBeUndefined();
  });

  it("of a new trace is valid, is another one each time, and is sampled if a linked one is", () => {
    const [sampled, other] = [`00-${TRACE}-${SPAN}-01`, `00-${TRACE}-${SPAN}-00`];
    const roots = Array.from({ length: 100 }, (_, i) => rootTraceparent(i % 2 === 0 ? [undefined, sampled] : [other]));
    for (const [i, root] of roots.entries()) {
      expect(validTraceparent(root)).toBe(root);
      expect(root.slice(-3)).toBe(i % 2 === 0 ? "-01" : "-00");
    }
    expect(new Set(roots.flatMap((root) => root.split("-").slice(1, 3))).size).toBe(200);
  });
});
