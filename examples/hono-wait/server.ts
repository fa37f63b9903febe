import type { AddressInfo } from "node:net";
import { app } from "./app.js";
import { serve } from "./serve.js";

const server = serve(app.fetch);
// From this machine alone. In production, HOST=0.0.0.0 behind a proxy that authenticates.
server.listen(Number(process.env.PORT ?? 3000), process.env.HOST ?? "127.0.0.1", () => {
  console.log(`Listening on http://localhost:${(server.address() as AddressInfo).port}`);
});
