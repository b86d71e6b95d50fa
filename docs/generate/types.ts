/** The page of public types, from what TypeDoc reads of their declarations and docstrings. */
import {
  Application,
  type Comment,
  type DeclarationReflection,
  ReflectionKind,
  type SignatureReflection,
  type SomeType,
} from 'typedoc'
import { page, tableOf } from './markdown.js'

const root = new URL('../../', import.meta.url).pathname
const LONGEST = 300

/** Makes the page. @throws Error where TypeDoc cannot read the sources, or finds something that it warns of */
export async function typesPage(): Promise<string> {
  const app = await Application.bootstrap({
    entryPoints: [`${root}src/index.ts`],
    tsconfig: `${root}tsconfig.json`,
    excludeExternals: true,
    // Types are checked by the compiler's own command.
    skipErrorChecking: true,
    sort: ['source-order'],
    logLevel: 'Error',
  })
  const project = await app.convert()
  if (project === undefined || app.logger.hasErrors()) throw new Error('TypeDoc could not read the sources')
  const exported = [...(project.children ?? [])].sort((a, b) => (a.name < b.name ? -1 : 1))
  return page(
    'Public types and functions',
    'Everything that `express-artwork` exports, with the docstrings that an editor shows.',
    ...exported.map(section),
  )
}

const wordsOf = (parts: Comment['summary'] | undefined): string =>
  (parts ?? [])
    .map((part) => (part.kind === 'inline-tag' ? `\`${part.text}\`` : part.text))
    .join('')
    .replace(/</g, '&lt;')
    .trim()

const tagged = (comment: Comment | undefined, name: `@${string}`): readonly string[] =>
  (comment?.blockTags ?? []).filter(({ tag }) => tag === name).map(({ content }) => wordsOf(content))

/** A docstring with its tags, on as many lines as it has parts. */
function said(comment: Comment | undefined): readonly string[] {
  if (comment === undefined) return []
  return [
    wordsOf(comment.summary),
    ...tagged(comment, '@returns').map((words) => `Returns ${words}`),
    ...tagged(comment, '@throws').map((words) => `Throws ${words}`),
    ...tagged(comment, '@default').map((words) => `Default: ${words.replace(/^```ts\n|\n```$/g, '')}`),
  ]
    .filter((text) => text !== '')
    .map((text) => (/[.:…!?]$|```$/.test(text) ? text : `${text}.`))
}

const shorten = (text: string): string => (text.length > LONGEST ? `${text.slice(0, LONGEST)} …` : text)

/** The text of a type; one that is written in place is written out. */
function typeText(type: SomeType | undefined): string {
  if (type === undefined) return ''
  if (type.type === 'union') return type.types.map(typeText).join(' | ')
  if (type.type === 'array') {
    const element = typeText(type.elementType)
    return /[ |]/.test(element) ? `(${element})[]` : `${element}[]`
  }
  if (type.type !== 'reflection') return type.toString()
  const { signatures, children = [] } = type.declaration
  if (signatures?.[0] !== undefined) return signatureText(signatures[0])
  return `{ ${children.map((one) => `${one.name}${one.flags.isOptional ? '?' : ''}: ${memberType(one)}`).join('; ')} }`
}

const signatureText = ({ parameters = [], type }: SignatureReflection): string =>
  `(${parameters
    .map(
      (one) =>
        `${one.flags.isRest ? '...' : ''}${one.name}${one.flags.isOptional || one.defaultValue !== undefined ? '?' : ''}: ${typeText(one.type)}`,
    )
    .join(', ')}) => ${typeText(type)}`

function memberType(member: DeclarationReflection): string {
  const [signature] = member.signatures ?? []
  return signature === undefined
    ? typeText(member.type ?? member.getSignature?.type)
    : signatureText(signature)
}

const commentOf = (member: DeclarationReflection): Comment | undefined =>
  member.comment ??
  member.signatures?.[0]?.comment ??
  member.getSignature?.comment ??
  (member.type?.type === 'reflection' ? member.type.declaration.signatures?.[0]?.comment : undefined)

const membersOf = (owner: DeclarationReflection): readonly DeclarationReflection[] =>
  (owner.children ?? []).filter(
    ({ kind, flags }) => kind !== ReflectionKind.Constructor && !flags.isExternal && !flags.isPrivate,
  )

const membersTable = (members: readonly DeclarationReflection[]): string =>
  tableOf(
    ['member', 'type', 'meaning'],
    members.map((member) => [
      `\`${member.name}\`${member.flags.isOptional ? '?' : ''}`,
      `\`${shorten(memberType(member))}\``,
      said(commentOf(member)).join(' '),
    ]),
  )

/** The section of one export: what it is, its type where it is a value or a name for one, its parameters or members. */
function section(exported: DeclarationReflection): string {
  const parts = [`## ${exported.name}`, ...said(commentOf(exported))]
  const isFolded = exported.kindOf([ReflectionKind.Interface, ReflectionKind.Class])
  const members = isFolded
    ? membersOf(exported)
    : exported.type?.type === 'reflection'
      ? membersOf(exported.type.declaration)
      : []
  if (members.length > 0) parts.push(membersTable(members))
  else if (!isFolded) parts.push(`\`\`\`text\n${shorten(memberType(exported))}\n\`\`\``)
  const parameters =
    exported.signatures?.[0]?.parameters?.filter(({ comment }) => comment !== undefined) ?? []
  if (parameters.length > 0)
    parts.push(
      tableOf(
        ['parameter', 'type', 'meaning'],
        parameters.map((one) => [
          `\`${one.name}\``,
          `\`${shorten(typeText(one.type))}\``,
          said(one.comment).join(' '),
        ]),
      ),
    )
  return parts.join('\n\n')
}
