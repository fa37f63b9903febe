import { CoordinationError } from "../errors.js";

/** The output of a step of a raw key that returns a number, or refuses. */
export interface KeyReply {
  readonly result?: string;
  readonly refused?: "wrong_kind" | "out_of_range" | "full";
}

/** @throws {CoordinationError} `conflict` or `limit_exceeded` for a step that refused. */
export function numberFrom(reply: KeyReply): number {
  if (reply.result === undefined) throw refusalOfKey(reply.refused);
  return Number(reply.result);
}

export function refusalOfKey(refused: KeyReply["refused"]): CoordinationError {
  if (refused === "wrong_kind") return new CoordinationError("conflict", "the key holds another kind of value");
  if (refused === "out_of_range") {
    return new CoordinationError("limit_exceeded", "the sum would leave the range of safe integers");
  }
  return new CoordinationError("limit_exceeded", "the key holds as many members or items as a key may have");
}
