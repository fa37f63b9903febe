import { describe, expect, it } from "vitest";
import { SITE_TOKEN } from "../../dev/dashboard/site.js";
import type { Visit, VisitOptions } from "./visit.js";

/** The name of what has the focus. */
const focused = (visit: Visit): Promise<string> =>
  visit.page.evaluate(() => document.activeElement?.textContent?.trim() || (document.activeElement?.id ?? ""));

/** The page without a mouse. */
export function keyboard(begin: (options?: VisitOptions) => Promise<Visit>): void {
  describe("a person without a mouse", () => {
    it("signs in, searches, cancels a group, and goes back", async () => {
      const visit = await begin({ isNew: true });
      const { page } = visit;
      const press = async (...keys: string[]): Promise<void> => {
        for (const key of keys) await page.keyboard.press(key);
      };
      await page.goto(visit.site.url);
      await visit.sees("Token of this Worker");
      await press("Tab");
      await page.keyboard.type(SITE_TOKEN);
      await press("Enter");
      await page.getByRole("heading", { name: "Groups", exact: true }).waitFor();
      await expect.poll(() => focused(visit)).toBe("Groups");
      await press("/");
      expect(await focused(visit)).toBe("search");
      await press("Escape");
      expect(await focused(visit)).toBe("Groups");
      await press("/");
      await page.keyboard.type("to-cancel");
      await press("Enter");
      await visit.sees("group to-cancel waits for 2 of 2 tasks.");
      await expect.poll(() => focused(visit)).toBe("Group to-cancel");
      await press("Tab", "Tab");
      expect(await focused(visit)).toBe("Cancel group");
      await press("Enter");
      await visit.dialog().waitFor();
      await press("Escape");
      await visit.dialog().waitFor({ state: "detached" });
      expect(await focused(visit)).toBe("Cancel group");
      await press("Enter");
      await visit.dialog().waitFor();
      expect(await focused(visit)).toBe("reason");
      // A slash is a letter where a person types.
      await page.keyboard.type("no need / any more");
      await press("Enter");
      await visit.sees(/The reason: "no need \/ any more"/);
      await press("Escape");
      await page.getByRole("heading", { name: "Groups", exact: true }).waitFor();
    });

    it("reads that an action has failed, also when the dialog was closed meanwhile", async () => {
      const visit = await begin({ allows: /^Failed to load resource: the server responded with a status of 503/ });
      const { page } = visit;
      await visit.openGroup("import-981");
      let answer: () => void = () => {};
      const closed = new Promise<void>((resolve) => {
        answer = resolve;
      });
      await page.route(/\/extend$/, async (route) => {
        await closed;
        const json = { code: "backend_unavailable", detail: "the object did not answer" };
        await route.fulfill({ status: 503, json });
      });
      await visit.button("Extend").click();
      await visit.dialog().getByRole("button", { name: "Extend" }).click();
      await visit.dialog().getByRole("button", { name: "Go back" }).click();
      await page.locator("dialog").waitFor({ state: "detached" });
      answer();
      await page.locator("#said", { hasText: "the object did not answer" }).waitFor();
    });

    it("opens a dialog again before the browser has reported the end of the one before", async () => {
      const visit = await begin();
      await visit.openGroup("import-981");
      await visit.button("Extend").click();
      await visit.dialog().waitFor();
      await visit
        .button("Extend")
        .first()
        .evaluate((button) => {
          document.querySelector("dialog")?.close();
          (button as HTMLButtonElement).click();
        });
      await visit.dialog().waitFor();
      await visit.page.keyboard.press("Escape");
      await visit.page.locator("dialog").waitFor({ state: "detached" });
    });

    it("opens a group by Tab and Enter", async () => {
      const visit = await begin();
      await visit.signIn("#/list/failed");
      await visit.page.getByRole("link", { name: /^answers-5/ }).waitFor();
      for (let i = 0; i < 40 && !(await focused(visit)).startsWith("answers-5"); i++)
        await visit.page.keyboard.press("Tab");
      await visit.page.keyboard.press("Enter");
      await visit.sees(/^It failed, because its policy could no longer be met/);
    });

    it("can turn the key / off", async () => {
      const visit = await begin({ isNew: true });
      await visit.signIn();
      await visit.page.getByLabel(/^Use the key/).uncheck();
      await visit.page.keyboard.press("Shift+Tab");
      await visit.page.keyboard.press("/");
      expect(await focused(visit)).not.toBe("search");
    });
  });
}
