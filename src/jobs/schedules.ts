/**
 * Jobs that are begun by themselves, by cron expressions. Whichever process looks first queues the job, with some
 * delay of chance so that not everything begins at the full hour; a run that is due while the one before has not
 * ended is refused. What was due while no process ran is made up for once, at the next start.
 */
import { Cron } from 'croner'
import { JOB_KINDS, type JobKind, jobOptionProblem } from '../model/job-kinds.js'
import type { NewJob, Schedule } from './ports.js'
import type { JobQueue } from './sqlite/queue.js'

/** When a job is to be begun. Times in ms. */
export interface ScheduleRule {
  /** A cron expression of five fields (six with seconds), or a name such as `@daily`. */
  readonly cron: string
  /** IANA name. @default that of the machine */
  readonly timezone?: string | undefined
  /** Longest delay of chance; never more than a tenth of the time between two runs. @default 5 min */
  readonly jitter: number
  /** What the job is told. */
  readonly options: Readonly<Record<string, unknown>>
}

/** The rule of each job that is begun by itself. */
export type ScheduleRules = Readonly<Partial<Record<JobKind, ScheduleRule | false | undefined>>>

/** A schedule as it stands. Times in ms since the epoch. */
export interface ScheduleStatus {
  readonly kind: string
  readonly cron: string
  readonly timezone?: string
  readonly nextRun: number
  readonly lastRun: number | undefined
  /** The job that the last run was. */
  readonly lastJob: string | undefined
  /** Runs that were refused, because the one before had not ended. */
  readonly refused: number
}

/** What schedules work with. */
export interface SchedulesContext {
  readonly rules: ScheduleRules
  readonly jobs: Pick<JobQueue, 'schedules'>
  /** The job as it is queued. */
  prepare(kind: JobKind, options: Readonly<Record<string, unknown>>): NewJob
  readonly now: () => number
}

/** See the top of the file. */
export type Schedules = ReturnType<typeof createSchedules>

interface Plan {
  readonly kind: JobKind
  readonly rule: ScheduleRule
  readonly text: string
  readonly cron: Cron
}

/** Makes the schedules; nothing runs before `tick`. @throws TypeError that names the option, the rule and the value */
export function createSchedules({ rules, jobs, prepare, now }: SchedulesContext) {
  const plans = plansOf(rules)

  /** The next two moments after this one. */
  const following = ({ cron }: Plan, at: number): readonly [number, number] => {
    const [first, second] = cron.nextRuns(2, new Date(at)).map(Number)
    const next = first ?? Number.MAX_SAFE_INTEGER
    return [next, second ?? next]
  }
  const longestDelay = ({ rule }: Plan, [first, second]: readonly [number, number]): number =>
    Math.min(rule.jitter, (second - first) / 10)
  const nextOf = (plan: Plan): number => {
    const moments = following(plan, now())
    return moments[0] + Math.random() * longestDelay(plan, moments)
  }
  /** No run is due later than this: what says so was written by a clock that was ahead. */
  const latestOf = (plan: Plan): number => {
    const moments = following(plan, now())
    return moments[1] + longestDelay(plan, moments)
  }
  const standing = (plan: Plan, all: readonly Schedule[]): Schedule | undefined =>
    all.find((one) => one.kind === plan.kind && one.plan === plan.text)
  let soonest = Number.NEGATIVE_INFINITY
  let looked = Number.NEGATIVE_INFINITY

  return {
    /** Queues what is due. Costs nothing while nothing is. Answers whether something was queued. */
    tick: (): boolean => {
      const at = now()
      // A clock that was set back is noticed within the minute.
      if (plans.length === 0 || (at < soonest && Math.abs(at - looked) < 60_000)) return false
      looked = at
      let isQueued = false
      for (const plan of plans) {
        const job = prepare(plan.kind, plan.rule.options)
        const added = jobs.schedules.run(
          plan.text,
          job,
          () => nextOf(plan),
          () => latestOf(plan),
        )
        isQueued ||= added?.accepted === true
      }
      jobs.schedules.forget()
      const all = jobs.schedules.list()
      soonest = Math.min(...plans.map((plan) => standing(plan, all)?.next ?? at))
      return isQueued
    },
    status: (): readonly ScheduleStatus[] => {
      const all = jobs.schedules.list()
      return plans.map((plan) => {
        const found = standing(plan, all)
        const { cron, timezone } = plan.rule
        return {
          kind: plan.kind,
          cron,
          ...(timezone !== undefined && { timezone }),
          nextRun: found?.next ?? following(plan, now())[0],
          lastRun: found?.last,
          lastJob: found?.lastJob === undefined ? undefined : String(found.lastJob),
          refused: found?.refused ?? 0,
        }
      })
    },
  }
}

const plansOf = (rules: ScheduleRules): readonly Plan[] =>
  JOB_KINDS.flatMap((kind) => {
    const rule = rules[kind]
    return rule ? [planOf(kind, rule)] : []
  })

/**
 * Reads the rules.
 * @param can whether there is what a job of this kind needs
 * @throws TypeError that names the option, the rule and the value
 */
export function checkSchedules(rules: ScheduleRules, can: (kind: JobKind) => boolean): void {
  for (const { kind, text, rule } of plansOf(rules)) {
    const problem = jobOptionProblem(kind, rule.options)
    if (problem !== undefined)
      throw new TypeError(
        `schedules.${kind}.options.${problem.name} ${problem.rule}, got ${JSON.stringify(rule.options[problem.name])}`,
      )
    if (!can(kind))
      throw new TypeError(
        `schedules.${kind} needs a repository that lists entities, got ${JSON.stringify(text)} without one`,
      )
  }
}

function planOf(kind: JobKind, rule: ScheduleRule): Plan {
  const { cron: expression, timezone } = rule
  const problem = (cause: unknown): TypeError =>
    new TypeError(
      `schedules.${kind} must be a cron expression that some time comes, and a known time zone, got ${JSON.stringify(timezone === undefined ? expression : { cron: expression, timezone })}`,
      { cause },
    )
  try {
    const cron = new Cron(expression, { paused: true, ...(timezone !== undefined && { timezone }) })
    if (cron.nextRun(new Date()) === null) throw new Error('it never comes')
    return { kind, rule, text: timezone === undefined ? expression : `${expression} ${timezone}`, cron }
  } catch (error) {
    throw problem(error)
  }
}
