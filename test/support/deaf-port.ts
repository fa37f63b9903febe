import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";

const LISTEN = `
  const server = require("node:net").createServer();
  server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => process.send(server.address().port));
`;
/** Enough to fill the shortest queue of connections that no server accepts. */
const FILLING = 8;

export interface DeafPort {
  readonly url: string;
  close(): void;
}

/**
 * A port where a connection is never made: the process behind it is stopped, and its queue of connections is full, so
 * that the system answers no other.
 */
export async function startDeafPort(): Promise<DeafPort> {
  const child = spawn(process.execPath, ["-e", LISTEN], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const [port] = (await once(child, "message")) as [number];
  child.kill("SIGSTOP");
  const sockets: Socket[] = Array.from({ length: FILLING }, () => connect(port, "127.0.0.1").on("error", () => {}));
  await new Promise((resolve) => setTimeout(resolve, 200));
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => {
      for (const socket of sockets) socket.destroy();
      child.kill("SIGKILL");
    },
  };
}
