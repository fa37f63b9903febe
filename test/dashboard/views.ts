import { describe, expect, it } from "vitest";
import { EMPTY_TOKEN } from "./tokens.js";
import type { Visit, VisitOptions } from "./visit.js";

const LOST = /^Failed to load resource: the server responded with a status of (401|501|503)/;

/** Keeps the calls of the page in `calls`. */
const KEEP_CALLS = `
  const send = globalThis.fetch;
  globalThis.calls = [];
  globalThis.fetch = async (url, init) => {
    const call = { url: String(url), signal: init?.signal, isOpen: true };
    globalThis.calls.push(call);
    try {
      return await send(url, init);
    } finally {
      call.isOpen = false;
    }
  };
`;

interface Kept {
  readonly calls: readonly { readonly url: string; readonly signal?: AbortSignal; readonly isOpen: boolean }[];
}

/** Goes from place to place, faster than the page shows a frame. A re-render follows each step. */
async function hurry({ page }: Visit, hashes: readonly string[]): Promise<void> {
  await page.evaluate(async (places) => {
    for (const place of places) {
      const changed = new Promise((resolve) => addEventListener("hashchange", resolve, { once: true }));
      location.hash = place;
      await changed;
      const search = document.querySelector("#search") as HTMLInputElement;
      for (const text of ["a", ""]) {
        search.value = text;
        search.dispatchEvent(new Event("input", { bubbles: true }));
        await Promise.resolve();
      }
    }
  }, hashes);
}

