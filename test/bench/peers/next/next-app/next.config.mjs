/** As it comes, but that a cached picture stays fresh while it is measured, and that it may ask the bench's own origin. */
export default {
  images: {
    minimumCacheTTL: 86_400,
    qualities: [75],
    formats: ['image/avif', 'image/webp'],
    dangerouslyAllowLocalIP: true,
    remotePatterns: [{ protocol: 'http', hostname: '127.0.0.1' }],
  },
  productionBrowserSourceMaps: false,
}
