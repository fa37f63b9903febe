import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { GroupStatus } from "../../src/index.js";
import { type InstalledExample, installedExample } from "../support/packed.js";
import { type DevServer, eventually, startDev, typeErrors } from "./example.js";

interface Document {
  readonly documentId: string;
  readonly status: GroupStatus | null;
  readonly published: readonly { readonly deliveryId: string; readonly outcome: string; readonly words?: number }[];
}

/** Two good chunks and one that no consumer can process. */
const BROKEN = "The second title.\n\n---\n\nIts text.";

let example: InstalledExample;
let server: DevServer;

beforeAll(async () => {
  example = await installedExample("cloudflare");
});
afterEach(({ task }) => {
  if (task.result?.state === "fail") console.error(server?.output());
});
afterAll(async () => {
  await server?.stop();
  await example?.remove();
});

async function post(text: string): Promise<{ documentId: string; status: GroupStatus }> {
  const response = await fetch(`${server.url}/documents`, { method: "POST", body: text });
  expect(response.status).toBe(202);
  return (await response.json()) as { documentId: string; status: GroupStatus };
}

async function get(documentId: string): Promise<Document> {
  const response = await fetch(`${server.url}/documents/${documentId}`);
  expect(response.status).toBe(200);
  return (await response.json()) as Document;
}

/** The document once its delivery is settled. */
const delivered = (documentId: string): Promise<Document> =>
  eventually(async () => {
    const document = await get(documentId);
    return document.status?.delivery.state === "delivered" ? document : undefined;
  });

/** What the consumer has printed of a document's acks. */
function acksOf(documentId: string): { chunk: string; verdict: string; attempt: number }[] {
  const lines = server.output().matchAll(/^chunk (\d+) of (\w+): (\w+) \(attempt (\d+)\)$/gm);
  return [...lines]
    .filter(([, , id]) => id === documentId)
    .map(([, chunk = "", , verdict = "", attempt]) => ({ chunk, verdict, attempt: Number(attempt) }));
}

describe.concurrent("with a queue that delivers every message twice", () => {
  beforeAll(async () => {
    server = await startDev(example.folder, "--var", "REDELIVER:yes");
  });

  it("publishes a document once, and counts each chunk once, though it was posted three times", async () => {
    const copies = await Promise.all(
      Array.from({ length: 3 }, () => post("A title.\n\nOne text. Two texts.\n\nThe end.")),
    );
    const [{ documentId }] = copies as [(typeof copies)[0]];
    expect(new Set(copies.map((copy) => copy.documentId)).size).toBe(1);
    const sent = copies.filter(({ status }) => status.state === "open").length;
    const acks = await eventually(async () => {
      const found = acksOf(documentId);
      return found.length >= sent * 3 * 2 ? found : undefined;
    });
    expect(
      acks
        .filter(({ verdict }) => verdict === "accepted")
        .map(({ chunk }) => chunk)
        .sort(),
    ).toEqual(["1", "2", "3"]);
    expect(acks.filter(({ attempt }) => attempt === 2).length).toBe(sent * 3);
    expect(acks.some(({ attempt, verdict }) => attempt === 2 && verdict === "accepted")).toBe(false);
    const { status, published } = await delivered(documentId);
    expect(status).toMatchObject({ state: "completed", ok: true, succeeded: 3, failed: 0, remaining: 0 });
    expect(published).toEqual([
      {
        deliveryId: status?.delivery.deliveryId,
        title: "A title.",
        outcome: "published",
        chunks: 3,
        words: 8,
        sentences: 4,
        errors: [],
      },
    ]);
  });

  it("publishes nothing twice when the delivery itself is repeated", async () => {
    const { documentId } = await post("Another title.");
    const first = await delivered(documentId);
    const again = await fetch(`${server.url}/documents/${documentId}/redeliver`, { method: "POST" });
    expect(again.status).toBe(202);
    const events = () => [
      ...server.output().matchAll(new RegExp(`deliveryId: '${first.published[0]?.deliveryId}'`, "g")),
    ];
    await eventually(async () => (events().length >= 2 ? true : undefined));
    const { published } = await delivered(documentId);
    expect(published).toEqual(first.published);
    expect(published).toHaveLength(1);
  });

  it("tells of a failed chunk after the queue's last attempt, and publishes with its error", async () => {
    const { documentId } = await post(BROKEN);
    const { status, published } = await delivered(documentId);
    expect(status).toMatchObject({ state: "completed", ok: false, succeeded: 2, failed: 1 });
    const errors = [{ taskId: "2", message: "given up after the queue's last attempt" }];
    expect(published).toMatchObject([{ outcome: "published", chunks: 3, words: 5, errors }]);
    const attempts = server.output().match(new RegExp(`chunk 2 of ${documentId}: Error: the chunk has no words`, "g"));
    expect(attempts).toHaveLength(4);
  });

  it("publishes its own README, and a document of more chunks than one batch sends", async () => {
    const readme = await post(await readFile(join(example.folder, "README.md"), "utf8"));
    const long = await post(Array.from({ length: 250 }, (_, i) => `Paragraph ${i}.`).join("\n\n"));
    expect((await delivered(readme.documentId)).status).toMatchObject({ state: "completed", ok: true });
    const { status, published } = await delivered(long.documentId);
    expect(status).toMatchObject({ state: "completed", ok: true, total: 250 });
    expect(published).toMatchObject([{ outcome: "published", chunks: 250, words: 500 }]);
  });

  it("type-checks against the packed package", async () => {
    expect(await typeErrors(example.folder)).toEqual([]);
  });

  it("answers with problems", async () => {
    expect((await fetch(`${server.url}/documents`, { method: "POST", body: " \n\n " })).status).toBe(422);
    expect((await fetch(`${server.url}/documents/unknown`)).status).toBe(404);
    expect((await fetch(`${server.url}/documents/unknown/redeliver`, { method: "POST" })).status).toBe(404);
    expect((await fetch(`${server.url}/documents/${"x".repeat(300)}`)).status).toBe(422);
  });
});

describe("after a restart, with a deadline that is too short", () => {
  beforeAll(async () => {
    await server.stop();
    server = await startDev(example.folder, "--var", "DEADLINE_SEC:1");
  });

  it("knows the documents of before", async () => {
    const { documentId, status } = await post("Another title.");
    expect(status).toMatchObject({ state: "completed", delivery: { state: "delivered" } });
    expect((await get(documentId)).published).toHaveLength(1);
  });

  it("gives a document up once, and turns late acks away", async () => {
    const { documentId } = await post(`Late. ${BROKEN}`);
    const { status, published } = await delivered(documentId);
    expect(status).toMatchObject({ state: "timed_out", ok: false });
    expect(published).toMatchObject([{ outcome: "given up", chunks: 3, missing: status?.remaining }]);
    const late = await eventually(async () => acksOf(documentId).find(({ chunk }) => chunk === "2"));
    expect(late.verdict).toBe("late");
    expect(await get(documentId)).toEqual({ documentId, status, published });
  });
});
