import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { AxeResults } from "axe-core";
import { describe, expect, it } from "vitest";
import type { Visit, VisitOptions } from "./visit.js";

const script = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Returns what axe finds wrong on the page, by the rules of WCAG 2.2 AA and of good practice. */
async function faultsOf({ page }: Visit): Promise<string[]> {
  const results = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run(options: object): Promise<AxeResults> } };
    // 44 pixels are checked below: axe looks for 24.
    return axe.run({ resultTypes: ["violations"] });
  });
  return results.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`);
}

/** Returns the links and buttons that are lower or narrower than 44 pixels. A link inside a sentence may be. */
function smallTargets({ page }: Visit): Promise<string[]> {
  return page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>("a, button, select, input:not([type=checkbox]), label.check, summary")]
      .filter((element) => element.checkVisibility() && element.closest(".skip") === null)
      .filter((element) => {
        const { width, height } = element.getBoundingClientRect();
        return width < 44 || height < 43.5;
      })
      .map(({ outerHTML }) => outerHTML.slice(0, 120)),
  );
}

/** Returns by how many pixels the page is wider than the window, or a dialog's text than the dialog. */
function overflow({ page }: Visit): Promise<number> {
  return page.evaluate(() => {
    const all = [document.documentElement, ...document.querySelectorAll("dialog")];
    return Math.max(...all.map(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth));
  });
}

async function look(visit: Visit, view: string): Promise<void> {
  expect([view, await faultsOf(visit)]).toEqual([view, []]);
  expect([view, await smallTargets(visit)]).toEqual([view, []]);
  expect([view, await overflow(visit)]).toEqual([view, 0]);
}

export function accessible(begin: (options?: VisitOptions) => Promise<Visit>): void {
  describe("every view", () => {
    it.each([
      ["light", 1_000],
      ["dark", 360],
    ] as const)("is accessible in the %s scheme, %i pixels wide", async (colorScheme, width) => {
      const visit = await begin({ colorScheme, width, script });
      const { page } = visit;
      await page.goto(visit.site.url);
      await visit.sees("Token of this Worker");
      await look(visit, "sign-in");
      await visit.signIn("#/groups/shelf-1");
      await visit.sees("embed/chunk-3");
      await page.getByRole("heading", { name: "Results" }).click();
      await visit.sees('{"vectors":128}');
      await visit.button("Failed").click();
      await visit.button("Retry").waitFor();
      await look(visit, "an open group");
      await visit.button("Cancel group").click();
      await visit.dialog().waitFor();
      await look(visit, "a confirmation");
      await page.keyboard.press("Escape");
      for (const [fragment, text] of [
        ["#/", /^These lists are as of/],
        ["#/list/ended", "Newest end first."],
        ["#/groups/unknown", "Look again"],
        ["#/requests", /^These lists are as of/],
        ["#/requests/upload-31", "embed/chunk-4"],
        ["#/groups/nested-1", "look here"],
      ] as const) {
        await page.goto(`${visit.site.url}/${fragment}`);
        await visit.sees(text);
        await look(visit, fragment);
      }
    });
  });
}
