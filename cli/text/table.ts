/** Returns rows as columns of equal width, with two spaces between them. The cells hold no control characters but colours. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, width(cell));
  }
  return rows.map((row) => `${padded(row, widths)}\n`).join("");
}

function padded(row: readonly string[], widths: readonly number[]): string {
  return row
    .map((cell, i) => cell + " ".repeat((widths[i] ?? 0) - width(cell)))
    .join("  ")
    .trimEnd();
}

/** Colours take no place. */
function width(cell: string): number {
  const [first = "", ...painted] = cell.split("\u001b[");
  return [...(first + painted.map((part) => part.replace(/^\d+m/, "")).join(""))].length;
}
