import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { oldestDueMs } from "../../cli/due.js";
import { countListed, removeListed } from "../../cli/purge.js";
import { startRestServer } from "../../dev/redis-rest/index.js";
import { CompletionTracker, MemoryCoordinator, RequestWaitTracker } from "../../src/index.js";
import { type CliBackend, upstashBackend, workerBackend } from "./backends.js";
import { commandOf, RunningCommand } from "./command.js";

let worker: CliBackend;
beforeAll(async () => {
  worker = await workerBackend();
});
afterAll(() => worker.close());

const BACKENDS = ["worker", "upstash"] as const;
const backendOf = (name: (typeof BACKENDS)[number]): CliBackend => (name === "worker" ? worker : upstashBackend());

describe.each(BACKENDS)("on %s", (name) => {
  it("show prints a status, and --json the library's own", async () => {
    const { coordinator, cli } = backendOf(name);
    const tracker = new CompletionTracker(coordinator);
    await tracker.register("shown", [{ stage: "parse", id: "a" }, "b"], { metadata: { from: "\u001b[2Jtest" } });
    await tracker.fail("shown", { stage: "parse", id: "a" }, "no text");
    const { code, stdout } = await cli("show", "shown");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^group shown\n {2}state +open\n/);
    expect(stdout).toMatch(/tasks +2 tasks: 0 succeeded, 1 failed, 1 open/);
    expect(stdout).toMatch(/metadata +\{"from":"\\u001b\[2Jtest"\}/);
    expect(stdout).toContain('parse/a: "no text"');
    expect(stdout).not.toContain("\u001b");
    expect(JSON.parse((await cli("show", "shown", "--json")).stdout)).toEqual(await tracker.status("shown"));
  });

  it("tasks lists pages", async () => {
    const { coordinator, cli } = backendOf(name);
    const tracker = new CompletionTracker(coordinator);
    await tracker.register("listed", ["a", "b", "c"]);
    await tracker.fail("listed", "b", "broken");
    expect(await cli("tasks", "listed", "--limit", "2")).toEqual({
      code: 0,
      stdout: 'open      a\nfailed    b  "broken"\n',
      stderr: "More tasks follow: --after 2\n",
    });
    expect((await cli("tasks", "listed", "--after", "2")).stdout).toBe("open    c\n");
    expect((await cli("tasks", "listed", "--all", "--state", "open", "--json")).stdout.split("\n").length).toBe(3);
  });

  it("watch prints a line for each change, and the end decides the exit code", async () => {
    const { coordinator, env, options } = backendOf(name);
    const tracker = new CompletionTracker(coordinator);
    await tracker.register("watched", ["a", "b"]);
    const watch = new RunningCommand(env, ["watch", "watched", ...options]);
    await watch.says("open: 0 of 2 tasks");
    await tracker.ack("watched", "a");
    await watch.says("open: 1 of 2 tasks");
    await tracker.cancel("watched", "enough");
    const { code, stdout } = await watch.ended();
    expect([code, stdout.split("\n").at(-2)]).toEqual([1, "cancelled: 1 of 2 tasks, cancelled"]);
  });

  it("watch ends at Ctrl-C, and prints JSON lines for programs", async () => {
    const { coordinator, env, options } = backendOf(name);
    const tracker = new CompletionTracker(coordinator);
    await tracker.register("left", ["a"]);
    const watch = new RunningCommand(env, ["watch", "left", "--json", ...options]);
    await watch.says('"groupId":"left"');
    watch.kill("SIGINT");
    const { code, stdout, stderr } = await watch.ended();
    expect([code, stderr]).toEqual([130, ""]);
    expect(
      stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line).state),
    ).toEqual(["open"]);
  });

  it("works on requests", async () => {
    const { coordinator, cli } = backendOf(name);
    const requests = new RequestWaitTracker(coordinator, { stages: ["parse"] });
    await requests.register("asked");
    await requests.add("asked", "parse", ["a", "b"]);
    await requests.fail("asked", "parse", "a", "no text");
    expect((await cli("why", "asked", "--request")).stdout).toMatch(/^request asked waits for 1 of 2 tasks\.\n/);
    expect((await cli("retry", "asked", "--request", "--failed")).stdout).toContain("1 task of 1 opened again");
    await requests.ack("asked", "parse", "a");
    await requests.ack("asked", "parse", "b");
    expect(await cli("watch", "asked", "--request")).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("complete: 2 of 2 tasks"),
    });
    expect(await cli("show", "asked")).toMatchObject({ code: 3, stdout: "" });
  });

  it("an unknown id has the exit code 3, and why says what that means", async () => {
    const { cli } = backendOf(name);
    for (const args of [
      ["show", "none"],
      ["tasks", "none"],
      ["watch", "none"],
      ["redeliver", "none"],
      ["extend", "none", "--by", "1m"],
    ]) {
      expect(await cli(...args)).toMatchObject({
        code: 3,
        stdout: "",
        stderr: expect.stringMatching(/^edge-coordinator: group none is not known: looked in the /),
      });
    }
    const why = await cli("why", "none");
    expect(why).toMatchObject({ code: 3, stderr: "" });
    expect(why.stdout).toContain("It was never registered under this id, it has expired, or it was removed.");
    expect(JSON.parse((await cli("why", "none", "--json")).stdout)).toMatchObject({ id: "none", state: null });
  });

  it("cancel asks, or needs --yes", async () => {
    const { coordinator, cli } = backendOf(name);
    const tracker = new CompletionTracker(coordinator);
    await tracker.register("kept", ["a"]);
    expect(await cli("cancel", "kept", "--reason", "a mistake")).toEqual({
      code: 2,
      stdout: "",
      stderr: "edge-coordinator: this command needs --yes where it cannot ask\n",
    });
    expect((await tracker.status("kept"))?.state).toBe("open");
    expect(await cli("cancel", "kept", "--reason", "a mistake", "--yes", "--generation", "1")).toMatchObject({
      code: 1,
    });
    expect(await cli("cancel", "kept", "--reason", "a mistake", "--yes")).toMatchObject({ code: 0 });
    expect(await cli("cancel", "kept", "--reason", "again", "--yes")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("has ended already"),
    });
    expect(await cli("extend", "kept", "--by", "1m")).toMatchObject({ code: 1 });
    expect(await cli("retry", "kept", "a")).toMatchObject({ code: 1 });
    expect(await cli("redeliver", "kept")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("has no callback"),
    });
  });
});

