import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it, vi } from "vitest";
import { AbortListeners } from "../src/lib/abort-listeners.js";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

describe("abort listeners", () => {
  it("are one listener a signal, until the last is removed", () => {
    const { signal } = new AbortController();
    const add = vi.spyOn(signal, "addEventListener");
    const remove = vi.spyOn(signal, "removeEventListener");
    const listeners = new AbortListeners();
    const removes = Array.from({ length: 20 }, () => listeners.add(signal, () => {}));
    expect([add.mock.calls.length, remove.mock.calls.length]).toEqual([1, 0]);
    for (const undo of removes) undo();
    for (const undo of removes) undo();
    expect([add.mock.calls.length, remove.mock.calls.length]).toEqual([1, 1]);
    listeners.add(signal, () => {});
    expect(add).toHaveBeenCalledTimes(2);
  });

  it("are called once each, but for those that were removed, by an earlier one too", () => {
    const controller = new AbortController();
    const listeners = new AbortListeners();
    const called: number[] = [];
    const again = (): void => void called.push(3);
    const removes = [1, 2].map((n) => listeners.add(controller.signal, () => void called.push(n)));
    listeners.add(controller.signal, () => removes[1]?.());
    listeners.add(controller.signal, again);
    listeners.add(controller.signal, again);
    removes[0]?.();
    listeners.add(new AbortController().signal, again);
    controller.abort();
    expect(called).toEqual([2, 3, 3]);
  });
});

it("a hundred waits that end with one signal print no warning of a leak", async () => {
  const program = `
    import { CompletionTracker, defineBackend, MemoryCoordinator } from "./src/index.ts";
    import { HttpCoordinator } from "./src/backends/http/index.ts";
    import { UpstashCoordinator } from "./src/backends/upstash/index.ts";
    const records = new Map();
    const store = { load: async (name) => records.get(name) ?? null, compareAndSet: async () => true };
    const silent = () => new Promise(() => {});
    const backends = [
      new MemoryCoordinator(),
      defineBackend(store),
      new UpstashCoordinator({ url: "https://redis.example", token: "t", fetch: silent }),
      new HttpCoordinator({ url: "https://worker.example", token: "t", fetch: silent }),
    ];
    const controller = new AbortController();
    const outcomes = Promise.allSettled(backends.flatMap((backend) => {
      const tracker = new CompletionTracker(backend);
      const { signal } = controller;
      return Array.from({ length: 100 }, (_, i) => tracker.wait("g" + (i % 20), { signal, timeoutMs: 60_000 * (i % 3) }));
    }));
    await new Promise((resolve) => setTimeout(resolve, 50));
    controller.abort("over");
    process.stdout.write(String((await outcomes).filter(({ reason }) => reason === "over").length));
  `;
  const tsx = `${ROOT}node_modules/tsx/dist/cli.mjs`;
  const args = [tsx, "--input-type=module", "--eval", program];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: ROOT, timeout: 100_000 });
  // A third of them look once, which is over where the backend answers.
  expect([stdout, stderr]).toEqual([String(4 * 66 + 2 * 34), ""]);
});
