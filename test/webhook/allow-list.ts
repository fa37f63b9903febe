import { parseHosts } from "../../src/webhook/index.js";

/** The most that an operator can allow for a URL: each of its readings that the list takes, and the usual host. */
export function allowListOf(url: string): string[] {
  const authority = /^[^:]*:?[\\/]*([^\\/?#]*)/.exec(url)?.[1] ?? "";
  const readings = [
    authority,
    authority.split("@").at(-1) ?? "",
    parsedHost(url),
    parsedHost(url.replace(/^[^:]*:/, "https:")),
  ];
  return ["hooks.example", ...readings.flatMap(listable)];
}

function parsedHost(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return "";
  }
}

function listable(host: string): string[] {
  try {
    return parseHosts(host);
  } catch {
    return [];
  }
}
