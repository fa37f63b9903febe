/** A refusal of the Worker, or the lack of an answer. */
export class ApiFault extends Error {
  constructor(
    /** The status code; 0 without an answer. */
    readonly status: number,
    /** The problem's `code`; `no_answer` without one. */
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** Returns the fault of an answer that is not 2xx. Proxies answer with other texts than problem details. */
export async function faultOf(response: Response): Promise<ApiFault> {
  let problem: { readonly code?: unknown; readonly detail?: unknown } = {};
  try {
    problem = (await response.json()) as typeof problem;
  } catch {
    // A proxy's page.
  }
  const code = typeof problem?.code === "string" ? problem.code : "internal";
  const detail = typeof problem?.detail === "string" ? problem.detail : `the answer has the status ${response.status}`;
  return new ApiFault(response.status, code, detail);
}

/** Returns the text for a person about an error of a call. */
export function faultText(error: unknown): string {
  if (!(error instanceof ApiFault)) return "This page failed. Load it again, and report the fault.";
  if (error.status === 0) return "The Worker does not answer. Check your connection, then try again.";
  if (error.code === "unsupported") return `This Worker does not support the call: ${error.message}.`;
  if (error.status >= 500) return `The Worker cannot answer now: ${error.message}.`;
  return `The Worker refused the call: ${error.message}.`;
}
