// `npm run screenshots`: takes the pictures of the dashboard that the README and docs/dashboard.md show.
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { startBrowser } from "../dev/dashboard/browser.js";
import { seed } from "../dev/dashboard/seed.js";
import { SITE_TOKEN, type Site, startSite } from "../dev/dashboard/site.js";

const folder = fileURLToPath(new URL("../docs/images/", import.meta.url));
/** A page of the docs loads all of them. */
const MAX_BYTES = 120 * 1024;

interface Picture {
  readonly name: string;
  readonly colorScheme: "light" | "dark";
  readonly width: number;
  readonly height: number;
  readonly fragment: string;
  /** A text of the view, once it is whole. */
  readonly text: string | RegExp;
  /** What a person does before the picture. */
  act?(page: Page): Promise<void>;
}

const PICTURES: readonly Picture[] = [
  {
    name: "dashboard-lists",
    colorScheme: "light",
    width: 900,
    height: 860,
    fragment: "#/",
    text: /^These lists are as of/,
  },
  {
    name: "dashboard-group",
    colorScheme: "dark",
    width: 900,
    height: 900,
    fragment: "#/groups/report-2026-11",
    text: "look here",
  },
  {
    name: "dashboard-phone",
    colorScheme: "light",
    width: 360,
    height: 780,
    fragment: "#/groups/import-981",
    text: "Open: embed/chunk-11, embed/chunk-12.",
  },
  {
    name: "dashboard-confirmation",
    colorScheme: "dark",
    width: 360,
    height: 780,
    fragment: "#/groups/order-4711",
    text: /answered 410/,
    act: (page) => page.getByRole("button", { name: "Redeliver" }).click(),
  },
];

async function take(browser: Browser, site: Site, picture: Picture, path: string): Promise<void> {
  const { colorScheme, width, height, fragment, text } = picture;
  const context = await browser.newContext({ colorScheme, viewport: { width, height }, reducedMotion: "reduce" });
  const page = await context.newPage();
  await page.goto(`${site.url}/${fragment}`);
  await page.getByLabel("Token of this Worker").fill(SITE_TOKEN);
  await page.keyboard.press("Enter");
  await page.getByText(text).first().waitFor();
  await picture.act?.(page);
  // Lists that are still on their way would move what is below them.
  await page.waitForLoadState("networkidle", { timeout: 3_000 }).catch(() => {});
  await page.screenshot({ path, animations: "disabled", caret: "hide" });
  await context.close();
}

const [site, browser] = await Promise.all([startSite(), startBrowser()]);
try {
  await seed(site);
  // The index knows a group that is open some seconds after its registration.
  const isTold = async (): Promise<boolean> => {
    const { items } = (await site.call("GET", "/v1/groups?state=ended")) as { items: unknown[] };
    return items.length >= 7;
  };
  while (!(await isTold())) await new Promise((resolve) => setTimeout(resolve, 500));
  mkdirSync(folder, { recursive: true });
  for (const picture of PICTURES) {
    const path = join(folder, `${picture.name}.png`);
    await take(browser, site, picture, path);
    const { size } = statSync(path);
    console.log(`docs/images/${picture.name}.png: ${Math.ceil(size / 1024)} kB`);
    if (size > MAX_BYTES) throw new Error(`${picture.name} is larger than ${MAX_BYTES} bytes`);
  }
} finally {
  await browser.close();
  await site.close();
}
