/** The app as an edge function, which Vercel calls with the request and a context. */
export { handle as default } from "../src/handle.js";

export const config = { runtime: "edge" };
