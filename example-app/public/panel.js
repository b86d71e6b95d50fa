// The panel works without this; with it, it keeps up with what happens, and stays as open as it was.
const panel = document.getElementById('panel')
if (panel) {
  const set = (name, text) => {
    const place = panel.querySelector(`[data-count="${name}"]`)
    if (place && place.textContent !== text) place.textContent = text
  }
  panel.open = sessionStorage.getItem('panel') === 'open'
  const refresh = async () => {
    if (!panel.open || document.hidden) return
    const status = await (await fetch('/panel/status')).json()
    const mood = status.down ? 'down' : status.slow ? 'slow' : 'up'
    const waiting = status.queued + status.running
    set('cdn', mood)
    set('calls', String(status.calls))
    set('queue', waiting > 0 ? `${waiting} to fetch` : `idle, ${status.done} done`)
    set('kept', `${status.names} pictures, ${(status.bytes / 1048576).toFixed(1)} MB`)
    panel.querySelector('.dot').className = `dot ${mood}`
  }
  panel.addEventListener('toggle', () => {
    sessionStorage.setItem('panel', panel.open ? 'open' : 'closed')
    refresh().catch(() => {})
  })
  refresh().catch(() => {})
  setInterval(() => refresh().catch(() => {}), 2000)
}
