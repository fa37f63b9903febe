/** The exit codes of the command. Scripts branch on them. */
export const EXIT = {
  ok: 0,
  /** `watch`: the group ended other than well. Other commands: the group's state does not allow the call. */
  refused: 1,
  /** An argument, an option or a setting is wrong or missing. */
  usage: 2,
  /** The backend knows no such group or request. */
  notFound: 3,
  /** The backend does not answer, or cannot answer now. */
  unavailable: 4,
  /** Ctrl-C, as shells count it. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends the command with an exit code and a text for the person who called it. */
export class Failure extends Error {
  constructor(
    readonly exitCode: ExitCode,
    message: string,
  ) {
    super(message);
  }
}
