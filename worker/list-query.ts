import type { Duration } from "../src/lib/duration.js";

/** The query of a list, as its schema returns it. */
interface ListQueryFields {
  readonly olderThan?: number | string;
  readonly after?: number | string;
}

/** Returns the options of a tracker's `list` for a query. */
export function listOptions<Query extends ListQueryFields>({ olderThan, after, ...rest }: Query) {
  return {
    ...rest,
    ...(olderThan === undefined ? {} : { olderThanSec: olderThan as Duration }),
    // A position of digits alone came as a number.
    ...(after === undefined ? {} : { after: String(after) }),
  };
}
