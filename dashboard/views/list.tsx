import type { Kind } from "../../cli/snapshot.js";
import { fromNow } from "../../cli/text/time.js";
import type { ApiClient, Listed } from "../api/client.js";
import { ApiFault } from "../api/faults.js";
import { useNow, usePages } from "../hooks.js";
import { isListName, LISTS, type ListName, listNames } from "../lists.js";
import { Heading } from "../parts/heading.js";
import { Loading, More } from "../parts/notices.js";
import { Rows } from "../parts/rows.js";
import { listAddress, overviewAddress } from "../place.js";
import { KindSwitch } from "./kind-switch.js";
import { NoIndex, noneText } from "./overview.js";

/** One list, page by page. */
export function List({
  api,
  kind,
  trouble,
  list,
  wanted,
}: {
  readonly api: ApiClient;
  readonly kind: Kind;
  /** How many of the other kind need a person. */
  readonly trouble: string | undefined;
  readonly list: ListName;
  readonly wanted: string;
}) {
  const nowMs = useNow(5_000);
  const { title, query, about, hint } = LISTS[list];
  const pages = usePages<Listed, string>(
    (after) => {
      const position = after === undefined ? "" : `&after=${encodeURIComponent(after)}`;
      return api.list(kind, query + position, AbortSignal.timeout(30_000));
    },
    { list },
  );
  if (pages.fault instanceof ApiFault && pages.fault.code === "unsupported") return <NoIndex kind={kind} />;
  const matching = pages.items.filter(({ id }) => id.includes(wanted));
  const isEmpty = pages.first !== undefined && matching.length === 0;
  return (
    <main>
      <nav aria-label="Way back" class="trail">
        <a href={overviewAddress(kind)}>All lists</a>
      </nav>
      <Heading name={`${title} ${kind}s`}>{title}</Heading>
      <KindSwitch
        kind={kind}
        trouble={trouble}
        addressOf={(other) => (isListName(other, list) ? listAddress(list, other) : overviewAddress(other))}
      />
      <nav aria-label={`Lists of ${kind}s`}>
        <ul class="chips">
          {listNames(kind).map((name) => (
            <li key={name}>
              <a href={listAddress(name, kind)} aria-current={name === list ? "page" : undefined}>
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
      {pages.first === undefined && pages.fault === undefined ? <Loading what={`${kind}s`} /> : null}
      <Rows kind={kind} items={matching} nowMs={nowMs} />
      {isEmpty ? <p>{noneText(kind, wanted, pages)}</p> : null}
      <More pages={pages} what={`${kind}s`} />
    </main>
  );
}
