/** The part of `fetch` that the library calls. */
export type FetchFunction = (url: string, init: RequestInit) => Promise<Response>;
