/** What the package is tried with. The only place that names these versions: docs/compatibility.md states them from here. */

/** Versions of the packages that are installed beside it. */
export interface Packages {
  readonly hono: string;
  readonly zod: string;
  readonly "@upstash/redis": string;
  readonly "@opentelemetry/api": string;
}

/** The oldest that `peerDependencies` allows, and the newest that there was on the day of the table. */
export const OLDEST: Packages = {
  hono: "4.13.0",
  zod: "4.3.0",
  "@upstash/redis": "1.39.0",
  "@opentelemetry/api": "1.9.0",
};
export const NEWEST: Packages = {
  hono: "4.13.19",
  zod: "4.6.7",
  "@upstash/redis": "1.39.0",
  "@opentelemetry/api": "1.9.1",
};

/** When `NEWEST` and the newest of the rows were looked up. */
export const AS_OF = "2026-11";

export interface Row {
  readonly name: string;
  /** The Node that runs the program. */
  readonly node: string;
  readonly packages: Packages;
  /** Compilers that read the declarations, with every setting of `SETTINGS`. */
  readonly typescript?: readonly string[];
  /** The runtime that the Worker runs in. Without it, the program talks to no Worker. */
  readonly workerd?: string;
}

const NODE = { 20: "20.20.2", 22: "22.23.3", 24: "24.21.0", 26: "26.10.0" } as const;

/** The first row is the newest of everything but workerd; `.ci/run` runs it. */
export const ROWS: readonly Row[] = [
  { name: "newest", node: NODE[26], packages: NEWEST, typescript: ["7.0.2"] },
  { name: "node-20", node: NODE[20], packages: NEWEST },
  { name: "node-20-oldest", node: NODE[20], packages: OLDEST },
  { name: "node-22", node: NODE[22], packages: NEWEST },
  { name: "node-24", node: NODE[24], packages: NEWEST },
  { name: "node-26-oldest", node: NODE[26], packages: OLDEST },
  { name: "typescript", node: NODE[20], packages: NEWEST, typescript: ["5.0.4", "5.4.5", "5.9.3", "6.0.3", "7.0.2"] },
  { name: "typescript-oldest", node: NODE[20], packages: OLDEST, typescript: ["5.0.4", "7.0.2"] },
  { name: "workerd", node: NODE[26], packages: NEWEST, workerd: "1.20261117.1" },
  { name: "workerd-oldest", node: NODE[20], packages: OLDEST, workerd: "1.20260426.1" },
];

/** How a project may read declarations. */
export interface Setting {
  readonly name: string;
  readonly program: "node.ts" | "worker.ts";
  readonly module: "nodenext" | "esnext";
  readonly moduleResolution: "nodenext" | "bundler";
  readonly lib: readonly string[];
  readonly types: readonly string[];
}

const DOM = ["es2022", "dom", "dom.iterable"];
const NODENEXT = { module: "nodenext", moduleResolution: "nodenext" } as const;
const BUNDLER = { module: "esnext", moduleResolution: "bundler" } as const;
const WORKERS = ["@cloudflare/workers-types/2023-07-01"];

export const SETTINGS: readonly Setting[] = [
  { name: "nodenext", program: "node.ts", ...NODENEXT, lib: ["es2022"], types: ["node"] },
  { name: "nodenext, DOM", program: "node.ts", ...NODENEXT, lib: DOM, types: ["node"] },
  { name: "bundler", program: "node.ts", ...BUNDLER, lib: ["es2022"], types: ["node"] },
  { name: "bundler, DOM", program: "node.ts", ...BUNDLER, lib: DOM, types: ["node"] },
  { name: "bundler, Workers", program: "worker.ts", ...BUNDLER, lib: ["es2022"], types: WORKERS },
];

/** Declarations of the platforms. */
export const PLATFORM_TYPES = { "@types/node": "20.19.43", "@cloudflare/workers-types": "4.20260426.1" } as const;
