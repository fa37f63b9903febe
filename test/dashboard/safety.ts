import { describe, expect, it } from "vitest";
import { SITE_TOKEN } from "../../dev/dashboard/site.js";
import type { Visit, VisitOptions } from "./visit.js";

/** Texts that a careless page would run, or that would reorder its lines. */
const HOSTILE = "<img src=x onerror=\"document.title='run'\">\u202etxt";

/** What the page keeps, sends and runs. */
export function safety(begin: (options?: VisitOptions) => Promise<Visit>): void {
  describe("the page", () => {
    it("keeps the token out of addresses, storage and the document", async () => {
      const visit = await begin({ isNew: true });
      await visit.openGroup("batch-1201");
      await visit.sees("live");
      await visit.page.goto(`${visit.site.url}/#/`);
      await visit.page.getByRole("heading", { name: "Groups", exact: true }).waitFor();
      expect(visit.requests.filter((url) => url.includes(SITE_TOKEN))).toEqual([]);
      const kept = await visit.page.evaluate(async () => {
        const databases = await indexedDB.databases();
        const stored = [...Object.values(localStorage), ...Object.values(sessionStorage)];
        return JSON.stringify([stored, document.cookie, databases, location.href, document.documentElement.outerHTML]);
      });
      expect(kept).not.toContain(SITE_TOKEN);
      expect(await visit.context.cookies()).toEqual([]);
    });

    it("shows what callers wrote as text, and never runs it", async () => {
      const visit = await begin();
      const id = `hostile-${HOSTILE}`;
      const address = `/v1/groups/${encodeURIComponent(id)}`;
      const tasks = [{ stage: "s", id: HOSTILE }, HOSTILE];
      await visit.site.call("PUT", address, { tasks, metadata: { html: HOSTILE } });
      await visit.site.call("POST", `${address}/acks`, { tasks: [{ id: HOSTILE, error: HOSTILE }] });
      await visit.signIn(`#/groups/${encodeURIComponent(id)}`);
      await visit.sees(/1 task failed\. The first error/);
      const text = await visit.page.locator("main").innerText();
      expect(text).toContain("<img src=x");
      expect(text).not.toContain("\u202e");
      expect(text).toContain("\\u{202e}");
      expect(await visit.page.locator("main img").count()).toBe(0);
      expect(await visit.page.title()).not.toBe("run");
    });

    it("may run no script but its own", async () => {
      const visit = await begin({ isNew: true, allows: /Content Security Policy/ });
      await visit.page.goto(visit.site.url);
      await visit.sees("Token of this Worker");
      const ran = await visit.page.evaluate(() => {
        const script = document.createElement("script");
        script.textContent = "document.title = 'inline'";
        document.head.append(script);
        return document.title;
      });
      expect(ran).not.toBe("inline");
    });
  });
}
