import type { GroupStatus } from "../../src/delivery/group-status.js";
import type { ApiClient } from "../api/client.js";
import type { SubjectId } from "../place.js";
import { actionsOf } from "../steps.js";
import { StepButton } from "./step-button.js";

interface Props {
  readonly api: ApiClient;
  readonly subject: SubjectId;
  readonly status: GroupStatus;
  readonly apply: (status: GroupStatus | null) => void;
  readonly nowMs: number;
}

/** The actions that the group or request takes now. Each button asks for a confirmation. */
export function Actions({ api, subject, status, apply, nowMs }: Props) {
  const actions = actionsOf(subject, status, nowMs);
  if (actions.length === 0) return null;
  return (
    <fieldset class="actions">
      <legend class="hidden">Actions</legend>
      {actions.map((action) => (
        <StepButton key={action.label} api={api} action={action} apply={apply} />
      ))}
    </fieldset>
  );
}
