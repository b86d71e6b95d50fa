// The panel works without this; with it, it counts, keeps up, and returns to the page it was used on.
const panel = document.getElementById('panel')
if (panel) {
  const set = (name, text) => {
    const place = panel.querySelector(`[data-count="${name}"]`)
    if (place) place.textContent = text
  }
  for (const input of panel.querySelectorAll('input[name="page"]')) input.value = location.pathname
  const words = { local: 'local', source: 'CDN', placeholder: 'placeholder' }
  const counts = {}
  for (const image of document.querySelectorAll('img[data-image-from]')) {
    const from = words[image.dataset.imageFrom] ?? image.dataset.imageFrom
    counts[from] = (counts[from] ?? 0) + 1
    image.parentElement?.setAttribute('data-badge', from)
  }
  set(
    'page',
    Object.entries(counts)
      .map(([from, count]) => `${count} ${from}`)
      .join(', '),
  )
  panel.open = sessionStorage.getItem('panel') === 'open'
  const mark = () => document.body.classList.toggle('badges', panel.open)
  mark()
  panel.addEventListener('toggle', () => {
    sessionStorage.setItem('panel', panel.open ? 'open' : 'closed')
    mark()
  })
  const reload = panel.querySelector('.reload')
  reload.hidden = false
  reload.addEventListener('click', () => location.reload())
  const refresh = async () => {
    if (!panel.open || document.hidden) return
    const status = await (await fetch('/panel/status')).json()
    set('calls', String(status.calls))
    set('cdn', status.down ? 'down' : status.slow ? 'slow' : 'up')
    set(
      'queue',
      status.queued + status.running > 0
        ? `${status.queued + status.running} to fetch`
        : `idle, ${status.done} done`,
    )
    set('kept', `${status.names} pictures, ${(status.bytes / 1048576).toFixed(1)} MB`)
  }
  panel.addEventListener('toggle', refresh)
  refresh()
  setInterval(() => refresh().catch(() => {}), 2000)
}
