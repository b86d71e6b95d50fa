/**
 * Every option, its default and its unit. Durations are milliseconds or text with a unit (`'3 s'`, `'7 d'`), sizes bytes
 * or text (`'64 MiB'`).
 */

import type { IncomingMessage } from 'node:http'
import type { LookupFunction } from 'node:net'
import { availableParallelism } from 'node:os'
import * as z from 'zod'
import type { CoordinatorSource } from '../model/coordinator.js'
import type { Fixtures } from '../model/fixtures.js'
import { SCHEDULED_KINDS, type ScheduledKind } from '../model/job-kinds.js'
import type { JobQueueSource } from '../model/job-queue.js'
import { consoleLogger, type Logger } from '../model/logger.js'
import { NO_PICTURE } from '../model/no-picture.js'
import type { ObjectStoreSource } from '../model/object-store.js'
import type { Repository } from '../model/repository.js'
import { MAX_SIDE } from '../model/variant.js'
import { isExactOrigin } from '../model/web-url.js'
import type { Source } from '../sources/source.js'
import {
  bytes,
  count,
  duration,
  effort,
  entityKind,
  format,
  has,
  isFunction,
  positive,
  preset,
  proxies,
  quality,
  RULE_DEFAULTS,
  schedule,
  shaped,
  urlPath,
} from './option-types.js'

const template = z.string().min(1).optional()

const anySchedules = Object.fromEntries(SCHEDULED_KINDS.map((kind) => [kind, schedule.optional()])) as Record<
  ScheduledKind,
  z.ZodOptional<typeof schedule>
>

const isFixtures = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  Object.values(value).every(
    (one) => typeof one === 'string' || typeof one === 'number' || one instanceof Uint8Array,
  )

