/**
 * What `/v1/run`, `/v1/batch` and `/v1/watch` say about themselves in each answer: `{ protocol: 1, output }`. The number grows when
 * an output changes so that an earlier client would misread it. By it a client knows that the Worker answered, and not a proxy.
 */
export const PROTOCOL = 1;
