import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { startBrowser } from "../../dev/dashboard/browser.js";
import { seed } from "../../dev/dashboard/seed.js";
import { startSite } from "../../dev/dashboard/site.js";
import { accessible } from "./accessible.js";
import { keyboard } from "./keyboard.js";
import { requests } from "./requests.js";
import { safety } from "./safety.js";
import { stories } from "./stories.js";
import { EMPTY_TOKEN } from "./tokens.js";
import { views } from "./views.js";
import { Visit, type Visited, type VisitOptions } from "./visit.js";

/** One Worker and one browser for all of them: both take seconds to start. */
let visited: Visited;
let visits: Visit[] = [];
/** The page that most tests share. */
let shared: Visit | undefined;

beforeAll(async () => {
  const [site, browser] = await Promise.all([
    startSite({ COORDINATOR_TOKENS: JSON.stringify({ [EMPTY_TOKEN]: "empty" }) }),
    startBrowser(),
  ]);
  visited = { site, browser };
  await seed(site);
  const chunks = [1, 2, 3].map((n) => ({ stage: "embed", id: `chunk-${n}` }));
  await site.call("PUT", "/v1/groups/shelf-1", { tasks: chunks });
  const acks = [
    { ...chunks[0], result: { vectors: 128 } },
    { ...chunks[1], error: "out of memory" },
  ];
  await site.call("POST", "/v1/groups/shelf-1/acks", { tasks: acks });
  await site.call("PUT", "/v1/groups/to-cancel", { tasks: ["a", "b"] });
  await site.call("PUT", "/v1/groups/nested-1", { tasks: [{ id: "a", group: "nested-1/a" }, "b"] });
  await site.call("PUT", "/v1/groups/nested-1%2Fa", { tasks: ["x"], parent: { groupId: "nested-1", taskId: "a" } });
});

afterAll(async () => {
  await visited.browser.close();
  await visited.site.close();
});

/** Whatever a test looks at: the console stays empty, and every request goes to the Worker. */
afterEach(async ({ task }) => {
  const ended = visits;
  visits = [];
  if (task.result?.state === "fail") shared = undefined;
  await Promise.all(ended.map((visit) => (visit === shared ? undefined : visit.end())));
  for (const visit of ended) {
    expect(visit.complaints).toEqual([]);
    expect(visit.foreign()).toEqual([]);
  }
});

async function begin(options: VisitOptions = {}): Promise<Visit> {
  const { isNew = false, script } = options;
  const isOwn = isNew || script !== undefined;
  const visit = (isOwn ? undefined : shared) ?? (await Visit.begin(visited, options));
  if (!isOwn) shared = visit;
  await visit.renew(options);
  visits.push(visit);
  return visit;
}

safety(begin);
views(begin);
keyboard(begin);
accessible(begin);
requests(begin);
stories(begin);
