import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Application, ReflectionKind } from "typedoc";
import { ENTRIES } from "./entries.js";

/** Writes `docs/api` from the docstrings: a page an entry point. A name or a link that leads nowhere is an error. */

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
/** What a module is called by its path, and what it is called by who imports it. */
const names = new Map(
  Object.entries(ENTRIES).map(([subpath, source]) => [
    source.replace(/(\/index)?\.ts$/, ""),
    `edge-coordinator${subpath.slice(1)}`,
  ]),
);

const app = await Application.bootstrapWithPlugins({
  plugin: ["typedoc-plugin-markdown"],
  tsconfig: join(root, "tsconfig.build.json"),
  entryPoints: Object.values(ENTRIES).map((source) => join(root, source)),
  out: join(root, "docs/api"),
  readme: "none",
  disableSources: true,
  excludeInternal: true,
  excludePrivate: true,
  excludeExternals: true,
  hideGenerator: true,
  sort: ["source-order"],
  validation: { notExported: true, invalidLink: true, notDocumented: false },
  // What types are made of that are read through others: `InputOf<"completion.ack">`, not a step's own names.
  intentionallyNotExported: ["Step", "Transition", "Machines"],
  blockTags: ["@param", "@typeParam", "@returns", "@throws", "@default", "@see", "@example", "@internal", "@noSelf"],
  treatValidationWarningsAsErrors: true,
  logLevel: "Warn",
});
app.options.setValue("name" as never, `edge-coordinator ${version()}` as never);
for (const [option, value] of [
  ["router", "module"],
  ["hidePageHeader", true],
  ["hideBreadcrumbs", true],
  ["useCodeBlocks", true],
  ["parametersFormat", "table"],
  ["interfacePropertiesFormat", "table"],
  ["typeAliasPropertiesFormat", "table"],
] as const) {
  app.options.setValue(option as never, value as never);
}

const project = await app.convert();
if (project === undefined) process.exit(1);
for (const module of project.getChildrenByKind(ReflectionKind.Module)) {
  module.name = names.get(module.name) ?? module.name;
}
app.validate(project);
for (const module of project.getChildrenByKind(ReflectionKind.Module)) {
  for (const { name, comment, signatures } of module.children ?? []) {
    const isReference = module.getChildByName(name)?.kind === ReflectionKind.Reference;
    const isDocumented = isReference || comment !== undefined || signatures?.some((one) => one.comment !== undefined);
    if (!isDocumented) app.logger.warn(`${module.name}: ${name} has no docstring`);
  }
}
if (app.logger.hasErrors() || app.logger.hasWarnings()) process.exit(1);
await app.generateOutputs(project);
process.stdout.write(`docs/api: ${names.size} entry points\n`);

function version(): string {
  return (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string }).version;
}
