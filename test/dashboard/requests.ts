import { describe, expect, it } from "vitest";
import type { Visit, VisitOptions } from "./visit.js";

/** Requests are in the same views as groups. */
export function requests(begin: (options?: VisitOptions) => Promise<Visit>): void {
  describe("requests", () => {
    it("are one key press away from the groups, which say when a request is in trouble", async () => {
      const visit = await begin();
      const { page } = visit;
      await visit.signIn();
      const link = page.getByRole("link", { name: /^Requests 4 in trouble/ });
      await link.focus();
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { level: 1, name: "Requests" }).waitFor();
      expect(new URL(page.url()).hash).toBe("#/requests");
      await page
        .getByRole("region", { name: /^Open, and not stuck/ })
        .getByText("upload-36")
        .waitFor();
      // Requests take no policy: there is no list of failed ones.
      await visit.goTo("#/list/ended/requests");
      await page.getByRole("navigation", { name: "Lists of requests" }).waitFor();
      expect(await page.getByRole("link", { name: "Failed", exact: true }).count()).toBe(0);
      await page.getByLabel("Id of a request").fill("upload-36");
      await page.keyboard.press("Enter");
      await visit.sees("request upload-36 is complete. It has not ended, because it is not sealed.");
      await visit.sees("not final");
      await page.keyboard.press("Escape");
      await page.getByRole("heading", { level: 1, name: "Requests" }).waitFor();
    });

    it("that are unknown may be groups", async () => {
      const visit = await begin();
      await visit.signIn("#/requests/batch-1200");
      await visit.sees("The Worker knows no request batch-1200.");
      await visit.page.getByRole("link", { name: "Look for a group with this id" }).click();
      await visit.sees(/group batch-1200 has completed/);
    });

    it("whose worker died show their stages, and are mended", async () => {
      const visit = await begin();
      const { page, site } = visit;
      await visit.signIn("#/requests");
      await page
        .getByRole("region", { name: /^Stuck/ })
        .getByRole("link", { name: /^upload-31/ })
        .click();
      await visit.sees("request upload-31 waits for 1 of 4 tasks.");
      await page.getByRole("region", { name: "Registration" }).getByText('{"user":"ada"}').waitFor();
      await page.getByRole("row", { name: "embed 4 1 2 2 1" }).waitFor();
      await page.getByRole("region", { name: "Errors" }).getByText("the model is overloaded").waitFor();
      await visit.confirm("Extend");
      await visit.sees(/^The deadline is in 30 minutes/);
      await visit.confirm("Retry failed tasks");
      await visit.sees("request upload-31 waits for 2 of 4 tasks.");
      for (const taskId of ["chunk-3", "chunk-4"]) {
        await site.call("POST", "/v1/requests/upload-31/acks", { stage: "embed", taskId });
      }
      await visit.sees(/request upload-31 has completed/);
      await visit.sees("final");
    });

    it("whose receiver was gone are delivered again", async () => {
      const visit = await begin();
      await visit.signIn("#/list/dead/requests");
      await visit.page.getByRole("link", { name: /^upload-33/ }).click();
      await visit.sees(/answered 410/);
      visit.site.receives = true;
      await visit.confirm("Redeliver");
      await visit.sees(/its callback was made\. Nothing is left to wait for/);
      visit.site.receives = false;
    });

    it("are shown after the read of a status failed, which follows an event", async () => {
      const visit = await begin({ allows: /status of 503/ });
      const { page } = visit;
      await visit.signIn("#/requests");
      const json = { code: "backend_unavailable", detail: "try again" };
      await page.route("**/v1/run/request/status", (route) => route.fulfill({ status: 503, json }), { times: 1 });
      await visit.goTo("#/requests/upload-36");
      await visit.sees("request upload-36 is complete. It has not ended, because it is not sealed.");
    });

    it("that wait for a group lead to it, and it leads back", async () => {
      const visit = await begin();
      const { page } = visit;
      await visit.signIn("#/requests/upload-34");
      await visit.sees("Open: scan/scan-34.");
      await visit.button("Look for such groups").click();
      await page.getByRole("link", { name: /^scan-34.*look here/ }).click();
      await visit.sees("Its end will settle the task scan/scan-34 of request upload-34.");
      await visit.button("Cancel group").click();
      await visit
        .dialog()
        .getByLabel(/^Reason/)
        .fill("page 2 is lost");
      await visit.dialog().getByRole("button", { name: "Cancel group" }).click();
      await page.getByRole("link", { name: /^Part of: the task scan\/scan-34/ }).click();
      await visit.sees(/request upload-34 has completed/);
      await page
        .getByRole("region", { name: "Errors" })
        .getByText(/page 2 is lost/)
        .waitFor();
    });
  });
}
