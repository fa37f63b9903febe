import type { GroupView } from "../../core/group/record.js";
import { REQUEST_ROUTE } from "../../core/outbox/routes.js";
import { CoordinationError } from "../../errors.js";
import { checkId, checkText, MAX_STAGE_BYTES, shortText } from "../../lib/validate.js";
import type { Attempt, DeliveryHost, TargetKind } from "./target-kind.js";

const MAX_ERROR_BYTES = 1_024;
/** How far the clocks of the two records may differ. It also covers a request that is registered after its group. */
const BEGUN_SLACK_MS = 60_000;

/** The root of a request that waits for the group. */
export const requestRootTarget: TargetKind = {
  field: "requestRoot",
  form: "{ requestRoot }",
  store(target, field) {
    const root = Object((target as { requestRoot: unknown }).requestRoot) as Readonly<Record<string, unknown>>;
    const { requestId, stage, rootId } = root;
    checkId(requestId, `${field}.requestRoot.requestId`);
    checkId(stage, `${field}.requestRoot.stage`);
    checkText(stage, `${field}.requestRoot.stage`, MAX_STAGE_BYTES);
    checkId(rootId, `${field}.requestRoot.rootId`);
    return { route: REQUEST_ROUTE, body: JSON.stringify({ requestId, stage, rootId }) };
  },
  owns: (route) => route === REQUEST_ROUTE,
  routes: () => [REQUEST_ROUTE],
  destination: ({ route }) => route,
  send,
  withheld: "the handler failed",
  // Only a reached limit is final: it keeps the request from ever taking the root. Other errors, such as a missing
  // binding or token, may be fixed by the next deployment.
  next: ({ code, retryAfterMs }) => ({
    ...(code === "limit_exceeded" ? { final: true } : {}),
    ...(retryAfterMs === undefined ? {} : { notBeforeMs: retryAfterMs }),
  }),
};

/** Marks the root in the request: done when the group succeeded, failed otherwise. */
async function send({ claim, signal }: Attempt, { requests }: DeliveryHost): Promise<void> {
  const { requestId, stage, rootId } = JSON.parse(claim.body) as { requestId: string; stage: string; rootId: string };
  const failure = failureAtEnd(JSON.parse(claim.snapshot) as GroupView);
  // The delivery's id is the idempotency key: of many attempts one counts.
  const input = {
    op: claim.deliveryId,
    stage,
    root: rootId,
    processed: failure === undefined ? 1 : 0,
    // A request that began long after the group is a different use of its id.
    begunBeforeMs: claim.generation + BEGUN_SLACK_MS,
    ...(failure === undefined ? {} : { error: failure }),
  };
  const { refused } = await requests().run("request.mark", requestId, input, { signal });
  if (refused !== undefined)
    throw new CoordinationError("limit_exceeded", `the request has no room for more ${refused}`);
}

/** Returns the error that the request stores for a group that did not succeed; `undefined` when the group succeeded. */
function failureAtEnd({ state, reason, failed, total, errors }: GroupView): string | undefined {
  if (state === "timed_out") return "the group timed out";
  if (state === "cancelled") return shortText(`the group was cancelled: ${reason ?? ""}`, "error", MAX_ERROR_BYTES);
  if (failed === 0) return undefined;
  const first = Array.isArray(errors) ? errors[0]?.message : undefined;
  return shortText(`${failed} of ${total} tasks failed: ${first ?? ""}`, "error", MAX_ERROR_BYTES);
}
