import { describe, expect, it } from "vitest";
import { Progress } from "../../demo/progress.js";

const at = (chunks: number, documents: number) => ({ chunks, allChunks: 8, documents, allDocuments: 2 });

function shown(isTTY: boolean, play: (progress: Progress) => void): string {
  let text = "";
  const screen = {
    isTTY,
    write: (more: string) => {
      text += more;
    },
  };
  play(new Progress(screen));
  return text;
}

describe("progress", () => {
  it("is a line now and then without a terminal", () => {
    const text = shown(false, (progress) => {
      for (let chunks = 0; chunks <= 8; chunks++) progress.show(at(chunks, Math.floor(chunks / 4)));
      progress.end();
    });
    expect(text.split("\n")[0]).toBe("  20 %: 2 of 8 chunks, 0 of 2 documents");
    expect(text.trimEnd().split("\n")).toHaveLength(5);
    expect(text).not.toContain("\r");
  });

  it("is a bar on a terminal, and what is said stands above it", () => {
    const text = shown(true, (progress) => {
      progress.show(at(4, 1));
      progress.say("killed a worker");
      progress.end();
      progress.show(at(8, 2));
    });
    expect(text).toContain("[###############...............] 4 of 8 chunks");
    expect(text).toMatch(/killed a worker\n\[#/);
    expect(text.endsWith("\r\u001b[K")).toBe(true);
  });
});
