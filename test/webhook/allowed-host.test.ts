import { describe, expect, test } from "vitest";
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
  ["an empty path", "a.example/"],
  ["an empty segment", "a.example//hooks"],
  ["two slashes at the end", "a.example/hooks//"],
  ["dot segments", "a.example/a/../b"],
  ["a dot segment", "a.example/./a"],
  ["dot segments at the end", "a.example/a/.."],
  ["an encoded path", "a.example/a%2fb"],
  ["a path parameter", "a.example/a;b"],
  ["a wildcard in the path", "a.example/*"],
  ["a query after the path", "a.example/a?b"],
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

test("reads a path prefix, with or without a slash at its end", () => {
  const read = ["a.example/hooks/", "a.example:8443/A/b.c~d_e-1/", "[2606:4700::1]/x/"];
  expect(parseHosts("A.example/hooks,a.example:8443/A/b.c~d_e-1/,[2606:4700:0::1]/x")).toEqual(read);
  expect(parseHosts(read)).toEqual(read);
});

describe("an entry with a path prefix", () => {
  const LIST = "hooks.example/acme,hooks.example:8443/acme/in/,open.example,open.example/acme/";

  test.each([
    "https://hooks.example/acme",
    "https://hooks.example/acme/",
    "https://hooks.example/acme/done?to=../globex&then=%2e%2e%2f;x",
    "https://HOOKS.example:443/acme/a/b.c/...",
    "https://hooks.example/globex/../acme/done",
    "https://hooks.example/%2e%2e/acme/done",
    "https://hooks.example:8443/acme/in",
    "https://open.example/globex;x/%2e",
  ])("allows %s", (url) => {
    expect(check(LIST, url)).not.toThrow();
  });

  test.each([
    ["the host's root", "https://hooks.example/"],
    ["no path", "https://hooks.example"],
    ["another tenant's path", "https://hooks.example/globex/"],
    ["a longer segment", "https://hooks.example/acmeevil/"],
    ["a longer segment, by a dot", "https://hooks.example/acme.evil/"],
    ["another case", "https://hooks.example/ACME/"],
    ["an empty segment before", "https://hooks.example//acme/"],
    ["dot segments", "https://hooks.example/acme/../globex/"],
    ["dot segments to the root", "https://hooks.example/acme/.."],
    ["encoded dot segments", "https://hooks.example/acme/%2e%2e/globex/"],
    ["half encoded dot segments", "https://hooks.example/acme/.%2E/globex/"],
    ["a dot segment in between", "https://hooks.example/acme/./../globex/"],
    ["dot segments behind an encoded slash", "https://hooks.example/acme/..%2fglobex/"],
    ["an encoded slash before them", "https://hooks.example/acme%2f../globex/"],
    ["an encoded slash in the prefix", "https://hooks.example/acme%2fin"],
    ["an encoded backslash", "https://hooks.example/acme/..%5cglobex"],
    ["a double encoding", "https://hooks.example/acme/%252e%252e%252fglobex"],
    ["an overlong encoding", "https://hooks.example/acme/..%c0%afglobex"],
    ["an encoded zero", "https://hooks.example/acme%00/globex"],
    ["an encoded prefix", "https://hooks.example/%61cme/"],
    ["a path parameter", "https://hooks.example/acme/..;/globex/"],
    ["a path parameter on the prefix", "https://hooks.example/acme;a=b/"],
    ["an encoded path parameter", "https://hooks.example/acme/..%3b/globex/"],
    ["the prefix in the query", "https://hooks.example/globex/?/acme/"],
    ["the prefix of another port", "https://hooks.example:8443/acme/out"],
    ["that port's shorter prefix", "https://hooks.example:8443/acme/"],
    ["another port", "https://hooks.example:9443/acme/"],
    ["a scheme that has another port", "http://hooks.example/acme/"],
    ["a user name", "https://hooks.example@evil.example/acme/"],
    ["a user name before the host", "https://acme@hooks.example/acme/"],
    ["a longer host", "https://hooks.example.evil/acme/"],
    ["a backslash", "https://hooks.example\\/acme/"],
    ["a fragment", "https://hooks.example/acme/#/../globex"],
    ["a tab", "https://hooks.example/acme/.\t./globex/"],
  ])("refuses %s: %s", (_, url) => {
    expect(check(LIST, url)).toThrow(expect.objectContaining({ code: "invalid_input" }));
  });

  test("says that the path is the reason, and names no path", () => {
    const refusal = /^url of the webhook: its path is below no prefix that allowedHosts has for hooks\.example$/;
    expect(check(LIST, "https://hooks.example/globex/")).toThrow(refusal);
  });
});
