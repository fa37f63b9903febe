/** Why the demo cannot go on, in one line for the one who started it; not a fault of the program. */
export class Complaint extends Error {
  override readonly name = "Complaint";
}
