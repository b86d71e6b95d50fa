// Says which file the browser took for each picture, and how many bytes it was.
const sizes = () =>
  new Map(performance.getEntriesByType('resource').map((one) => [one.name, one.encodedBodySize]))
const show = () => {
  const known = sizes()
  for (const helper of document.querySelectorAll('.helper')) {
    const image = helper.querySelector('img')
    const cost = helper.querySelector('[data-cost]')
    if (!image || !cost || !image.currentSrc || !image.complete) continue
    const bytes = known.get(image.currentSrc)
    const weight = bytes ? `${(bytes / 1024).toFixed(1)} KB` : 'from the cache'
    cost.textContent = `${weight} in ${image.naturalWidth} × ${image.naturalHeight} pixels: ${image.currentSrc.replace(location.origin, '').slice(0, 120)}`
  }
}
document.addEventListener('load', show, true)
addEventListener('load', show)
