import { count, fromNow } from "../../cli/text/time.js";
import type { GroupList } from "../../src/trackers/group/list.js";
import type { ApiClient } from "../api/client.js";
import { ApiFault } from "../api/faults.js";
import { type Loaded, useLoaded, useNow } from "../hooks.js";
import { LISTS, type ListName, TROUBLE } from "../lists.js";
import { Heading } from "../parts/heading.js";
import { Fault, Loading } from "../parts/notices.js";
import { GroupRows } from "../parts/rows.js";
import { listAddress } from "../place.js";

const SHOWN: readonly ListName[] = [...TROUBLE, "open", "ended"];
/** How many groups of each list the overview shows. */
const FEW = 5;
/** Each list is one call of the index. */
const EVERY_MS = 15_000;

type Lists = Loaded<GroupList>;

/** The first view: what needs a person, then what is open, then what has ended. */
export function Overview({ api, wanted }: { readonly api: ApiClient; readonly wanted: string }) {
  const nowMs = useNow(5_000);
  const lists = Object.fromEntries(
    SHOWN.map((name) => {
      const load = (signal: AbortSignal) => api.list(LISTS[name].query, signal);
      return [name, useLoaded(load, { key: name, everyMs: EVERY_MS })];
    }),
  ) as Readonly<Record<ListName, Lists>>;
  const all = SHOWN.map((name) => lists[name]);
  const fault = all.find((list) => list.fault !== undefined)?.fault;
  if (fault instanceof ApiFault && fault.code === "unsupported") return <NoIndex />;
  const isTold = TROUBLE.every((name) => lists[name].value !== undefined);
  const isWell = isTold && TROUBLE.every((name) => isEmpty(lists[name].value));
  const reload = (): void => {
    for (const list of all) list.reload();
  };
  return (
    <main>
      <Heading name="Groups" />
      <nav aria-label="Lists of groups">
        <ul class="cards">
          {SHOWN.map((name) => (
            <li key={name}>
              <Card name={name} list={lists[name].value} />
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
  const above = new Set(stuck.value?.items.map(({ groupId }) => groupId));
  return { ...open, value: { ...open.value, items: open.value.items.filter(({ groupId }) => !above.has(groupId)) } };
}

function isEmpty(list: GroupList | undefined): boolean {
  return list !== undefined && list.items.length === 0 && list.next === null;
}

/** Returns how many groups a list has, as far as its first page says. */
export function countText({ items, next }: GroupList): string {
  return `${items.length}${next === null ? "" : "+"}`;
}

function Card({ name, list }: { readonly name: ListName; readonly list: GroupList | undefined }) {
  const isTrouble = (TROUBLE as readonly ListName[]).includes(name);
  const tone = isTrouble && list !== undefined && !isEmpty(list) ? " bad" : "";
  return (
    <a class={`card${tone}`} href={listAddress(name)}>
      <span class="number">{list === undefined ? "…" : countText(list)}</span>
      <span>{LISTS[name].title}</span>
    </a>
  );
}

interface SectionProps {
  readonly name: ListName;
  readonly list: Lists;
  readonly wanted: string;
  readonly nowMs: number;
}

function Section({ name, list: { value }, wanted, nowMs }: SectionProps) {
  const isTrouble = (TROUBLE as readonly ListName[]).includes(name);
  if (isTrouble && (value === undefined || isEmpty(value))) return null;
  const { title, about, hint } = LISTS[name];
  const heading = name === "open" ? "Open, and not stuck" : title;
  const matching = (value?.items ?? []).filter(({ groupId }) => groupId.includes(wanted));
  const shown = matching.slice(0, FEW);
  const hasMore = value !== undefined && (matching.length > shown.length || value.next !== null);
  return (
    <section aria-labelledby={`list-${name}`}>
      <h2 id={`list-${name}`}>
        {heading} {value === undefined ? null : <span class="quiet">{countText(value)}</span>}
      </h2>
      <p class="quiet">{`${about} ${hint}`}</p>
      {value === undefined ? <Loading what="groups" /> : null}
      <GroupRows items={shown} nowMs={nowMs} />
      {value !== undefined && shown.length === 0 ? <p>{noneText(wanted, value)}</p> : null}
      {hasMore ? <a class="all" href={listAddress(name)}>{`All: ${title}`}</a> : null}
    </section>
  );
}

export function noneText(wanted: string, { next }: Pick<GroupList, "next">): string {
  if (wanted !== "") return "No id in this part of the list contains that text. Press Enter to open the id itself.";
  return next === null ? "No groups." : "None on the first page.";
}

/** The oldest of the lists decides: nothing after it is known of all. Groups that could not tell the index lag further. */
function asOf(lists: readonly Lists[], nowMs: number): string {
  const instants = lists.flatMap(({ value }) => (value === undefined ? [] : [value.asOfMs]));
  if (instants.length < lists.length) return "Reading the lists…";
  const oldestMs = Math.min(...instants);
  return `These lists are as of ${fromNow(Math.min(oldestMs, nowMs), nowMs)} at best. They are read again every ${count(EVERY_MS / 1_000, "second")}.`;
}

/** The view of a Worker whose index is off. */
export function NoIndex() {
  return (
    <main>
      <Heading name="Groups" />
      <p class="notice">
        This Worker keeps no index of its groups, so there are no lists. Search for an id to open its group. The field
        `index` of the object's class turns the index on.
      </p>
    </main>
  );
}
