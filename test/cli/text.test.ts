import { describe, expect, it } from "vitest";
import { painter, takesColour } from "../../cli/text/paint.js";
import { idWithFlags, printable, printableJson, quoted, shellWord } from "../../cli/text/printable.js";
import { table } from "../../cli/text/table.js";
import { fromNow, grouped, instant, inWords } from "../../cli/text/time.js";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

describe("untrusted text", () => {
  it.each([
    ["plain text, with accents é and signs 你 🎉", "plain text, with accents é and signs 你 🎉"],
    ["\u001b[2J\u001b]0;title\u0007", "\\u{1b}[2J\\u{1b}]0;title\\u{7}"],
    ["a line\nanother\r\tand a tab", "a line\\nanother\\r\\tand a tab"],
    ["\u009b31m", "\\u{9b}31m"],
    ["\u202egnp.exe", "\\u{202e}gnp.exe"],
    ["\u2028", "\\u{2028}"],
    ["half \ud800 a pair", "half \\u{d800} a pair"],
  ])("%j is printed as %j", (text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  it("is the same value as JSON, without characters that steer a terminal", () => {
    const value = { "\u202eid": "\u001b[2J\u009b\u2028\u{e0001}", list: ["é", "\n"] };
    for (const indent of [undefined, 2]) {
      const text = printableJson(value, indent);
      expect(JSON.parse(text)).toEqual(value);
      expect(text.replaceAll("\n", "")).toMatch(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$/u);
    }
  });

  it("is cut between two characters", () => {
    expect(quoted("🎉🎉🎉", 2)).toBe('"🎉🎉…"');
    expect(quoted("🎉🎉", 2)).toBe('"🎉🎉"');
  });
});

describe("a printed command", () => {
  it.each([
    ["document-1", "document-1"],
    ["a/b:c@d", "a/b:c@d"],
    ["two words", "'two words'"],
    ["it's", "'it'\\''s'"],
    ["$(rm -rf .)", "'$(rm -rf .)'"],
    ["", "''"],
    ["--yes", "'--yes'"],
    ["a\nb'", "$'a\\x0ab\\''"],
  ])("holds the word %j as %s", (word, shown) => {
    expect(shellWord(word)).toBe(shown);
  });

  it.each([
    ["document-1", ["--request"], "document-1 --request"],
    ["--url=x", [], "-- '--url=x'"],
    ["--url=x", ["--request", "--by", "30m"], "--request --by 30m -- '--url=x'"],
  ])("takes no id as an option: %s with %j as %s", (id, flags, shown) => {
    // Quotes are the shell's: the command would still read an option.
    expect(idWithFlags(id, ...flags)).toBe(shown);
  });
});

describe("time in words", () => {
  it.each([
    [0, "less than a second"],
    [1_000, "1 second"],
    [59_999, "59 seconds"],
    [14 * MINUTE_MS, "14 minutes"],
    [HOUR_MS, "1 hour"],
    [3 * HOUR_MS + 20 * MINUTE_MS, "3 hours 20 minutes"],
    [50 * HOUR_MS, "2 days 2 hours"],
    [-5, "less than a second"],
  ])("%i ms: %s", (ms, words) => {
    expect(inWords(ms)).toBe(words);
  });

  it("says before and after", () => {
    expect([fromNow(1_000, 61_000), fromNow(61_000, 1_000)]).toEqual(["1 minute ago", "in 1 minute"]);
    expect(instant(Date.UTC(2026, 10, 30, 13, 0, 5))).toBe("2026-11-30 13:00:05 UTC");
    expect([grouped(999), grouped(1_000), grouped(1_234_567)]).toEqual(["999", "1,000", "1,234,567"]);
  });
});

describe("a table", () => {
  it("has columns of equal width", () => {
    expect(
      table([
        ["a", "b"],
        ["long", "c"],
        ["é", ""],
      ]),
    ).toBe("a     b\nlong  c\né\n");
  });

  it("has columns of equal width with colours too", () => {
    const paint = painter(true);
    expect(
      table([
        [paint("dim", "a"), "b"],
        [paint("red", "long"), "c"],
      ]),
    ).toBe(`${paint("dim", "a")}     b\n${paint("red", "long")}  c\n`);
  });

  it("has no colours where they are off", () => {
    expect(painter(false)("red", "text")).toBe("text");
    expect(painter(true)("red", "text")).toBe("\u001b[31mtext\u001b[39m");
    expect(takesColour({ TERM: "xterm" }, true)).toBe(true);
    expect(takesColour({ NO_COLOR: "" }, true)).toBe(true);
    expect(takesColour({ NO_COLOR: "1" }, true)).toBe(false);
    expect(takesColour({ TERM: "dumb" }, true)).toBe(false);
    expect(takesColour({}, false)).toBe(false);
  });
});
