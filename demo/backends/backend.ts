import type { Coordinator, Webhooks } from "../../src/index.js";
import type { Bundle } from "../bundle.js";
import type { Access, WebhookAccess } from "./access.js";

/** What the demo runs on. */
export interface Backend {
  readonly label: string;
  /** How worker processes reach it; undefined: the workers are tasks of this process. */
  readonly access: Access | undefined;
  /** For the waiters in the main process. */
  readonly coordinator: Coordinator;
  /** What the waiters' tracker delivers itself; undefined: others deliver. */
  readonly webhooks: Webhooks | undefined;
  /** The server that can be killed; undefined: there is none. */
  readonly server: BackendServer | undefined;
  close(): Promise<void>;
}

export interface BackendServer {
  readonly name: string;
  /** SIGKILL to its whole process group, and a new one on the same port; resolves when that one answers. */
  killAndRestart(): Promise<void>;
}

export interface BackendOptions {
  readonly bundle: Bundle;
  /** Where it may keep data. */
  readonly folder: string;
  /** 0: a free one. */
  readonly port: number;
  readonly webhooks: WebhookAccess;
}
