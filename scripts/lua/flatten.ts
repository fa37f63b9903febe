import { basename } from "node:path";
import ts from "typescript";

/** How the name of each value begins in the flat file. No parameter, local variable or property has such a name. */
export const OURS = "our_";

/** One top-level statement of the sources, and what it names of the others. */
interface Unit {
  readonly file: ts.SourceFile;
  readonly statement: ts.Statement;
  /** What it declares. */
  readonly symbols: readonly ts.Symbol[];
  /** Where it names a declaration of any unit. */
  readonly uses: readonly Use[];
}

interface Use {
  readonly node: ts.Identifier;
  readonly symbol: ts.Symbol;
}

/** One file without imports. */
export interface FlatFile {
  readonly text: string;
  /** Returns what a declaration is called in the file. */
  readonly nameOf: (symbol: ts.Symbol) => string;
}

/**
 * Takes the sources apart into their top-level statements, and puts together what functions need: one file
 * without imports, each declaration once. Two of one name get names of their own.
 */
export class Sources {
  readonly #units: Unit[];
  readonly #unitOf = new Map<ts.Symbol, Unit>();
  readonly #checker: ts.TypeChecker;

  constructor(program: ts.Program, isOurs: (file: ts.SourceFile) => boolean) {
    const checker = program.getTypeChecker();
    this.#checker = checker;
    // The program lists a file behind those that it imports.
    const statements = program
      .getSourceFiles()
      .filter(isOurs)
      .flatMap((file) => file.statements.map((statement) => ({ file, statement })))
      .filter(({ statement }) => !ts.isImportDeclaration(statement));
    const declared = statements.map(({ file, statement }) => ({
      file,
      statement,
      symbols: this.#symbolsOf(statement),
    }));
    const known = new Set(declared.flatMap(({ symbols }) => symbols));
    this.#units = declared.map((unit) => ({ ...unit, uses: this.#usesOf(unit.statement, known) }));
    for (const unit of this.#units) for (const symbol of unit.symbols) this.#unitOf.set(symbol, unit);
  }

  /** The steps of a machine by their names, from the object that its file exports. */
  steps(machine: string): Map<string, ts.Symbol> {
    const steps = this.#functionsOf(machine, machine);
    if (steps === undefined) throw new Error(`${machine} exports no object of steps`);
    return steps;
  }

  /** What steps of the machine will probably read, by the steps' names. */
  expected(machine: string): Map<string, ts.Symbol> {
    return this.#functionsOf(machine, "expected") ?? new Map();
  }

  /** The functions of an object that a machine's file exports. */
  #functionsOf(machine: string, object: string): Map<string, ts.Symbol> | undefined {
    const unit = this.#units.find(
      ({ file, symbols }) => basename(file.fileName) === `${machine}.ts` && symbols.some(({ name }) => name === object),
    );
    const declaration = unit?.symbols.find(({ name }) => name === object)?.valueDeclaration;
    const value = this.#objectOf(declaration);
    if (value === undefined) return undefined;
    return new Map(
      value.properties.map((property) => {
        const symbol = ts.isShorthandPropertyAssignment(property)
          ? this.#meaningOf(property.name)
          : ts.isPropertyAssignment(property) && ts.isIdentifier(property.initializer)
            ? this.#meaningOf(property.initializer)
            : undefined;
        if (symbol === undefined || property.name === undefined)
          throw new Error(`${machine} has a step that is no name`);
        return [property.name.getText(), symbol] as const;
      }),
    );
  }

  /** The object that a constant holds, by itself or as another constant's name. */
  #objectOf(declaration: ts.Declaration | undefined): ts.ObjectLiteralExpression | undefined {
    const value = declaration && ts.isVariableDeclaration(declaration) ? declaration.initializer : undefined;
    if (value === undefined || ts.isObjectLiteralExpression(value)) return value;
    return ts.isIdentifier(value) ? this.#objectOf(this.#meaningOf(value)?.valueDeclaration) : undefined;
  }

  /** A declaration by its name in a file. */
  find(file: string, name: string): ts.Symbol {
    for (const unit of this.#units) {
      const found = basename(unit.file.fileName) === file && unit.symbols.find((symbol) => symbol.name === name);
      if (found) return found;
    }
    throw new Error(`${file} declares no ${name}`);
  }

  /** One file with all that these declarations need. What is used stands before what uses it. */
  flatten(wanted: readonly ts.Symbol[]): FlatFile {
    const units = this.#unitsOf(wanted);
    const names = namesOf(units);
    for (const { statement } of units) {
      if (statement.getText().includes(OURS)) throw new Error(`the core must not use a name with ${OURS}`);
    }
    const nameOf = (symbol: ts.Symbol): string => literalOf(symbol) ?? names.get(symbol) ?? symbol.name;
    return { text: units.map((unit) => textOf(unit, nameOf)).join("\n"), nameOf };
  }

  /** Returns all units that these declarations need. */
  #unitsOf(wanted: readonly ts.Symbol[]): Unit[] {
    const units: Unit[] = [];
    const met = new Set<Unit>();
    const need = (symbol: ts.Symbol): void => {
      const unit = this.#unitOf.get(symbol);
      if (unit === undefined || met.has(unit) || literalOf(symbol) !== undefined) return;
      met.add(unit);
      for (const use of unit.uses) need(use.symbol);
      units.push(unit);
    };
    for (const symbol of wanted) need(symbol);
    return units;
  }

  #symbolsOf(statement: ts.Statement): ts.Symbol[] {
    const declarations = ts.isVariableStatement(statement) ? statement.declarationList.declarations : [statement];
    return declarations.flatMap((declaration) => {
      const { name } = declaration as { readonly name?: ts.Node };
      const symbol = name && this.#checker.getSymbolAtLocation(name);
      return symbol === undefined ? [] : [symbol];
    });
  }

  #usesOf(statement: ts.Statement, known: ReadonlySet<ts.Symbol>): Use[] {
    const uses: Use[] = [];
    const visit = (node: ts.Node): void => {
      if (ts.isIdentifier(node)) {
        const symbol = this.#meaningOf(node);
        if (symbol !== undefined && known.has(symbol)) uses.push({ node, symbol });
      }
      ts.forEachChild(node, visit);
    };
    visit(statement);
    return uses;
  }

  /** What a name stands for, through the import that brought it. */
  #meaningOf(node: ts.Identifier): ts.Symbol | undefined {
    const symbol = ts.isShorthandPropertyAssignment(node.parent)
      ? this.#checker.getShorthandAssignmentValueSymbol(node.parent)
      : this.#checker.getSymbolAtLocation(node);
    if (symbol === undefined) return undefined;
    return symbol.flags & ts.SymbolFlags.Alias ? this.#checker.getAliasedSymbol(symbol) : symbol;
  }
}

