import type { Kind } from "../../cli/snapshot.js";
import { grouped } from "../../cli/text/time.js";
import type { ApiClient } from "../api/client.js";
import { useLoaded } from "../hooks.js";
import { LISTS, TROUBLE } from "../lists.js";

interface Props {
  readonly kind: Kind;
  /** How many of the other kind need a person; "" for none, undefined where that is not known. */
  readonly trouble?: string | undefined;
  readonly addressOf: (kind: Kind) => string;
}

const KINDS: readonly (readonly [kind: Kind, title: string])[] = [
  ["group", "Groups"],
  ["request", "Requests"],
];
/** The lists of the kind that is not shown are read less often. */
const EVERY_MS = 60_000;

/** The switch between groups and requests. It says whether the other kind needs a person. */
export function KindSwitch({ kind, trouble, addressOf }: Props) {
  return (
    <nav aria-label="Groups or requests">
      <ul class="chips">
        {KINDS.map(([each, title]) => (
          <li key={each}>
            <a href={addressOf(each)} aria-current={each === kind ? "true" : undefined}>
              {title}
              {each === kind || !trouble ? null : <span class="badge bad">{`${trouble} in trouble`}</span>}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

/** Returns how many of the other kind need a person. Undefined before the first answer. */
export function useTrouble(api: ApiClient, kind: Kind): string | undefined {
  const other = kind === "group" ? "request" : "group";
  const { value } = useLoaded((signal) => troubleOf(api, other, signal), { key: other, everyMs: EVERY_MS });
  return value;
}

/** Returns how many need a person, as far as the first pages say; "" for none. */
async function troubleOf(api: ApiClient, kind: Kind, signal: AbortSignal): Promise<string> {
  const pages = await Promise.all(TROUBLE.map((name) => api.list(kind, LISTS[name].query, signal)));
  // An open one may also owe a delivery of an earlier generation.
  const ids = new Set(pages.flatMap(({ items }) => items.map(({ id }) => id)));
  const isCut = pages.some(({ next }) => next !== null);
  return ids.size === 0 && !isCut ? "" : `${grouped(ids.size)}${isCut ? "+" : ""}`;
}
