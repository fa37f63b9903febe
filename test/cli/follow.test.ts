import { expect, it } from "vitest";
import { follow } from "../../cli/follow.js";
import type { Status } from "../../cli/subject.js";
import { CoordinationError } from "../../src/index.js";

const status = (version: string): Status => ({ version }) as Status;
const away = new CoordinationError("backend_unavailable", "it is away", { retryable: true });
const refused = new CoordinationError("unauthorized", "no");

/** Follows a subject whose progress does one step a call. */
async function followed(steps: readonly (readonly (Status | Error)[])[]) {
  const [versions, notes, pauses, after]: [string[], string[], number[], unknown[]] = [[], [], [], []];
  let call = 0;
  const subject = {
    async *progress(from: string | undefined) {
      after.push(from);
      for (const each of steps[call++] ?? []) {
        if (each instanceof Error) throw each;
        yield each;
      }
    },
  };
  const sleep = async (ms: number) => pauses.push(ms);
  const options = { signal: new AbortController().signal, note: (text: string) => notes.push(text), sleep };
  const error = await (async () => {
    for await (const { version } of follow(subject, options)) versions.push(version);
  })().catch((thrown: unknown) => thrown);
  return { versions, notes: notes.length, pauses, after, error };
}

it("continues from the last version after a fault, with growing pauses", async () => {
  expect(await followed([[status("1.1"), away], [away], [away], [status("1.2")]])).toEqual({
    versions: ["1.1", "1.2"],
    notes: 3,
    pauses: [500, 1_000, 2_000],
    after: [undefined, "1.1", "1.1", "1.1"],
    error: undefined,
  });
  expect((await followed(Array.from({ length: 7 }, () => [away]))).pauses.at(-1)).toBe(10_000);
});

it("begins with a short pause again after a status", async () => {
  expect((await followed([[away], [away], [status("1.1"), away], []])).pauses).toEqual([500, 1_000, 500]);
});

it("does not repeat what cannot succeed", async () => {
  expect(await followed([[status("1.1"), refused]])).toMatchObject({ notes: 0, error: refused });
});
