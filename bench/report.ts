import type { Machine } from "./machine.js";
import { isMet, type Result } from "./result.js";

/** The results of one measure. */
export interface Section {
  readonly name: string;
  readonly title: string;
  /** The title of its chart, `<name>.svg`. */
  readonly chart?: string;
  readonly results: readonly Result[];
}

/** A whole run, as `results.json` has it. */
export interface Run {
  readonly machine: Machine;
  readonly seed: number;
  readonly rounds: number;
  readonly minutes: number;
  readonly sections: readonly Section[];
}

/** Three digits that count. */
export function shown(value: number): string {
  if (!Number.isFinite(value)) return "none";
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString("en", { maximumFractionDigits: Math.min(digits, 3) });
}

/** With its unit: `4.2 ×`, `1,004 requests`. */
function withUnit({ value, unit }: Pick<Result, "value" | "unit">): string {
  return `${shown(value)} ${unit}`;
}

function verdict(result: Result): string {
  const { target } = result;
  if (target === undefined) return "";
  const sign = target.is === "at least" ? "≥" : "≤";
  return `${sign} ${shown(target.value)}: ${isMet(result) ? "met" : "**missed**"}`;
}

function row(result: Result): string {
  const { what, arm, interval, note } = result;
  const swing = interval === undefined ? "" : `${shown(interval.low)} to ${shown(interval.high)}`;
  const cells = [what, note === undefined ? arm : `${arm} (${note})`, withUnit(result), swing, verdict(result)];
  return `| ${cells.join(" | ")} |`;
}

function tableOf({ name, title, chart, results }: Section): string {
  const head = "| what | arm | figure | rounds, lowest to highest | target |\n|---|---|---|---|---|";
  const image = chart === undefined ? "" : `![${chart}](${name}.svg)\n\n`;
  return `### ${title}\n\n${image}${head}\n${results.map(row).join("\n")}`;
}

/** How many targets are met, and each that is missed. */
export function targetsOf({ sections }: Pick<Run, "sections">): string {
  const judged = sections.flatMap(({ results }) => results).filter(({ target }) => target !== undefined);
  const missed = judged.filter((result) => !isMet(result));
  const list = missed.map(
    (result) => `- ${result.what}: ${result.arm}: ${withUnit(result)}, target ${verdict(result)}`,
  );
  const sentence = `${judged.length - missed.length} of ${judged.length} targets are met`;
  return missed.length === 0 ? `${sentence}.` : `${sentence}. Missed:\n\n${list.join("\n")}`;
}

function machineText({ machine, seed, rounds, minutes }: Run): string {
  const { cores, processor, memoryGb, platform, node, redis, workerd, upstashClient, upstashRatelimit, bullmq } =
    machine;
  return [
    `- ${cores} cores (${processor}), ${memoryGb} GB, ${platform};`,
    `- Node ${node}, redis-server ${redis}, workerd ${workerd}, BullMQ ${bullmq};`,
    `- @upstash/redis ${upstashClient}, @upstash/ratelimit ${upstashRatelimit};`,
    `- ${rounds} rounds, seed ${seed}, ${shown(minutes)} minutes.`,
  ].join("\n");
}

/** Returns the template with its `{{…}}` replaced by the run's figures. */
export function fill(template: string, run: Run): string {
  const parts: Record<string, string> = {
    machine: machineText(run),
    targets: targetsOf(run),
    tables: run.sections.map(tableOf).join("\n\n"),
  };
  return template.replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const part = parts[name];
    if (part === undefined) throw new Error(`the template has an unknown part: {{${name}}}`);
    return part;
  });
}
