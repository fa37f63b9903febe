import { readdirSync, readFileSync } from "node:fs";
import ts from "typescript";
import { expect, it } from "vitest";
import { count, reached } from "./support/figures.js";

const ROOT = new URL("../", import.meta.url);
/** What a secret, or something made of one, is called here. */
const SECRET = /\b(presented|candidate|authorization|bearer|\w*(token|secret|signature|digest|password)s?)\b/i;
const COMPARISONS: ReadonlySet<ts.SyntaxKind> = new Set([
  ts.SyntaxKind.EqualsEqualsToken,
  ts.SyntaxKind.EqualsEqualsEqualsToken,
  ts.SyntaxKind.ExclamationEqualsToken,
  ts.SyntaxKind.ExclamationEqualsEqualsToken,
]);
/** Methods that end at the first difference, as an operator does. */
const SEARCHES = /^(includes|indexOf|startsWith|endsWith|localeCompare|has|get|match|search)$/;

/** Comparisons that are none of a presented secret with a live one, each with its reason. */
const HARMLESS: Readonly<Record<string, string>> = {
  "src/backends/http/answer.ts: detail.includes(token)": "redacts an answer that echoes our own token",
  "worker/auth.ts: live.get(digest)": "looks up a SHA-256: how far it matches reveals nothing of the token",
  "worker/tokens.ts: seen.get(digest)": "compares the operator's own variables with each other",
};

interface Comparison {
  readonly text: string;
  readonly sides: readonly ts.Expression[];
}

/** Whether there is a value at all, or of which kind or length: no secret. */
function saysNothing(side: ts.Expression): boolean {
  const text = side.getText();
  return (
    ts.isTypeOfExpression(side) ||
    ts.isNumericLiteral(side) ||
    /^(undefined|null|true|false|""|"undefined"|"string"|"object"|"function")$/.test(text) ||
    /\.(length|size)$/.test(text)
  );
}

function comparisonsIn(source: ts.SourceFile): Comparison[] {
  const found: Comparison[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isBinaryExpression(node) && COMPARISONS.has(node.operatorToken.kind)) {
      found.push({ text: node.getText(), sides: [node.left, node.right] });
    } else if (ts.isSwitchStatement(node)) {
      found.push({ text: `switch (${node.expression.getText()})`, sides: [node.expression] });
    } else if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
      const { name, expression } = node.expression;
      if (SEARCHES.test(name.text)) found.push({ text: node.getText(), sides: [expression, ...node.arguments] });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** The names in an expression, without quoted texts: those are our own, and compared with no secret. */
function namesIn(side: ts.Expression): string {
  return side.getText().replace(/"[^"]*"|'[^']*'|\/\^?[^/\n]+\/[a-z]*/g, "");
}

function sourcesIn(folder: string): string[] {
  return readdirSync(new URL(folder, ROOT), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".gen.ts"))
    .map((name) => `${folder}${name}`);
}

it("no secret is compared by an operator, or searched for: texts of one length are, in constant time", ({ task }) => {
  const files = [...sourcesIn("src/"), ...sourcesIn("worker/")];
  let compared = 0;
  const faults: string[] = [];
  for (const file of files) {
    const text = readFileSync(new URL(file, ROOT), "utf8");
    for (const { text: comparison, sides } of comparisonsIn(
      ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true),
    )) {
      compared++;
      if (sides.some(saysNothing)) continue;
      if (sides.some((side) => SECRET.test(namesIn(side)))) faults.push(`${file}: ${comparison}`);
    }
  }
  const left = faults.filter((fault) => HARMLESS[fault] === undefined);
  reached(task, {
    row: "S1",
    reached: `${count(compared)} comparisons in ${files.length} sources read, ${left.length} of a secret`,
  });
  expect(left).toEqual([]);
  // The scan sees what it is to see.
  expect(faults.filter((fault) => HARMLESS[fault] !== undefined)).toHaveLength(Object.keys(HARMLESS).length);
  expect(files.length).toBeGreaterThan(100);
});

it.each([
  "presented === token",
  "tokens[0] != presented",
  "if (live.secret == given) {}",
  "tokens.includes(presented)",
  "tokenMap.get(presented)",
  "signature.startsWith(expected)",
  "switch (token) {}",
])("the scan finds %s", (code) => {
  const [found] = comparisonsIn(ts.createSourceFile("x.ts", code, ts.ScriptTarget.Latest, true));
  expect(found?.sides.some((side) => SECRET.test(namesIn(side)))).toBe(true);
});
