/** What a service shares with other nodes, from environment variables. Credentials are the SDK's own: `AWS_ACCESS_KEY_ID` and others. */
import type { ArtworkOptions } from '../options/artwork-options.js'

/**
 * The toolkit is loaded where a variable asks for a part of it only: `doctor` reads options where it does not load.
 * @throws TypeError for a wrong value, naming the option
 */
export async function clusterFromEnv(
  env: Readonly<Record<string, string | undefined>>,
): Promise<Pick<ArtworkOptions, 'shared' | 'coordination' | 'jobs'>> {
  const given = (name: string): string | undefined => env[name] || undefined
  const [bucket, prefix, endpoint, region, days] = [
    'ARTWORK_S3_BUCKET',
    'ARTWORK_S3_PREFIX',
    'ARTWORK_S3_ENDPOINT',
    'ARTWORK_S3_REGION',
    'ARTWORK_S3_DAYS',
  ].map(given)
  const [url, jobsUrl, redisPrefix] = ['ARTWORK_REDIS_URL', 'ARTWORK_JOBS_URL', 'ARTWORK_REDIS_PREFIX'].map(
    given,
  )
  if (bucket === undefined && url === undefined && jobsUrl === undefined) return {}
  const prefixed = redisPrefix !== undefined && { prefix: redisPrefix }
  const { bullmq, redis, s3 } = await import('../index.js')
  return {
    ...(bucket !== undefined && {
      shared: s3({
        bucket,
        ...(prefix !== undefined && { prefix }),
        ...(endpoint !== undefined && { endpoint }),
        ...(region !== undefined && { region }),
        ...(days !== undefined && { days: Number(days) }),
      }),
    }),
    ...(url !== undefined && {
      coordination: redis({ url, ...prefixed }),
    }),
    ...(jobsUrl !== undefined && { jobs: bullmq({ url: jobsUrl, ...prefixed }) }),
  }
}
