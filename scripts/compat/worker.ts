import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { build } from "esbuild";

/** As in wrangler.toml. */
const COMPATIBILITY_DATE = "2026-05-03";
const START_MS = 120_000;

export interface RunningWorker {
  readonly url: string;
  readonly token: string;
  close(): Promise<void>;
}

/** The Worker of the programs, bundled from the installed package, in the workerd that is installed beside it. */
export async function startWorker(project: string, programs: string): Promise<RunningWorker> {
  const token = randomBytes(16).toString("hex");
  await copyFile(join(programs, "worker.ts"), join(project, "worker.ts"));
  await build({
    absWorkingDir: project,
    entryPoints: ["worker.ts"],
    outfile: "worker.js",
    bundle: true,
    format: "esm",
    target: "es2022",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["workerd", "worker", "browser", "import"],
    external: ["cloudflare:*"],
    logLevel: "error",
  });
  await mkdir(join(project, "objects"));
  await writeFile(join(project, "worker.capnp"), configOf(token));
  const { default: workerd } = createRequire(join(project, "package.json"))("workerd") as { default: string };
  const child = spawn(workerd, ["serve", "--experimental", "worker.capnp", "--control-fd=3"], {
    cwd: project,
    stdio: ["ignore", "inherit", "inherit", "pipe"],
  });
  const closed = once(child, "exit");
  const close = async (): Promise<void> => {
    child.kill("SIGKILL");
    await closed;
  };
  try {
    return { url: `http://127.0.0.1:${await portOf(child.stdio[3] as NodeJS.ReadableStream, closed)}`, token, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** workerd writes a line of JSON for each socket that listens. */
function portOf(control: NodeJS.ReadableStream, closed: Promise<unknown>): Promise<number> {
  return new Promise((resolve, reject) => {
    let said = "";
    control.on("data", (text: Buffer) => {
      said += text.toString();
      const [, port] = /"port":(\d+)/.exec(said) ?? [];
      if (port !== undefined) resolve(Number(port));
    });
    const timer = setTimeout(() => reject(new Error("workerd did not listen in time")), START_MS);
    timer.unref();
    closed.then(() => reject(new Error("workerd ended by itself")), reject);
  });
}

function configOf(token: string): string {
  return `
    using Workerd = import "/workerd/workerd.capnp";
    const config :Workerd.Config = (
      services = [
        (name = "main", worker = .worker),
        (name = "objects", disk = (path = "objects", writable = true)),
      ],
      sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
    );
    const worker :Workerd.Worker = (
      modules = [(name = "worker.js", esModule = embed "worker.js")],
      compatibilityDate = "${COMPATIBILITY_DATE}",
      compatibilityFlags = ["enable_request_signal"],
      bindings = [
        (name = "COORDINATOR", durableObjectNamespace = "Coordinator"),
        (name = "COORDINATOR_TOKEN", text = "${token}"),
      ],
      durableObjectNamespaces = [(className = "Coordinator", uniqueKey = "coordinator", enableSql = true)],
      durableObjectStorage = (localDisk = "objects"),
    );
  `;
}
