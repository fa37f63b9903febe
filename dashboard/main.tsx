import { render } from "hono/jsx/dom";
import { Store } from "./store.js";
import { App } from "./views/app.js";

const [navigation] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
const notice =
  navigation?.type === "reload"
    ? "The page was loaded again. It keeps the token in memory only, so sign in once more."
    : undefined;
const store = new Store(location.hash, notice);
addEventListener("hashchange", () => store.goTo(location.hash));
const root = document.getElementById("app");
if (root !== null) render(<App store={store} />, root);
