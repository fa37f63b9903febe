// Builds the package where it is installed from git: nothing else would. `npm ci` is for work on the repository, whose
// commands build by themselves.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

const isBuilt = existsSync(new URL("../dist/src/index.js", import.meta.url));
if (process.env.npm_command !== "ci" && !isBuilt) {
  execFileSync("npm", ["run", "build"], { cwd: new URL("../", import.meta.url), stdio: "inherit" });
}
