/** A refusal with its HTTP status; its message goes out as `{ error }`. */
export class RestError extends Error {
  readonly status: number;
  /** Sent along with the status, `allow` of a 405 for one. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = "RestError";
    this.status = status;
    this.headers = headers;
  }
}
