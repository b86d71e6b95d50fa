/*
 * Shows the placeholder where an image's own URL does not answer. It listens once for the whole page and replaces an image
 * once: a placeholder that fails too is left as it is. With data-beacon on its tag, it reports which URL it was.
 */
;(() => {
  const beacon = document.currentScript?.dataset.beacon
  const reported = new Set()
  const report = (url) => {
    if (!beacon || reported.has(url) || reported.size >= 10) return
    reported.add(url)
    navigator.sendBeacon(beacon, url)
  }
  const replace = (image) => {
    const { imagePlaceholder: placeholder } = image.dataset
    if (!placeholder) return
    delete image.dataset.imagePlaceholder
    const broken = image.currentSrc || image.src
    if (image.parentElement?.tagName === 'PICTURE')
      for (const source of image.parentElement.querySelectorAll('source')) source.remove()
    image.removeAttribute('srcset')
    image.removeAttribute('sizes')
    image.dataset.imageFrom = 'placeholder'
    image.src = placeholder
    report(broken)
  }
  document.addEventListener(
    'error',
    (event) => {
      if (event.target instanceof HTMLImageElement) replace(event.target)
    },
    true,
  )
  // What had failed before this script ran; an SVG may be whole and have no width of its own.
  const check = () => {
    for (const image of document.querySelectorAll('img[data-image-placeholder]'))
      if (image.complete && image.currentSrc && image.naturalWidth === 0)
        image.decode().catch(() => replace(image))
  }
  check()
  document.addEventListener('DOMContentLoaded', check)
})()
