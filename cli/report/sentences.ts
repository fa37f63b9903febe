import type { Paint } from "../text/paint.js";
import type { Remedy, Why } from "./explanation.js";

/** The name that a printed command begins with. */
export const PROGRAM = "npx edge-coordinator";

/** Returns an explanation as lines: the answer first, then the facts, then the commands that help. */
export function whyText({ headline, findings, remedies }: Why, paint: Paint): string {
  const width = Math.max(0, ...findings.map(({ topic }) => topic.length));
  const facts = findings.map(({ topic, text }, i) => {
    const isRepeated = findings[i - 1]?.topic === topic;
    return `  ${paint("dim", (isRepeated ? "" : topic).padEnd(width))}  ${text}\n`;
  });
  return `${paint("bold", headline)}\n${facts.length > 0 ? "\n" : ""}${facts.join("")}${remedyText(remedies)}`;
}

function remedyText(remedies: readonly Remedy[]): string {
  if (remedies.length === 0) return "";
  const lines = remedies.map(({ command, effect }) => `  ${PROGRAM} ${command}\n      ${effect}\n`);
  return `\nWhat you can do:\n${lines.join("")}`;
}
