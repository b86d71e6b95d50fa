/** The page of options, from their declarations and docstrings; a test compares the defaults with those of the schema. */
import ts from 'typescript'
import { page, tableOf } from './markdown.js'

const root = new URL('../../', import.meta.url).pathname
const file = `${root}src/options/artwork-options.ts`

/** Options whose own options are described elsewhere. */
const WHOLE = new Set(['entities', 'repository', 'presets', 'schedules', 'fetch.proxies', 'manage.templates'])
/** Longest type that is printed, characters. */
const LONGEST = 60

/** An option with its docstring. */
export interface DescribedOption {
  readonly name: string
  readonly type: string
  /** As its docstring says it; '' where there is none. */
  readonly default: string
  readonly meaning: string
}

/** Every option, in the order of their declaration. */
export function describedOptions(): readonly DescribedOption[] {
  const source = ts.createSourceFile(file, ts.sys.readFile(file) ?? '', ts.ScriptTarget.Latest, true)
  const interfaces = new Map<string, ts.InterfaceDeclaration>()
  for (const statement of source.statements)
    if (ts.isInterfaceDeclaration(statement)) interfaces.set(statement.name.text, statement)
  const membersOf = (declared: ts.InterfaceDeclaration, prefix: string): readonly DescribedOption[] =>
    declared.members.filter(ts.isPropertySignature).flatMap((member) => {
      const name = `${prefix}${member.name.getText()}`
      const text = (member.type?.getText() ?? '').replace(/ \| undefined$/, '').replace(/\s+/g, ' ')
      const inner = WHOLE.has(name) ? undefined : interfaces.get(text)
      return inner === undefined ? [described(member, name, text)] : membersOf(inner, `${name}.`)
    })
  const declared = interfaces.get('ArtworkOptions')
  return declared === undefined ? [] : membersOf(declared, '')
}

function described(member: ts.PropertySignature, name: string, text: string): DescribedOption {
  const comments = ts.getJSDocCommentsAndTags(member).filter(ts.isJSDoc)
  const words = comments.map(({ comment }) => ts.getTextOfJSDocComment(comment) ?? '').join(' ')
  const tag = ts.getJSDocTags(member).find(({ tagName }) => tagName.text === 'default')
  // A default may be said within the sentence, where a tag has no line of its own.
  const [meaning = '', said = ''] = words.split(/\s*@default\s+/)
  const type = text.startsWith('((') ? 'function' : text.length > LONGEST ? 'object' : text
  return {
    name,
    type: type.replace(/\bReadonly<Record<string, (\w+)>>/, '{ [name]: $1 }').replace(/\breadonly /g, ''),
    default: (tag === undefined ? said : (ts.getTextOfJSDocComment(tag.comment) ?? '')).trim(),
    meaning: meaning.replace(/\s+/g, ' ').trim(),
  }
}

/** Makes the page. */
export const optionsPage = (): string =>
  page(
    'Options',
    'Every option of `createArtwork`, with its type, its default and what it does. An invalid one stops the start; the error names the option, the rule and the value.',
    "A `Duration` is milliseconds or text (`'3 s'`, `'7 d'`), a `Size` bytes or text (`'64 MiB'`). What sources take may be seconds, as it says there: `maxAge` and `bodyTimeout` of `uploads()`, `cache.maxAge` of a source. An editor shows the same sentences.",
    tableOf(
      ['option, type', 'meaning', 'default'],
      describedOptions().map(({ name, type, default: value, meaning }) => [
        `\`${name}\`<br>\`${type}\``,
        meaning,
        /^['"[{\d]|^(?:true|false)$/.test(value) ? `\`${value}\`` : value,
      ]),
    ),
    'Kinds of entity: [Entities](../entities.md). Sources and proxies: [Sources](../sources.md). Presets and quality: [Variants and formats](../formats.md). Schedules: [Background work](../background.md). Templates of the dashboard: [Dashboard](../dashboard.md).',
  )
