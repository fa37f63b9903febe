import { fromNow } from "../../cli/text/time.js";
import type { ListedGroup } from "../../src/trackers/group/list.js";
import type { ApiClient } from "../api/client.js";
import { ApiFault } from "../api/faults.js";
import { useNow, usePages } from "../hooks.js";
import { LIST_NAMES, LISTS, type ListName } from "../lists.js";
import { Heading } from "../parts/heading.js";
import { Loading, More } from "../parts/notices.js";
import { GroupRows } from "../parts/rows.js";
import { listAddress, OVERVIEW } from "../place.js";
import { NoIndex, noneText } from "./overview.js";

/** One list, page by page. */
export function List({
  api,
  list,
  wanted,
}: {
  readonly api: ApiClient;
  readonly list: ListName;
  readonly wanted: string;
}) {
  const nowMs = useNow(5_000);
  const { title, query, about, hint } = LISTS[list];
  const pages = usePages<ListedGroup, string>(
    (after) => {
      const position = after === undefined ? "" : `&after=${encodeURIComponent(after)}`;
      return api.list(query + position, AbortSignal.timeout(30_000));
    },
    { list },
  );
  if (pages.fault instanceof ApiFault && pages.fault.code === "unsupported") return <NoIndex />;
  const matching = pages.items.filter(({ groupId }) => groupId.includes(wanted));
  const isEmpty = pages.first !== undefined && matching.length === 0;
  return (
    <main>
      <nav aria-label="Way back" class="trail">
        <a href={OVERVIEW}>All lists</a>
      </nav>
      <Heading name={title} />
      <nav aria-label="Lists of groups">
        <ul class="chips">
          {LIST_NAMES.map((name) => (
            <li key={name}>
              <a href={listAddress(name)} aria-current={name === list ? "page" : undefined}>
                {LISTS[name].title}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <p class="quiet">{`${about} ${hint}`}</p>
      {pages.first?.asOfMs === undefined ? null : (
        <p class="quiet">{`As of ${fromNow(Math.min(pages.first.asOfMs, nowMs), nowMs)} at best.`}</p>
      )}
      {pages.first === undefined && pages.fault === undefined ? <Loading what="groups" /> : null}
      <GroupRows items={matching} nowMs={nowMs} />
      {isEmpty ? <p>{noneText(wanted, pages)}</p> : null}
      <More pages={pages} what="groups" />
    </main>
  );
}
