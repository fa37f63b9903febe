import { AS_OF, ROWS } from "./table.js";

/** The table of docs/compatibility.md: `npm run compat -- --table` prints it, and a test holds the page to it. */
export function compatibilityTable(): string {
  const lines = ROWS.map(({ name, node, packages, typescript = [], workerd = "" }) => {
    const peers = [packages.hono, packages.zod, packages["@upstash/redis"], packages["@opentelemetry/api"]];
    return `| \`${name}\` | ${[node, ...peers, typescript.join(", "), workerd].join(" | ")} |`;
  });
  return [
    `| row (${AS_OF}) | Node | hono | zod | @upstash/redis | @opentelemetry/api | TypeScript | workerd |`,
    "|---|---|---|---|---|---|---|---|",
    ...lines,
  ].join("\n");
}
