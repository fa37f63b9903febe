import { CompletionTracker, type Coordinator } from "../../src/index.js";

/** A seeded group, and what it shows. */
export interface Seeded {
  readonly id: string;
  readonly shows: string;
}

const DAY_SEC = 86_400;

/** Registers one group of each kind that an operator meets. A group that exists already is left as it is. */
export async function seed(coordinator: Coordinator): Promise<Seeded[]> {
  const tracker = new CompletionTracker(coordinator, { onEvent: () => {} });
  const options = { timeoutSec: DAY_SEC, ttlSec: DAY_SEC };

  await tracker.register("open-1", ["chunk-1", "chunk-2", "chunk-3"], { ...options, metadata: { document: "a.pdf" } });
  await tracker.ack("open-1", "chunk-1");

  await tracker.register("ended-1", ["chunk-1", "chunk-2"], options);
  await tracker.ack("ended-1", ["chunk-1", "chunk-2"]);

  // Its parent is never sealed, and its child has a task that no worker does.
  await tracker.register("stuck-1", [], { ...options, open: true });
  await tracker.add("stuck-1", ["text", { id: "images", group: "stuck-1/images" }]);
  await tracker.register("stuck-1/images", ["image-1", "image-2"], {
    ...options,
    parent: { groupId: "stuck-1", taskId: "images" },
  });
  await tracker.ack("stuck-1", "text");
  await tracker.fail("stuck-1/images", "image-1", "the file is not an image");

  await tracker.register("unhandled-1", ["chunk-1"], { ...options, onEnd: { handler: "publish" } });
  await tracker.ack("unhandled-1", "chunk-1");

  // A closed parent without such a task refuses the delivery for good.
  await tracker.register("dead-1", ["chunk-1"], { ...options, parent: { groupId: "ended-1", taskId: "no-such-task" } });
  await tracker.ack("dead-1", "chunk-1");

  return [
    { id: "open-1", shows: "two of three tasks are open" },
    { id: "ended-1", shows: "all tasks are done" },
    { id: "stuck-1", shows: "waits for a child group, and for its seal" },
    { id: "unhandled-1", shows: "no running instance has the handler of its callback" },
    { id: "dead-1", shows: "its callback is a dead letter" },
  ];
}
