/** What a service shares with other nodes, from environment variables. Credentials are the SDK's own: `AWS_ACCESS_KEY_ID` and others. */
import type { ArtworkOptions } from '../options/artwork-options.js'

/**
 * The toolkit is loaded where a variable asks for a part of it only: `doctor` reads options where it does not load.
 * @throws TypeError for a wrong value, naming the option
 */
export async function clusterFromEnv(
  env: Readonly<Record<string, string | undefined>>,
): Promise<Pick<ArtworkOptions, 'shared' | 'coordination'>> {
  const given = (name: string): string | undefined => env[name] || undefined
  const [bucket, prefix, endpoint, region, days] = [
    'ARTWORK_S3_BUCKET',
    'ARTWORK_S3_PREFIX',
    'ARTWORK_S3_ENDPOINT',
    'ARTWORK_S3_REGION',
    'ARTWORK_S3_DAYS',
  ].map(given)
  const [url, redisPrefix] = [given('ARTWORK_REDIS_URL'), given('ARTWORK_REDIS_PREFIX')]
  if (bucket === undefined && url === undefined) return {}
  const { redis, s3 } = await import('../index.js')
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
      coordination: redis({ url, ...(redisPrefix !== undefined && { prefix: redisPrefix }) }),
    }),
  }
}
