import type { AddressInfo } from "node:net";
import { app } from "./app.js";
import { serve } from "./serve.js";

const server = serve(app.fetch);
server.listen(Number(process.env.PORT ?? 3000), () => {
  console.log(`Listening on http://localhost:${(server.address() as AddressInfo).port}`);
});
