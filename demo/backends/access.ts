import { HttpCoordinator } from "../../src/backends/http/index.js";
import { UpstashCoordinator } from "../../src/backends/upstash/index.js";
import type { Coordinator, Webhooks } from "../../src/index.js";
import { webhookSender } from "../../src/webhook/index.js";

/** The webhooks' secret, and the one host that they go to. */
export interface WebhookAccess {
  readonly secret: string;
  readonly allowedHost: string;
}

/** What a process needs to reach the coordinator: plain data, so that it can be sent along. */
export type Access =
  | { readonly backend: "worker"; readonly url: string; readonly token: string }
  // There is no server of ours in front of Redis: the process whose ack ends a group delivers its webhook.
  | { readonly backend: "upstash"; readonly url: string; readonly token: string; readonly webhooks: WebhookAccess };

export interface Reached {
  readonly coordinator: Coordinator;
  readonly webhooks: Webhooks | undefined;
}

export function reach(access: Access): Reached {
  const { url, token } = access;
  if (access.backend === "worker") return { coordinator: new HttpCoordinator({ url, token }), webhooks: undefined };
  return {
    coordinator: new UpstashCoordinator({ url, token, keyPrefix: "demo:" }),
    webhooks: senderTo(access.webhooks),
  };
}

/** Webhooks to a receiver on this machine: allowed for development alone. */
export function senderTo({ secret, allowedHost }: WebhookAccess): Webhooks {
  return webhookSender({ secrets: secret, allowedHosts: allowedHost, allowHttp: true });
}
