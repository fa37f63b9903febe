/** The part of an object's SQLite storage that runs statements. */
interface Sql {
  exec(...args: never[]): Rows;
}

interface Rows {
  readonly rowsRead: number;
  readonly rowsWritten: number;
}

/** Counts the rows of all statements from now on, by the storage's own count. Returns a function that ends and returns it. */
export function countRows(sql: Sql): () => { readonly read: number; readonly written: number } {
  const exec = sql.exec.bind(sql);
  const cursors: Rows[] = [];
  const counted = (...args: never[]) => {
    const cursor = exec(...args);
    cursors.push(cursor);
    return cursor;
  };
  Object.defineProperty(sql, "exec", { value: counted, configurable: true });
  const sum = (rows: keyof Rows) => cursors.reduce((all, cursor) => all + cursor[rows], 0);
  return () => {
    Reflect.deleteProperty(sql, "exec");
    return { read: sum("rowsRead"), written: sum("rowsWritten") };
  };
}

/** Returns the rows that the work writes. */
export function rowsWritten(sql: Sql, work: () => void): number {
  const end = countRows(sql);
  try {
    work();
  } finally {
    end();
  }
  return end().written;
}
