import { expect, test } from "vitest";
import { parseHosts, webhookSender } from "../../src/webhook/index.js";
import { NEW_SECRET } from "./vectors.js";

const check =
  (allowedHosts: string | readonly string[], url: string, allowHttp = false) =>
  () =>
    webhookSender({ secrets: NEW_SECRET, allowedHosts, allowHttp }).check(url);

test("reads hosts separated by commas, or a list, and normalises them", () => {
  expect(parseHosts("a.example,b.example:8443")).toEqual(["a.example", "b.example:8443"]);
  expect(parseHosts(" A.Example , ,b.EXAMPLE:08443,")).toEqual(["a.example", "b.example:8443"]);
  expect(parseHosts(["0x7f.1:8788", "[0:0::1]", "xn--bcher-kva.example"])).toEqual([
    "127.0.0.1:8788",
    "[::1]",
    "xn--bcher-kva.example",
  ]);
});

test.each([
  ["a missing list", undefined],
  ["an empty text", ""],
  ["commas alone", " , ,"],
  ["an empty list", []],
  ["a wildcard", "*.example"],
  ["anything", "*"],
  ["a URL", "https://a.example"],
  ["a path", "a.example/hooks"],
  ["a user name", "user@a.example"],
  ["a query", "a.example?x"],
  ["a final dot", "a.example."],
  ["white space inside", "a.example b.example"],
  ["a backslash", "a.example\\b"],
  ["what is not ASCII", "b\u00fccher.example"],
  ["port 0", "a.example:0"],
  ["port 65,536", "a.example:65536"],
  ["an empty port", "a.example:"],
  ["a port in words", "a.example:https"],
  ["an address out of range", "1.2.3.400"],
  ["IPv6 without brackets", "::1"],
  ["one bad entry among good ones", "a.example,b.example/"],
])("refuses %s", (_, hosts) => {
  const allowedHosts = hosts as string;
  expect(() => parseHosts(allowedHosts)).toThrow(expect.objectContaining({ code: "misconfigured" }));
  expect(() => webhookSender({ secrets: NEW_SECRET, allowedHosts })).toThrow(/allowedHosts/);
});

test("a host without a port allows only the scheme's default port", () => {
  expect(check("a.example", "https://a.example/x?y=1")).not.toThrow();
  expect(check("a.example", "https://a.example:443/")).not.toThrow();
  expect(check("a.example", "https://A.EXAMPLE/")).not.toThrow();
  expect(check("a.example", "http://a.example/", true)).not.toThrow();
  expect(check("a.example", "http://a.example:80/", true)).not.toThrow();
  expect(check("a.example", "http://a.example:443/", true)).toThrow(/list/);
  expect(check("a.example", "https://a.example:80/")).toThrow(/list/);
  expect(check("a.example", "https://a.example:8443/")).toThrow(/list/);
});

test("a host with a port allows only that port", () => {
  expect(check("a.example:8443", "https://a.example:8443/")).not.toThrow();
  expect(check("a.example:443", "https://a.example/")).not.toThrow();
  expect(check("a.example:8443", "https://a.example/")).toThrow(/list/);
  expect(check("a.example:443", "http://a.example/", true)).toThrow(/list/);
  expect(check("a.example:8443,a.example", "https://a.example/")).not.toThrow();
});

test("a public address may be named, in any spelling", () => {
  expect(check("8.8.8.8", "https://0x08080808/")).not.toThrow();
  expect(check("[2606:4700:4700::1111]", "https://[2606:4700:4700:0::1111]/")).not.toThrow();
});
