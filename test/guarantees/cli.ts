import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { documentOf } from "./document.js";
import { EVIDENCE_FILE, type Evidence, MUTANTS_FILE } from "./evidence.js";
import { mutationEvidence } from "./mutation.js";
import { type Line, tableOf } from "./table.js";

// `npm run guarantees`: writes docs/guarantees.md of what the last run of the tests has shown. With `--check` it only looks
// whether that run, short as it may be, has shown every row of the page.

const read = (file: string): Evidence[] =>
  existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Evidence[]) : [];

if (!existsSync(EVIDENCE_FILE)) throw new Error("run the tests first: npm test");
const isCheck = process.argv.includes("--check");
const others = isCheck ? [] : [...read(MUTANTS_FILE), ...mutationEvidence()];
const table = tableOf([...read(EVIDENCE_FILE), ...others]);

/** Rows of commands that are no test, and that take longer than a check may. */
const LONG = ["T3b"];
const isDue = ({ row, missing }: Line): boolean => missing.length > 0 && !(isCheck && LONG.includes(row));
const due = [...table.faults, ...table.found, ...table.figures].filter(isDue);
for (const { row, missing } of due) {
  console.error(`${row} is not shown${missing[0] === "" ? "" : ` on ${missing.join(", ")}`}`);
}
if (!isCheck) writeFileSync("docs/guarantees.md", documentOf(table));
console.log(`${table.faults.length + table.found.length + table.figures.length} rows, ${due.length} of them not shown`);
process.exit(due.length === 0 ? 0 : 1);
