import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";

/**
 * Checks the language of the README, CONTRIBUTING, the pages in `docs` and the examples' READMEs: words that hide the
 * actor, long sentences, long lines. Skips code, the length of tables' cells, and the tables that programs write.
 *
 * The comments of `src`, `worker`, `cli` and `dashboard` are checked for their words alone.
 */

/** A pattern that no page may hold, and what to write instead. */
const WORDS: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/\b(nobody|somebody|anybody|whoever|whomever)\b/i, "name the actor: the caller, the client, the drain, the object"],
  [/\b(he|she|his|her|him)\b/i, "name the actor"],
  [/\b(is|are|was|were|be|been) told\b/i, "say what the caller receives"],
  [/\bstands? (in|for|when|beside|by itself|there)\b/i, "say what it is, or where it is stored"],
  [/\basks? for patience\b/i, "say which limit was reached"],
  [/\blets? (it|a|the|an?) ?\w* go\b/i, "say what ends: the wait, the request"],
  [/\bno exit\b/i, "say that the timer is unref'd"],
  [/\boperations that begin together\b/i, "concurrent calls"],
  [/\b(by halves|made good|makes good|of its own accord|to no one|for so long|in vain)\b/i, "use a plain word"],
  [/(^|[.!?:] )(Of|For so|What|Who|Whose) [a-z][^?]*$/, "begin with the actor"],
];

/** How many words a sentence may have. Code counts as one word, and so does a link's address as none. */
export const MAX_WORDS = 20;
/** How many characters a line may have, unless it is a row of a table or holds a link. */
export const MAX_LINE = 120;

/** Findings that stay: the page, a part of the line, and why. An exception that excuses nothing is refused. */
const EXCEPTIONS: readonly { readonly page: string; readonly part: string; readonly why: string }[] = [];

/** Pages that a program writes. Their tables are not checked: the rows quote names and figures of tests. */
const WRITTEN = ["docs/guarantees.md", "bench/README.md"];

export interface Finding {
  readonly page: string;
  readonly line: number;
  readonly text: string;
  readonly instead: string;
}

