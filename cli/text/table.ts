/** Returns rows as columns of equal width, with two spaces between them. The cells hold no control characters. */
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

const width = (cell: string): number => [...cell].length;