describe("ls", () => {
  it("finds what is open and what has ended, by pages and for programs", async () => {
    const { coordinator, cli } = backendOf("upstash");
    const tracker = new CompletionTracker(coordinator);
    expect(await cli("ls")).toEqual({ code: 0, stdout: "", stderr: "None.\n" });
    await tracker.register("first", ["a", "b"]);
    await tracker.fail("first", "a", "no text");
    await tracker.register("other", ["a"]);
    await tracker.register("over\u001b[2J", ["a"]);
    await tracker.ack("over\u001b[2J", "a");
    const open = (await cli("ls")).stdout.trimEnd().split("\n");
    expect(open.map((line) => line.split(/ +/).slice(0, 4))).toEqual([
      ["id", "state", "done", "failed"],
      ["first", "open", "1/2", "1"],
      ["other", "open", "0/1", "0"],
    ]);
    expect((await cli("ls", "--state", "ended")).stdout).toMatch(/\nover\\u\{1b\}\[2J +completed +1\/1 +0 /);
    const page = await cli("ls", "--limit", "1");
    const [, after = ""] = /--after (\S+)/.exec(page.stderr) ?? [];
    expect([page.stdout.includes("first"), page.stdout.includes("other")]).toEqual([true, false]);
    expect((await cli("ls", "--limit", "1", "--after", after)).stdout).toContain("other");
    expect(JSON.parse((await cli("ls", "--json", "--limit", "1")).stdout)).toMatchObject({
      items: [{ groupId: "first", state: "open", failed: 1 }],
      next: after,
    });
  });

  it("says on Redis since when the oldest due work waits, once some is due", async () => {
    const { coordinator, cli, options } = backendOf("upstash");
    const tracker = new CompletionTracker(coordinator);
    await tracker.register("later", ["a"], { timeoutSec: 60 });
    expect((await cli("ls", "--json")).stderr).toBe("");
    await tracker.register("owed", 0, { onEnd: { handler: "publish" } });
    const fresh = /^The oldest due work was due (less than a second|\d+ seconds?) ago \(.+ UTC\)\.\n/;
    const { stdout, stderr } = await cli("ls", "--state", "ended", "--json");
    expect([JSON.parse(stdout).items.length, stderr]).toEqual([1, expect.stringMatching(fresh)]);
    const [, keyPrefix = ""] = options;
    const settings = { backend: "upstash", url: inject("restUrl"), token: inject("restToken"), keyPrefix } as const;
    const { signal } = new AbortController();
    const more = { allowHttp: false, other: undefined };
    const dueMs = await oldestDueMs({ ...settings, ...more }, Date.now(), signal);
    expect(Math.abs(Date.now() - (dueMs ?? 0))).toBeLessThan(30_000);
    expect(await oldestDueMs({ ...settings, ...more }, (dueMs ?? 0) - 1, signal)).toBeUndefined();
    expect(
      await oldestDueMs({ ...settings, ...more, token: "wrong-token-of-tests" }, Date.now(), signal),
    ).toBeUndefined();
  });

  it("lists requests, and refuses a state that they do not have", async () => {
    const { coordinator, cli } = backendOf("upstash");
    await new RequestWaitTracker(coordinator, { stages: ["parse"] }).register("asked");
    expect((await cli("ls", "--request")).stdout).toMatch(/\nasked +pending +0\/0 /);
    expect((await cli("ls")).stdout).toBe("");
    expect(await cli("ls", "--request", "--state", "failed")).toMatchObject({ code: 2 });
    expect(await cli("ls", "--state", "lost")).toMatchObject({ code: 2, stderr: expect.stringContaining("stuck") });
  });
});

describe("seal", () => {
  it("completes a group that waits for it alone", async () => {
    const { coordinator, cli } = backendOf("upstash");
    const tracker = new CompletionTracker(coordinator);
    await tracker.register("growing", ["a"], { open: true });
    await tracker.ack("growing", "a");
    expect((await cli("why", "growing")).stdout).toContain("npx edge-coordinator seal growing");
    expect(await cli("seal", "growing")).toMatchObject({ code: 2 });
    expect(await cli("seal", "growing", "--yes")).toMatchObject({
      code: 0,
      stdout: "group growing is sealed: it is completed.\n",
    });
    expect(await cli("seal", "growing", "--yes")).toMatchObject({ code: 1 });
  });
});

describe("a backend that is away", () => {
  it("has the exit code 4", async () => {
    // Port 1 is reserved: no server listens there.
    const cli = commandOf({ COORDINATOR_URL: "http://127.0.0.1:1", COORDINATOR_TOKEN: "a-token-of-16-characters" });
    expect(await cli("show", "any")).toMatchObject({
      code: 4,
      stdout: "",
      stderr: expect.stringContaining("backend_unavailable"),
    });
  });

  it("does not end a watch, which continues once it is back", async () => {
    const address = { redisUrl: inject("redisUrl"), token: "watched-token" };
    const first = await startRestServer(address);
    const { coordinator, options } = upstashBackend();
    const tracker = new CompletionTracker(coordinator);
    await tracker.register("away", ["a", "b"]);
    const env = { UPSTASH_REDIS_REST_URL: first.url, UPSTASH_REDIS_REST_TOKEN: address.token };
    const watch = new RunningCommand(env, ["watch", "away", ...options]);
    await watch.says("open: 0 of 2 tasks");
    await first.close();
    await tracker.ack("away", "a");
    const second = await startRestServer({ ...address, port: Number(new URL(first.url).port) });
    await watch.says("open: 1 of 2 tasks");
    await tracker.ack("away", "b");
    const { code, stdout } = await watch.ended();
    await second.close();
    expect([code, stdout.trimEnd().split("\n")]).toEqual([
      0,
      [expect.stringMatching(/^open: 0/), expect.stringMatching(/^open: 1/), "completed: 2 of 2 tasks, completed"],
    ]);
  });
});

describe("a first use", () => {
  const cli = commandOf({});

  it("without settings says what to set", async () => {
    const { code, stdout, stderr } = await cli("why", "document-1");
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("export COORDINATOR_URL=");
    expect(stderr).toContain("export UPSTASH_REDIS_REST_URL=");
  });

  it("without arguments says what to set, and which commands there are", async () => {
    const { code, stderr } = await cli();
    expect(code).toBe(2);
    expect(stderr).toContain("export COORDINATOR_URL=");
    expect(stderr).toContain("Says what a group waits for");
  });

  it("has help and a version", async () => {
    const help = await cli("why", "--help");
    expect([help.code, help.stderr]).toEqual([0, ""]);
    expect(help.stdout).toContain("--request");
    expect(help.stdout).toContain("--json");
    expect(await cli("--version")).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  });

  it.each([
    [["wyh", "a"], "(Did you mean why?)"],
    [["show", "a", "--jsn"], "(Did you mean --json?)"],
    [["show"], "missing required argument 'id'"],
    [["show", "a", "b"], "too many arguments"],
    [["extend", "a", "--by", "soon"], "It must be a duration"],
    [["tasks", "a", "--state", "done"], "Allowed choices are open, succeeded, failed"],
    [["show", "a", "--token", "t"], "COORDINATOR_URL is not set"],
    [["show", "a", "--url", "ftp://host", "--token", "t"], "misconfigured"],
    [["retry", "a", "--url", "http://127.0.0.1:1", "--token", "t"], "name tasks, or give --failed"],
  ])("refuses %j with the exit code 2", async (args, text) => {
    const { code, stdout, stderr } = await cli(...args);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(text);
  });

  it("a wrong token has the exit code 2, and the error as JSON for programs", async () => {
    const url = worker.env.COORDINATOR_URL ?? "";
    const { code, stderr } = await cli("show", "a", "--url", url, "--token", "another-token-1", "--json");
    expect(code).toBe(2);
    expect(JSON.parse(stderr)).toMatchObject({ code: "unauthorized", exitCode: 2 });
    expect(stderr).not.toContain("another-token-1");
  });
});

describe("purge on Redis", () => {
  it("counts, then removes every page of the key prefix that it was given by name, and no other", async () => {
    const [backend, other] = [upstashBackend(), upstashBackend()];
    const [, keyPrefix = ""] = backend.options;
    const tracker = new CompletionTracker(backend.coordinator);
    const requests = new RequestWaitTracker(backend.coordinator, { stages: ["s"] });
    await new CompletionTracker(other.coordinator).register("kept", 1);
    const ids = Array.from({ length: 130 }, (_, i) => `group-${i}`);
    await Promise.all(ids.map((id, i) => tracker.register(id, i % 2)));
    await requests.register("request");

    const counted = await backend.cli("purge", keyPrefix, "--dry-run", "--json");
    const none = { groups: 0, requests: 0 };
    const [found, asOfMs] = [{ groups: 130, requests: 1 }, expect.any(Number)];
    expect([counted.code, JSON.parse(counted.stdout)]).toEqual([
      0,
      { name: keyPrefix, removed: none, remaining: found, asOfMs },
    ]);
    expect(await backend.cli("purge", "coord:", "--yes")).toMatchObject({ code: 2, stdout: "" });
    expect(await tracker.status("group-1")).not.toBeNull();

    const purged = await backend.cli("purge", keyPrefix, "--yes", "--json");
    expect([purged.code, JSON.parse(purged.stdout)]).toEqual([
      0,
      { name: keyPrefix, removed: found, remaining: none, asOfMs },
    ]);
    expect(await Promise.all(ids.map((id) => tracker.status(id)))).toEqual(ids.map(() => null));
    expect((await new CompletionTracker(other.coordinator).list()).items).toHaveLength(1);
  });
});

describe("a walk over the index", () => {
  it("finds what an earlier walk has missed, and counts a record once", async () => {
    const coordinator = new MemoryCoordinator();
    const tracker = new CompletionTracker(coordinator);
    const { signal } = new AbortController();
    for (let i = 0; i < 230; i++) await tracker.register(`group-${i}`, i % 2);
    expect(await countListed(coordinator, signal)).toMatchObject({ groups: 230, requests: 0 });
    const walk = removeListed(coordinator, signal);
    await tracker.register("late", 1);
    const { groups } = await walk;
    expect(groups + (await removeListed(coordinator, signal)).groups).toBe(231);
    expect(await removeListed(coordinator, signal)).toMatchObject({ groups: 0, requests: 0 });
  });
});
