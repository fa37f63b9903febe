import { Child } from "./child.js";
import type { FromReceiver, ReceiverStart } from "./receiver.js";

/** The receiver of the webhooks, in a process of its own. */
export class ReceiverProcess {
  readonly port: number;
  readonly #child: Child<FromReceiver>;

  private constructor(child: Child<FromReceiver>, port: number) {
    this.#child = child;
    this.port = port;
  }

  static async start(file: string, start: ReceiverStart): Promise<ReceiverProcess> {
    const child = new Child<FromReceiver>(file);
    child.send({ ...start });
    const port = await new Promise<number>((resolve, reject) => {
      child.onMessage((message) => message.type === "ready" && resolve(message.port));
      child.exited.then(() => reject(new Error(`the receiver does not start: ${child.lastWords}`)));
    });
    return new ReceiverProcess(child, port);
  }

  get allowedHost(): string {
    return `127.0.0.1:${this.port}`;
  }

  get url(): string {
    return `http://${this.allowedHost}/done`;
  }

  onMessage(listener: (message: FromReceiver) => void): void {
    this.#child.onMessage(listener);
  }

  close(): Promise<void> {
    return this.#child.kill();
  }
}
