import type { AckRefusal } from "../../core/group/acks.js";
import type { RegisterOutput } from "../../core/group/registration.js";
import { CoordinationError } from "../../errors.js";

const LIMITS: { readonly [R in Exclude<AckRefusal, "closed">]: string } = {
  tasks: "a group has at most 100,000 listed tasks",
  stages: "a group has at most 64 stages",
  counts: "a count of a stage is at most 10^12",
};

/** Throws when a transition refused a call because of a limit. Nothing was written. */
export function refuse(refused: AckRefusal | undefined): void {
  if (refused === undefined) return;
  if (refused === "closed") {
    throw new CoordinationError("conflict", "the group was registered without `open`, so it takes no more tasks");
  }
  throw new CoordinationError("limit_exceeded", LIMITS[refused]);
}

type Refused = Exclude<RegisterOutput["outcome"], "created" | "exists" | "refused">;

const CONFLICTS: { readonly [O in Exclude<Refused, "outbox_full" | "epochs_full">]: string } = {
  conflict: "the group is registered with other tasks, policy or targets; `restart` begins anew",
  restart_lost: "the group has another generation than restart.from",
  removed: "the group was removed after this call: register it by a new call",
};

/** Throws why a registration was refused. */
export function refuseRegistration(outcome: Refused): never {
  if (outcome === "outbox_full") {
    throw new CoordinationError("limit_exceeded", "too many ended generations of the group wait for their delivery", {
      retryable: true,
    });
  }
  if (outcome === "epochs_full") {
    throw new CoordinationError(
      "limit_exceeded",
      "a numbered group keeps its tasks over 35 restarts; restart without keep",
    );
  }
  throw new CoordinationError("conflict", CONFLICTS[outcome]);
}
