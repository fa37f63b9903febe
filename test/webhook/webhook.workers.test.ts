import { expect, test } from "vitest";
import { sign, timingSafeEqual, verify, webhookSender } from "../../src/webhook/index.js";
import { allowListOf } from "./allow-list.js";
import { ELSEWHERE_URLS, REFUSED_URLS } from "./refused-urls.js";
import { PUBLISHED } from "./vectors.js";

const { secret, id, timestampSec, body, signature } = PUBLISHED;

test("workerd signs and verifies the published example", async () => {
  expect(await sign({ secret, id, timestampSec, body })).toBe(signature);
  const headers = new Headers({
    "webhook-id": id,
    "webhook-timestamp": String(timestampSec),
    "webhook-signature": signature,
  });
  const nowMs = timestampSec * 1000;
  expect(await verify({ secrets: secret, headers, body, nowMs })).toMatchObject({ id, payload: { test: 2432232314 } });
  await expect(verify({ secrets: secret, headers, body: "{}", nowMs })).rejects.toMatchObject({ code: "unauthorized" });
});

test("workerd compares tokens", async () => {
  expect(await timingSafeEqual("token", "token")).toBe(true);
  expect(await timingSafeEqual("token", "tokeN")).toBe(false);
  expect(await timingSafeEqual("", "")).toBe(true);
});

test("workerd's URL parser lets nothing of the corpus through", () => {
  const refusal = expect.objectContaining({ code: "invalid_input" });
  const check =
    (url: string, allowedHosts: string[], allowHttp = false) =>
    () =>
      webhookSender({ secrets: secret, allowedHosts, allowHttp }).check(url);
  for (const { url, development } of REFUSED_URLS) {
    expect(check(url, ["allowed.example"]), url).toThrow(refusal);
    expect(check(url, allowListOf(url)), url).toThrow(refusal);
    if (!development) expect(check(url, allowListOf(url), true), url).toThrow(refusal);
  }
  for (const url of ELSEWHERE_URLS) expect(check(url, ["hooks.example"]), url).toThrow(refusal);
});

test("workerd sends an attempt and discards the answer", async () => {
  const seen: string[] = [];
  const sender = webhookSender({
    secrets: secret,
    allowedHosts: "hooks.example",
    fetch: async (url, init) => {
      const request = new Request(url, init);
      seen.push(`${request.method} ${request.url} ${request.redirect} ${request.headers.get("webhook-id")}`);
      return new Response("answer", { status: 202 });
    },
  });
  await sender.send({ url: "https://hooks.example/a", id, body });
  expect(seen).toEqual([`POST https://hooks.example/a manual ${id}`]);
});
