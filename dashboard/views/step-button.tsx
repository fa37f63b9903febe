import { useId, useRef } from "hono/jsx/dom";
import type { GroupStatus } from "../../src/delivery/group-status.js";
import type { ApiClient } from "../api/client.js";
import { faultText } from "../api/faults.js";
import { useEffect, useState } from "../lifetime.js";
import { Fault } from "../parts/notices.js";
import type { Action, Entered } from "../steps.js";

interface Props {
  readonly api: ApiClient;
  readonly action: Action;
  readonly apply: (status: GroupStatus | null) => void;
}

/** A confirmation that a person has opened. Its words stay as they were then. */
interface Asked {
  readonly action: Action;
  /** Tells it from the one before. */
  readonly turn: number;
}

/** A button that opens the confirmation of an action. It gets the focus back when the dialog closes. */
export function StepButton({ api, action, apply }: Props) {
  const [asked, setAsked] = useState<Asked | undefined>(undefined);
  const open = (): void => setAsked((last) => ({ action, turn: (last?.turn ?? 0) + 1 }));
  // The browser reports the end of a dialog a moment after it. A person may have opened the next one by then.
  const close = (): void => setAsked((newest) => (newest === asked ? undefined : newest));
  return (
    <>
      <button type="button" class={action.isDangerous ? "danger" : ""} onClick={open}>
        {action.label}
      </button>
      {asked === undefined ? null : (
        <Confirmation key={String(asked.turn)} api={api} action={asked.action} apply={apply} close={close} />
      )}
    </>
  );
}

function Confirmation({ api, action, apply, close }: Props & { readonly close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const form = useRef<HTMLFormElement>(null);
  const [isBusy, setBusy] = useState(false);
  const [fault, setFault] = useState<unknown>(undefined);
  const title = useId();
  const effects = useId();
  useEffect(() => dialog.current?.showModal(), []);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (isBusy || form.current === null) return;
    setBusy(true);
    setFault(undefined);
    try {
      const { text, status } = await action.run(api, enteredOf(form.current));
      dialog.current?.close();
      say(text);
      apply(status);
    } catch (error) {
      // A person may have closed the dialog meanwhile.
      if (dialog.current === null) say(faultText(error));
      setFault(error);
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} aria-labelledby={title} aria-describedby={effects} onClose={close}>
      <form ref={form} onSubmit={submit}>
        <h2 id={title}>{action.title}</h2>
        <div id={effects}>
          {action.effects.map((effect) => (
            <p>{effect}</p>
          ))}
        </div>
        {action.asks === "duration" ? <Duration /> : null}
        {action.asks === "reason" ? <Reason /> : null}
        {fault === undefined ? null : <Fault error={fault} />}
        <div class="choices">
          <button type="button" onClick={() => dialog.current?.close()}>
            Go back
          </button>
          <button type="submit" class={action.isDangerous ? "danger" : "primary"} disabled={isBusy}>
            {isBusy ? "Working…" : action.label}
          </button>
        </div>
      </form>
    </dialog>
  );
}

const DURATIONS: readonly (readonly [seconds: number, label: string])[] = [
  [600, "10 minutes"],
  [1_800, "30 minutes"],
  [7_200, "2 hours"],
  [86_400, "1 day"],
];

function Duration() {
  return (
    <p>
      <label for="duration">Time from now</label>
      <select id="duration" name="seconds">
        {DURATIONS.map(([seconds, label]) => (
          <option value={String(seconds)} selected={seconds === 1_800}>
            {label}
          </option>
        ))}
      </select>
    </p>
  );
}

function Reason() {
  return (
    <>
      <p>
        <label for="reason">Reason, which workers and callbacks receive</label>
        <input id="reason" name="reason" type="text" required maxlength={200} autocomplete="off" />
      </p>
      <p>
        <label class="check">
          <input name="cascade" type="checkbox" checked />
          <span>Cancel the child groups of its open tasks too</span>
        </label>
      </p>
    </>
  );
}

function enteredOf(form: HTMLFormElement): Entered {
  const data = new FormData(form);
  return {
    reason: String(data.get("reason") ?? ""),
    seconds: Number(data.get("seconds") ?? 0),
    cascade: data.get("cascade") !== null,
  };
}

/** Shows a sentence in the page's live region, which outlives the view. */
function say(text: string): void {
  const region = document.getElementById("said");
  if (region !== null) region.textContent = text;
}
