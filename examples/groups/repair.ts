import { CompletionTracker, type Coordinator, type GroupStatus } from "edge-coordinator";

/** Sends one task to its worker. The worker's ack names the generation. */
export type SendAgain = (taskId: string, generation: number) => void;

/**
 * Starts a group again that timed out, for instance because its workers were down. Tasks that succeeded keep their results;
 * only the others are sent. May run twice: the second run finds another generation and sends nothing.
 */
export async function repair(
  coordinator: Coordinator,
  groupId: string,
  { send, timeoutSec }: { readonly send: SendAgain; readonly timeoutSec: number },
): Promise<GroupStatus | null> {
  const tracker = new CompletionTracker(coordinator);
  const before = await tracker.status(groupId);
  if (before?.state !== "timed_out") return before;
  // Names no task: the group has its tasks. New ones could be added here.
  const status = await tracker.register(groupId, [], {
    restart: { from: before.generation, keep: "succeeded" },
    timeoutSec,
  });
  // Those that never settled, and those that failed.
  for await (const taskId of openTasks(tracker, groupId)) send(taskId, status.generation);
  return status;
}

/** Reads the open tasks page by page. A page may hold fewer tasks than `limit`, or none. */
async function* openTasks(tracker: CompletionTracker, groupId: string): AsyncGenerator<string> {
  for (let after: number | null = 0; after !== null; ) {
    const page = await tracker.tasks(groupId, { state: "open", after, limit: 1_000 });
    for (const { taskId } of page?.items ?? []) yield taskId;
    after = page?.next ?? null;
  }
}
