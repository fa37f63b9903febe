import * as z from "zod/mini";
import { generation, instant, orNull, text, told } from "./fields.js";

/** The fields of a group or request in a list. */
export const listed = {
  generation,
  total: z.int(),
  succeeded: z.int(),
  failed: z.int(),
  registeredAtMs: instant("when it was registered"),
  deadlineAtMs: orNull(instant("when it times out")),
  lastAckAtMs: orNull(instant("when a task was last counted")),
  endedAtMs: orNull(instant("when it ended")),
  delivery: told(orNull(z.enum(["pending", "unhandled", "dead"])), "the worst delivery that it owes; null for none"),
};

/** The fields of a page of a list, besides its items. */
export const listPage = {
  next: told(orNull(text), "the `after` of the next page; null on the last page"),
  asOfMs: instant("the time at which the list had this content"),
};
