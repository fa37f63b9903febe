import type { Kind } from "../../cli/snapshot.js";
import { count, fromNow } from "../../cli/text/time.js";
import type { ApiClient, List } from "../api/client.js";
import { ApiFault } from "../api/faults.js";
import { type Loaded, useLoaded, useNow } from "../hooks.js";
import { LISTS, type ListName, TROUBLE } from "../lists.js";
import { Heading } from "../parts/heading.js";
import { Fault, Loading } from "../parts/notices.js";
import { Rows } from "../parts/rows.js";
import { listAddress, overviewAddress } from "../place.js";
import { KindSwitch } from "./kind-switch.js";

const SHOWN: readonly ListName[] = [...TROUBLE, "open", "ended"];
/** How many items of each list the overview shows. */
const FEW = 5;
/** Each list is one call of the index. */
const EVERY_MS = 15_000;

type Lists = Loaded<List>;

/** The first view: what needs a person, then what is open, then what has ended. */
export function Overview({
  api,
  kind,
  trouble,
  wanted,
}: {
  readonly api: ApiClient;
  readonly kind: Kind;
  /** How many of the other kind need a person. */
  readonly trouble: string | undefined;
  readonly wanted: string;
}) {
  const nowMs = useNow(5_000);
  const lists = Object.fromEntries(
    SHOWN.map((name) => {
      const load = (signal: AbortSignal) => api.list(kind, LISTS[name].query, signal);
      return [name, useLoaded(load, { key: name, everyMs: EVERY_MS })];
    }),
  ) as Readonly<Record<ListName, Lists>>;
  const all = SHOWN.map((name) => lists[name]);
  const fault = all.find((list) => list.fault !== undefined)?.fault;
  if (fault instanceof ApiFault && fault.code === "unsupported") return <NoIndex kind={kind} />;
  const isTold = TROUBLE.every((name) => lists[name].value !== undefined);
  const isWell = isTold && TROUBLE.every((name) => isEmpty(lists[name].value));
  const reload = (): void => {
    for (const list of all) list.reload();
  };
  return (
    <main>
      <Heading name={titleOf(kind)} />
      <KindSwitch kind={kind} trouble={trouble} addressOf={overviewAddress} />
      <nav aria-label={`Lists of ${kind}s`}>
        <ul class="cards">
          {SHOWN.map((name) => (
            <li key={name}>
              <Card kind={kind} name={name} list={lists[name].value} />
            </li>
          ))}
        </ul>
      </nav>
      {fault === undefined ? null : <Fault error={fault} again={reload} />}
      <p class="quiet">
        {isWell ? <strong>Nothing is stuck, dead-lettered or unhandled. </strong> : null}
        {asOf(all, nowMs)}
      </p>
      {SHOWN.map((name) => (
        <Section
          key={name}
          kind={kind}
          name={name}
          list={name === "open" ? withoutStuck(lists) : lists[name]}
          wanted={wanted}
          nowMs={nowMs}
        />
      ))}
    </main>
  );
}

/** The stuck ones are open too, and are above. */
function withoutStuck({ open, stuck }: Readonly<Record<ListName, Lists>>): Lists {
  if (open.value === undefined) return open;
  const above = new Set(stuck.value?.items.map(({ id }) => id));
  return { ...open, value: { ...open.value, items: open.value.items.filter(({ id }) => !above.has(id)) } };
}

function isEmpty(list: List | undefined): boolean {
  return list !== undefined && list.items.length === 0 && list.next === null;
}

/** Returns how many items a list has, as far as its first page says. */
export function countText({ items, next }: List): string {
  return `${items.length}${next === null ? "" : "+"}`;
}

interface CardProps {
  readonly kind: Kind;
  readonly name: ListName;
  readonly list: List | undefined;
}

function Card({ kind, name, list }: CardProps) {
  const isTrouble = (TROUBLE as readonly ListName[]).includes(name);
  const tone = isTrouble && list !== undefined && !isEmpty(list) ? " bad" : "";
  return (
    <a class={`card${tone}`} href={listAddress(name, kind)}>
      <span class="number">{list === undefined ? "…" : countText(list)}</span>
      <span>{LISTS[name].title}</span>
    </a>
  );
}

interface SectionProps {
  readonly kind: Kind;
  readonly name: ListName;
  readonly list: Lists;
  readonly wanted: string;
  readonly nowMs: number;
}

function Section({ kind, name, list: { value }, wanted, nowMs }: SectionProps) {
  const isTrouble = (TROUBLE as readonly ListName[]).includes(name);
  if (isTrouble && (value === undefined || isEmpty(value))) return null;
  const { title, about, hint } = LISTS[name];
  const heading = name === "open" ? "Open, and not stuck" : title;
  const matching = (value?.items ?? []).filter(({ id }) => id.includes(wanted));
  const shown = matching.slice(0, FEW);
  const hasMore = value !== undefined && (matching.length > shown.length || value.next !== null);
  return (
    <section aria-labelledby={`list-${name}`}>
      <h2 id={`list-${name}`}>
        {heading} {value === undefined ? null : <span class="quiet">{countText(value)}</span>}
      </h2>
      <p class="quiet">{`${about} ${hint}`}</p>
      {value === undefined ? <Loading what={`${kind}s`} /> : null}
      <Rows kind={kind} items={shown} nowMs={nowMs} />
      {value !== undefined && shown.length === 0 ? <p>{noneText(kind, wanted, value)}</p> : null}
      {hasMore ? <a class="all" href={listAddress(name, kind)}>{`All: ${title}`}</a> : null}
    </section>
  );
}

export function noneText(kind: Kind, wanted: string, { next }: Pick<List, "next">): string {
  if (wanted !== "") return "No id in this part of the list contains that text. Press Enter to open the id itself.";
  return next === null ? `No ${kind}s.` : "None on the first page.";
}

/** The oldest of the lists decides: nothing after it is known of all. Groups that could not tell the index lag further. */
function asOf(lists: readonly Lists[], nowMs: number): string {
  const instants = lists.flatMap(({ value }) => (value === undefined ? [] : [value.asOfMs]));
  if (instants.length < lists.length) return "Reading the lists…";
  const oldestMs = Math.min(...instants);
  return `These lists are as of ${fromNow(Math.min(oldestMs, nowMs), nowMs)} at best. They are read again every ${count(EVERY_MS / 1_000, "second")}.`;
}

const titleOf = (kind: Kind): string => (kind === "group" ? "Groups" : "Requests");

/** The view of a Worker whose index is off. */
export function NoIndex({ kind }: { readonly kind: Kind }) {
  return (
    <main>
      <Heading name={titleOf(kind)} />
      <KindSwitch kind={kind} addressOf={overviewAddress} />
      <p class="notice">
        {`This Worker keeps no index of its ${kind}s, so there are no lists. Search for an id to open its ${kind}.`} The
        field `index` of the object's class turns the index on.
      </p>
    </main>
  );
}
