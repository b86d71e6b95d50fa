/** The bodies and answers of the JSON API: what validates a request is what the OpenAPI document prints. */
import * as z from 'zod'

/** Longest URL that is taken, characters. */
const LONGEST_URL = 4096

/** `POST /images/{namespace}`. */
export const uploadBody = z.object({
  data: z.string().min(1).describe('The image: base64, or a data: URL.'),
})
const pool = z
  .string()
  .nullish()
  .describe('Name of a proxy pool; left out: every pool, or none where there are none.')
/** `POST /images/fetch`. */
export const fetchBody = z.object({
  url: z.string().min(1).max(LONGEST_URL).describe('Absolute http or https URL, or one of our own.'),
  pool,
})
/** `POST /images/{namespace}/proxy`. */
export const proxyBody = z.object({
  urls: z.array(z.string().max(LONGEST_URL)).max(100).describe('Up to 100 URLs.'),
  pool,
})

/** What is known of how an image looks. */
const looks = {
  alpha: z.boolean().optional().describe('Whether some of it may be transparent.'),
  animated: z.boolean().optional(),
  color: z.string().optional().describe('Dominant colour, `#rrggbb`.'),
  thumbhash: z.string().optional().describe('ThumbHash, base64.'),
}
/** The answer to an upload. */
export const uploaded = z.object({
  image_id: z.string().regex(/^[0-9a-f]{32}$/),
  url: z.string().describe('Where it is served.'),
  width: z.number().int().nonnegative(),
  height: z.number().int().nonnegative(),
  ...looks,
})
/** The answer to a deletion. */
export const deleted = z.object({ deleted_count: z.number().int().nonnegative() })
/** The answer to a fetch. */
export const fetched = z.object({ data: z.string().describe('The image in base64.'), mime_type: z.string() })
/** The answer to many fetches. */
export const proxied = z.object({
  urls: z.record(z.string(), z.string()).describe('Where each source is kept now.'),
  images: z.record(z.string(), uploaded).optional().describe('What is known of those that were stored now.'),
  errors: z.record(z.string(), z.string()).optional().describe('Why the others are not.'),
})
/** One upload in a list. */
const listedImage = uploaded.extend({
  content_type: z.string(),
  bytes: z.number().int().nonnegative(),
  stored_at: z.iso.datetime(),
})
/** The answer to a list. */
export const listed = z.object({
  images: z.array(listedImage),
  next: z.string().nullable().describe('What to ask the next page with, as `after`.'),
})
/** A job. */
const job = z.looseObject({
  id: z.string(),
  kind: z.string(),
  state: z.enum(['queued', 'running', 'done', 'failed', 'cancelled']),
  done: z.number().int().nonnegative(),
  total: z.number().int().nonnegative(),
  rate_per_second: z.number().optional(),
  eta_seconds: z.number().optional(),
  error: z.string().optional(),
  attempts: z.number().int(),
})
/** What is queued. */
export const accepted = z.object({ job: job })
/** One job, and what became of what it asked for. */
export const oneJob = z.object({ job: job, children: z.record(z.string(), z.number()) })
/** A page of jobs. */
export const jobPage = z.object({ jobs: z.array(job), next: z.string().nullable() })
/** A page of what is kept. */
export const keptPage = z.object({
  images: z.array(
    z.looseObject({
      name: z.string(),
      role: z.enum(['original', 'rendition', 'artwork']),
      url: z.string(),
      state: z.string(),
      held: z.boolean(),
      bytes: z.number().int().nonnegative(),
      ...looks,
    }),
  ),
  total: z.number().int().nonnegative(),
  next: z.string().nullable(),
})
/** Pages of lists. */
const page = {
  after: z.string().default('').describe('`next` of the page before.'),
  limit: z.coerce.number().int().min(1).max(500).default(50).describe('How many at most.'),
}
/** `GET /failures`. */
export const failuresQuery = z.object(page)
/** `GET /jobs`. */
export const jobsQuery = z.object({
  state: job.shape.state.optional().describe('Only those that stand so.'),
  kind: z.string().optional().describe('Only of this kind.'),
  parent: z.coerce.number().int().nonnegative().optional().describe('Only those that this job asked for.'),
  before: z.coerce.number().int().nonnegative().optional().describe('`next` of the page before.'),
  limit: page.limit,
})
/** `GET /explain`. */
export const explainQuery = z
  .object({
    address: z.string().optional().describe('Its address.'),
    url: z.string().optional().describe('Or its source URL.'),
  })
  .refine(({ address, url }) => address !== undefined || url !== undefined, {
    error: 'explain needs an address or a url',
  })
/** `GET /images/{namespace}`. */
export const uploadsQuery = z.object({
  after: z.string().default('').describe('Only images after this id.'),
  limit: z.coerce.number().int().min(1).max(1000).default(100).describe('How many at most.'),
})
/** What to purge. */
export const purgeBody = z.union(
  [
    z.strictObject({ address: z.string() }),
    z.strictObject({ url: z.string() }),
    z.strictObject({ tag: z.string() }),
    z.strictObject({
      entity: z.strictObject({ kind: z.string(), id: z.union([z.string(), z.number()]) }),
    }),
  ],
  { error: 'give one of address, url, tag, and entity: { kind, id }' },
)
/** `POST /focal-point`. */
const percent = z.number().int().min(0).max(100)
export const focalPointBody = z.strictObject({
  address: z.string().min(1).max(LONGEST_URL).describe('Its address, such as `poster/original/abc.jpg`.'),
  point: z
    .strictObject({ x: percent, y: percent })
    .nullable()
    .describe('Per cent of width and height, from the upper left corner; null takes it away.'),
})
/** What was purged. */
export const purged = z.object({
  removed: z.number().int().nonnegative(),
  urls: z.array(z.string()),
  tags: z.array(z.string()),
})
/** One thing that is wrong with a body. */
export const problem = z.object({
  loc: z.array(z.union([z.string(), z.number()])),
  msg: z.string(),
  type: z.string(),
})
/** Any failure. */
export const failure = z.object({ detail: z.union([z.string(), z.array(problem)]) })

/** What is wrong with a body. */
export type Problem = z.output<typeof problem>
