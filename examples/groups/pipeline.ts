import { CompletionTracker, type Coordinator, type GroupStatus } from "edge-coordinator";

/** One piece of work on its way: a document that is split, or a chunk that is embedded. */
export interface Message {
  readonly groupId: string;
  readonly stage: "split" | "embed";
  readonly id: string;
}

/** A queue that may deliver a message twice, late and in any order. */
export type Send = (message: Message) => void;

/** Adds the documents of a listing, page by page, and returns once all of their chunks are embedded. */
export async function indexAll(
  coordinator: Coordinator,
  groupId: string,
  { pages, send }: { readonly pages: AsyncIterable<readonly string[]>; readonly send: Send },
): Promise<GroupStatus | null> {
  const tracker = new CompletionTracker(coordinator);
  // The number of tasks is unknown. The group ends in time if its workers die: one minute after the last ack.
  await tracker.register(groupId, [], { open: true, idleTimeoutSec: 60, timeoutSec: 0 });
  for await (const page of pages) {
    const { added } = await tracker.add(
      groupId,
      page.map((id) => ({ stage: "split", id })),
    );
    // Only the new tasks: a listing that is read twice sends each document once.
    for (const { taskId } of added) send({ groupId, stage: "split", id: taskId });
  }
  // No more documents. Chunks still join, by the `next` of acks.
  await tracker.seal(groupId);
  return tracker.wait(groupId);
}

/** Works on one message. It may run twice, in any process: each task counts once. */
export async function work(
  coordinator: Coordinator,
  { groupId, stage, id }: Message,
  { split, embed, send }: { split(id: string): readonly string[]; embed(id: string): readonly number[]; send: Send },
): Promise<void> {
  const tracker = new CompletionTracker(coordinator);
  if (stage === "embed") {
    await tracker.ack(groupId, { stage, id, result: embed(id) });
    return;
  }
  const chunks = split(id).map((chunk) => ({ stage: "embed", id: chunk }) as const);
  // Sent first: after a crash here, the message comes again. A chunk that is acked before the next step is `early`, and is kept.
  for (const chunk of chunks) send({ groupId, ...chunk });
  // One step: the document is done, and its chunks are announced. The group never looks complete in between.
  await tracker.ack(groupId, { stage, id }, { next: chunks });
}
