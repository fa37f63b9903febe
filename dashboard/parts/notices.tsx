import { faultText } from "../api/faults.js";
import type { Pages } from "../hooks.js";

/** A fault, with a button that tries again. */
export function Fault({ error, again }: { readonly error: unknown; readonly again?: () => void }) {
  return (
    <div class="notice bad" role="alert">
      <p>{faultText(error)}</p>
      {again === undefined ? null : (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Loading({ what }: { readonly what: string }) {
  return <p class="quiet" role="status">{`Loading ${what}…`}</p>;
}

/** The button for the next page, and a fault of the last one. */
export function More({
  pages,
  what,
}: {
  readonly pages: Pick<Pages<unknown, unknown>, "next" | "isLoading" | "fault" | "more" | "again">;
  readonly what: string;
}) {
  if (pages.fault !== undefined) return <Fault error={pages.fault} again={() => pages.again()} />;
  if (pages.next === null) return null;
  return (
    <button type="button" class="more" disabled={pages.isLoading} onClick={() => pages.more()}>
      {pages.isLoading ? "Loading…" : `Show more ${what}`}
    </button>
  );
}
