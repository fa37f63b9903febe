import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { type Browser, chromium } from "playwright-core";

/** As in `scripts/setup.mjs`. */
const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/** Returns the path of an installed Chromium: that of `CHROMIUM_PATH`, else the first one on PATH. */
export function chromiumPath(env: NodeJS.ProcessEnv = process.env): string {
  if (env.CHROMIUM_PATH !== undefined) return env.CHROMIUM_PATH;
  const folders = (env.PATH ?? "").split(delimiter);
  const paths = NAMES.flatMap((name) => folders.map((folder) => join(folder, name)));
  const found = [...paths, "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"].find(existsSync);
  if (found === undefined) throw new Error("Chromium is missing: run `npm run setup`, or set CHROMIUM_PATH");
  return found;
}

/** Starts Chromium without a window. It makes no request of its own. */
export function startBrowser(): Promise<Browser> {
  // In a container the browser runs as root, which its sandbox refuses; the pages are our own.
  const isRoot = process.getuid?.() === 0;
  return chromium.launch({
    executablePath: chromiumPath(),
    args: ["--disable-dev-shm-usage", "--disable-gpu", ...(isRoot ? ["--no-sandbox"] : [])],
  });
}
