import { CompletionTracker, type Coordinator, RequestWaitTracker } from "../../src/index.js";
import type { Kind } from "../snapshot.js";

/** A seeded group or request, and what it shows. */
export interface Seeded {
  readonly kind: Kind;
  readonly id: string;
  readonly shows: string;
}

const DAY_SEC = 86_400;

/** Registers what an operator meets. A group or request that exists already is left as it is. */
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

  // It is not sealed, and waits for a group that it does not name.
  const requests = new RequestWaitTracker(coordinator, { stages: ["parse", "embed"], onEvent: () => {} });
  await requests.register("request-1", { timeoutSec: DAY_SEC, ttlSec: DAY_SEC });
  await requests.add("request-1", "parse", ["a.pdf", "b.pdf"]);
  await requests.ack("request-1", "parse", "a.pdf", { next: [{ stage: "embed", taskIds: "request-1/a" }] });
  await requests.fail("request-1", "parse", "b.pdf", "the file is encrypted");
  await tracker.register("request-1/a", ["chunk-1", "chunk-2"], {
    ...options,
    parent: { requestId: "request-1", stage: "embed", taskId: "request-1/a" },
  });

  return [
    { kind: "group", id: "open-1", shows: "two of three tasks are open" },
    { kind: "group", id: "ended-1", shows: "all tasks are done" },
    { kind: "group", id: "stuck-1", shows: "waits for a child group, and for its seal" },
    { kind: "group", id: "unhandled-1", shows: "no running instance has the handler of its callback" },
    { kind: "group", id: "dead-1", shows: "its callback is a dead letter" },
    { kind: "request", id: "request-1", shows: "a request with a failed task, which waits for a group" },
  ];
}
