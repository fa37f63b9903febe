import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Complaint } from "../../demo/complaint.js";
import { documentsOf, installedReadmes } from "../../demo/documents.js";
import { expectationsOf } from "../../demo/expectation.js";
import { Random } from "../../dev/random.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "demo-documents-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function write(path: string, text = "Some text."): Promise<void> {
  await mkdir(join(folder, path, ".."), { recursive: true });
  await writeFile(join(folder, path), text);
}

describe("the documents of a folder", () => {
  it("are its text files, however deep, but not those of hidden folders and packages", async () => {
    const wanted = ["a.md", "deep/er/b.TXT", "c.rst"];
    const others = ["d.png", ".git/e.md", "node_modules/x/README.md"];
    for (const path of [...wanted, ...others]) await write(path);
    const { documents, found } = await documentsOf(folder, 100, new Random(1));
    expect(found).toBe(3);
    expect(documents.map(({ id }) => id).sort()).toEqual(wanted.sort());
  });

  it("are the same choice for the same seed", async () => {
    for (let i = 0; i < 20; i++) await write(`${i}.md`);
    const choice = async (seed: number) => (await documentsOf(folder, 5, new Random(seed))).documents;
    expect(await choice(3)).toEqual(await choice(3));
    expect(await choice(3)).not.toEqual(await choice(4));
  });

  it("have ids that fit, however long their paths are", async () => {
    const long = `${Array.from({ length: 8 }, () => "ü".repeat(40)).join("/")}.md`;
    await write(long);
    const { documents } = await documentsOf(folder, 1, new Random(1));
    expect(Buffer.byteLength(documents[0]?.id ?? "")).toBeLessThanOrEqual(200);
  });

  it("are missed with a clear line", async () => {
    await expect(documentsOf(folder, 1, new Random(1))).rejects.toThrow(/there are no documents/);
    await expect(documentsOf(join(folder, "none"), 1, new Random(1))).rejects.toThrow(/there is no folder/);
    await write("a.md");
    await expect(documentsOf(join(folder, "a.md"), 1, new Random(1))).rejects.toThrow(/is not a folder/);
    await expect(installedReadmes(folder, 1, new Random(1))).rejects.toThrow(Complaint);
  });
});

describe("what is expected of them", () => {
  const timeouts = { timeoutSec: 90, stalledSec: 6 };

  it("is that one stalls and another registers late, and that an empty one is left out", async () => {
    for (const name of ["a.md", "b.md", "c.md"]) await write(name);
    await write("empty.md", " \n\n ");
    const { documents } = await documentsOf(folder, 10, new Random(1));
    for (let seed = 0; seed < 50; seed++) {
      const expectations = await expectationsOf(documents, new Random(seed), timeouts);
      expect(expectations.map(({ chunks }) => chunks)).toEqual([1, 1, 1]);
      const stalled = expectations.filter(({ plan }) => plan.stalls);
      expect(stalled.map(({ plan }) => plan)).toEqual([{ stalls: true, registersLate: false, timeoutSec: 6 }]);
      expect(expectations.some(({ plan }) => plan.registersLate)).toBe(true);
    }
  });

  it("is that one alone does not stall", async () => {
    await write("a.md");
    const { documents } = await documentsOf(folder, 10, new Random(1));
    const [only] = await expectationsOf(documents, new Random(1), timeouts);
    expect(only?.plan.stalls).toBe(false);
  });
});
