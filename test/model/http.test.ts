import { afterAll, beforeAll } from "vitest";
import { type HarnessWorker, startHarnessWorker } from "../support/http-harness.js";
import { runModelTests } from "./run-model-tests.js";

let worker: HarnessWorker;

beforeAll(async () => {
  worker = await startHarnessWorker();
});
afterAll(() => worker.close());

runModelTests("http", (label) => worker.harness(label), { steps: 6, lanes: 12 });
