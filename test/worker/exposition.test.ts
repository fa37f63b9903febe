import { expect, it } from "vitest";
import { exposition } from "../../worker/exposition.js";
import { gaugesOf } from "./gauges.js";

it("a label of any text is read as it was written, and a gauge without a sample is left out", () => {
  const label = 'a "quoted\\text",\nof two lines}';
  const text = exposition([
    {
      name: "first",
      help: "Has a back\\slash\nand a line break.",
      samples: [{ labels: { label, more: "" }, value: 1.5 }],
    },
    { name: "second", help: "Has none.", samples: [] },
    { name: "third", help: "Has no label.", samples: [{ value: 1_790_000_000.123 }] },
  ]);
  expect(gaugesOf(text)).toEqual({ [`first{label=${JSON.stringify(label)},more=""}`]: 1.5, third: 1_790_000_000.123 });
  expect(text).not.toContain("second");
});
