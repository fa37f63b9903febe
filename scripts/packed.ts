import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Names that secrets are kept under. `.env.example` holds none. */
const SECRET_NAMES = [
  /(^|\/)\.env(?!\.example$)/i,
  /(^|\/)\.(dev\.vars|npmrc|yarnrc|netrc|pgpass|htpasswd|git-credentials)/i,
  /(^|\/)id_(rsa|dsa|ecdsa|ed25519)/i,
  /\.(pem|key|p8|p12|pfx|jks|keystore|kdbx)$/i,
  /(^|\/)(credentials?|secrets?|service-?account)[^/]*\.(json|ya?ml|toml|txt|ini)$/i,
];

/** Texts that nothing but a secret has. */
const SECRET_TEXTS = [
  /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
  /\bwhsec_[A-Za-z0-9+/]{32,}/,
  /\b(npm|ghp|gho|ghs)_[A-Za-z0-9]{36}\b/,
  /\bgithub_pat_\w{50,}/,
  /\bAKIA[0-9A-Z]{16}\b/,
  /\bxox[abp]-[\w-]{20,}/,
];

/** Returns the paths that `npm pack` would pack in a folder. Runs none of its scripts. */
export function packedPaths(folder: string): string[] {
  const args = ["pack", "--dry-run", "--json", "--ignore-scripts"];
  const stdout = execFileSync("npm", args, { cwd: folder, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  return files.map(({ path }) => path);
}

/** Returns the files that git keeps; `undefined` outside of a repository. */
export function trackedPaths(folder: string): Set<string> | undefined {
  try {
    const stdio = ["ignore", "pipe", "ignore"] as const;
    const stdout = execFileSync("git", ["ls-files", "-z"], { cwd: folder, encoding: "utf8", stdio: [...stdio] });
    return new Set(stdout.split("\0").filter((path) => path !== ""));
  } catch {
    return undefined;
  }
}

/** The source that a file is made of, where it is made. A chunk is made of several. */
function sourceOf(path: string): string {
  // The command and its parts are bundled.
  if (/^dist\/cli\/(?:[\w-]+\.js|\w+\.licences\.txt)$/.test(path)) return "rolldown.config.ts";
  if (/^dist\/chunks\/[\w-]+\.js(\.map)?$/.test(path)) return "rolldown.config.ts";
  const built = /^dist\/(.+?)(?:\.d\.ts|\.js)(?:\.map)?$/.exec(path)?.[1];
  if (built !== undefined) return sourceOf(`${built}.ts`);
  return GENERATED[path] ?? path;
}

/** What `npm run generate` makes, and by which program. */
const GENERATED: Readonly<Record<string, string>> = {
  "src/backends/upstash/scripts.gen.ts": "scripts/generate-lua.ts",
  "worker/dashboard.gen.ts": "scripts/generate-dashboard.ts",
};

/** Returns what must not be packed, each with the reason. */
export function packingFaults(paths: readonly string[], tracked: ReadonlySet<string> | undefined): string[] {
  const named = paths.filter((path) => SECRET_NAMES.some((name) => name.test(path)));
  const unknown = tracked === undefined ? [] : paths.filter((path) => !tracked.has(sourceOf(path)));
  return [
    ...named.map((path) => `${path}: is named as secrets are`),
    ...unknown.map((path) => `${path}: is neither in git nor built of what is`),
  ];
}

/** Returns the packed files that hold a text that looks like a secret. */
export function secretsWithin(folder: string, paths: readonly string[]): string[] {
  const holds = (path: string): boolean => {
    const text = readFileSync(join(folder, path), "utf8");
    return SECRET_TEXTS.some((secret) => secret.test(text));
  };
  return paths.filter(holds).map((path) => `${path}: holds a text that looks like a secret`);
}
