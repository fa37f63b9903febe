import { useSyncExternalStore } from "hono/jsx/dom";
import { ApiClient } from "./api/client.js";
import { type Place, placeOf } from "./place.js";

/** The state of the page. */
export interface State {
  /** Undefined until a person has signed in. The token is in it, and nowhere else. */
  readonly api: ApiClient | undefined;
  readonly place: Place;
  /** Why the page asks for the token again. */
  readonly notice: string | undefined;
  /** Whether `/` moves the focus to the search. Some people's speech input types single keys. */
  readonly hasKeys: boolean;
}

/** Holds the state of the page, and tells the views about changes. */
export class Store {
  #state: State;
  readonly #listeners = new Set<() => void>();

  constructor(fragment: string, notice: string | undefined) {
    this.#state = { api: undefined, place: placeOf(fragment), notice, hasKeys: true };
  }

  readonly get = (): State => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  signIn(token: string): ApiClient {
    const api = new ApiClient(token, () => this.#refused(api));
    return api;
  }

  /** Shows the views of an accepted token. */
  open(api: ApiClient): void {
    this.#set({ api, notice: undefined });
  }

  signOut(notice: string): void {
    this.#set({ api: undefined, notice });
  }

  goTo(fragment: string): void {
    this.#set({ place: placeOf(fragment) });
  }

  setKeys(hasKeys: boolean): void {
    this.#set({ hasKeys });
  }

  #refused(api: ApiClient): void {
    if (this.#state.api === api) this.signOut("The Worker no longer accepts this token. Sign in with another one.");
  }

  #set(change: Partial<State>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of [...this.#listeners]) listener();
  }
}

export function useStore(store: Store): State {
  return useSyncExternalStore(store.subscribe, store.get);
}
