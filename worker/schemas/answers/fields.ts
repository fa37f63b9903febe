import * as z from "zod/mini";
import { described } from "../described.js";

/**
 * The fields that the answers of the HTTP API share. The Worker does not check its own answers with these schemas: they describe
 * it in `/openapi.json`, and the tests hold every answer of the Worker against them.
 */

export const text = z.string();
export const orNull = <Schema extends z.ZodMiniType>(schema: Schema) => z.nullable(schema);
export const told = <Schema extends z.ZodMiniType>(schema: Schema, description: string) =>
  described(schema, { description });
export const count = (description: string) => described(z.int(), { description, minimum: 0 });
export const instant = (description: string) =>
  described(z.int(), { description: `${description}, in milliseconds since 1970` });

export const generation = count("which registration of the id this is; grows with every restart");
export const version = told(text, "differs after every change; the id of an event of the stream");
