import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { verifyCapability } from "../../src/capability/index.js";
import { CompletionTracker, RequestWaitTracker } from "../../src/index.js";
import { type CliBackend, upstashBackend, workerBackend } from "./backends.js";
import { commandOf } from "./command.js";

const KEY = `capk_${Buffer.alloc(32, 7).toString("base64url")}`;
const keyed = commandOf({ COORDINATOR_CAPABILITY_KEY: KEY });

let worker: CliBackend;
let keyless: CliBackend;
beforeAll(async () => {
  [worker, keyless] = await Promise.all([workerBackend({ COORDINATOR_CAPABILITY_KEY: KEY }), workerBackend()]);
});
afterAll(async () => {
  await Promise.all([worker.close(), keyless.close()]);
});

/** Returns the status of a call with a printed token. */
async function statusOf(token: string, path: string, body?: object): Promise<number> {
  const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const { status } = await fetch(`${worker.env.COORDINATOR_URL}/v1/${path}`, { ...init, headers });
  return status;
}

describe("token of the Worker", () => {
  it("prints a capability that does what it names, and nothing else", async () => {
    await new CompletionTracker(worker.coordinator).register("minted", ["a", "b"]);
    const { code, stdout, stderr } = await worker.cli("token", "minted", "ack", "--task", "a", "--ttl", "5m");
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+\n$/)]);
    expect(stderr).toMatch(/^It expires in (4|5) minutes \(.+ UTC\)\.\n$/);
    const token = stdout.trim();
    expect(await statusOf(token, "groups/minted/acks", { tasks: ["b"] })).toBe(403);
    expect(await statusOf(token, "groups/minted")).toBe(403);
    expect(await statusOf(token, "groups/minted/acks", { tasks: ["a"] })).toBe(200);
  });

  it("is for the current generation, with JSON for programs", async () => {
    await new CompletionTracker(worker.coordinator).register("pinned", ["a"]);
    const { code, stdout } = await worker.cli("token", "pinned", "status", "--generation", "current", "--json");
    const { token, expiresAtMs } = JSON.parse(stdout);
    expect(code).toBe(0);
    expect(await verifyCapability({ keys: KEY, token })).toMatchObject({
      groupId: "pinned",
      verbs: ["status"],
      tasks: undefined,
      generation: expect.any(Number),
      expiresAtMs,
    });
    expect(await worker.cli("token", "none", "status", "--generation", "current")).toMatchObject({
      code: 3,
      stdout: "",
      stderr: expect.stringContaining("group none is not known: looked in the Worker"),
    });
  });

  it("is for a request", async () => {
    const requests = new RequestWaitTracker(worker.coordinator, { stages: ["parse"] });
    await requests.register("asked/1");
    await requests.add("asked/1", "parse", ["a"]);
    const args = ["token", "asked/1", "ack", "fail", "--request", "--task", "a", "--stage", "parse"];
    const { code, stdout } = await worker.cli(...args);
    expect(code).toBe(0);
    const task = { stage: "parse", taskId: "a" };
    expect(await statusOf(stdout.trim(), "requests/asked%2F1/acks", task)).toBe(200);
  });

  it("needs a key of the Worker", async () => {
    expect(await keyless.cli("token", "any", "status")).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(/signs no capabilities.*COORDINATOR_CAPABILITY_KEY.*\(unsupported\)/),
    });
  });

  it.each([
    [["token", "any", "status", "--ttl", "1h"], "ttlSec must be at most 900 seconds"],
    [["token", "any", "status", "--generation", "latest"], "It must be a whole number"],
    [["token", "any", "write"], "Allowed choices are ack, fail, status, results, events, cancel"],
    [["token", "any"], "missing required argument 'verbs'"],
    [["token", "any", "ack", "--stage", "parse"], "--stage needs --task"],
    [["token", "any", "ack", "--request", "--task", "a"], "stage"],
    [["token", "any", "ack", "--token", "another-token-of-16"], "unauthorized"],
    [["token", "any", "ack", "--token", "not a token"], "misconfigured"],
  ])("refuses %j with the exit code 2", async (args, text) => {
    expect(await worker.cli(...args)).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining(text) });
  });
});

describe("token of a key", () => {
  it("is signed without a call", async () => {
    const { code, stdout } = await keyed(
      "token",
      "minted",
      "fail",
      "ack",
      "--task",
      "a",
      "--task",
      "b",
      "--stage",
      "s",
    );
    expect(code).toBe(0);
    expect(await verifyCapability({ keys: KEY, token: stdout.trim() })).toMatchObject({
      groupId: "minted",
      verbs: ["ack", "fail"],
      tasks: [
        { stage: "s", id: "a" },
        { stage: "s", id: "b" },
      ],
    });
    const pinned = await keyed("token", "minted", "status", "--generation", "3", "--ttl", "24h", "--json");
    expect(await verifyCapability({ keys: KEY, token: JSON.parse(pinned.stdout).token })).toMatchObject({
      generation: 3,
    });
  });

  it("is refused for a malformed key, which the error does not show", async () => {
    const { code, stderr } = await commandOf({ COORDINATOR_CAPABILITY_KEY: "capk_short" })("token", "a", "status");
    expect([code, stderr]).toEqual([2, expect.stringContaining("COORDINATOR_CAPABILITY_KEY")]);
    expect(stderr).not.toContain("capk_short");
  });

  it("is not used where the command names a backend, or needs the current generation", async () => {
    // Port 1 is reserved: no server listens there.
    const away = ["--url", "http://127.0.0.1:1", "--token", "a-token-of-16-characters"];
    expect(await keyed("token", "a", "status", ...away)).toMatchObject({ code: 4 });
    expect(await keyed("token", "a", "status", "--generation", "current")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("export COORDINATOR_URL="),
    });
  });
});

describe("token of Upstash", () => {
  it("says that capabilities are for the Worker", async () => {
    const { env, options } = upstashBackend();
    expect(await commandOf(env, options)("token", "a", "status")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("capabilities are for the Worker"),
    });
  });
});
