import type { DurableObjectCoordinator } from "../../src/backends/durable-object/client.js";
import { recordOf } from "../../src/capability/claims.js";
import { Problem } from "../../src/http/problem.js";
import { checkId } from "../../src/lib/validate.js";
import { type App, type AppContext, pathSegment, route } from "../context.js";

/** The part of the Worker that the routes call. */
export interface ReindexHost {
  /** Returns the coordinator of a tenant. */
  whole(c: AppContext, keyPrefix: string): DurableObjectCoordinator;
}

/**
 * `POST …/:id/reindex`: a group or a request that a list lacks, or shows wrongly, tells the index again. It is a method of the
 * objects alone. A capability does not open it.
 */
export function reindexRoutes(app: App, host: ReindexHost): void {
  for (const records of ["groups", "requests"]) {
    route(app, `/v1/${records}/:id/reindex`, { POST: (c) => reindex(c, host) });
  }
}

async function reindex(c: AppContext, host: ReindexHost): Promise<Response> {
  const id = pathSegment(c, 3);
  checkId(id, "the id in the path");
  const { machine } = recordOf(pathSegment(c, 2) === "groups" ? { groupId: id } : { requestId: id });
  const coordinator = host.whole(c, c.var.keyPrefix);
  if (await coordinator.reindex(machine, id, { signal: c.req.raw.signal })) return c.body(null, 204);
  throw new Problem("not_found", "there is no such group or request: not registered yet, or expired");
}
