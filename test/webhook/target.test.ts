import { describe, expect, test } from "vitest";
import { type WebhookFetch, webhookSender } from "../../src/webhook/index.js";
import { count, reached } from "../support/figures.js";
import { allowListOf } from "./allow-list.js";
import { ELSEWHERE_URLS, REFUSED_URLS } from "./refused-urls.js";
import { NEW_SECRET } from "./vectors.js";

/** A sender whose fetch must not be reached. */
function guardOf(allowedHosts: string | readonly string[], allowHttp = false) {
  const sent: string[] = [];
  const fetch: WebhookFetch = async (url) => {
    sent.push(url);
    return new Response(null, { status: 204 });
  };
  return { sent, sender: webhookSender({ secrets: NEW_SECRET, allowedHosts, allowHttp, fetch }) };
}

async function expectRefused(url: string, allowedHosts: string | readonly string[], allowHttp = false) {
  const { sent, sender } = guardOf(allowedHosts, allowHttp);
  const refusal = { name: "CoordinationError", code: "invalid_input", retryable: false };
  expect(() => sender.check(url)).toThrow(expect.objectContaining(refusal));
  await expect(sender.send({ url, id: "msg_1", body: "{}" })).rejects.toMatchObject(refusal);
  expect(sent).toEqual([]);
}

test("the corpus is as large as promised, and holds no row twice", () => {
  expect(REFUSED_URLS.length).toBeGreaterThanOrEqual(200);
  expect(new Set(REFUSED_URLS.map(({ url }) => url)).size).toBe(REFUSED_URLS.length);
});

test("no form passes, whatever is allowed, but in development those that are meant to", async ({ task }) => {
  let [tried, through] = [0, 0];
  const attempt = async (url: string, allowedHosts: string | readonly string[], allowHttp: boolean) => {
    const { sent, sender } = guardOf(allowedHosts, allowHttp);
    tried++;
    await sender.send({ url, id: "msg_1", body: "{}" }).catch(() => undefined);
    through += sent.length;
  };
  for (const { url, development } of REFUSED_URLS) {
    await attempt(url, ["allowed.example"], false);
    await attempt(url, allowListOf(url), false);
    await attempt(url, ["allowed.example"], true);
    if (development === undefined) await attempt(url, allowListOf(url), true);
  }
  for (const url of ELSEWHERE_URLS) await attempt(url, ["hooks.example", "other.example:9443"], false);
  const forms = REFUSED_URLS.length + ELSEWHERE_URLS.length;
  reached(task, { row: "S2", reached: `${forms} forms tried in ${count(tried)} attempts, ${through} through` });
  expect(through).toBe(0);
});

describe("with another host allowed", () => {
  test.each(REFUSED_URLS)("$url is refused", ({ url }) => expectRefused(url, ["allowed.example"]));
  test.each(ELSEWHERE_URLS)("%s is refused", (url) => expectRefused(url, ["hooks.example", "other.example:9443"]));
});

describe("with the very host allowed", () => {
  test.each(REFUSED_URLS)("$url is refused", ({ url }) => expectRefused(url, allowListOf(url)));
});

describe("in development, with the very host allowed", () => {
  test.each(REFUSED_URLS.filter((row) => !row.development))("$url is refused", ({ url }) =>
    expectRefused(url, allowListOf(url), true),
  );

  test.each(REFUSED_URLS.filter((row) => row.development))("$url passes", async ({ url }) => {
    const { sent, sender } = guardOf(allowListOf(url), true);
    sender.check(url);
    await sender.send({ url, id: "msg_1", body: "{}" });
    expect(sent).toEqual([new URL(url).href]);
  });

  test.each(REFUSED_URLS.filter((row) => row.development))("$url is refused once it is off the list", ({ url }) =>
    expectRefused(url, ["allowed.example"], true),
  );
});

test("what passes the guard is sent to the URL that was judged", async () => {
  const { sent, sender } = guardOf("hooks.example,other.example:9443");
  for (const url of ["HTTPS://Hooks.Example:443/a/../b?c=%20d", "https://other.example:9443"]) {
    await sender.send({ url, id: "msg_1", body: "{}" });
  }
  expect(sent).toEqual(["https://hooks.example/b?c=%20d", "https://other.example:9443/"]);
});

test("only `true` opens development: a text does not", async () => {
  const options = { secrets: NEW_SECRET, allowedHosts: "127.0.0.1", allowHttp: "false" as unknown as boolean };
  expect(() => webhookSender(options).check("http://127.0.0.1/")).toThrow(/https/);
});

test.each([
  ["http://hooks.example/", /must be https; for development, set allowHttp: true$/],
  ["https://127.0.0.1/", /not a public one; for development, set allowHttp: true$/],
  ["https://localhost/", /set allowHttp: true$/],
  ["https://10.0.0.1/", /not a public one$/],
  ["https://elsewhere.example/", /add it to allowedHosts$/],
])("a refusal names the option that would let it in: %s", (url, reason) => {
  expect(() => guardOf("hooks.example").sender.check(url)).toThrow(reason);
});

test("a refusal tells the reason and, at most, the host", async () => {
  const { sender } = guardOf("hooks.example");
  const reasons = {
    "https://elsewhere.example/CANARY?CANARY": /elsewhere\.example is not on the list/,
    "http://hooks.example/CANARY": /must be https/,
    "https://10.0.0.1/CANARY": /not a public one/,
    "https://CANARY:CANARY@hooks.example/": /user name or password/,
    "https://hooks.example/#CANARY": /fragment/,
    "https://hooks.example/CANARY\\": /backslash/,
    "https://[CANARY/": /does not parse/,
    "CANARY://hooks.example": /must begin with https/,
    "https://*/CANARY": /neither a DNS name nor an IP address/,
  };
  for (const [url, reason] of Object.entries(reasons)) {
    const fault = await sender.send({ url, id: "msg_1", body: "{}" }).catch((thrown: unknown) => thrown);
    expect(String(fault)).toMatch(reason);
    expect(JSON.stringify(fault) + String((fault as Error).stack)).not.toContain("CANARY");
  }
});
