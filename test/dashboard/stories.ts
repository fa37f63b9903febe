import { describe, expect, it } from "vitest";
import type { Visit, VisitOptions } from "./visit.js";

/** A person finds a fault in the browser, and mends it there. */
export function stories(begin: (options?: VisitOptions) => Promise<Visit>): void {
  describe("a person who is woken at night", () => {
    it("finds the group of a worker that died, gives it time, and opens its failed task again", async () => {
      const visit = await begin();
      const { page, site } = visit;
      await visit.signIn();
      await page
        .getByRole("region", { name: /^Stuck/ })
        .getByRole("link", { name: /^import-981/ })
        .click();
      await visit.sees("group import-981 waits for 2 of 13 tasks.");
      await visit.sees("Open: embed/chunk-11, embed/chunk-12.");
      await visit.button("Extend").click();
      await visit.dialog().getByLabel("Time from now").selectOption("2 hours");
      await visit.dialog().getByRole("button", { name: "Extend" }).click();
      await visit.sees(/^The deadline is in 2 hours/);
      await visit.sees(/It times out in (2 hours|1 hour 59 minutes)/);
      await visit.confirm("Retry failed tasks");
      await visit.sees("1 task opened again.");
      await visit.sees("group import-981 waits for 3 of 13 tasks.");
      // The new worker does the rest, and the page follows without a reload.
      const tasks = [10, 11, 12].map((n) => ({ stage: "embed", id: `chunk-${n}` }));
      await site.call("POST", "/v1/groups/import-981/acks", { tasks });
      await visit.sees(/group import-981 has completed/);
      expect(await page.getByRole("progressbar").getAttribute("value")).toBe("13");
    });

    it("reads how a receiver answered, and redelivers once it is back", async () => {
      const visit = await begin();
      await visit.signIn();
      await visit.page
        .getByRole("region", { name: /^Dead letters/ })
        .getByRole("link", { name: /^order-4711/ })
        .click();
      await visit.sees(/its callback is a dead letter/);
      await visit.sees(/answered 410/);
      visit.site.receives = true;
      await visit.confirm("Redeliver");
      await visit.sees("The callback is queued.");
      await visit.sees(/its callback was made\. Nothing is left to wait for/);
    });

    it("is led by the tree to the child that hangs, and ends another one", async () => {
      const visit = await begin();
      const { page, site } = visit;
      await visit.openGroup("report-2026-11");
      const tree = page.getByRole("region", { name: "Child groups of open tasks" });
      await tree.getByRole("link", { name: /page-31.*look here/ }).click();
      await visit.sees("Open: ocr.");
      await site.call("POST", "/v1/groups/report-2026-11%2Fimages%2Fpage-31/acks", { tasks: ["ocr"] });
      await visit.sees(/has completed, and its delivery to its parent's task was made/);
      await page.getByRole("link", { name: /^Part of: the task page-31 of group report-2026-11\/images/ }).click();
      await visit.sees(/group report-2026-11\/images has completed/);
      await page.goto(`${site.url}/#/groups/report-2026-11`);
      await page
        .getByRole("region", { name: "Child groups" })
        .getByRole("link", { name: /tables/ })
        .click();
      await visit.button("Cancel group").click();
      await visit
        .dialog()
        .getByLabel(/^Reason/)
        .fill("no tables this month");
      await visit.dialog().getByRole("button", { name: "Cancel group" }).click();
      await visit.sees('It was cancelled, with 1 of 1 task open. The reason: "no tables this month"');
      await page.getByRole("link", { name: /^Part of: the task tables of group report-2026-11/ }).click();
      await visit.sees(/group report-2026-11 has completed/);
    });

    // The last one: a new version restarts each object at its next alarm, which takes two seconds.
    it("reads which handler was renamed, and redelivers when a version has it again", async () => {
      const visit = await begin();
      await visit.signIn();
      await visit.page
        .getByRole("region", { name: /^Unhandled/ })
        .getByRole("link", { name: /^invoice-77/ })
        .click();
      await visit.sees(/no handler named "publishInvoice"/);
      await visit.site.set({ handler: "publishInvoice,notifyUser" });
      await visit.confirm("Redeliver");
      await visit.sees(/group invoice-77 has completed, and its callback was made\. Nothing is left to wait for/);
      // A request's callback waits in the same way.
      await visit.goTo("#/list/unhandled/requests");
      await visit.page.getByRole("link", { name: /^upload-32/ }).click();
      await visit.confirm("Redeliver");
      await visit.sees(/request upload-32 has completed, and its callback was made/);
    });
  });
}
