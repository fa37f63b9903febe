import parsePrometheusTextFormat from "parse-prometheus-text-format";
import { expect } from "vitest";

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly metrics: readonly { readonly value: string; readonly labels?: Readonly<Record<string, string>> }[];
}

/** A line of the text format, where the parser lets more through. */
const LINE =
  /^(?:# HELP [a-z_]+ [^\n]+|# TYPE [a-z_]+ gauge|[a-z_]+(?:\{[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*\})? \d+(?:\.\d+)?)$/;

/** Reads Prometheus' text format. Returns each sample by its name and its labels, in the order of their names. */
export function gaugesOf(text: string): Record<string, number> {
  expect(text.endsWith("\n")).toBe(true);
  for (const line of text.slice(0, -1).split("\n")) expect(line).toMatch(LINE);
  const families = parsePrometheusTextFormat(text) as readonly Family[];
  expect(new Set(families.map(({ name }) => name)).size).toBe(families.length);
  const samples = families.flatMap(({ name, help, type, metrics }) => {
    expect([type, help.length > 0], name).toEqual(["GAUGE", true]);
    return metrics.map(({ value, labels = {} }) => {
      const pairs = Object.entries(labels).map(([label, text]) => `${label}=${JSON.stringify(text)}`);
      return [`${name}${pairs.length === 0 ? "" : `{${pairs.sort().join(",")}}`}`, Number(value)] as const;
    });
  });
  expect(new Set(samples.map(([name]) => name)).size).toBe(samples.length);
  return Object.fromEntries(samples);
}
