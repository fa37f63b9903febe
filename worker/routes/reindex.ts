import { DurableObjectCoordinator } from "../../src/backends/durable-object/client.js";
import { recordOf } from "../../src/capability/claims.js";
import { CoordinationError } from "../../src/errors.js";
import { Problem } from "../../src/http/problem.js";
import { checkId } from "../../src/lib/validate.js";
import { type App, type AppContext, pathSegment, route } from "../context.js";

/** `POST …/:id/reindex`: a group or a request that a list lacks, or shows wrongly, tells the index again. */
export function reindexRoutes(app: App): void {
  for (const records of ["groups", "requests"]) route(app, `/v1/${records}/:id/reindex`, { POST: reindex });
}

async function reindex(c: AppContext): Promise<Response> {
  const { coordinator } = c.var;
  if (!(coordinator instanceof DurableObjectCoordinator)) {
    throw new CoordinationError("unsupported", "this Worker keeps no index of its own");
  }
  const id = pathSegment(c, 3);
  checkId(id, "the id in the path");
  const { machine } = recordOf(pathSegment(c, 2) === "groups" ? { groupId: id } : { requestId: id });
  if (await coordinator.reindex(machine, id, { signal: c.req.raw.signal })) return c.body(null, 204);
  throw new Problem("not_found", "there is no such group or request: not registered yet, or expired");
}
