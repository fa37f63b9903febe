import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** Returns every file in a folder and below it, sorted. A file is returned as itself. */
function filesIn(place: string): string[] {
  if (!existsSync(place)) return [];
  if (!statSync(place).isDirectory()) return [place];
  return readdirSync(place)
    .sort()
    .flatMap((name) => filesIn(join(place, name)));
}

/** Returns a hash of the names and contents of all files in these places. Times of change do not count. */
export function contentHash(root: string, places: readonly string[]): string {
  const hash = createHash("sha256");
  for (const place of places) {
    for (const file of filesIn(join(root, place))) {
      const content = readFileSync(file);
      hash.update(`${file.slice(root.length)}\0${content.length}\0`).update(content);
    }
  }
  return hash.digest("hex");
}