/** The schema of the options: the table of the documentation is checked against it. */
export const optionsSchema = z.strictObject({
  directory: z.string().min(1).default('./data'),
  offline: z
    .union([
      z.boolean(),
      shaped<Fixtures>(
        (value) => isFunction(value) || isFixtures(value),
        'must be true, false, a function of a URL, or paths, bytes and statuses by URL',
      ),
    ])
    .default(false),
  shared: shaped<ObjectStoreSource>((value) => has(value, 'open'), 'must be made by s3()').optional(),
  coordination: shaped<CoordinatorSource>(
    (value) => has(value, 'open'),
    'must be made by redis()',
  ).optional(),
  jobs: shaped<JobQueueSource>((value) => has(value, 'open'), 'must be made by bullmq()').optional(),
  sources: z
    .array(
      shaped<Source>(
        (value) => has(value, 'check', 'locate', 'claim', 'isNative'),
        'must be made by tmdb(), remote() …',
      ),
    )
    .default([]),
  entities: z.record(z.string(), entityKind).default({}),
  repository: shaped<Repository>(
    (value) => typeof value === 'object' && value !== null,
    'must be an object',
  ).optional(),
  clientOf: shaped<(req: IncomingMessage) => string | undefined>(
    isFunction,
    'must be a function of a request',
  ).optional(),
  kindOf: shaped<(entity: object) => string | null | undefined>(
    isFunction,
    'must be a function of an entity',
  ).optional(),
  urls: z
    .strictObject({
      base: z
        .string()
        .regex(
          /^(?:https?:\/\/[^\s/?#]+)?(?:\/[^\s?#/]+)*\/?$/,
          'must be an absolute http or https URL, or a path such as "/shop"',
        )
        .transform((text) => text.replace(/\/$/, ''))
        .default(''),
      local: urlPath.default('/artwork/local'),
      images: urlPath.default('/images'),
      placeholders: urlPath.default('/static/images'),
    })
    .prefault({}),
  private: z.boolean().default(false),
  cacheStatus: z.boolean().default(true),
  cdnCacheControl: z.union([z.boolean(), duration]).default(false),
  cacheTags: z.union([z.boolean(), z.enum(['Cache-Tag', 'Surrogate-Key', 'xkey'])]).default(false),
  onPurge: shaped<(urls: readonly string[], tags: readonly string[]) => unknown>(
    isFunction,
    'must be a function',
  ).optional(),
  sendTimeout: duration.default(120_000),
  cors: z.union([z.string(), z.literal(false)]).default('*'),
  memory: z.strictObject({ maxBytes: bytes.default(64 * 1024 ** 2) }).prefault({}),
  disk: z
    .strictObject({
      required: z.boolean().default(false),
      maxBytes: bytes.default(10 * 1024 ** 3),
      maxNames: positive.default(500_000),
      writeTimeout: duration.default(250),
    })
    .prefault({}),
  freshness: z
    .strictObject({
      maxAge: duration.default(7 * 864e5),
      staleWhileRevalidate: duration.default(864e5),
      staleIfError: duration.default(30 * 864e5),
      upstream: z.enum(['bounded', 'strict']).default('bounded'),
    })
    .prefault({}),
  fetch: z
    .strictObject({
      maxBytes: bytes.default(10 * 1024 ** 2),
      connectTimeout: duration.default(3000),
      firstByteTimeout: duration.default(5000),
      idleTimeout: duration.default(5000),
      minBytesPerSecond: count.default(1024),
      totalTimeout: duration.default(30_000),
      retries: count.default(3),
      maxRedirects: count.default(3),
      maxSockets: positive.default(10),
      perHost: positive.default(6),
      ports: z.array(positive.max(65_535)).default([80, 443]),
      allowIpLiterals: z.boolean().default(false),
      allowPrivate: z
        .array(
          z
            .string()
            .regex(/^(?:\[[0-9a-f:.]+\]|[a-z0-9_.-]+):\d{1,5}$/i, 'must be exact "host:port" texts')
            // As a URL has it.
            .transform((text) => text.toLowerCase().replace(/\.(?=:\d+$)/, '')),
        )
        .default([]),
      publicOrigins: z
        .array(z.url({ protocol: /^https?$/ }).transform((text) => new URL(text).origin))
        .default([]),
      lookup: shaped<LookupFunction>(isFunction, 'must be a function like dns.lookup').optional(),
      proxies: proxies.optional(),
      userAgent: z
        .string()
        .regex(/^[\x20-\x7e]+$/)
        .default('express-artwork/0.1'),
    })
    .prefault({}),
  transform: z
    .strictObject({
      maxPixels: positive.default(50e6),
      maxAvifPixels: positive.default(16e6),
      maxFrames: positive.default(100),
      formats: z.array(format).min(1).default(['jpeg', 'png', 'gif', 'webp']),
      quality,
      effort,
      concurrency: positive.default(Math.min(4, availableParallelism())),
      queue: count.default(64),
      timeout: duration.default(10_000),
      waitTimeout: duration.default(10_000),
      maxMemory: bytes.default(768 * 1024 ** 2),
      isolate: z.boolean().default(true),
      sandbox: z.array(z.string().min(1)).default([]),
    })
    .prefault({}),
  manage: z
    .strictObject({
      authorize: shaped<
        (req: IncomingMessage) => boolean | 'unauthenticated' | Promise<boolean | 'unauthenticated'>
      >(isFunction, 'must be a function of a request').optional(),
      cors: z
        .array(
          z
            .string()
            .refine(
              isExactOrigin,
              'must be exact origins such as "https://app.example.com", without a path or a *',
            ),
        )
        .default([]),
      templates: z
        .strictObject({
          layout: template,
          overview: template,
          images: template,
          image: template,
          jobs: template,
          job: template,
          failures: template,
          problem: template,
        })
        .prefault({}),
    })
    .prefault({}),
  export: z
    .strictObject({
      directory: z.string().min(1).optional(),
      seenAs: z.string().min(1).optional(),
      mode: z
        .union([
          z.number().int().min(0).max(0o777),
          z.string().regex(/^0?[0-7]{3}$/, 'must be rights such as "640"'),
        ])
        .transform((given) => (typeof given === 'string' ? Number.parseInt(given, 8) : given))
        .optional(),
    })
    .prefault({}),
  schedules: z
    .strictObject({
      ...anySchedules,
      cleanup: schedule.default({ ...RULE_DEFAULTS, cron: '0 3 * * *' }),
    })
    .prefault({}),
  presets: z.record(z.string(), preset).default({}),
  widths: z.array(positive.max(MAX_SIDE)).default([320, 640, 960, 1280, 1920]),
  strict: z.boolean().default(true),
  signing: z
    .strictObject({
      keys: z.array(z.string().min(16, 'must be at least 16 characters each')).default([]),
      expires: duration.default(0),
    })
    .prefault({}),
  heal: z.enum(['placeholder', 'redirect']).default('placeholder'),
  display: z
    .strictObject({
      requireLocal: z.boolean().default(false),
      styles: z.enum(['attributes', 'classes']).default('attributes'),
      placeholder: z.enum(['color', 'thumbhash', 'none']).default('color'),
      beacon: z.boolean().default(false),
    })
    .prefault({}),
  noPicture: z
    .array(z.string().regex(NO_PICTURE, 'must be a SHA-256 in hex, or a ThumbHash in base64'))
    .default([]),
  placeholderStatus: z.enum(['auto', 'ok', 'error']).default('auto'),
  logger: shaped<Logger>(
    (value) => has(value, 'debug', 'info', 'warn', 'error'),
    'must be shaped like pino',
  ).default(consoleLogger),
  now: shaped<() => number>(isFunction, 'must be a function that answers milliseconds').default(
    () => Date.now,
  ),
})
