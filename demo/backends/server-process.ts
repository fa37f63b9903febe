import { once } from "node:events";
import { createServer } from "node:net";
import { Child } from "../child.js";
import { Complaint } from "../complaint.js";
import type { BackendServer } from "./backend.js";

/** What a server in a process of its own says once. */
export type FromServer = { readonly type: "ready" } | { readonly type: "failed"; readonly message: string };

export interface ServerProcessOptions {
  readonly name: string;
  /** 0: a free one. */
  readonly port: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** How many free ports are tried. */
const ATTEMPTS = 3;

/** A server that leads a process group of its own: what it starts is killed with it, as if the machine had gone. */
export class ServerProcess implements BackendServer {
  readonly name: string;
  readonly url: string;
  readonly #spawn: () => Promise<Child<FromServer>>;
  #child: Child<FromServer> | undefined;

  private constructor(name: string, port: number, spawn: () => Promise<Child<FromServer>>) {
    this.name = name;
    this.url = `http://127.0.0.1:${port}`;
    this.#spawn = spawn;
  }

  /** @throws Complaint when the port is in use, or the server does not start. */
  static async start<Start extends object>(
    file: string,
    start: Start,
    { name, port: wanted, env = {} }: ServerProcessOptions,
  ): Promise<ServerProcess> {
    // Another process may take a free port between the look and the start: another port is tried then.
    for (let attempt = 1; ; attempt++) {
      const port = await availablePort(wanted);
      const server = new ServerProcess(name, port, async () => {
        const child = new Child<FromServer>(file, { leadsGroup: true, env });
        child.send({ ...start, port });
        await answerOf(child, name);
        return child;
      });
      try {
        server.#child = await server.#spawn();
        return server;
      } catch (error) {
        if (wanted !== 0 || attempt === ATTEMPTS) throw error;
      }
    }
  }

  async killAndRestart(): Promise<void> {
    await this.#child?.kill();
    this.#child = await this.#spawn();
  }

  async close(): Promise<void> {
    await this.#child?.kill();
  }
}

async function answerOf(child: Child<FromServer>, name: string): Promise<void> {
  const answer = await new Promise<FromServer>((resolve) => {
    child.onMessage(resolve);
    child.exited.then(() => resolve({ type: "failed", message: "it ended at once" }));
  });
  if (answer.type === "ready") return;
  await child.kill();
  const { lastWords } = child;
  throw new Complaint(`${name} does not start: ${answer.message}${lastWords === "" ? "" : `\n${lastWords}`}`);
}

/** Returns the port, or a free one for 0. @throws Complaint when another process listens on the port. */
async function availablePort(port: number): Promise<number> {
  const probe = createServer();
  probe.listen(port, "127.0.0.1");
  try {
    await once(probe, "listening");
  } catch (error) {
    const isTaken = (error as NodeJS.ErrnoException).code === "EADDRINUSE";
    const trouble = isTaken ? "is in use" : "is not for us to listen on";
    throw new Complaint(`port ${port} ${trouble}: choose another --port, or none for a free one`);
  }
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  return typeof address === "object" && address !== null ? address.port : port;
}