/**
 * The text of a constant number or text. It is written wherever the constant is used: a script then makes no entry of its table
 * for it at each run, and looks none up.
 */
function literalOf({ valueDeclaration }: ts.Symbol): string | undefined {
  if (valueDeclaration === undefined || !ts.isVariableDeclaration(valueDeclaration)) return undefined;
  const { initializer, parent } = valueDeclaration;
  const isConstant = ts.isVariableDeclarationList(parent) && (parent.flags & ts.NodeFlags.Const) !== 0;
  if (!isConstant || initializer === undefined || parent.declarations.length > 1) return undefined;
  return ts.isNumericLiteral(initializer) || ts.isStringLiteral(initializer) ? initializer.getText() : undefined;
}

/** Whether something of a unit is left when types are gone. */
function hasValue({ statement }: Unit): boolean {
  if (ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement)) return false;
  const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : [];
  return modifiers.every(({ kind }) => kind !== ts.SyntaxKind.DeclareKeyword);
}

/** Returns a name of its own for each. The second of a name is numbered. */
function namesOf(units: readonly Unit[]): Map<ts.Symbol, string> {
  const names = new Map<ts.Symbol, string>();
  const taken = new Set<string>();
  for (const unit of units) {
    for (const symbol of unit.symbols) {
      const first = hasValue(unit) ? OURS + symbol.name : symbol.name;
      let name = first;
      for (let n = 2; taken.has(name); n++) name = `${first}_${n}`;
      taken.add(name);
      names.set(symbol, name);
    }
  }
  return names;
}

/** A unit's text with the names of this file, and nothing exported. */
function textOf({ file, statement, uses }: Unit, nameOf: (symbol: ts.Symbol) => string): string {
  const edits: { start: number; end: number; text: string }[] = [];
  for (const { node, symbol } of uses) {
    const name = nameOf(symbol);
    if (name === node.text) continue;
    const text = ts.isShorthandPropertyAssignment(node.parent) ? `${node.text}: ${name}` : name;
    edits.push({ start: node.getStart(file), end: node.end, text });
  }
  const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : [];
  for (const modifier of modifiers) {
    if (modifier.kind === ts.SyntaxKind.ExportKeyword)
      edits.push({ start: modifier.getStart(file), end: modifier.end, text: "" });
  }
  const from = statement.getFullStart();
  let text = statement.getFullText(file);
  for (const { start, end, text: by } of edits.sort((a, b) => b.start - a.start)) {
    text = text.slice(0, start - from) + by + text.slice(end - from);
  }
  return text;
}
