// Makes sure that redis-server is here: the tests run against a real one. Nothing else is installed, no service is kept.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { userInfo } from "node:os";

const OLDEST_MAJOR = 7;

/** One entry a package manager: the first that is on PATH is used. `prepare` may fail: the index may be good enough. */
const MANAGERS = [
  {
    name: "apt-get",
    root: true,
    prepare: ["apt-get", "update"],
    install: ["apt-get", "install", "--yes", "--no-install-recommends", "redis-server"],
    service: "redis-server",
  },
  { name: "apk", root: true, install: ["apk", "add", "--no-cache", "redis"] },
  { name: "dnf", root: true, install: ["dnf", "install", "--assumeyes", "redis"] },
  { name: "brew", root: false, install: ["brew", "install", "redis"] },
];

function redisVersion() {
  const { status, stdout } = spawnSync("redis-server", ["--version"], { encoding: "utf8" });
  return status === 0 ? (/v=(\d+\.\d+\.\d+)/.exec(stdout)?.[1] ?? null) : null;
}

function isOnPath(command) {
  return spawnSync(command, ["--version"], { stdio: "ignore" }).error === undefined;
}

function isNewEnough(version) {
  return Number(version.split(".")[0]) >= OLDEST_MAJOR;
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

const standing = redisVersion();
if (standing !== null) {
  if (!isNewEnough(standing)) fail(`redis-server ${standing} is too old: install ${OLDEST_MAJOR} or newer.`);
  console.log(`setup: redis-server ${standing} is here, nothing to do.`);
  process.exit(0);
}

const manager = MANAGERS.find((candidate) => isOnPath(candidate.name));
if (manager === undefined) fail(`install redis-server ${OLDEST_MAJOR} or newer and put it on PATH.`);

if (manager.root && userInfo().uid !== 0 && !isOnPath("sudo")) {
  fail(`install redis-server ${OLDEST_MAJOR} or newer as root (${manager.name} needs it, and sudo is missing).`);
}

console.log(`setup: redis-server is missing; installing it with ${manager.name}.`);
if (manager.prepare !== undefined) run(manager.prepare, manager.root);
if (!run(manager.install, manager.root)) {
  fail(`${manager.name} did not install it: install redis-server ${OLDEST_MAJOR} or newer by hand.`);
}
// Debian starts and enables the service where systemd runs. The tests start their own servers.
if (manager.service !== undefined && existsSync("/run/systemd/system")) {
  run(["systemctl", "disable", "--now", manager.service], manager.root);
}

const installed = redisVersion();
if (installed === null)
  fail(`${manager.name} did not put redis-server on PATH: install ${OLDEST_MAJOR} or newer by hand.`);
if (!isNewEnough(installed))
  fail(`${manager.name} has only redis-server ${installed}: install ${OLDEST_MAJOR} or newer by hand.`);
console.log(`setup: redis-server ${installed} is installed.`);
