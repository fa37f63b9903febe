// The Worker as a project writes it that has handlers. Runs in workerd, and is read by each compiler.
import { CompletionTracker, type HandlerContext, type HandlerEvent, type PayloadsOf } from "edge-coordinator";
import { DurableObjectCoordinator } from "edge-coordinator/durable-object";
import { AlarmClock, UpstashCoordinator } from "edge-coordinator/upstash";
import { CoordinatorWorkerObject, createWorker, type WorkerEnv } from "edge-coordinator/worker";

interface Env extends WorkerEnv {
  readonly COORDINATOR: DurableObjectNamespace<Coordinator>;
}

export class Coordinator extends CoordinatorWorkerObject<Env> {
  override readonly handlers = {
    publish: async ({ payload }: HandlerEvent<{ key: string }>, { coordinator }: HandlerContext<Env>) => {
      await coordinator.incr(payload.key);
    },
  };
}

export class DrainClock extends AlarmClock<Env> {
  protected override coordinator() {
    return new UpstashCoordinator({ url: "https://redis.example", token: "token" });
  }
}

export function trackerOf(env: Env): CompletionTracker<PayloadsOf<Coordinator["handlers"]>> {
  return new CompletionTracker(new DurableObjectCoordinator({ namespace: env.COORDINATOR }));
}

export default createWorker({ namespace: (env: Env) => env.COORDINATOR });
