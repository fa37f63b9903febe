/** The same app as a Node function: there Vercel looks for one export per method. */
export { handle as GET, handle as POST } from "../src/handle.js";
