import { existsSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { count } from "./count.js";
import type { Evidence } from "./evidence.js";

const REPORT_FILE = "node_modules/.cache/mutation/report.json";

/** The part of the mutation tool's report that is used. */
interface Report {
  readonly files: Readonly<Record<string, { readonly mutants: readonly { readonly status: string }[] }>>;
}

/** What `npm run mutation` has found. */
export function mutationEvidence(): Evidence[] {
  if (!existsSync(REPORT_FILE)) return [];
  const { files } = JSON.parse(readFileSync(REPORT_FILE, "utf8")) as Report;
  const statuses = Object.values(files).flatMap(({ mutants }) => mutants.map(({ status }) => status));
  const caught = statuses.filter((status) => status === "Killed" || status === "Timeout").length;
  const valid = caught + statuses.filter((status) => status === "Survived" || status === "NoCoverage").length;
  const score = ((100 * caught) / valid).toFixed(1);
  const where = Object.keys(files)
    .map((file) => basename(file))
    .join(", ");
  const reached = `${count(caught)} of ${count(valid)} changes of any kind in ${where} caught: ${score} %`;
  return [
    {
      file: "test/mutation/stryker.config.json",
      name: "mutation",
      state: "passed",
      figures: [{ row: "T3b", reached }],
    },
  ];
}
