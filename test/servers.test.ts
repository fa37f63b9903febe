import { readdirSync, readFileSync } from "node:fs";
import ts from "typescript";
import { expect, it } from "vitest";

const ROOT = new URL("../", import.meta.url);
const FOLDERS = ["bench/", "demo/", "dev/", "examples/", "test/"];
const LOOPBACK = '"127.0.0.1"';
const FALLBACKS: ReadonlySet<ts.SyntaxKind> = new Set([
  ts.SyntaxKind.QuestionQuestionToken,
  ts.SyntaxKind.BarBarToken,
  ts.SyntaxKind.QuestionQuestionEqualsToken,
  ts.SyntaxKind.BarBarEqualsToken,
]);

/** What starts a server on other addresses than this machine's own, and what falls back to a secret that is published. */
function faultsIn(source: ts.SourceFile): string[] {
  const faults: string[] = [];
  const visit = (node: ts.Node): void => {
    const isListen =
      ts.isCallExpression(node) &&
      ts.isPropertyAccessExpression(node.expression) &&
      node.expression.name.text === "listen";
    if (isListen && !node.getText().includes(LOOPBACK)) faults.push(node.getText().slice(0, 80));
    const isFallback = ts.isBinaryExpression(node) && FALLBACKS.has(node.operatorToken.kind);
    if (isFallback && /SECRET|TOKEN|PASSWORD/.test(node.left.getText()) && /^["'`]./.test(node.right.getText())) {
      faults.push(node.getText());
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return faults;
}

function sources(): string[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(new URL(folder, ROOT), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts") && !name.includes("node_modules"))
      .map((name) => folder + name),
  );
}

it("row 80: servers listen on 127.0.0.1, and no secret has a published default", () => {
  const found = sources().flatMap((file) => {
    const text = readFileSync(new URL(file, ROOT), "utf8");
    return faultsIn(ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)).map((fault) => `${file}: ${fault}`);
  });
  expect(found).toEqual([]);
});

it.each([
  "server.listen(3000)",
  "server.listen(Number(process.env.PORT ?? 3000), () => {})",
  'server.listen(0, "0.0.0.0")',
  'process.env.CRON_SECRET ||= "only-for-development"',
  'const token = env.API_TOKEN ?? "token"',
])("the scan finds %s", (code) => {
  expect(faultsIn(ts.createSourceFile("x.ts", code, ts.ScriptTarget.Latest, true))).toHaveLength(1);
});
