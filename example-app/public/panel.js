// The panel works without this; with it, it keeps up with what happens, and stays as open as it was. Pictures that are
// stored here meanwhile take the place of those from the CDN, on the page that is open.
const panel = document.getElementById('panel')
const UNITS = ['B', 'KiB', 'MiB', 'GiB']
/** As the dashboard prints sizes. */
const bytes = (value) => {
  const unit = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, value)) / 10))
  const size = value / 1024 ** unit
  return `${size < 10 && unit > 0 ? size.toFixed(1) : Math.round(size)} ${UNITS[unit]}`
}
const count = (value) => value.toLocaleString('en')
const set = (name, text) => {
  for (const place of panel.querySelectorAll(`[data-count="${name}"]`))
    if (place.textContent !== text) place.textContent = text
}

const shown = (root) => [...root.querySelectorAll('[data-image-from]')]
const from = (picture) => picture.dataset.imageFrom
/** `12 local, 3 from the CDN` */
const countPictures = () => {
  const sources = shown(document).map(from)
  const words = { local: 'local', source: 'from the CDN', placeholder: 'placeholder' }
  return Object.entries(words)
    .map(([name, word]) => [sources.filter((one) => one === name).length, word])
    .filter(([number]) => number > 0)
    .map(([number, word]) => `${number} ${word}`)
    .join(', ')
}
const whole = (picture) => picture.closest('picture') ?? picture
/** Renders the page again, and takes over the pictures that are local by now. */
const takeOver = async () => {
  const before = shown(document)
  if (!before.some((picture) => from(picture) === 'source')) return
  const response = await fetch(location.href, { headers: { Accept: 'text/html' } })
  if (!response.ok) return
  const page = new DOMParser().parseFromString(await response.text(), 'text/html')
  const now = shown(page)
  if (now.length !== before.length) return
  for (const [index, picture] of now.entries()) {
    const old = before[index]
    if (from(old) !== 'source' || from(picture) !== 'local') continue
    const arrived = document.importNode(whole(picture), true)
    arrived.classList.add('arrived')
    whole(old).replaceWith(arrived)
  }
  set('page', countPictures())
}

const refresh = async () => {
  const status = await (await fetch('/panel/status')).json()
  const mood = status.down ? 'down' : status.slow ? 'slow' : 'up'
  set('cdn', mood)
  set('calls', count(status.calls))
  set('queue', `${count(status.queued)} waiting, ${count(status.running)} under way`)
  set('stored', `${bytes(status.bytes)}, ${count(status.names)} images`)
  panel.querySelector('.dot').className = `dot ${mood}`
}

if (panel) {
  panel.open = sessionStorage.getItem('panel') === 'open'
  const look = async () => {
    if (document.hidden) return
    await takeOver()
    if (panel.open) await refresh()
  }
  let timer
  const turn = () => {
    clearTimeout(timer)
    look()
      .catch(() => {})
      .finally(() => {
        const waits = shown(document).some((picture) => from(picture) === 'source')
        timer = setTimeout(turn, waits ? 700 : 2000)
      })
  }
  panel.addEventListener('toggle', () => {
    sessionStorage.setItem('panel', panel.open ? 'open' : 'closed')
    refresh().catch(() => {})
  })
  turn()
}
