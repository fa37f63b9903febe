import { useRef } from "hono/jsx/dom";
import type { Kind } from "../../cli/snapshot.js";
import type { ApiClient } from "../api/client.js";
import { useEffect, useState } from "../lifetime.js";
import { overviewAddress, type Place, placeOf, subjectAddress } from "../place.js";
import { type Store, useStore } from "../store.js";
import { useTrouble } from "./kind-switch.js";
import { List } from "./list.js";
import { Overview } from "./overview.js";
import { SignIn } from "./sign-in.js";
import { Subject } from "./subject.js";

/** The page: its head, the view of the address, and the keys. */
export function App({ store }: { readonly store: Store }) {
  const { api, place, notice, hasKeys } = useStore(store);
  const [wanted, setWanted] = useState("");
  const search = useRef<HTMLInputElement>(null);
  useKeys(search, hasKeys && api !== undefined);
  if (api === undefined) {
    return (
      <>
        <Head />
        <SignIn store={store} notice={notice} />
      </>
    );
  }
  return (
    <>
      <button type="button" class="skip" onClick={toContent}>
        Skip to the content
      </button>
      <Head>
        <Search kind={place.kind} field={search} wanted={wanted} setWanted={setWanted} hasKeys={hasKeys} />
        <button type="button" onClick={() => store.signOut("You have signed out. The token is gone from this page.")}>
          Sign out
        </button>
      </Head>
      <p id="said" class="said" role="status" />
      <div id="content">
        {place.view === "subject" ? (
          <Subject key={`${place.kind} ${place.id}`} api={api} subject={place} />
        ) : (
          <Lists key={`lists of ${place.kind}s`} api={api} place={place} wanted={wanted} />
        )}
      </div>
      <Keys hasKeys={hasKeys} setKeys={(next) => store.setKeys(next)} />
    </>
  );
}

interface ListsProps {
  readonly api: ApiClient;
  readonly place: Exclude<Place, { readonly view: "subject" }>;
  readonly wanted: string;
}

/** The overview or one list. The count of the other kind stays from one list to the next. */
function Lists({ api, place, wanted }: ListsProps) {
  const { kind } = place;
  const shared = { api, kind, wanted, trouble: useTrouble(api, kind) };
  return place.view === "overview" ? (
    <Overview key="overview" {...shared} />
  ) : (
    <List key={place.list} {...shared} list={place.list} />
  );
}

function Head({ children }: { readonly children?: unknown }) {
  return (
    <header class="head">
      <a class="brand" href={overviewAddress("group")}>
        edge-coordinator
      </a>
      {children as string}
    </header>
  );
}

interface SearchProps {
  readonly kind: Kind;
  readonly field: { current: HTMLInputElement | null };
  readonly wanted: string;
  readonly setWanted: (text: string) => void;
  readonly hasKeys: boolean;
}

/** Narrows the lists while a person types. Enter opens the group or request with exactly this id. */
function Search({ kind, field, wanted, setWanted, hasKeys }: SearchProps) {
  const submit = (event: Event): void => {
    event.preventDefault();
    const id = (field.current?.value ?? "").trim();
    if (id === "") return;
    setWanted("");
    if (field.current !== null) field.current.value = "";
    location.hash = subjectAddress({ kind, id });
  };
  return (
    <search>
      <form onSubmit={submit}>
        <label for="search" class="hidden">
          {`Id of a ${kind}`}
        </label>
        <input
          id="search"
          type="search"
          ref={field}
          value={wanted}
          placeholder={`Id of a ${kind}${hasKeys ? "  ( / )" : ""}`}
          autocomplete="off"
          autocapitalize="off"
          onInput={(event: Event) => setWanted((event.currentTarget as HTMLInputElement).value.trim())}
        />
        <button type="submit">Open</button>
      </form>
    </search>
  );
}

function toContent(): void {
  document.querySelector<HTMLElement>("h1")?.focus();
}

/** `/` moves to the search, Escape out of it; elsewhere Escape goes one view up. A dialog has its own Escape. */
function useKeys(search: { current: HTMLInputElement | null }, isOn: boolean): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (document.querySelector("dialog[open]") !== null) return;
      const field = search.current;
      const isTyping = event.target instanceof Element && event.target.closest("input, select, textarea") !== null;
      if (event.key === "/" && isOn && !isTyping) {
        event.preventDefault();
        field?.focus();
        field?.select();
      } else if (event.key === "Escape" && event.target === field) {
        document.querySelector<HTMLElement>("h1")?.focus();
      } else if (event.key === "Escape" && !isTyping && placeOf(location.hash).view !== "overview") {
        location.hash = overviewAddress(placeOf(location.hash).kind);
      }
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [isOn]);
}

function Keys({ hasKeys, setKeys }: { readonly hasKeys: boolean; readonly setKeys: (hasKeys: boolean) => void }) {
  return (
    <footer>
      <h2>Keys</h2>
      <ul class="keys">
        <li>
          <kbd>/</kbd> search
        </li>
        <li>
          <kbd>Enter</kbd> open
        </li>
        <li>
          <kbd>Esc</kbd> close a dialog, leave the search, or go to all lists
        </li>
        <li>
          <kbd>Tab</kbd> next link or button
        </li>
      </ul>
      <label class="check">
        <input
          type="checkbox"
          checked={hasKeys}
          onChange={(event: Event) => setKeys((event.currentTarget as HTMLInputElement).checked)}
        />
        <span>Use the key / (turn it off for speech input)</span>
      </label>
    </footer>
  );
}
