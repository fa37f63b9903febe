import { MemoryCoordinator } from "../../src/index.js";
import { senderTo } from "./access.js";
import type { Backend, BackendOptions } from "./backend.js";

/** One process that has everything: workers as tasks, timers in memory. There is no server that could be killed. */
export async function startMemory({ webhooks }: BackendOptions): Promise<Backend> {
  return {
    label: "in memory, the workers as tasks of one process",
    access: undefined,
    coordinator: new MemoryCoordinator(),
    webhooks: senderTo(webhooks),
    server: undefined,
    close: async () => {},
  };
}
