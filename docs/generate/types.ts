/** The page of public types, from their declarations and docstrings. */
import ts from 'typescript'
import { page, tableOf } from './markdown.js'

const root = new URL('../../', import.meta.url).pathname
const LONGEST = 300

/** Makes the page. */
export function typesPage(): string {
  const config = ts.readConfigFile(`${root}tsconfig.json`, ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root)
  const program = ts.createProgram([`${root}src/index.ts`], options)
  const checker = program.getTypeChecker()
  const source = program.getSourceFile(`${root}src/index.ts`)
  const module = source && checker.getSymbolAtLocation(source)
  const exported = module === undefined ? [] : checker.getExportsOfModule(module)
  const parts = exported
    .map((symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((symbol) => section(checker, symbol))
  return page(
    'Public types and functions',
    'Everything that `express-artwork` exports, with the docstrings that an editor shows.',
    ...parts,
  )
}

const FLAGS = ts.TypeFormatFlags.NoTruncation | ts.TypeFormatFlags.UseAliasDefinedOutsideCurrentScope

/** The type of a symbol as text, without the paths of files. */
function typeText(checker: ts.TypeChecker, symbol: ts.Symbol): string {
  const declaration = symbol.valueDeclaration ?? symbol.declarations?.[0]
  if (declaration === undefined) return ''
  const type = checker.getTypeOfSymbolAtLocation(symbol, declaration)
  const text = checker.typeToString(type, declaration, FLAGS).replace(/import\("[^"]*"\)\./g, '')
  return text.length > LONGEST ? `${text.slice(0, LONGEST)} …` : text
}

const wordsOf = (checker: ts.TypeChecker, symbol: ts.Symbol): string =>
  ts
    .displayPartsToString(symbol.getDocumentationComment(checker))
    .replace(/\{@link ([^}]+)\}/g, '`$1`')
    .replace(/</g, '&lt;')

function section(checker: ts.TypeChecker, symbol: ts.Symbol): string {
  const words = wordsOf(checker, symbol)
  const declaration = symbol.declarations?.[0]
  const isValue = (symbol.flags & ts.SymbolFlags.Value) !== 0 && (symbol.flags & ts.SymbolFlags.Class) === 0
  if (isValue) return `## ${symbol.name}\n\n${words}\n\n\`\`\`text\n${typeText(checker, symbol)}\n\`\`\``
  const members = declaration && ownMembers(checker, symbol)
  const head = `## ${symbol.name}\n\n${words}`
  return members === undefined || members.length === 0
    ? head
    : `${head}\n\n${tableOf(['member', 'type', 'meaning'], members)}`
}

/** The members of an interface or a class, those that were declared here. */
function ownMembers(checker: ts.TypeChecker, symbol: ts.Symbol): readonly (readonly string[])[] {
  const type = checker.getDeclaredTypeOfSymbol(symbol)
  return checker
    .getPropertiesOfType(type)
    .filter(({ declarations }) =>
      declarations?.some((one) => one.getSourceFile().fileName.startsWith(`${root}src/`)),
    )
    .map((member) => [
      `\`${member.name}\`${member.flags & ts.SymbolFlags.Optional ? '?' : ''}`,
      `\`${typeText(checker, member)}\``,
      wordsOf(checker, member),
    ])
}
