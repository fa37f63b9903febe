import { describe, expect, it } from "vitest";
import { Failure } from "../../cli/exit.js";
import { backendWords, type ConnectionOptions, settingsOf } from "../../cli/settings.js";

const WORKER = { COORDINATOR_URL: "https://worker.example", COORDINATOR_TOKEN: "worker-token" };
const UPSTASH = { UPSTASH_REDIS_REST_URL: "https://redis.example", UPSTASH_REDIS_REST_TOKEN: "redis-token" };

function refusal(options: ConnectionOptions, env: Record<string, string>): string {
  try {
    settingsOf(options, env);
  } catch (error) {
    if (error instanceof Failure && error.exitCode === 2) return error.message;
    throw error;
  }
  return "";
}

describe("settings", () => {
  it("are the Worker's variables first, then those of Upstash", () => {
    const upstash = { backend: "upstash", url: "https://redis.example", token: "redis-token" };
    expect(settingsOf({}, WORKER)).toMatchObject({ backend: "http", url: "https://worker.example", other: undefined });
    expect(settingsOf({}, UPSTASH)).toMatchObject({ ...upstash, other: undefined });
    expect(settingsOf({}, { ...WORKER, ...UPSTASH })).toMatchObject({ backend: "http", other: "upstash" });
    expect(settingsOf({ backend: "upstash" }, { ...WORKER, ...UPSTASH })).toMatchObject({ ...upstash, other: "http" });
  });

  it("take options before variables", () => {
    const options = { url: "https://other.example", token: "other-token" };
    expect(settingsOf(options, { ...WORKER, ...UPSTASH })).toMatchObject({ backend: "http", ...options });
    expect(settingsOf({ ...options, backend: "upstash" }, {})).toMatchObject({ backend: "upstash", ...options });
  });

  it("say what to set, in both ways, when nothing is set", () => {
    const text = refusal({}, {});
    for (const name of [...Object.keys(WORKER), ...Object.keys(UPSTASH), "--url", "edge-coordinator dev"]) {
      expect(text).toContain(name);
    }
    expect(refusal({}, { COORDINATOR_URL: "" })).toBe(text);
  });

  it.each([
    [{}, { COORDINATOR_URL: "https://worker.example" }, "COORDINATOR_TOKEN is not set: set it, or give --token"],
    [{}, { COORDINATOR_TOKEN: "token" }, "COORDINATOR_URL is not set: set it, or give --url"],
    [{ token: "token" }, {}, "COORDINATOR_URL is not set: set it, or give --url"],
    [
      {},
      { UPSTASH_REDIS_REST_URL: "https://redis.example" },
      "UPSTASH_REDIS_REST_TOKEN is not set: set it, or give --token",
    ],
  ])("name the one that is missing: %j %j", (options, env, message) => {
    expect(refusal(options, env)).toBe(message);
  });

  it("refuse a key prefix for the Worker, which its token decides", () => {
    expect(refusal({ keyPrefix: "shop:" }, WORKER)).toContain("--key-prefix is for Upstash");
  });

  it("are shown without a password", () => {
    expect(backendWords({ backend: "http", url: "https://user:secret@worker.example/path" })).toBe(
      "the Worker at worker.example",
    );
  });
});
