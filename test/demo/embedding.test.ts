import { describe, expect, it } from "vitest";
import { DIMENSIONS, embed, packVector, similarity, unpackVector } from "../../demo/embedding.js";

describe("embed", () => {
  it("has length 1, and is the same each time", () => {
    const vector = embed("Retry a failed request with exponential backoff.");
    expect(vector).toHaveLength(DIMENSIONS);
    expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
    expect(embed("Retry a failed request with exponential backoff.")).toEqual(vector);
  });

  it("is all zeros for a text without words", () => {
    expect(embed("— … !").every((value) => value === 0)).toBe(true);
  });

  it("brings texts about the same thing nearer than others", () => {
    const query = embed("parse command line options");
    const near = similarity(query, embed("This module parses the options of a command line into an object."));
    const far = similarity(query, embed("Colours and gradients for terminal screens, with themes."));
    expect(near).toBeGreaterThan(far + 0.1);
  });

  it("tells the order of words", () => {
    expect(similarity(embed("dog bites man"), embed("man bites dog"))).toBeLessThan(0.999);
  });

  it("survives being packed", () => {
    const vector = embed("some words to be packed");
    expect(unpackVector(packVector(vector))).toEqual(vector);
  });
});
