/** A job kind is a name in one list, a file, and a line: everything else follows, or does not compile. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { HTTP_JOB_KINDS, jobOptionProblem, needsRepository } from '#src/jobs/kinds.js'
import type { Management } from '#src/management/management.js'
import { settleKinds } from '#src/model/entity.js'
import { JOB_KINDS, SCHEDULED_KINDS } from '#src/model/job-kinds.js'
import { environmentNames } from '#src/options/env-variables.js'
import { optionsSchema } from '#src/options/schema.js'
import { queueRoutes } from '#src/web/management/job-routes.js'
import { pathsOf } from '#src/web/shared/openapi.js'

const root = new URL('../../', import.meta.url).pathname
const read = (file: string): string => readFileSync(join(root, file), 'utf8')

/** A file of ours with a text in the place of another. @throws Error where the text is not there */
function planted(file: string, text: string, other: string): string {
  const source = read(file)
  if (!source.includes(text)) throw new Error(`${file} has no ${text}`)
  return source.replace(text, other)
}

/** What has to know every kind. */
const KNOWING = ['src/cli/job-commands.ts', 'src/jobs/kinds.ts', 'src/web/dashboard/actions.ts']

/** Which of them do not compile where some files have other texts. */
function broken(changed: Readonly<Record<string, string>>, before?: ts.Program) {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
  const texts = new Map(Object.entries(changed).map(([file, text]) => [join(root, file), text]))
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile, getSourceFile } = host
  host.fileExists = (path) => texts.has(path) || fileExists(path)
  host.readFile = (path) => texts.get(path) ?? readFile(path)
  host.getSourceFile = (path, language, ...rest) => {
    const text = texts.get(path)
    const same = text === undefined ? before?.getSourceFile(path) : undefined
    if (text !== undefined) return ts.createSourceFile(path, text, language)
    return same ?? getSourceFile(path, language, ...rest)
  }
  const program = ts.createProgram(
    KNOWING.map((file) => join(root, file)),
    options,
    host,
  )
  const files = KNOWING.filter(
    (file) => program.getSemanticDiagnostics(program.getSourceFile(join(root, file))).length > 0,
  )
  return { files, program }
}

describe('a ninth job kind', () => {
  const named = {
    'src/model/job-kinds.ts': planted('src/model/job-kinds.ts', "  'import',\n", "  'import',\n  'prune',\n"),
  }
  const defined = {
    ...named,
    'src/jobs/kinds/prune.ts': read('src/jobs/kinds/verify.ts').replace(
      'export const verify',
      'export const prune',
    ),
    'src/jobs/kinds.ts': planted(
      'src/jobs/kinds.ts',
      '  import: importFiles,\n',
      '  import: importFiles,\n  prune,\n',
    ).replace('import { refresh }', "import { prune } from './kinds/prune.js'\nimport { refresh }"),
  }

  test('does not compile until it has a definition, a command and a form', { timeout: 180_000 }, () => {
    const first = broken(named)
    expect(first.files).toEqual(['src/cli/job-commands.ts', 'src/jobs/kinds.ts'])
    expect(broken(defined, first.program).files).toEqual([
      'src/cli/job-commands.ts',
      'src/web/dashboard/actions.ts',
    ])
  })
})

describe('what follows from the list', () => {
  test('no kind of entity has the name of a job', () => {
    for (const kind of JOB_KINDS)
      expect(() => settleKinds({ [kind]: {} })).toThrow(/route of the management API/)
  })
  test('every kind but import is an option of schedules, with a variable', () => {
    expect(SCHEDULED_KINDS).toEqual(JOB_KINDS.filter((kind) => kind !== 'import'))
    expect(Object.keys(optionsSchema.shape.schedules.unwrap().shape).sort()).toEqual(
      [...SCHEDULED_KINDS].sort(),
    )
    for (const kind of SCHEDULED_KINDS)
      expect(environmentNames()).toContain(`ARTWORK_SCHEDULES_${kind.toUpperCase()}`)
  })
  test('every kind with a body is started over HTTP, and in the OpenAPI document', () => {
    expect(HTTP_JOB_KINDS).toEqual(SCHEDULED_KINDS)
    const paths = pathsOf(queueRoutes({} as Management, new Map()), '/api')
    for (const kind of HTTP_JOB_KINDS)
      expect(paths[`/api/${kind}`]).toMatchObject({
        post: {
          operationId: `${kind}Job`,
          summary: expect.any(String),
          requestBody: { required: kind === 'warm' },
        },
      })
    expect(paths['/api/import']).toBeUndefined()
  })
  test('sync and validate need a repository', () => {
    expect(JOB_KINDS.filter(needsRepository)).toEqual(['sync', 'validate'])
  })
  test.each([
    ['sync', { kinds: ['artist', ''] }, { name: 'kinds', rule: 'must be a list of texts' }],
    ['cleanup', { dryRun: 1 }, { name: 'dryRun', rule: 'must be true or false' }],
    ['cleanup', { maxAgeDays: 0 }, { name: 'maxAgeDays', rule: 'must be a number over 0' }],
    ['export', { directory: '' }, { name: 'directory', rule: 'must be a text' }],
    [
      'cleanup',
      { days: 1 },
      { name: 'days', rule: 'is no option of this job: there are maxAgeDays, dryRun, force' },
    ],
    ['verify', { all: true }, { name: 'all', rule: 'is no option of this job: there are none' }],
    ['warm', { addresses: undefined }, undefined],
    ['import', { directory: '/media', overwrite: true }, undefined],
  ] as const)('the options of %s: %o', (kind, options, problem) => {
    expect(jobOptionProblem(kind, options)).toEqual(problem)
  })
})
