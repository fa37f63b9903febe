import { decodeJwt, decodeProtectedHeader, jwtVerify } from "jose";
import { describe, expect, it } from "vitest";
import { type CapabilityInput, mintCapability, verifyCapability } from "../../src/capability/index.js";
import { decoded, forgeries, headerOf, keyOf, signed } from "./forge.js";

const NOW = 1_767_225_600_000;
const KEY = keyOf(1);
const WHOLE: CapabilityInput = {
  keys: KEY,
  groupId: "document-1",
  verbs: ["status", "ack"],
  tasks: ["chunk-1", { stage: "embed", id: 7 }],
  generation: 3,
  ttlSec: "1h",
  nowMs: NOW,
};
const PAYLOAD =
  '{"group":"document-1","generation":3,"verbs":["ack","status"],"tasks":["chunk-1",["embed","7"]],' +
  '"iat":1767225600,"exp":1767229200}';

describe("mintCapability", () => {
  it("writes a JWT with one header and one form of its claims", async () => {
    const { token, expiresAtMs } = await mintCapability(WHOLE);
    expect(token.split(".").slice(0, 2).map(decoded)).toEqual([headerOf(KEY), PAYLOAD]);
    expect(token).toBe(signed(KEY, PAYLOAD));
    expect(expiresAtMs).toBe(NOW + 3_600_000);
  });

  it("is read by another implementation of JWT", async () => {
    const { token } = await mintCapability(WHOLE);
    const secret = Buffer.from(KEY.slice(5), "base64url");
    const options = { algorithms: ["HS256"], typ: "capability+jwt", currentDate: new Date(NOW + 1_000) };
    const { payload } = await jwtVerify(token, secret, options);
    expect(payload).toEqual(JSON.parse(PAYLOAD));
    expect(decodeProtectedHeader(token).alg).toBe("HS256");
    expect(decodeJwt(token).exp).toBe(1_767_229_200);
  });

  it("signs with the first key, and is verified with any of them", async () => {
    const { token } = await mintCapability({ ...WHOLE, keys: `${keyOf(2)} ${KEY}` });
    expect(token.startsWith(Buffer.from(headerOf(keyOf(2))).toString("base64url"))).toBe(true);
    await verifyCapability({ keys: [KEY, keyOf(2)], token, nowMs: NOW });
    const verified = verifyCapability({ keys: KEY, token, nowMs: NOW });
    await expect(verified).rejects.toMatchObject({ code: "unauthorized" });
  });

  it("gives each verb and each task once, and lives for 15 minutes", async () => {
    const { token, expiresAtMs } = await mintCapability({
      keys: KEY,
      requestId: "r",
      verbs: ["ack", "fail", "ack"],
      tasks: [
        { stage: "s", id: "a" },
        { stage: "s", id: "a" },
      ],
      nowMs: NOW,
    });
    expect(expiresAtMs).toBe(NOW + 900_000);
    expect(await verifyCapability({ keys: KEY, token, nowMs: NOW })).toEqual({
      groupId: undefined,
      requestId: "r",
      verbs: ["ack", "fail"],
      tasks: [{ stage: "s", id: "a" }],
      generation: undefined,
      expiresAtMs: NOW + 900_000,
    });
  });

  const long = "x".repeat(256);
  it.each<[string, object, RegExp, string?]>([
    ["no key", { keys: undefined }, /^keys must hold 1 to 10/, "misconfigured"],
    ["an empty variable", { keys: "" }, /^keys must hold/, "misconfigured"],
    ["a key without its prefix", { keys: KEY.slice(5) }, /^keys: a key must be "capk_"/, "misconfigured"],
    ["a short key", { keys: `capk_${"A".repeat(40)}` }, /32 to 64 bytes/, "misconfigured"],
    ["a key in base64", { keys: `capk_${"+".repeat(44)}` }, /base64url/, "misconfigured"],
    ["neither a group nor a request", { groupId: undefined }, /either groupId or requestId/],
    ["both", { requestId: "r" }, /either groupId or requestId/],
    ["an empty id", { groupId: "" }, /^groupId must not be empty/],
    ["no verbs", { verbs: [] }, /^verbs must be one or more of ack, fail/],
    ["another verb", { verbs: ["register"] }, /^verbs must be/],
    ["no tasks", { tasks: [] }, /^tasks must hold 1 to 64/],
    ["65 tasks", { tasks: Array.from({ length: 65 }, (_, i) => i) }, /^tasks must hold/],
    ["an empty task", { tasks: [""] }, /^tasks\[0\] must not be empty/],
    ["a task with a result", { tasks: [{ id: "a", result: 1 }] }, /^tasks\[0\] has an unknown field/],
    ["a generation that is no number", { generation: "3" }, /^generation must be/],
    ["more than a day", { ttlSec: 86_401 }, /^ttlSec must be at most 86400/],
    [
      "more than 15 minutes without a generation",
      { generation: undefined, ttlSec: 901 },
      /at most 900 seconds without/,
    ],
    ["no time", { ttlSec: 0 }, /^ttlSec must be/],
    ["an unknown field", { scope: "all" }, /unknown field: scope/],
    ["a request's task without a stage", { groupId: undefined, requestId: "r", tasks: ["a"] }, /^tasks\[0\]\.stage/],
    [
      "too much",
      { tasks: Array.from({ length: 20 }, (_, i) => long.slice(2) + String(i).padStart(2, "0")) },
      /4096 char/,
    ],
  ])("refuses %s", async (_, change, message, code = "invalid_input") => {
    const minted = mintCapability({ ...WHOLE, ...change } as CapabilityInput);
    await expect(minted).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    await expect(minted).rejects.not.toThrow(KEY.slice(5));
  });
});

describe("verifyCapability", () => {
  const valid = signed(KEY, PAYLOAD);
  const verified = (token: string, nowMs = NOW) => verifyCapability({ keys: KEY, token, nowMs });

  it("accepts until exp, and from a minute before iat", async () => {
    const late = NOW + 3_600_000;
    await verified(valid, NOW - 60_000);
    await expect(verified(valid, NOW - 60_001)).rejects.toMatchObject({ code: "unauthorized" });
    await verified(valid, late - 1);
    await expect(verified(valid, late)).rejects.toMatchObject({ code: "unauthorized" });
  });

  it.each(Object.entries(forgeries(valid, KEY)))("refuses a forgery: %s", async (_, token) => {
    await verified(valid);
    await expect(verified(token)).rejects.toMatchObject({
      code: "unauthorized",
      message: expect.not.stringContaining(token),
    });
  });

  it("refuses a token with any one character changed, left out or repeated", async () => {
    for (let at = 0; at < valid.length; at++) {
      const [before, char, after] = [valid.slice(0, at), valid[at] ?? "", valid.slice(at + 1)];
      for (const other of [char === "A" ? "B" : "A", "", char + char, "=", " "]) {
        const token = before + other + after;
        if (token !== valid)
          await expect(verified(token), `${at} ${other}`).rejects.toMatchObject({ code: "unauthorized" });
      }
    }
  });

  it("refuses what no token is", async () => {
    const texts = ["", ".", "..", "...", "a.b.c", "x".repeat(5_000), `${valid}\n`, ` ${valid}`, `Bearer ${valid}`];
    for (const text of texts) await expect(verified(text)).rejects.toMatchObject({ code: "unauthorized" });
    for (const text of [undefined, null, 1, {}]) {
      await expect(verified(text as unknown as string)).rejects.toMatchObject({ code: "unauthorized" });
    }
  });
});
