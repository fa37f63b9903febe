import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { describe, expect, test, vi } from "vitest";
import { CoordinationError } from "../../src/index.js";
import { type SignInput, sign, type VerifyInput, verify } from "../../src/webhook/index.js";
import { reached } from "../support/figures.js";
import { NEW_SECRET, OLD_SECRET, PUBLISHED, secretOf } from "./vectors.js";

const { secret, id, timestampSec, body, signature } = PUBLISHED;
const headers = { "webhook-id": id, "webhook-timestamp": String(timestampSec), "webhook-signature": signature };
const nowMs = timestampSec * 1000;
const message = { secrets: secret, headers, body, nowMs };
const unauthorized = { name: "CoordinationError", code: "unauthorized", retryable: false };

/** What a receiver must take, and what it must turn away. */
const MESSAGES: readonly (readonly [string, boolean, () => Partial<VerifyInput> | Promise<Partial<VerifyInput>>])[] = [
  ["the published example", true, () => ({})],
  ["a replay within the tolerance, which claiming its id turns away", true, () => ({ nowMs: nowMs + 299_000 })],
  ["300 s late", true, () => ({ nowMs: nowMs + 300_000 })],
  ["300 s early", true, () => ({ nowMs: nowMs - 300_000 })],
  ["301 s late", false, () => ({ nowMs: nowMs + 301_000 })],
  ["301 s early", false, () => ({ nowMs: nowMs - 301_000 })],
  ["a replay by the real clock", false, () => ({ nowMs: Date.now() })],
  ["a replay under another id", false, () => ({ headers: { ...headers, "webhook-id": "msg_2" } })],
  [
    "a replay under another instant",
    false,
    () => ({ headers: { ...headers, "webhook-timestamp": `${timestampSec + 1}` } }),
  ],
  ["signed by the old secret, while both are live", true, () => signedBy([OLD_SECRET], [NEW_SECRET, OLD_SECRET])],
  ["signed by the new secret, while both are live", true, () => signedBy([NEW_SECRET], [NEW_SECRET, OLD_SECRET])],
  [
    "signed by both, for a receiver that knows the old one",
    true,
    () => signedBy([NEW_SECRET, OLD_SECRET], [OLD_SECRET]),
  ],
  ["signed by a secret that was withdrawn", false, () => signedBy([OLD_SECRET], [NEW_SECRET])],
  ["an empty secret", false, () => ({ secrets: "" })],
  ["no secret in the list", false, () => ({ secrets: [] })],
  ["a secret of no bytes", false, () => ({ secrets: "whsec_" })],
  ["an empty secret beside a live one", false, () => ({ secrets: [secret, ""] })],
];

async function signedBy(sender: string[], secrets: string[]): Promise<Partial<VerifyInput>> {
  const signed = await sign({ secret: sender, id, timestampSec, body });
  return { secrets, headers: { ...headers, "webhook-signature": signed } };
}

test("Standard Webhooks: what must pass passes, what must not does not", async ({ task }) => {
  const wrong: string[] = [];
  for (const [name, passes, given] of MESSAGES) {
    const passed = await verify({ ...message, ...(await given()) }).then(
      () => true,
      (error: unknown) => {
        expect(error).toBeInstanceOf(CoordinationError);
        return false;
      },
    );
    if (passed !== passes) wrong.push(name);
  }
  const taken = MESSAGES.filter(([, passes]) => passes).length;
  reached(task, {
    row: "S3",
    reached:
      `${taken} messages taken and ${MESSAGES.length - taken} refused (the published vector, replay, skew of 300 s, ` +
      `rotation, empty secrets), ${wrong.length} wrong`,
  });
  expect(wrong).toEqual([]);
});

describe("the published example", () => {
  test("is signed as published", async () => {
    expect(await sign({ secret, id, timestampSec, body })).toBe(signature);
    expect(await sign({ secret, id, timestamp: new Date(nowMs + 999), body })).toBe(signature);
    expect(await sign({ secret, id, timestampSec, body: new TextEncoder().encode(body) })).toBe(signature);
  });

  test("is verified, whatever holds the headers and the body", async () => {
    const verified = { id, timestampMs: nowMs, payload: { test: 2432232314 }, secretIndex: 0 };
    expect(await verify(message)).toEqual(verified);
    expect(await verify({ ...message, headers: new Headers(headers) })).toEqual(verified);
    expect(await verify({ ...message, body: new TextEncoder().encode(body) })).toEqual(verified);
    const spelled = { "Webhook-Id": id, "WEBHOOK-TIMESTAMP": String(timestampSec), "webhook-Signature": signature };
    expect(await verify({ ...message, headers: spelled })).toEqual(verified);
  });
});

