import * as z from "zod/mini";
import { orNull, text, told } from "./fields.js";

export const tenant = z.strictObject({
  tenant: told(orNull(text), "null: the data of COORDINATOR_TOKEN"),
  suspended: told(z.boolean(), "whether COORDINATOR_SUSPENDED names the tenant"),
});

export const health = z.strictObject({
  status: told(z.enum(["ok", "degraded"]), "`degraded`: a variable is missing or malformed"),
  version: text,
  misconfigured: z.exactOptional(told(z.array(text), "the names of those variables")),
});
