/**
 * Jobs by cron expressions. The first process to poll queues the job, with jitter; a run that is due while the one before
 * has not ended is refused. What was due while no process ran is made up for once, at the next start.
 */
import { Cron } from 'croner'
import { JOB_KINDS, type JobKind } from '../model/job-kinds.js'
import type { Schedule, ScheduleTable } from '../model/job-queue.js'
import { machineZone } from '../model/readable.js'
import { jobOptionProblem, newJob } from './kinds.js'

/** When a job is to be begun. Times in ms. */
export interface ScheduleRule {
  /** A cron expression of five fields (six with seconds), or a name such as `@daily`. */
  readonly cron: string
  /** IANA name. @default that of the machine */
  readonly timezone?: string | undefined
  /** Longest random delay; never more than a tenth of the time between two runs. @default 5 min */
  readonly jitter: number
  /** Options of the job. */
  readonly options: Readonly<Record<string, unknown>>
}

/** The rule of each job that is scheduled. */
export type ScheduleRules = Readonly<Partial<Record<JobKind, ScheduleRule | false | undefined>>>

/** A schedule as it stands. Times in ms since the epoch. */
export interface ScheduleStatus {
  /** Kind of the job. */
  readonly kind: string
  /** The cron expression. */
  readonly cron: string
  /** That of the machine, where the rule names none. */
  readonly timezone: string
  /** When it is due next. */
  readonly nextRun: number
  /** When it was begun last, undefined where it never was. */
  readonly lastRun: number | undefined
  /** The job that the last run was. */
  readonly lastJob: string | undefined
  /** Runs that were refused, because the one before had not ended. */
  readonly refused: number
}

interface Plan {
  readonly kind: JobKind
  readonly rule: ScheduleRule
  readonly text: string
  readonly cron: Cron
}

/** A clock that was set back is noticed after this. */
const MAX_POLL_INTERVAL_MS = 60_000

/** The next two runs after this moment. */
function nextRuns({ cron }: Plan, at: number): readonly [number, number] {
  const [next = Number.MAX_SAFE_INTEGER, second = next] = cron.nextRuns(2, new Date(at)).map(Number)
  return [next, second]
}
const maxJitter = ({ rule }: Plan, [first, second]: readonly [number, number]): number =>
  Math.min(rule.jitter, (second - first) / 10)
function nextDue(plan: Plan, at: number): number {
  const runs = nextRuns(plan, at)
  return runs[0] + Math.random() * maxJitter(plan, runs)
}
/** A later due time was written by a clock that was ahead. */
function latestDue(plan: Plan, at: number): number {
  const runs = nextRuns(plan, at)
  return runs[1] + maxJitter(plan, runs)
}
const scheduleOf = (plan: Plan, all: readonly Schedule[]): Schedule | undefined =>
  all.find(({ kind, plan: text }) => kind === plan.kind && text === plan.text)

function statusOf(plan: Plan, found: Schedule | undefined, now: number): ScheduleStatus {
  const { cron, timezone = machineZone() } = plan.rule
  return {
    kind: plan.kind,
    cron,
    timezone,
    nextRun: found?.next ?? nextRuns(plan, now)[0],
    lastRun: found?.last,
    lastJob: found?.lastJob === undefined ? undefined : String(found.lastJob),
    refused: found?.refused ?? 0,
  }
}

/** What schedules work with. */
interface SchedulesParts {
  readonly rules: ScheduleRules
  readonly table: ScheduleTable
  readonly now: () => number
}

/** Makes the schedules; nothing runs before `tick`. @throws TypeError that names the option, the rule and the value */
export function createSchedules({ rules, table, now }: SchedulesParts) {
  const plans = plansOf(rules)
  let soonest = Number.NEGATIVE_INFINITY
  let polledAt = Number.NEGATIVE_INFINITY
  let isUnderWay = false
  const polled = (at: number): void => {
    table.forget()
    const all = table.list()
    soonest = Math.min(...plans.map((plan) => scheduleOf(plan, all)?.next ?? at))
  }
  return {
    /** Queues what is due. Queries nothing while nothing is. */
    tick: (): void => {
      const at = now()
      if (isUnderWay || plans.length === 0) return
      if (at < soonest && Math.abs(at - polledAt) < MAX_POLL_INTERVAL_MS) return
      polledAt = at
      const runs = plans.map((plan) => {
        const next = () => nextDue(plan, now())
        return table.run(plan.text, newJob(plan.kind, plan.rule.options), next, () => latestDue(plan, now()))
      })
      if (!runs.some((run) => run instanceof Promise)) {
        polled(at)
        return
      }
      isUnderWay = true
      void Promise.allSettled(runs).then(() => {
        isUnderWay = false
        polled(at)
      })
    },
    status: (): readonly ScheduleStatus[] => {
      const all = table.list()
      return plans.map((plan) => statusOf(plan, scheduleOf(plan, all), now()))
    },
  }
}

const plansOf = (rules: ScheduleRules): readonly Plan[] =>
  JOB_KINDS.flatMap((kind) => {
    const rule = rules[kind]
    return rule ? [planOf(kind, rule)] : []
  })

function planOf(kind: JobKind, rule: ScheduleRule): Plan {
  const { cron: expression, timezone } = rule
  try {
    const cron = new Cron(expression, { paused: true, ...(timezone !== undefined && { timezone }) })
    if (cron.nextRun(new Date()) === null) throw new Error('it never comes')
    return { kind, rule, text: timezone === undefined ? expression : `${expression} ${timezone}`, cron }
  } catch (cause) {
    const given = timezone === undefined ? expression : { cron: expression, timezone }
    throw new TypeError(
      `schedules.${kind} must be a cron expression that some time comes, and a known time zone, got ${JSON.stringify(given)}`,
      { cause },
    )
  }
}

/**
 * Checks the rules.
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
