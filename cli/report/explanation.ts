import type { GroupTask } from "../../src/index.js";
import type { BackendName } from "../settings.js";
import type { Snapshot } from "../snapshot.js";

/** The facts that `why` explains. */
export interface WhyInput {
  readonly snapshot: Snapshot;
  /** The first open tasks; null where the group has a number of tasks and no list. */
  readonly open: readonly GroupTask[] | null;
  /** Groups and requests that are named like an open task, and may be its children. */
  readonly relatives: readonly Relative[];
  readonly backend: BackendName;
  readonly nowMs: number;
}

/** A group or a request that an open task may wait for. */
export interface Relative {
  readonly taskId: string;
  readonly snapshot: Snapshot;
}

/** One fact. */
export interface Finding {
  readonly topic: "tasks" | "failed" | "last ack" | "sealed" | "ends" | "end" | "child" | "callback";
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