/** Returns what is wrong with the words of a Markdown page. */
export function checkProse(page: string, source: string): Finding[] {
  const findings: Finding[] = [];
  let paragraph: { line: number; text: string } | undefined;
  const endParagraph = (): void => {
    if (paragraph !== undefined) findings.push(...longSentences(page, paragraph.line, paragraph.text));
    paragraph = undefined;
  };
  for (const { line, text } of linesOutsideCode(source)) {
    const isTable = /^\s*\|/.test(text);
    if (text.length > MAX_LINE && !isTable && !/\]\(|https?:\/\//.test(text)) {
      findings.push({ page, line, text: `${text.length} characters`, instead: `at most ${MAX_LINE} in a line` });
    }
    findings.push(...refusedWords(page, line, text));
    if (/^\s*$|^\s*([-*>]|\d+\.) |^#/.test(text) || isTable) endParagraph();
    if (/^\s*$|^#/.test(text) || isTable) continue;
    const plain = withoutMarks(text).trim();
    paragraph = paragraph === undefined ? { line, text: plain } : { ...paragraph, text: `${paragraph.text} ${plain}` };
  }
  endParagraph();
  return findings;
}

/** The lines of a page. A line of code is empty here, so that a paragraph ends where code begins. */
function linesOutsideCode(source: string): { line: number; text: string }[] {
  let isFenced = false;
  let isIndented = false;
  let last = "";
  return source.split("\n").map((text, i) => {
    const isFence = /^\s*(```|~~~)/.test(text);
    if (isFence) isFenced = !isFenced;
    // Four spaces are code after an empty line, and the rest of a list's item otherwise.
    isIndented = /^ {4}/.test(text) && (isIndented || last === "");
    if (text.trim() !== "" || !isIndented) last = text.trim();
    return { line: i + 1, text: isFenced || isFence || isIndented ? "" : text };
  });
}

function withoutMarks(text: string): string {
  return text.replace(/^\s*([-*>]|\d+\.) /, "");
}

function refusedWords(page: string, line: number, text: string): Finding[] {
  const plain = withoutMarks(text).replace(/`[^`]*`/g, "code");
  return WORDS.flatMap(([pattern, instead]) => {
    const match = pattern.exec(plain);
    return match === null ? [] : [{ page, line, text: match[0].trim(), instead }];
  });
}

/** A colon ends a sentence here, since a list may follow it. A semicolon ends none. */
function longSentences(page: string, line: number, text: string): Finding[] {
  return text
    .replace(/`[^`]*`/g, "code")
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/[*_]/g, "")
    .split(/(?<=[.!?])\s+|:\s+/)
    .filter((sentence) => sentence.split(/\s+/).filter((word) => /\w/.test(word)).length > MAX_WORDS)
    .map((sentence) => ({
      page,
      line,
      text: `${sentence.slice(0, 70)}…`,
      instead: `at most ${MAX_WORDS} words in a sentence`,
    }));
}

/** Returns the refused words in the comments of a TypeScript file. */
export function checkComments(page: string, source: string): Finding[] {
  const file = ts.createSourceFile(page, source, ts.ScriptTarget.Latest, true);
  const starts = new Map<number, number>();
  const visit = (node: ts.Node): void => {
    const leading = ts.getLeadingCommentRanges(source, node.getFullStart()) ?? [];
    const trailing = ts.getTrailingCommentRanges(source, node.getEnd()) ?? [];
    for (const { pos, end } of [...leading, ...trailing]) starts.set(pos, end);
    ts.forEachChild(node, visit);
  };
  visit(file);
  return [...starts].flatMap(([pos, end]) => {
    const first = file.getLineAndCharacterOfPosition(pos).line + 1;
    const lines = source.slice(pos, end).split("\n");
    return lines.flatMap((text, i) => refusedWords(page, first + i, text.replace(/^\s*(\/\/|\/?\*+)\s?/, "")));
  });
}

function commentFindings(root: string): Finding[] {
  return ["src", "worker", "cli", "dashboard"].flatMap((folder) =>
    readdirSync(`${root}/${folder}`, { recursive: true, encoding: "utf8" })
      .filter((name) => /\.tsx?$/.test(name) && !name.endsWith(".gen.ts"))
      .sort()
      .flatMap((name) => checkComments(`${folder}/${name}`, readFileSync(`${root}/${folder}/${name}`, "utf8"))),
  );
}

function pageFindings(root: string): Finding[] {
  const examples = readdirSync(`${root}/examples`).map((name) => `examples/${name}/README.md`);
  const docs = readdirSync(`${root}/docs`).filter((name) => name.endsWith(".md"));
  const pages = ["README.md", "CONTRIBUTING.md", ...docs.map((name) => `docs/${name}`), ...examples, "bench/README.md"];
  const used = new Set<object>();
  const findings = pages.flatMap((page) => {
    const source = readFileSync(`${root}/${page}`, "utf8");
    const lines = source.split("\n");
    return checkProse(page, source).filter(({ line, text }) => {
      if (WRITTEN.includes(page) && /^\s*\|/.test(lines[line - 1] ?? "")) return false;
      const excuse = EXCEPTIONS.find(
        (each) => each.page === page && ((lines[line - 1] ?? "").includes(each.part) || text.includes(each.part)),
      );
      if (excuse !== undefined) used.add(excuse);
      return excuse === undefined;
    });
  });
  const unused = EXCEPTIONS.filter((each) => !used.has(each)).map(
    ({ page, part }): Finding => ({ page, line: 1, text: part, instead: "this exception excuses nothing: remove it" }),
  );
  return [...findings, ...unused];
}

function main(): void {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const findings = [...pageFindings(root), ...commentFindings(root)];
  for (const { page, line, text, instead } of findings) console.error(`${page}:${line}: "${text}": ${instead}`);
  console.log(`prose: ${findings.length} findings`);
  if (findings.length > 0) process.exitCode = 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
