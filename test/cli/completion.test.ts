import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { commandOf } from "./command.js";

const cli = commandOf({});

/** Returns what bash offers after these words. */
async function offered(...words: readonly string[]): Promise<string[]> {
  const { stdout: script } = await cli("completion", "bash");
  const list = words.map((word) => `'${word}'`).join(" ");
  const program = `${script}\nCOMP_WORDS=(edge-coordinator ${list}); COMP_CWORD=${words.length}; _edge_coordinator; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const text = execFileSync("bash", ["--norc", "-c", program], { encoding: "utf8" });
  return text.split("\n").filter((line) => line !== "");
}

describe("completion", () => {
  it("offers the commands, their options and the values of an option in bash", async () => {
    expect(await offered("w")).toEqual(["why", "watch"]);
    expect(await offered("tasks", "document-1", "--st")).toEqual(["--state"]);
    expect(await offered("tasks", "document-1", "--state", "")).toEqual(["open", "succeeded", "failed"]);
    expect(await offered("ls", "--state", "st")).toEqual(["stuck"]);
    expect(await offered("ls", "--key-prefix", "")).toEqual([]);
    expect(await offered("--url", "x", "show", "a", "--js")).toEqual(["--json"]);
    expect(await offered("token", "document-1", "st")).toEqual(["status"]);
    expect(await offered("completion", "")).toEqual(expect.arrayContaining(["bash", "zsh", "fish"]));
  });

  it.each(["zsh", "fish"])("has every command for %s", async (shell) => {
    const { code, stdout } = await cli("completion", shell);
    expect(code).toBe(0);
    for (const name of [
      "why",
      "show",
      "tasks",
      "watch",
      "redeliver",
      "retry",
      "extend",
      "seal",
      "cancel",
      "purge",
      "token",
      "dev",
      "completion",
    ]) {
      expect(stdout).toContain(name);
    }
    expect(stdout).toContain("open succeeded failed");
  });

  it("refuses another shell", async () => {
    expect(await cli("completion", "tcsh")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("bash, zsh, fish"),
    });
  });
});
