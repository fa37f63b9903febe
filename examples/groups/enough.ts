import { CompletionTracker, type Coordinator, type GroupStatus } from "edge-coordinator";

/** One call of a model. It should stop when the signal aborts. */
export type Ask = (taskId: string, signal: AbortSignal) => Promise<string>;

/** Asks for `calls` answers, takes the first `needed` of them, and stops the other calls. */
export async function firstAnswers(
  coordinator: Coordinator,
  groupId: string,
  { calls, needed, ask }: { readonly calls: number; readonly needed: number; readonly ask: Ask },
): Promise<{ status: GroupStatus | null; answers: string[]; fates: string[] }> {
  const tracker = new CompletionTracker(coordinator);
  const taskIds = Array.from({ length: calls }, (_, i) => `call-${i + 1}`);
  // Fails at once when too few calls are left to reach `minSuccessful`.
  await tracker.register(groupId, taskIds, { complete: { minSuccessful: needed }, timeoutSec: "2m" });
  const fates = await Promise.all(taskIds.map((taskId) => answer(coordinator, { groupId, taskId, ask })));
  const status = await tracker.wait(groupId);
  const answers: string[] = [];
  for await (const { result } of tracker.allResults(groupId)) answers.push(String(result));
  return { status, answers, fates };
}

/** One worker. It needs the group's id and a coordinator, and may be another process. Returns what became of its call. */
async function answer(
  coordinator: Coordinator,
  { groupId, taskId, ask }: { readonly groupId: string; readonly taskId: string; readonly ask: Ask },
): Promise<string> {
  const tracker = new CompletionTracker(coordinator);
  const ended = tracker.signal(groupId);
  try {
    const text = await ask(taskId, ended);
    // `late` for an answer that came after the end: it does not count, and its result is not kept.
    return (await tracker.ack(groupId, { id: taskId, result: text })).verdict;
  } catch (error) {
    if (ended.aborted) return "stopped";
    return (await tracker.fail(groupId, taskId, String(error))).verdict;
  } finally {
    ended.dispose();
  }
}
