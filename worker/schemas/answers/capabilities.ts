import * as z from "zod/mini";
import { instant, text, told } from "./fields.js";

const expiresAtMs = instant("when it expires");

export const capability = z.strictObject({
  token: told(text, "for `Authorization: Bearer`; never put it into a URL"),
  expiresAtMs,
});

export const callbackUrl = z.strictObject({ url: told(text, "POST any body to it"), expiresAtMs });

export const callbackAnswer = z.strictObject({
  outcome: told(
    z.enum(["accepted", "duplicate", "early", "heartbeat"]),
    "`early`: kept until the task is announced. `heartbeat`: nothing is settled",
  ),
});
