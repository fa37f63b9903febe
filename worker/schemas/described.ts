import * as z from "zod/mini";

/** Keywords of JSON Schema that a schema's own checks do not show: a check by a function has none. */
export type Keywords = Readonly<Record<string, unknown>>;

const KEYWORDS = z.registry<Keywords>();
const ITEMS = new WeakMap<z.core.$ZodType, z.core.$ZodType>();
const INPUTS = new WeakMap<z.core.$ZodType, readonly z.core.$ZodType[]>();

/** Returns the schema with keywords for the description of the HTTP API. They do not change what it accepts. */
export function described<Schema extends z.ZodMiniType>(schema: Schema, keywords: Keywords): Schema {
  const copy = schema.clone();
  KEYWORDS.add(copy, keywords);
  return copy;
}

/** Says what the items of a list are that checks them by a function. */
export function withItems<Schema extends z.ZodMiniType>(schema: Schema, item: z.core.$ZodType): Schema {
  ITEMS.set(schema, item);
  return schema;
}

/** Says what a schema accepts that transforms its input. */
export function accepting<Schema extends z.ZodMiniType>(schema: Schema, ...inputs: readonly z.core.$ZodType[]): Schema {
  INPUTS.set(schema, inputs);
  return schema;
}

type NameOf = (schema: z.core.$ZodType) => string | undefined;
type JsonSchema = z.core.JSONSchema.BaseSchema;

/** Returns a reference to a schema that is described once under a name, or its JSON Schema. */
export function schemaOrReference(schema: z.core.$ZodType, nameOf: NameOf): JsonSchema {
  const name = nameOf(schema);
  return name === undefined ? jsonSchemaOf(schema, nameOf) : { $ref: `#/components/schemas/${name}` };
}

/** Returns a schema as JSON Schema, of what a caller sends. */
export function jsonSchemaOf(schema: z.core.$ZodType, nameOf: NameOf): JsonSchema {
  const inputs = INPUTS.get(schema);
  if (inputs !== undefined) return { oneOf: inputs.map((input) => schemaOrReference(input, nameOf)) };
  const { $schema: _, ...json } = z.toJSONSchema(schema, {
    io: "input",
    unrepresentable: "any",
    reused: "inline",
    metadata: KEYWORDS,
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema !== schema && (INPUTS.has(zodSchema) || nameOf(zodSchema) !== undefined)) {
        for (const key of Object.keys(jsonSchema)) delete jsonSchema[key];
        Object.assign(jsonSchema, schemaOrReference(zodSchema, nameOf));
        return;
      }
      const item = ITEMS.get(zodSchema);
      if (item !== undefined) jsonSchema.items = schemaOrReference(item, nameOf);
      // The bounds of every whole number in JavaScript say nothing.
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    },
  });
  return json;
}
