import { readFileSync, writeFileSync } from "node:fs";
import { costsOf } from "./bill.js";
import prices from "./prices.json" with { type: "json" };
import type { Run } from "./report.js";

// `npm run costs`: docs/costs.md, of the last benchmarks' counts and the prices.
const run = JSON.parse(readFileSync(new URL("results.json", import.meta.url), "utf8")) as Run;
writeFileSync(new URL("../docs/costs.md", import.meta.url), costsOf(run, prices));
console.log("Written: docs/costs.md");