describe("the reference library", () => {
  const ids = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
  const bodies = fc.json({ stringUnit: "grapheme" });
  const keys = fc
    .uint8Array({ minLength: 24, maxLength: 64 })
    .map((key) => `whsec_${Buffer.from(key).toString("base64")}`);

  test("accepts what we sign, and we what it signs", async () => {
    await fc.assert(
      fc.asyncProperty(keys, ids, bodies, async (key, messageId, text) => {
        const reference = new Webhook(key);
        const now = new Date();
        const ours = await sign({ secret: key, id: messageId, timestamp: now, body: text });
        expect(ours).toBe(reference.sign(messageId, now, text));
        const sent = {
          "webhook-id": messageId,
          "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
          "webhook-signature": ours,
        };
        expect(() => reference.verify(text, sent, { jsonParse: false })).not.toThrow();
        const { payload } = await verify({ secrets: key, headers: sent, body: text });
        expect(payload).toEqual(JSON.parse(text));
      }),
      { numRuns: 300, seed: 1 },
    );
  });
});

describe("tampering", () => {
  const change = (text: string, at: number) => {
    const other = text[at] === "A" ? "B" : "A";
    return text.slice(0, at) + other + text.slice(at + 1);
  };

  test("with any character of the body, the id, the timestamp or the signature is refused", async () => {
    for (let i = 0; i < body.length; i++) {
      await expect(verify({ ...message, body: change(body, i) })).rejects.toMatchObject(unauthorized);
    }
    for (const name of ["webhook-id", "webhook-timestamp", "webhook-signature"] as const) {
      for (let i = 0; i < headers[name].length; i++) {
        const tampered = { ...headers, [name]: change(headers[name], i) };
        await expect(verify({ ...message, headers: tampered })).rejects.toMatchObject(unauthorized);
      }
    }
  });

  test("with the timestamp inside the tolerance is refused", async () => {
    for (const shift of [-1, 1]) {
      const shifted = { ...headers, "webhook-timestamp": String(timestampSec + shift) };
      await expect(verify({ ...message, headers: shifted })).rejects.toMatchObject(unauthorized);
    }
  });

  test("that moves the border between id, timestamp and body is refused", async () => {
    const crafted = await sign({ secret, id: "msg", timestampSec, body: `${timestampSec}.{}` });
    const moved = { ...headers, "webhook-id": `msg.${timestampSec}`, "webhook-signature": crafted };
    await expect(verify({ ...message, headers: moved, body: "{}" })).rejects.toMatchObject(unauthorized);
  });

  test.each([
    ["a prefix of the signature", signature.slice(0, -4)],
    ["the signature without padding", signature.slice(0, -1)],
    ["more behind it", `${signature}A`],
    ["no version", signature.slice(3)],
    ["nothing behind the version", "v1,"],
    ["another version", signature.replace("v1,", "v2,")],
    ["the asymmetric version", signature.replace("v1,", "v1a,")],
    ["the version in upper case", signature.replace("v1,", "V1,")],
    ["another secret's", `v1,${btoa("x".repeat(32))}`],
    ["more signatures than anyone sends", `${"v1,AAAA ".repeat(40)}${signature}`],
  ])("refuses %s", async (_, value) => {
    const sent = { ...headers, "webhook-signature": value };
    await expect(verify({ ...message, headers: sent })).rejects.toMatchObject(unauthorized);
  });
});

describe("row 78: the cost of a message that is refused", () => {
  const secrets = Array.from({ length: 10 }, (_, i) => `whsec_${Buffer.alloc(32, i + 1).toString("base64")}`);
  const forged = Array.from({ length: 20 }, (_, i) => `v1,${Buffer.alloc(32, 100 + i).toString("base64")}`);

  /** How many keys were imported and how many HMACs computed for a message with this signature header. */
  async function costOf(value: string, given: Record<string, string> = {}): Promise<{ keys: number; macs: number }> {
    const [importKey, signing] = [vi.spyOn(crypto.subtle, "importKey"), vi.spyOn(crypto.subtle, "sign")];
    try {
      const sent = { ...headers, "webhook-signature": value, ...given };
      await expect(verify({ ...message, secrets, headers: sent })).rejects.toMatchObject(unauthorized);
      return { keys: importKey.mock.calls.length, macs: signing.mock.calls.length };
    } finally {
      importKey.mockRestore();
      signing.mockRestore();
    }
  }

  test("row 78: grows with signatures and secrets by their sum, not by their product", async () => {
    // A key and a signature for each secret; one key and a digest for each text that is compared.
    expect(await costOf(forged.join(" "))).toEqual({ keys: 10 + 1, macs: 10 + 20 + 10 });
    expect(await costOf(Array(20).fill(forged[0]).join(" "))).toEqual({ keys: 10 + 1, macs: 10 + 1 + 10 });
  });

  test.each([
    ["malformed signatures alone", "v1,AAAA v1, v2,AAAA nonsense v1a,AAAA", {}],
    ["more signatures than anyone sends", Array(21).fill(forged[0]).join(" "), {}],
    ["a timestamp outside the tolerance", forged.join(" "), { "webhook-timestamp": "1" }],
    ["a malformed id", forged.join(" "), { "webhook-id": "a.b" }],
  ])("row 78: %s cost no cryptography", async (_, value, given) => {
    expect(await costOf(value, given)).toEqual({ keys: 0, macs: 0 });
  });
});

