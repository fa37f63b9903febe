/** A gauge: its name, its help, and its values with their labels. */
export interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly samples: readonly { readonly labels?: Readonly<Record<string, string>>; readonly value: number }[];
}

/** The content type of Prometheus' text format. */
export const EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/**
 * Returns gauges in Prometheus' text format. A gauge without a sample is left out.
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function exposition(gauges: readonly Gauge[]): string {
  const families = gauges.filter(({ samples }) => samples.length > 0);
  return families
    .map(({ name, help, samples }) => `${head(name, help)}${samples.map((s) => line(name, s)).join("")}`)
    .join("");
}

const head = (name: string, help: string): string => `# HELP ${name} ${escaped(help)}\n# TYPE ${name} gauge\n`;

function line(name: string, { labels = {}, value }: Gauge["samples"][number]): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text).replaceAll('"', '\\"')}"`);
  return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}\n`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