/** Every view, its empty state, and its faults. */
export function views(begin: (options?: VisitOptions) => Promise<Visit>): void {
  describe("the sign-in", () => {
    it("refuses a wrong token in words, and stays", async () => {
      const visit = await begin({ isNew: true, allows: LOST });
      await visit.page.goto(visit.site.url);
      await visit.button("Sign in").click();
      await visit.sees("Enter a token.");
      for (const [token, answer] of [
        ["a wrong\u00a0token", /^A token has only letters/],
        ["a-token-of-another-worker", "This Worker does not accept the token."],
      ] as const) {
        await visit.page.getByLabel("Token of this Worker").fill(token);
        await visit.button("Sign in").click();
        await visit.sees(answer);
      }
    });

    it("asks again after a reload, and says why", async () => {
      const visit = await begin({ isNew: true });
      await visit.signIn("#/list/ended");
      await visit.page.reload();
      await visit.sees(/The page was loaded again\. It keeps the token in memory only/);
      expect(new URL(visit.page.url()).hash).toBe("#/list/ended");
    });

    it("comes back when the Worker no longer accepts the token", async () => {
      const visit = await begin({ isNew: true, allows: LOST });
      await visit.signIn();
      const json = { code: "unauthorized", detail: "the token is not one that opens this Worker" };
      await visit.page.route(/\/v1\/groups\?/, (route) => route.fulfill({ status: 401, json }));
      await visit.goTo("#/list/failed");
      await visit.sees("The Worker no longer accepts this token. Sign in with another one.");
    });

    it("comes back after the sign-out, without the token", async () => {
      const visit = await begin({ isNew: true });
      await visit.signIn();
      await visit.button("Sign out").click();
      await visit.sees(/You have signed out/);
      expect(await visit.page.getByLabel("Token of this Worker").inputValue()).toBe("");
    });
  });

  describe("a person who goes on before a view is loaded", () => {
    const places = ["#/list/failed", "#/groups/import-981", "#/requests", "#/list/dead/requests", "#/list/pending"];

    it("sees the last view alone", async () => {
      const visit = await begin({ script: KEEP_CALLS });
      const { page } = visit;
      await visit.signIn();
      await hurry(visit, places);
      await page.locator("h1:focus", { hasText: "Callback pending" }).waitFor();
      // An answer for a view that is gone must not bring the view back.
      const open = () => (globalThis as unknown as Kept).calls.filter(({ isOpen }) => isOpen).length;
      await expect.poll(() => page.evaluate(open)).toBe(0);
      await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 100)));
      expect(await page.locator("main").count()).toBe(1);
    });

    it("leaves no event stream open", async () => {
      const visit = await begin({ script: KEEP_CALLS });
      const { page } = visit;
      await visit.signIn();
      await hurry(visit, ["#/groups/import-981"]);
      await page.locator("h1:focus", { hasText: "import-981" }).waitFor();
      await hurry(visit, places);
      await page.locator("h1:focus", { hasText: "Callback pending" }).waitFor();
      const streams = await page.evaluate(() =>
        (globalThis as unknown as Kept).calls
          .filter(({ url }) => url.endsWith("/events"))
          .map(({ signal }) => signal?.aborted),
      );
      // One, or two where a frame came while the person hurried on.
      expect(streams.length).toBeGreaterThan(0);
      expect(streams).not.toContain(false);
    });
  });

  describe("the lists", () => {
    it("begin with the trouble, and say as of when", async () => {
      const visit = await begin();
      await visit.signIn();
      await visit.sees(/^These lists are as of .* ago/);
      const titles = await visit.page.getByRole("heading", { level: 2 }).allInnerTexts();
      expect(titles.map((title) => title.replace(/ \d+\+?$/, ""))).toEqual([
        "Stuck",
        "Dead letters",
        "Unhandled",
        "Open, and not stuck",
        "Ended",
        "Keys",
      ]);
    });

    it("show every state, and narrow while a person types", async () => {
      const visit = await begin();
      await visit.signIn("#/list/failed");
      await visit.page.getByRole("link", { name: /^answers-5/ }).waitFor();
      await visit.page.getByRole("link", { name: "Cancelled" }).click();
      await visit.page.getByRole("link", { name: /^upload-3/ }).waitFor();
      // The lists of the other kind are read each minute: another list of groups does not read them again.
      const ofRequests = visit.requests.filter((url) => url.includes("/v1/requests?"));
      expect(new Set(ofRequests).size).toBe(ofRequests.length);
      await visit.page.getByLabel("Id of a group").fill("none");
      await visit.sees(/^No id in this part of the list contains that text/);
    });

    it("say 100+ where a page is cut, and go on from there", async () => {
      const visit = await begin();
      const item = { state: "open", generation: 1, total: 2, succeeded: 1, failed: 0, delivery: null, endedAtMs: null };
      const instants = { registeredAtMs: Date.now(), lastAckAtMs: null, deadlineAtMs: null };
      await visit.page.route(/\/v1\/groups\?state=open(&after=.*)?$/, (route) => {
        const isFirst = !route.request().url().includes("after=");
        const items = Array.from({ length: isFirst ? 100 : 3 }, (_, i) => {
          return { ...item, ...instants, groupId: `${isFirst ? "first" : "second"}-${i}` };
        });
        return route.fulfill({ json: { items, next: isFirst ? "a/position" : null, asOfMs: Date.now() } });
      });
      await visit.signIn();
      await visit.page.getByRole("link", { name: "100+ Open" }).click();
      await visit.button("Show more groups").click();
      await visit.page.getByRole("link", { name: /^second-2/ }).waitFor();
      expect(await visit.page.locator(".rows li").count()).toBe(103);
    });

    it("say that a tenant has no groups, and that nothing is wrong", async () => {
      const visit = await begin({ isNew: true });
      await visit.signIn("", EMPTY_TOKEN);
      await visit.sees("Nothing is stuck, dead-lettered or unhandled.");
      await visit.sees("No groups.");
    });

    it("say what is missing where the Worker keeps no index, and still open a group", async () => {
      const visit = await begin({ allows: LOST });
      const json = { code: "unsupported", detail: "the objects keep no index" };
      await visit.page.route(/\/v1\/(groups|requests)\?/, (route) => route.fulfill({ status: 501, json }));
      await visit.signIn("#/requests");
      await visit.sees(/^This Worker keeps no index of its requests/);
      await visit.page.getByLabel("Id of a request").fill("upload-36");
      await visit.button("Open").click();
      await visit.sees("request upload-36 is complete. It has not ended, because it is not sealed.");
      await visit.goTo("#/list/open/requests");
      await visit.sees(/^This Worker keeps no index of its requests/);
      await visit.page.getByRole("link", { name: "Groups", exact: true }).click();
      await visit.sees(/^This Worker keeps no index of its groups/);
      await visit.page.getByLabel("Id of a group").fill("batch-1201");
      await visit.button("Open").click();
      await visit.sees("group batch-1201 waits for 167 of 400 tasks.");
    });

    it("say that the Worker does not answer, and try again", async () => {
      const visit = await begin({ allows: LOST });
      await visit.signIn("#/list/open");
      await visit.page.getByRole("link", { name: /^batch-1201/ }).waitFor();
      await visit.site.set({ isDown: true });
      await visit.page.getByRole("link", { name: "Completed" }).click();
      await visit.sees(/^The Worker cannot answer now/);
      await visit.site.set({ isDown: false });
      await visit.button("Try again").click();
      await visit.page.getByRole("link", { name: /^batch-1200/ }).waitFor();
    });
  });

  describe("a group", () => {
    it("shows stages, tasks by state, errors, results and the callback", async () => {
      const visit = await begin();
      const { page } = visit;
      await visit.openGroup("shelf-1");
      await page.getByRole("row", { name: "embed 3 1 1 1 0" }).waitFor();
      await visit.sees("embed/chunk-3");
      await visit.button("Failed").click();
      await page.getByRole("region", { name: "Tasks" }).getByText("out of memory").waitFor();
      await visit.button("Succeeded").click();
      await page.getByRole("region", { name: "Tasks" }).getByText("embed/chunk-1").waitFor();
      await page.getByRole("heading", { name: "Results" }).click();
      await visit.sees('{"vectors":128}');
      await visit.sees(/^None yet: it is queued when the group ends/);
    });

    it("of many tasks shows the last ones, where only these are missing", async () => {
      const visit = await begin();
      const tasks = Array.from({ length: 1_500 }, (_, n) => `item-${n}`);
      await visit.site.call("PUT", "/v1/groups/large-1", { tasks });
      for (const part of [tasks.slice(0, 1_000), tasks.slice(1_000, -1)]) {
        await visit.site.call("POST", "/v1/groups/large-1/acks", { tasks: part });
      }
      await visit.openGroup("large-1");
      await visit.sees("Open: item-1499.");
    });

    it("that has a number of tasks says that they are not listed", async () => {
      const visit = await begin();
      await visit.openGroup("upload-3");
      await visit.sees(/^The group was registered with a number of tasks/);
    });

    it("shows the child that a person looked for, under its own task, and how that ends", async () => {
      const visit = await begin();
      const { page, site } = visit;
      const pages = ["parse", "embed"].map((stage) => ({ stage, id: "page" }));
      const parent = { groupId: "twins", stage: "embed", taskId: "page" };
      await site.call("PUT", "/v1/groups/twins", { tasks: pages, open: true });
      await site.call("PUT", "/v1/groups/twins%2Fpage", { tasks: ["1"], parent });
      await visit.openGroup("twins");
      await visit.button("Look for such groups").click();
      await page
        .getByRole("link", { name: /^twins\/page.*for the task embed\/page · waits for 1 of 1 task$/ })
        .waitFor();
      expect(await page.locator(".tree li").count()).toBe(1);
      // Another task was added with the same group: it settles its own task still.
      const scan = { stage: "scan", id: "page", group: "twins/page" };
      await site.call("POST", "/v1/groups/twins/tasks", { tasks: [scan] });
      await visit.sees("Open: parse/page, embed/page, scan/page.");
      expect(await page.locator(".tree li").count()).toBe(1);
      await site.call("POST", "/v1/groups/twins%2Fpage/acks", { tasks: ["1"] });
      await page.getByRole("link", { name: /^twins\/page.*for the task embed\/page · 1 of 1 task$/ }).waitFor();
    });

    it("does not show a child of an earlier generation", async () => {
      const visit = await begin();
      const { site } = visit;
      const parent = { groupId: "again", taskId: "again-1", generation: 1 };
      await site.call("PUT", "/v1/groups/again", { tasks: ["again-1"] });
      await site.call("PUT", "/v1/groups/again-1", { tasks: ["1"], parent });
      await site.call("PUT", "/v1/groups/again", { tasks: ["again-1"], restart: true });
      await visit.openGroup("again");
      await visit.button("Look for such groups").click();
      await visit.sees(/^None found/);
    });

    it("that is unknown says what that can mean, and appears once it is registered", async () => {
      const visit = await begin();
      await visit.openGroup("not/yet%here");
      await visit.sees("The Worker knows no group not/yet%here.");
      await visit.site.call("PUT", `/v1/groups/${encodeURIComponent("not/yet%here")}`, { tasks: ["a"] });
      await visit.button("Look again").click();
      await visit.sees("group not/yet%here waits for 1 of 1 task.");
    });

    it("is followed again after the Worker was away", async () => {
      const visit = await begin({ allows: LOST });
      await visit.signIn("#/list/open");
      await visit.site.set({ isDown: true });
      await visit.page.goto(`${visit.site.url}/#/groups/batch-1202`);
      await visit.sees("Loading the group…");
      await visit.site.set({ isDown: false });
      await visit.sees("live");
      await visit.site.call("POST", "/v1/groups/batch-1202/acks", { tasks: ["item-400"] });
      await visit.sees("62 of 400 tasks: 62 succeeded, 0 failed, 338 open");
    });

    it("keeps the dialog open and says what went wrong", async () => {
      const visit = await begin({ allows: LOST });
      await visit.openGroup("batch-1201");
      await visit.button("Extend").click();
      await visit.site.set({ isDown: true });
      await visit.dialog().getByRole("button", { name: "Extend" }).click();
      await visit
        .dialog()
        .getByRole("alert")
        .getByText(/^The Worker cannot answer now/)
        .waitFor();
      await visit.site.set({ isDown: false });
      await visit.dialog().getByRole("button", { name: "Go back" }).click();
      await visit.dialog().waitFor({ state: "detached" });
    });
  });
}