describe("headers", () => {
  const names = ["webhook-id", "webhook-timestamp", "webhook-signature"] as const;

  test.each(names)("a missing, empty or doubled %s is refused by name", async (name) => {
    const without = Object.fromEntries(Object.entries(headers).filter(([key]) => key !== name));
    const doubled = new Headers(headers);
    doubled.append(name, headers[name]);
    const broken = [
      without,
      new Headers(without),
      { ...headers, [name]: "" },
      { ...headers, [name]: undefined },
      { ...headers, [name]: [headers[name], headers[name]] },
      { ...headers, [name.toUpperCase()]: headers[name] },
      // Joined by a comma: only among the signatures does that leave a sound one.
      ...(name === "webhook-signature" ? [] : [doubled]),
    ];
    for (const sent of broken) {
      await expect(verify({ ...message, headers: sent })).rejects.toMatchObject(unauthorized);
    }
    await expect(verify({ ...message, headers: without })).rejects.toThrow(name);
  });

  test.each([
    "now",
    "1e9",
    "-1614265330",
    "+1614265330",
    " 1614265330x",
    "1614265330.0",
    "0x6037b3b2",
    "NaN",
    "Infinity",
    "9".repeat(30),
  ])("a timestamp %j is refused, rightly signed or not", async (timestamp) => {
    const key = await crypto.subtle.importKey(
      "raw",
      Buffer.from(secret.slice(6), "base64"),
      { name: "HMAC", hash: "SHA-256" },
      false,
      ["sign"],
    );
    const mac = await crypto.subtle.sign("HMAC", key, Buffer.from(`${id}.${timestamp}.${body}`));
    const sent = {
      "webhook-id": id,
      "webhook-timestamp": timestamp,
      "webhook-signature": `v1,${Buffer.from(mac).toString("base64")}`,
    };
    await expect(verify({ ...message, headers: sent })).rejects.toMatchObject(unauthorized);
  });
});

describe("the tolerance", () => {
  const at = (offsetMs: number, toleranceSec?: number) =>
    verify({ ...message, nowMs: nowMs + offsetMs, ...(toleranceSec === undefined ? {} : { toleranceSec }) });

  test("is 300 s either way, to the second", async () => {
    for (const offsetMs of [-300_000, -299_000, 0, 299_000, 300_000, 300_999]) {
      await expect(at(offsetMs)).resolves.toMatchObject({ id });
    }
    for (const offsetMs of [-300_001, -301_000, 301_000, -86_400_000, 86_400_000]) {
      await expect(at(offsetMs)).rejects.toMatchObject(unauthorized);
    }
  });

  test("can be narrower and wider", async () => {
    await expect(at(0, 0)).resolves.toMatchObject({ id });
    await expect(at(1000, 0)).rejects.toMatchObject(unauthorized);
    await expect(at(10_000, 10)).resolves.toMatchObject({ id });
    await expect(at(11_000, 10)).rejects.toMatchObject(unauthorized);
    await expect(at(86_400_000, 86_400)).resolves.toMatchObject({ id });
  });

  test("turns a replay away once it has passed, and by the real clock unless told otherwise", async () => {
    await expect(verify({ secrets: secret, headers, body })).rejects.toMatchObject(unauthorized);
    const now = { secret, id, timestamp: new Date(), body };
    const sent = {
      "webhook-id": id,
      "webhook-timestamp": String(Math.floor(now.timestamp.getTime() / 1000)),
      "webhook-signature": await sign(now),
    };
    await expect(verify({ secrets: secret, headers: sent, body })).resolves.toMatchObject({ id });
  });

  test.each([Number.NaN, -1, 86_401, Number.POSITIVE_INFINITY])("cannot be %s", async (toleranceSec) => {
    await expect(at(0, toleranceSec)).rejects.toMatchObject({ code: "invalid_input" });
  });

  test("is not switched off by a clock that is not a number", async () => {
    await expect(verify({ ...message, nowMs: Number.NaN })).rejects.toMatchObject({ code: "invalid_input" });
  });
});

