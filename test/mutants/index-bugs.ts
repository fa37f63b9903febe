import type { Bug } from "./bugs.js";

const listing = "src/core/group/listing.ts";
const transaction = "src/core/transaction.ts";

/** Bugs of the index of groups and requests. The simulation must catch each. */
export const INDEX_BUGS: readonly Bug[] = [
  {
    name: "a write does not list its group",
    file: "src/core/group/group.ts",
    from: "  store.list(indexLineOf(head));\n",
    to: "",
  },
  {
    name: "an older line stays when the group moves to another list",
    file: transaction,
    from: "if (next?.list === line?.list && next?.atMs === line?.atMs) return;",
    to: "if (line !== undefined || next === undefined) return;",
  },
  {
    name: "a line keeps its instant when the group is registered again",
    file: transaction,
    from: "if (next?.list === line?.list && next?.atMs === line?.atMs) return;",
    to: "if (next?.list === line?.list) return;",
  },
  {
    name: "a removed group is still listed",
    file: listing,
    from: "  if (head.removedAtMs !== undefined) return undefined;\n",
    to: "",
  },
  {
    name: "an ended group is listed by its registration",
    file: listing,
    from: "atMs: head.endedAtMs ?? head.registeredAtMs",
    to: "atMs: head.registeredAtMs",
  },
  {
    name: "a pending delivery is not listed",
    file: listing,
    from: `  return "pending";\n}`,
    to: "  return undefined;\n}",
  },
  {
    name: "a dead letter is not listed",
    file: listing,
    from: `  if (outbox.dead.length > 0) return "dead";\n`,
    to: "",
  },
];
