import { refuse } from "../../../core/host.js";

const RECORDS =
  "CREATE TABLE records (name TEXT PRIMARY KEY, until INTEGER, wake INTEGER, head TEXT NOT NULL, packed TEXT) WITHOUT ROWID";
const MEMBERS =
  "CREATE TABLE members (record TEXT, name TEXT, value TEXT NOT NULL, PRIMARY KEY (record, name)) WITHOUT ROWID";

const LOOK =
  "SELECT tables.name AS name, columns.name AS field FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns " +
  "WHERE tables.name IN ('records', 'members') ORDER BY tables.name, columns.name";

/** The columns that this version knows, in the order of the alphabet: `packed` was added later, behind the others. */
const RECORD_COLUMNS = "head,name,packed,until,wake";
const FIRST_RECORD_COLUMNS = "head,name,until,wake";
const MEMBER_COLUMNS = "name,record,value";

/** The record name under which the object stores its own key prefix. No other record has this name: names hold a colon. */
export const OWN = "";

/** The record name of the mark that the index waits for a line. Its `head` is the record's name, its `wake` when to
 * tell, its `packed` the instant of the oldest change. */
export const INDEX_MARK = ":index";

/** Which of the tables exist. */
interface Found {
  readonly records: boolean;
  readonly members: boolean;
}

/**
 * The tables of one object. `records` has one row for a record. `members` has the rows of members that are not packed into
 * their record's row. The first write creates `records`, the first such member creates `members`: a table costs two rows.
 *
 * `packed` is the last column. A scan of `until` and `wake` therefore does not read the packed texts, which SQLite stores
 * in pages of their own.
 *
 * A table of the first layout, without `packed`, gets the column when the object first looks at its tables. Its records
 * keep their member rows. Tables of any other layout are of a later version: every call is refused with `newer_schema`.
 * So a change of the layout, or of the packed text, must change the columns.
 */
export class Tables {
  readonly #storage: DurableObjectStorage;
  /** `undefined`: not looked up yet. */
  #found: Found | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** Whether the object stores anything. */
  get exist(): boolean {
    return this.#look().records;
  }

  get hasMembers(): boolean {
    return this.#look().members;
  }

  create(): void {
    if (this.exist) return;
    this.exec(RECORDS);
    this.#found = { records: true, members: false };
  }

  createMembers(): void {
    if (this.hasMembers) return;
    this.exec(MEMBERS);
    this.#found = { records: true, members: true };
  }

  /** Runs `work` in a transaction: when it throws, none of its writes are kept. */
  transaction<Result>(work: () => Result): Result {
    try {
      return this.#storage.transactionSync(work);
    } catch (error) {
      this.#found = undefined;
      throw error;
    }
  }

  /** Returns the rows of a query on `records`; none while the table does not exist. */
  select<Row extends Record<string, SqlStorageValue>>(query: string, ...values: SqlStorageValue[]): Row[] {
    return this.exist ? this.#storage.sql.exec<Row>(query, ...values).toArray() : [];
  }

  exec(statement: string, ...values: SqlStorageValue[]): void {
    this.#storage.sql.exec(statement, ...values);
  }

  /** Deletes everything, with the tables. */
  drop(): void {
    this.#found = undefined;
    void this.#storage.deleteAll();
  }

  #look(): Found {
    this.#found ??= this.#check();
    return this.#found;
  }

  /** @throws TransitionRefused `newer_schema` */
  #check(): Found {
    const columns = { records: "", members: "" };
    type Row = { name: "records" | "members"; field: string };
    for (const { name, field } of this.#storage.sql.exec<Row>(LOOK)) {
      columns[name] += columns[name] === "" ? field : `,${field}`;
    }
    const { records, members } = columns;
    if (members !== "" && members !== MEMBER_COLUMNS) refuse("newer_schema");
    if (records === FIRST_RECORD_COLUMNS && members !== "") this.#migrate();
    else if (records !== "" && records !== RECORD_COLUMNS) refuse("newer_schema");
    return { records: records !== "", members: members !== "" };
  }

  /** Adds `packed`. In the first layout the object's own text was a member. */
  #migrate(): void {
    this.#storage.transactionSync(() => {
      this.exec("ALTER TABLE records ADD COLUMN packed TEXT");
      this.exec("INSERT INTO records (name, head) SELECT name, value FROM members WHERE record = ?", OWN);
      this.exec("DELETE FROM members WHERE record = ?", OWN);
    });
  }
}
