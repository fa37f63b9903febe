import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bundleWorker } from "../../dev/worker-bundle.js";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { DASHBOARD } from "../../worker/dashboard.gen.js";
import { TOKEN } from "./client.js";

/** A Worker that a query turns into one without a dashboard, by the option or by the variable. */
const SOURCE = `
  import { createWorker } from "./worker/index.js";
  export { CoordinatorWorkerObject } from "./worker/index.js";
  const [on, off] = [createWorker(), createWorker({ dashboard: false })];
  export default {
    fetch: (request, env, ctx) => {
      const { searchParams } = new URL(request.url);
      const variable = searchParams.get("variable");
      const vars = variable === null ? env : { ...env, DASHBOARD: variable };
      return (searchParams.has("off") ? off : on).fetch(request, vars, ctx);
    },
  };
`;
let worker: WorkerHost;

beforeAll(async () => {
  worker = await startWorker({ source: SOURCE, vars: { COORDINATOR_TOKEN: TOKEN } });
});
afterAll(() => worker.close());

const get = (path: string, init: RequestInit = {}): Promise<Response> => fetch(worker.url + path, init);

describe("the dashboard's files", () => {
  it.each([
    ["/", "text/html; charset=utf-8", DASHBOARD.page],
    ["/dashboard.js", "text/javascript; charset=utf-8", DASHBOARD.script],
    ["/dashboard.css", "text/css; charset=utf-8", DASHBOARD.style],
  ])("%s needs no token, and may load nothing from elsewhere", async (path, type, { text, hash }) => {
    const response = await get(path);
    expect(await response.text()).toBe(text);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": type,
      "content-security-policy":
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-resource-policy": "same-origin",
      "cache-control": "no-cache",
      etag: `"${hash}"`,
    });
  });

  it("are not sent again to a browser that has them", async () => {
    const { hash } = DASHBOARD.script;
    for (const named of [`"${hash}"`, `W/"${hash}"`, `"other", "${hash}"`, "*"]) {
      const response = await get("/dashboard.js", { headers: { "if-none-match": named } });
      expect([response.status, await response.text()]).toEqual([304, ""]);
    }
    expect((await get("/dashboard.js", { headers: { "if-none-match": '"other"' } })).status).toBe(200);
  });

  it("take GET and HEAD alone, and nothing is beside them", async () => {
    const head = await get("/", { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    expect((await get("/", { method: "POST" })).status).toBe(405);
    expect((await get("/index.html")).status).toBe(404);
  });

  it("are in every bundle of the Worker, without a step of its user", async () => {
    const bundle = await bundleWorker();
    for (const { hash } of Object.values(DASHBOARD)) expect(bundle).toContain(hash);
  });

  it("take at most 40 kB compressed", () => {
    const texts = Object.values(DASHBOARD).map(({ text }) => gzipSync(text));
    expect(texts.map((text) => gunzipSync(text).length).every((length) => length > 0)).toBe(true);
    expect(texts.reduce((sum, { length }) => sum + length, 0)).toBeLessThan(40 * 1024);
  });

  it("hold nothing inline, which the policy would refuse", () => {
    expect(DASHBOARD.page.text).not.toMatch(/<script(?![^>]* src=)|<style|\son\w+=|\sstyle=/);
    expect(DASHBOARD.page.text).not.toMatch(/(src|href)="(?!\/dashboard\.|data:)/);
    expect(DASHBOARD.style.text).not.toMatch(/url\(|@import/);
  });
});

describe("a Worker whose dashboard is off", () => {
  const statusesOf = async (query: string): Promise<number[]> => {
    const answers = await Promise.all(["/", "/dashboard.js", "/dashboard.css"].map((path) => get(path + query)));
    return answers.map(({ status }) => status);
  };

  it("answers 404, by the option and by the variable", async () => {
    expect(await statusesOf("?off")).toEqual([404, 404, 404]);
    expect(await statusesOf("?variable=off")).toEqual([404, 404, 404]);
    expect(await statusesOf("?variable=on")).toEqual([200, 200, 200]);
  });

  it("is off as well where the variable is malformed, which /health says", async () => {
    expect(await statusesOf("?variable=false")).toEqual([404, 404, 404]);
    const health = (await (await get("/health?variable=false")).json()) as {
      readonly misconfigured: readonly string[];
    };
    expect(health.misconfigured).toEqual(["DASHBOARD"]);
  });
});
