import { useRef } from "hono/jsx/dom";
import { ApiFault, faultText } from "../api/faults.js";
import { useState } from "../lifetime.js";
import { Heading } from "../parts/heading.js";
import type { Store } from "../store.js";

/** Asks for a token, and tries it with one call. */
export function SignIn({ store, notice }: { readonly store: Store; readonly notice: string | undefined }) {
  const field = useRef<HTMLInputElement>(null);
  const [isBusy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<string | undefined>(undefined);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const token = field.current?.value.trim() ?? "";
    if (token === "") return setRefusal("Enter a token.");
    setBusy(true);
    setRefusal(await tried(store, token));
    setBusy(false);
    field.current?.focus();
  };
  return (
    <main class="sign-in">
      <Heading name="Sign in" />
      {notice === undefined ? null : (
        <p class="notice" role="status">
          {notice}
        </p>
      )}
      <form onSubmit={submit}>
        <label for="token">Token of this Worker</label>
        <input
          id="token"
          type="password"
          autocomplete="off"
          aria-describedby="token-help"
          aria-invalid={String(refusal !== undefined)}
          ref={field}
        />
        <p id="token-help" class="quiet">
          A token of COORDINATOR_TOKEN, or one of COORDINATOR_TOKENS for a tenant. This page keeps it in memory only: it
          is gone when you load the page again or close it.
        </p>
        <div role="alert">{refusal === undefined ? null : <p class="notice bad">{refusal}</p>}</div>
        <button type="submit" class="primary" disabled={isBusy}>
          {isBusy ? "Signing in…" : "Sign in"}
        </button>
      </form>
    </main>
  );
}

/** Opens the page with a token. Returns why the Worker refused it. */
async function tried(store: Store, token: string): Promise<string | undefined> {
  // A header can hold no other characters: the browser would throw.
  if (!/^[\x21-\x7e]+$/.test(token)) return "A token has only letters, digits and - . _ ~ + / =.";
  const api = store.signIn(token);
  try {
    await api.list("group", "state=open&limit=1", AbortSignal.timeout(30_000));
  } catch (error) {
    if (error instanceof ApiFault && error.status === 401) return "This Worker does not accept the token.";
    // Without an index there are no lists, but each group is there.
    if (!(error instanceof ApiFault) || error.code !== "unsupported") return faultText(error);
  }
  store.open(api);
  return undefined;
}
