/** The part of an object's SQLite storage that runs statements. */
interface Sql {
  exec(...args: never[]): { readonly rowsWritten: number };
}

/** The rows that the work writes, by the storage's own count. */
export function rowsWritten(sql: Sql, work: () => void): number {
  const exec = sql.exec.bind(sql);
  const cursors: ReturnType<Sql["exec"]>[] = [];
  const counted = (...args: never[]) => {
    const cursor = exec(...args);
    cursors.push(cursor);
    return cursor;
  };
  Object.defineProperty(sql, "exec", { value: counted, configurable: true });
  try {
    work();
  } finally {
    Reflect.deleteProperty(sql, "exec");
  }
  return cursors.reduce((sum, cursor) => sum + cursor.rowsWritten, 0);
}
