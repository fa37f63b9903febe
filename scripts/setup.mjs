// Makes sure that the programs are here that the tests run against: redis-server, and Chromium for the dashboard. Nothing else
// is installed, no service is kept.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { userInfo } from "node:os";

/** What the tests need. `names`: the programs that will do, the first that is found. */
const PROGRAMS = [
  {
    title: "redis-server",
    names: ["redis-server"],
    oldestMajor: 7,
    version: /v=(\d+\.\d+\.\d+)/,
    packages: { "apt-get": "redis-server", apk: "redis", dnf: "redis", brew: "redis" },
    // Debian starts and enables it where systemd runs. The tests start their own servers.
    service: "redis-server",
  },
  {
    title: "Chromium",
    names: [
      ...(process.env.CHROMIUM_PATH === undefined ? [] : [process.env.CHROMIUM_PATH]),
      "chromium",
      "chromium-browser",
      "google-chrome-stable",
      "google-chrome",
      "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ],
    // The first with all that the dashboard's style sheet uses.
    oldestMajor: 123,
    version: /(\d+\.\d+\.\d+\.\d+)/,
    packages: { "apt-get": "chromium", apk: "chromium", dnf: "chromium", brew: "google-chrome" },
  },
];

/** One entry a package manager: the first that is on PATH is used. `prepare` may fail: the index may be good enough. */
const MANAGERS = [
  {
    name: "apt-get",
    root: true,
    prepare: ["apt-get", "update"],
    install: ["apt-get", "install", "--yes", "--no-install-recommends"],
  },
  { name: "apk", root: true, install: ["apk", "add", "--no-cache"] },
  { name: "dnf", root: true, install: ["dnf", "install", "--assumeyes"] },
  { name: "brew", root: false, install: ["brew", "install"] },
];

/** Returns the version of a program that is here; null for a missing one. */
function versionOf({ names, version }) {
  for (const name of names) {
    const { status, stdout } = spawnSync(name, ["--version"], { encoding: "utf8" });
    const found = status === 0 ? version.exec(stdout)?.[1] : undefined;
    if (found !== undefined) return found;
  }
  return null;
}

function isOnPath(command) {
  return spawnSync(command, ["--version"], { stdio: "ignore" }).error === undefined;
}

function isNewEnough(version, { oldestMajor }) {
  return Number(version.split(".")[0]) >= oldestMajor;
}

function fail(message) {
  console.error(`setup: ${message}`);
  process.exit(1);
}

function run(command, asRoot) {
  const settings = command[0] === "apt-get" ? ["env", "DEBIAN_FRONTEND=noninteractive"] : [];
  const line = [...(asRoot && userInfo().uid !== 0 ? ["sudo"] : []), ...settings, ...command];
  console.log(`setup: ${line.join(" ")}`);
  return spawnSync(line[0], line.slice(1), { stdio: ["ignore", "inherit", "inherit"] }).status === 0;
}

function install(program) {
  const wanted = `${program.title} ${program.oldestMajor} or newer`;
  const manager = MANAGERS.find((candidate) => isOnPath(candidate.name));
  if (manager === undefined) fail(`install ${wanted} and put it on PATH.`);
  if (manager.root && userInfo().uid !== 0 && !isOnPath("sudo")) {
    fail(`install ${wanted} as root (${manager.name} needs it, and sudo is missing).`);
  }
  console.log(`setup: ${program.title} is missing; installing it with ${manager.name}.`);
  if (manager.prepare !== undefined) run(manager.prepare, manager.root);
  if (!run([...manager.install, program.packages[manager.name]], manager.root)) {
    fail(`${manager.name} did not install it: install ${wanted} by hand.`);
  }
  if (program.service !== undefined && manager.name === "apt-get" && existsSync("/run/systemd/system")) {
    run(["systemctl", "disable", "--now", program.service], manager.root);
  }
  const installed = versionOf(program);
  if (installed === null) fail(`${manager.name} did not put ${program.title} on PATH: install ${wanted} by hand.`);
  if (!isNewEnough(installed, program)) {
    fail(`${manager.name} has only ${program.title} ${installed}: install ${wanted} by hand.`);
  }
  console.log(`setup: ${program.title} ${installed} is installed.`);
}

const missing = [];
for (const program of PROGRAMS) {
  const version = versionOf(program);
  if (version === null) missing.push(program);
  else if (isNewEnough(version, program)) console.log(`setup: ${program.title} ${version} is here, nothing to do.`);
  else fail(`${program.title} ${version} is too old: install ${program.oldestMajor} or newer.`);
}
if (missing.length > 0) {
  console.log(`setup: about to install ${missing.map(({ title }) => title).join(" and ")}.`);
  for (const program of missing) install(program);
}
