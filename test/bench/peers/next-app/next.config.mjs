/** As it comes, but that a cached picture stays fresh while it is measured. */
export default { images: { minimumCacheTTL: 86_400, qualities: [75] }, productionBrowserSourceMaps: false }
