import { expect, test } from "vitest";
import { parseSecrets, sign, verify, webhookSender } from "../../src/webhook/index.js";
import { NEW_SECRET, OLD_SECRET, secretOf } from "./vectors.js";

test("reads secrets separated by white space, or a list", () => {
  expect(parseSecrets(`${NEW_SECRET} ${OLD_SECRET}`)).toEqual([NEW_SECRET, OLD_SECRET]);
  expect(parseSecrets(`  ${NEW_SECRET}\n\t${OLD_SECRET}\n`)).toEqual([NEW_SECRET, OLD_SECRET]);
  expect(parseSecrets([OLD_SECRET])).toEqual([OLD_SECRET]);
});

test("takes 24 to 64 bytes and no other length", () => {
  for (const bytes of [24, 25, 32, 63, 64]) expect(parseSecrets(secretOf(bytes))).toHaveLength(1);
  for (const bytes of [0, 1, 16, 23, 65, 128]) expect(() => parseSecrets(secretOf(bytes))).toThrow(/secrets\[0\]/);
});

const CANARY = "Q0FOQVJZQ0FOQVJZQ0FOQVJZQ0FOQVJZ";
const REFUSED: readonly (readonly [string, string | readonly string[] | undefined])[] = [
  ["a missing one", undefined],
  ["an empty text", ""],
  ["white space", " \n\t "],
  ["an empty list", []],
  ["a list with an empty text", [NEW_SECRET, ""]],
  ["no prefix", CANARY],
  ["a prefix in another case", `WHSEC_${CANARY}`],
  ["the prefix alone", "whsec_"],
  ["a key of the asymmetric kind", `whsk_${CANARY}`],
  ["what is not base64", `whsec_${CANARY}!`],
  ["base64url", `whsec_${CANARY.slice(0, 30)}-_`],
  ["a length that base64 does not have", `whsec_${CANARY}A`],
  ["padding in the middle", `whsec_${CANARY.slice(0, 16)}==${CANARY.slice(16)}`],
  ["too few bytes", `whsec_${CANARY.slice(0, 28)}`],
  ["white space inside a list's entry", [`whsec_${CANARY} `]],
  ["two joined by a comma", `${NEW_SECRET},whsec_${CANARY}`],
  ["eleven at a time", Array<string>(11).fill(`whsec_${CANARY}`)],
];

test.each(REFUSED)("refuses %s everywhere, and never repeats it", async (_, secret) => {
  const secrets = secret as string;
  const faults = [
    await failureOf(() => parseSecrets(secrets)),
    await failureOf(() => webhookSender({ secrets, allowedHosts: "hooks.example" })),
    await failureOf(() => sign({ secret: secrets, id: "msg_1", timestampSec: 1, body: "{}" })),
    await failureOf(() => verify({ secrets, headers: {}, body: "{}" })),
  ];
  for (const fault of faults) {
    expect(fault).toMatchObject({ name: "CoordinationError", code: "misconfigured", retryable: false });
    expect(String((fault as Error).stack)).not.toContain(CANARY.slice(0, 12));
    expect((fault as Error).cause).toBeUndefined();
  }
});

test("an error names the option as its function calls it", async () => {
  const secret = `${NEW_SECRET} whsec_short`;
  const faults = [
    await failureOf(() => sign({ secret, id: "msg_1", timestampSec: 1, body: "{}" })),
    await failureOf(() => sign({ secret: "", id: "msg_1", timestampSec: 1, body: "{}" })),
    await failureOf(() => verify({ secrets: secret, headers: {}, body: "{}" })),
  ];
  expect(faults.map((fault) => (fault as Error).message)).toEqual([
    expect.stringMatching(/^secret\[1\] must be "whsec_"/),
    expect.stringMatching(/^secret must be 1 to 10 signing secrets/),
    expect.stringMatching(/^secrets\[1\] must be "whsec_"/),
  ]);
});

async function failureOf(run: () => unknown): Promise<unknown> {
  try {
    await run();
  } catch (fault) {
    return fault;
  }
  return undefined;
}
