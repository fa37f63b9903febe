import { describe, expect, it } from "vitest";
import { gzipBytes, USES } from "../bench/bundle.js";

describe("what an application bundles", () => {
  it.each(USES)("of $what stays within $most bytes", async ({ source, most }) => {
    expect(await gzipBytes(source)).toBeLessThanOrEqual(most);
  });
});
