import { shown } from "./report.js";
import { isMet, type Result } from "./result.js";

const WIDTH = 860;
const LABEL = 430;
const BAR = 300;
const ROW = 26;
const TOP = 44;
/** A hundredth and a thousandfold stand at the ends: the scale is logarithmic. */
const [LEAST, MOST] = [-2, 3];

const STYLE = `
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; }
.bar { fill: #8c959f; } .met { fill: #1a7f37; } .missed { fill: #cf222e; }
.line { stroke: #8c959f; stroke-dasharray: 2 3; } .target { stroke: #1f2328; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .target { stroke: #e6edf3; }
  .bar { fill: #6e7681; } .met { fill: #3fb950; } .missed { fill: #f85149; }
}`;

/** The place of a ratio on the scale, from 0 to `BAR`. */
function place(ratio: number): number {
  const power = Math.min(MOST, Math.max(LEAST, Math.log10(ratio)));
  return ((power - LEAST) / (MOST - LEAST)) * BAR;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

/** The end of `…, at 30 ms`. */
function distance(what: string): string {
  return /, at \d+ ms$/.exec(what)?.[0] ?? "";
}

function bar(result: Result, index: number): string {
  const { arm, what, value, target } = result;
  const y = TOP + index * ROW;
  const met = isMet(result);
  const kind = met === undefined ? "bar" : met ? "met" : "missed";
  const [from, to] = [place(1), place(value)].sort((a, b) => a - b) as [number, number];
  const mark = target === undefined ? "" : vertical(LABEL + place(target.value), y + 2, y + 20, "target");
  return [
    `<g><title>${escaped(what)}</title>`,
    `<text x="${LABEL - 10}" y="${y + 15}" text-anchor="end">${escaped(arm + distance(what))}</text>`,
    `<rect class="${kind}" x="${(LABEL + from).toFixed(1)}" y="${y + 4}" width="${Math.max(2, to - from).toFixed(1)}" height="14"/>`,
    mark,
    `<text x="${LABEL + BAR + 10}" y="${y + 15}">${shown(value)} ×</text></g>`,
  ].join("");
}

function vertical(x: number, from: number, to: number, kind: string): string {
  return `<line class="${kind}" x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="${from}" y2="${to}"/>`;
}

/** Ratios as bars from 1, to the right when larger; what is judged is green or red, with its target as a stroke. */
export function chartOf(title: string, results: readonly Result[]): string {
  const height = TOP + results.length * ROW + 10;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}">
<style>${STYLE}
</style>
<text class="title" x="10" y="22">${escaped(title)}</text>
${vertical(LABEL + place(1), TOP - 8, height - 8, "line")}
${results.map(bar).join("\n")}
</svg>
`;
}
