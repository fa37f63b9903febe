import type { GroupStatus } from "../../src/delivery/group-status.js";
import type { ApiClient } from "../api/client.js";
import { actionsOf } from "../steps.js";
import { StepButton } from "./step-button.js";

interface Props {
  readonly api: ApiClient;
  readonly status: GroupStatus;
  readonly apply: (status: GroupStatus | null) => void;
  readonly nowMs: number;
}

/** The actions that the group takes now. Each button asks for a confirmation. */
export function Actions({ api, status, apply, nowMs }: Props) {
  const actions = actionsOf(status, nowMs);
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
