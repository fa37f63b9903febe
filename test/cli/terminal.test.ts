import { expect, it } from "vitest";
import { run } from "../../cli/run.js";
import type { Terminal } from "../../cli/terminal.js";
import { CompletionTracker } from "../../src/index.js";
import { upstashBackend } from "./backends.js";

/** Runs commands on a terminal with a person who gives these answers. */
function onTerminal(backend: ReturnType<typeof upstashBackend>, answers: string[] = [], columns = 100) {
  const shown = { out: "", asked: [] as string[] };
  const terminal: Terminal = {
    out: (text) => {
      shown.out += text;
    },
    err: (text) => {
      shown.out += text;
    },
    isTTY: true,
    canAsk: true,
    columns,
    hasColour: true,
    ask: async (question) => {
      shown.asked.push(question);
      return answers.shift() ?? "";
    },
  };
  const { signal } = new AbortController();
  const cli = (...args: string[]) =>
    run([...args, ...backend.options], { terminal, env: backend.env, nowMs: Date.now, signal });
  return { shown, cli };
}

it("cancel ends a group only after yes", async () => {
  const backend = upstashBackend();
  const tracker = new CompletionTracker(backend.coordinator);
  await tracker.register("asked", ["a"]);
  const { shown, cli } = onTerminal(backend, ["", "no", "y"]);
  const cancel = ["cancel", "asked", "--reason", "a test"];
  expect([await cli(...cancel), await cli(...cancel)]).toEqual([1, 1]);
  expect((await tracker.status("asked"))?.state).toBe("open");
  expect(await cli(...cancel)).toBe(0);
  expect((await tracker.status("asked"))?.state).toBe("cancelled");
  expect(shown.asked[0]).toBe("Cancel the group asked, with 1 of 1 task open? It cannot be undone. [y/N] ");
});

it("watch draws one bar again and again", async () => {
  const backend = upstashBackend();
  const tracker = new CompletionTracker(backend.coordinator);
  await tracker.register("drawn", ["a", "b"], { timeoutSec: 0 });
  const { shown, cli } = onTerminal(backend);
  const watched = cli("watch", "drawn", "--no-color");
  await expect.poll(() => shown.out).toBe(`[${".".repeat(30)}] 0 of 2 tasks`);
  await tracker.ack("drawn", ["a", "b"]);
  expect(await watched).toBe(0);
  expect(shown.out.split("\r\u001b[K").at(-1)).toBe(`[${"#".repeat(30)}] 2 of 2 tasks, completed\n`);
});

it("watch has no bar where the terminal is narrow, and colours where it takes them", async () => {
  const backend = upstashBackend();
  const tracker = new CompletionTracker(backend.coordinator);
  await tracker.register("narrow", []);
  const narrow = onTerminal(backend, [], 40);
  expect(await narrow.cli("watch", "narrow")).toBe(0);
  expect(narrow.shown.out).toBe("0 of 0 tasks, completed\n");
  const wide = onTerminal(backend);
  await wide.cli("show", "narrow");
  expect(wide.shown.out).toContain("\u001b[32mcompleted\u001b[39m");
});