describe("rotation", () => {
  const signWith = async (key: SignInput["secret"]) => ({
    ...headers,
    "webhook-signature": await sign({ secret: key, id, timestampSec, body }),
  });

  test("a message signed with several secrets carries a signature of each", async () => {
    const both = (await signWith([NEW_SECRET, OLD_SECRET]))["webhook-signature"].split(" ");
    expect(both).toEqual([
      await sign({ secret: NEW_SECRET, id, timestampSec, body }),
      await sign({ secret: OLD_SECRET, id, timestampSec, body }),
    ]);
    expect((await signWith(`${NEW_SECRET} ${OLD_SECRET}`))["webhook-signature"].split(" ")).toEqual(both);
  });

  test("any live secret that matches any signature passes, and the receiver learns which", async () => {
    const pairs: [sender: string[], receiver: string[], secretIndex: number][] = [
      [[OLD_SECRET], [OLD_SECRET, NEW_SECRET], 0],
      [[OLD_SECRET], [NEW_SECRET, OLD_SECRET], 1],
      [[NEW_SECRET, OLD_SECRET], [OLD_SECRET], 0],
      [[NEW_SECRET, OLD_SECRET], [NEW_SECRET], 0],
      [[OLD_SECRET, NEW_SECRET], [NEW_SECRET, OLD_SECRET], 0],
      [[OLD_SECRET, secretOf(24)], [NEW_SECRET, secretOf(24)], 1],
    ];
    for (const [sender, secrets, secretIndex] of pairs) {
      const verified = verify({ ...message, secrets, headers: await signWith(sender) });
      await expect(verified).resolves.toMatchObject({ id, secretIndex });
    }
  });

  test("a secret that was withdrawn no longer passes", async () => {
    const sent = await signWith([OLD_SECRET]);
    await expect(verify({ ...message, secrets: [NEW_SECRET], headers: sent })).rejects.toMatchObject(unauthorized);
  });

  test("versions that are not known are passed over", async () => {
    const sent = { ...headers, "webhook-signature": `v1a,AAAA v2,${signature.slice(3)} nonsense ${signature}` };
    await expect(verify({ ...message, headers: sent })).resolves.toMatchObject({ id });
  });
});

describe("what can be signed", () => {
  test.each([
    ["no character", ""],
    ["a full stop, which is the separator", "msg.1"],
    ["white space", "msg 1"],
    ["a line break", "msg_1\r\nx-injected: 1"],
    ["a NUL", "msg_1\0"],
    ["what is not ASCII", "msg_ü"],
    ["more than 256 characters", "m".repeat(257)],
  ])("an id with %s is refused", async (_, badId) => {
    await expect(sign({ secret, id: badId, timestampSec, body })).rejects.toMatchObject({ code: "invalid_input" });
    const sent = { ...headers, "webhook-id": badId };
    await expect(verify({ ...message, headers: sent })).rejects.toMatchObject(unauthorized);
  });

  test.each([
    ["one character", "m"],
    ["256 characters", "m".repeat(256)],
    ["any visible ASCII but the full stop", "a!~-/:;<=>?@[\\]^_`{|}"],
  ])("an id of %s is taken", async (_, goodId) => {
    await expect(sign({ secret, id: goodId, timestampSec, body })).resolves.toMatch(/^v1,/);
  });

  test.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1e12])("an instant of %s s is refused", async (sec) => {
    await expect(sign({ secret, id, timestampSec: sec, body })).rejects.toMatchObject({ code: "invalid_input" });
  });

  test("an invalid date is refused", async () => {
    const timestamp = new Date(Number.NaN);
    await expect(sign({ secret, id, timestamp, body })).rejects.toMatchObject({ code: "invalid_input" });
  });
});

describe("a body that is rightly signed but not JSON", () => {
  test.each([
    ["a text", "CANARY{"],
    ["an empty one", ""],
    ["bytes that are not UTF-8", new Uint8Array([0x22, 0xff, 0x22])],
  ])("%s is invalid input, and not repeated", async (_, text) => {
    const sent = { ...headers, "webhook-signature": await sign({ secret, id, timestampSec, body: text }) };
    const fault = await verify({ ...message, headers: sent, body: text }).catch((reason: unknown) => reason);
    expect(fault).toMatchObject({ code: "invalid_input" });
    expect(fault).not.toHaveProperty("cause");
    expect(String((fault as Error).stack)).not.toContain("CANARY");
  });
});

test("no error of a verification repeats the secret, the signature or the body", async () => {
  const sent = { ...headers, "webhook-signature": "v1,Q0FOQVJZ", "webhook-id": "CANARY-ID" };
  const fault = await verify({ ...message, headers: sent, body: "CANARY-BODY" }).catch((reason: unknown) => reason);
  expect(fault).toMatchObject(unauthorized);
  expect(fault).not.toHaveProperty("cause");
  const told = JSON.stringify(fault) + String((fault as Error).stack);
  for (const canary of ["Q0FOQVJZ", "CANARY", secret.slice(6), signature.slice(3)]) expect(told).not.toContain(canary);
});
