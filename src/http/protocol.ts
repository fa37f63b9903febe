/**
 * The version of the envelope of each answer of `/v1/run`, `/v1/batch` and `/v1/watch`: `{ protocol: 1, output }`. The
 * number grows when an output changes in a way that older clients would misread. It also proves to a client that the
 * Worker answered, and not a proxy.
 */
export const PROTOCOL = 1;
