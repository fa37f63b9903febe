import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Miniflare } from "miniflare";
import { EXIT, Failure } from "../exit.js";

/** As in the wrangler.toml of the guide. */
const COMPATIBILITY = { compatibilityDate: "2026-05-03", compatibilityFlags: ["enable_request_signal"] };
/** The ready-made Worker as one module, which the build writes beside this command. */
const SCRIPT = new URL("worker.js", import.meta.url);
const CAPABILITY_KEY_BYTES = 32;

/** A running server. */
export interface DevServer {
  readonly url: string;
  close(): Promise<void>;
}

/** Starts the ready-made Worker in workerd, on this machine. Nothing is kept after its end. */
export async function startWorker(port: number, token: string): Promise<DevServer> {
  const { Miniflare: Server } = miniflareOf(process.cwd());
  const server = new Server({
    modules: [{ type: "ESModule", path: "worker.js", contents: await readFile(SCRIPT, "utf8") }],
    ...COMPATIBILITY,
    host: "127.0.0.1",
    port,
    bindings: { COORDINATOR_TOKEN: token, COORDINATOR_CAPABILITY_KEY: newCapabilityKey() },
    durableObjects: { COORDINATOR: { className: "CoordinatorWorkerObject", useSQLite: true } },
  });
  const { href } = await server.ready;
  return { url: href.replace(/\/$/, ""), close: () => server.dispose() };
}

/** Returns a new key, so that `token` works on this Worker. */
function newCapabilityKey(): string {
  return `capk_${randomBytes(CAPABILITY_KEY_BYTES).toString("base64url")}`;
}

/**
 * Returns the user's own miniflare, or that of the user's wrangler. It is no dependency of this package, since only this
 * command needs it.
 */
function miniflareOf(folder: string): { readonly Miniflare: typeof Miniflare } {
  const project = createRequire(join(folder, "package.json"));
  for (const find of [() => project, () => createRequire(project.resolve("wrangler/package.json"))]) {
    try {
      return find()("miniflare") as { readonly Miniflare: typeof Miniflare };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "MODULE_NOT_FOUND" && code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") throw error;
    }
  }
  throw new Failure(
    EXIT.usage,
    `dev needs miniflare, which runs Workers on this machine. Install it in your project:

  npm install --save-dev miniflare

Or run a local Redis instead, with redis-server installed: npx edge-coordinator dev --redis`,
  );
}
