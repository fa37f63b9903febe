import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Reporter, TestModule } from "vitest/node";
import { EVIDENCE_FILE, type Evidence } from "./evidence.js";

/** Leaves what a run of the tests has shown, for the table of guarantees. */
export default class EvidenceReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const evidence = modules.flatMap((module) =>
      [...module.children.allTests()].map((test) => evidenceOf(module, test)),
    );
    mkdirSync(dirname(EVIDENCE_FILE), { recursive: true });
    writeFileSync(EVIDENCE_FILE, JSON.stringify(evidence));
  }
}

type Test = ReturnType<TestModule["children"]["allTests"]> extends Iterable<infer One> ? One : never;

function evidenceOf(module: TestModule, test: Test): Evidence {
  const { figures = [] } = test.meta();
  return { file: module.relativeModuleId, name: test.fullName, state: test.result().state, figures };
}
