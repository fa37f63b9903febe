import type { Browser, BrowserContext, Locator, Page } from "playwright-core";
import { SITE_TOKEN, type Site } from "../../dev/dashboard/site.js";

/** What every test of the page shares: a Worker with groups in it, and a browser. */
export interface Visited {
  readonly site: Site;
  readonly browser: Browser;
}

export interface VisitOptions {
  readonly colorScheme?: "light" | "dark";
  readonly width?: number;
  /** Runs in the page before its own script. */
  readonly script?: string;
  /** Errors that the test causes. */
  readonly allows?: RegExp;
  /** The page must not be signed in. Others share one page, because to open one takes a second. */
  readonly isNew?: boolean;
}

/** One person's visit: a page with no memory of earlier ones, and what the browser said meanwhile. */
export class Visit {
  /** What the console showed as an error or a warning, and what the page threw. */
  readonly complaints: string[] = [];
  /** The addresses of all requests. */
  readonly requests: string[] = [];
  #allows: RegExp | undefined;
  #isSignedIn = false;

  private constructor(
    readonly page: Page,
    readonly context: BrowserContext,
    readonly site: Site,
  ) {}

  static async begin({ site, browser }: Visited, options: VisitOptions = {}): Promise<Visit> {
    const { colorScheme = "light", width = 1_000, script } = options;
    const context = await browser.newContext({
      colorScheme,
      viewport: { width, height: 800 },
      reducedMotion: "reduce",
    });
    if (script !== undefined) await context.addInitScript({ content: script });
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    const visit = new Visit(page, context, site);
    visit.#allows = options.allows;
    const complain = (text: string): void => {
      if (visit.#allows?.test(text) !== true) visit.complaints.push(text);
    };
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") complain(message.text());
    });
    page.on("pageerror", (error) => complain(String(error)));
    page.on("request", (request) => visit.requests.push(request.url()));
    return visit;
  }

  /** Makes the page ready for another test. */
  async renew({ allows }: VisitOptions): Promise<void> {
    await this.page.unrouteAll();
    this.#allows = allows;
    this.complaints.length = 0;
    this.requests.length = 0;
  }

  /** Opens the page at a fragment, signed in. */
  async signIn(fragment = "#/", token = SITE_TOKEN): Promise<void> {
    if (this.#isSignedIn) {
      await this.page.getByLabel(/^Id of a/).fill("");
      // By way of another view, so that the wanted one opens anew. No test wants that one.
      const other = this.page.getByRole("heading", { level: 1, name: "Callback pending" });
      await this.goTo("#/list/pending");
      await other.waitFor();
      await this.goTo(fragment);
      await other.waitFor({ state: "detached" });
      // A view takes the focus at its first frame. It would take it from what a test focuses before that.
      return this.page.locator("h1:focus").waitFor();
    }
    await this.page.goto(`${this.site.url}/${fragment}`);
    await this.page.getByLabel("Token of this Worker").fill(token);
    await this.page.keyboard.press("Enter");
    await this.page.getByRole("button", { name: "Sign out" }).waitFor();
    this.#isSignedIn = true;
  }

  goTo(fragment: string): Promise<void> {
    return this.page.evaluate((hash) => {
      location.hash = hash;
    }, fragment);
  }

  async openGroup(id: string): Promise<void> {
    await this.signIn(`#/groups/${encodeURIComponent(id)}`);
    await this.page.getByRole("heading", { level: 1, name: id }).waitFor();
  }

  /** Waits until the view holds a text. */
  async sees(text: string | RegExp): Promise<void> {
    await this.page.getByText(text).first().waitFor();
  }

  button(name: string): Locator {
    return this.page.getByRole("button", { name, exact: true });
  }

  /** The only dialog. */
  dialog(): Locator {
    return this.page.getByRole("dialog");
  }

  /** Clicks an action, and confirms it. */
  async confirm(name: string): Promise<void> {
    await this.button(name).click();
    await this.dialog().getByRole("button", { name, exact: true }).click();
    await this.dialog().waitFor({ state: "detached" });
  }

  /** Returns the requests that went to another place than the Worker. */
  foreign(): string[] {
    return this.requests.filter((url) => !url.startsWith(this.site.url) && !url.startsWith("data:"));
  }

  end(): Promise<void> {
    return this.context.close();
  }
}
