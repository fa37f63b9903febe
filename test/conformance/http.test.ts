import { afterAll, beforeAll } from "vitest";
import { type HarnessWorker, startHarnessWorker } from "../support/http-harness.js";
import { runConformanceCases } from "./run-cases.js";

let worker: HarnessWorker;

beforeAll(async () => {
  worker = await startHarnessWorker();
});
afterAll(() => worker.close());

runConformanceCases("http", () => worker.harness());
