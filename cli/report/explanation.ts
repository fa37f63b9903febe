import type { GroupTask } from "../../src/index.js";
import type { BackendName } from "../settings.js";
import type { Snapshot } from "../snapshot.js";

/** The facts that `why` explains. */
export interface WhyInput {
  readonly snapshot: Snapshot;
  /** The first open tasks; null where the group has a number of tasks and no list. */
  readonly open: readonly GroupTask[] | null;
  /** The children of open tasks, and open groups that are named like one. */
  readonly relatives: readonly Relative[];
  readonly backend: BackendName;
  readonly nowMs: number;
}

/** A group or a request that an open task waits for, or may wait for. */
export interface Relative extends Pick<Snapshot, "kind" | "id">, Pick<GroupTask, "stage" | "taskId"> {
  /** Null for a child that is not registered yet, or has expired. */
  readonly snapshot: Snapshot | null;
}

/** One fact. */
export interface Finding {
  readonly topic: "parent" | "tasks" | "failed" | "last ack" | "sealed" | "ends" | "end" | "child" | "callback";
  readonly text: string;
}

/** A command that changes or watches the state, and its effect. */
export interface Remedy {
  readonly command: string;
  readonly effect: string;
}

/** The answer to "what does it wait for?". */
export interface Why {
  readonly headline: string;
  readonly findings: readonly Finding[];
  readonly remedies: readonly Remedy[];
}
