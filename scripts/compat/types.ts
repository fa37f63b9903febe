import { execFile } from "node:child_process";
import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SETTINGS, type Setting } from "./table.js";

/** Compiles both programs in a project, in every setting. Rejects with what a compiler says of them or of the package. */
export async function checkTypes(project: string, compiler: string, programs: string): Promise<void> {
  for (const program of ["node.ts", "worker.ts"]) await copyFile(join(programs, program), join(project, program));
  const faults: string[] = [];
  for (const setting of SETTINGS) {
    const found = await errorsOf(project, compiler, setting);
    faults.push(...found.map((error) => `${setting.name}: ${error}`));
  }
  if (faults.length > 0) throw new Error(faults.join("\n"));
}

/** The declarations of other packages are read too; what is wrong there is theirs. */
async function errorsOf(project: string, compiler: string, setting: Setting): Promise<string[]> {
  const { program, module, moduleResolution, lib, types } = setting;
  const compilerOptions = {
    target: "es2022",
    module,
    moduleResolution,
    lib,
    types,
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    noEmit: true,
  };
  await writeFile(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files: [program] }));
  const said = await new Promise<string>((resolve, reject) => {
    const args = [compiler, "--pretty", "false", "-p", "tsconfig.json"];
    execFile(process.execPath, args, { cwd: project, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      const hasRun = error === null || stdout.includes("error TS");
      hasRun ? resolve(stdout) : reject(new Error(`the compiler failed: ${stdout}${stderr}`, { cause: error }));
    });
  });
  return said
    .split("\n")
    .filter((line) => line.includes("error TS") && !/^(\.\.\/)*node_modules\/(?!edge-coordinator\/)/.test(line));
}
