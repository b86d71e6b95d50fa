/** What the dashboard's pages do beyond what they do without script: live progress, and charts that answer the pointer. */
const words = (job) => {
  const parts = [job.total > 0 ? `${job.done} of ${job.total}` : '']
  if (job.rate_per_second)
    parts.push(
      `${job.rate_per_second < 10 ? job.rate_per_second.toFixed(1) : Math.round(job.rate_per_second)} a second`,
    )
  if (job.eta_seconds !== undefined) parts.push(`${job.eta_seconds} s left`)
  return parts.filter(Boolean).join(', ')
}
const states = { queued: 'waiting', running: 'under way' }
const show = (root, job) => {
  const state = root.querySelector('[data-job-state]')
  const stateText = states[job.state] ?? job.state
  if (state && state.textContent !== stateText) {
    state.textContent = stateText
    state.className = `state is-${job.state}`
  }
  const bar = root.querySelector('[data-job-bar]')
  if (bar && (job.total > 0 || job.state !== 'running')) {
    bar.max = job.total || 1
    bar.value = job.total ? job.done : job.state === 'done' ? 1 : 0
  }
  const text = root.querySelector('[data-job-text]')
  if (text) text.textContent = words(job)
}
const isOver = (job) => !['queued', 'running'].includes(job.state)

// One job's page: when it has ended, the page tells what came of it.
for (const root of document.querySelectorAll('[data-follow]')) {
  const source = new EventSource(root.dataset.follow)
  source.addEventListener('job', (event) => {
    const job = JSON.parse(event.data)
    show(root, job)
    if (isOver(job)) {
      source.close()
      location.reload()
    }
  })
}

// Pages with lists of jobs, and the numbers of the queue.
for (const live of document.querySelectorAll('[data-live]')) {
  const source = new EventSource(live.dataset.live)
  const base = live.dataset.live.replace(/\/events$/, '')
  const table = live.querySelector('[data-jobs] tbody')
  const begun = Date.now()
  const rowOf = (job) => {
    const known = table.querySelector(`[data-job="${job.id}"]`)
    if (known || !table.closest('[data-jobs]')) return known
    // What ended before the page was opened is not news.
    if (isOver(job) && Date.parse(job.ended_at) < begun) return null
    if (new URLSearchParams(location.search).size > 0 && !location.search.includes('span=')) return null
    const row = document.createElement('tr')
    row.dataset.job = job.id
    row.setAttribute('role', 'row')
    row.innerHTML =
      '<th scope="row" role="rowheader"><a></a></th><td role="cell"><span data-job-state></span></td><td class="wide" role="cell"><span class="bar"><progress data-job-bar></progress><span data-job-text></span></span></td><td role="cell" data-label="Begun">now</td>'
    const link = row.querySelector('a')
    link.href = `${base}/jobs/${job.id}`
    link.textContent = `${job.kind.charAt(0).toUpperCase()}${job.kind.slice(1)} ${job.id}`
    row.querySelector('progress').setAttribute('aria-label', `Progress of ${link.textContent}`)
    table.querySelector('[data-none]')?.remove()
    table.prepend(row)
    return row
  }
  source.addEventListener('job', (event) => {
    const job = JSON.parse(event.data)
    const row = table && rowOf(job)
    if (row) show(row, job)
  })
  source.addEventListener('status', (event) => {
    const status = JSON.parse(event.data)
    for (const place of live.querySelectorAll('[data-status]'))
      place.textContent = Number(status[place.dataset.status]).toLocaleString('en')
  })
}

// Charts: uPlot in the place of the still picture.
const data = document.getElementById('chart-data')
if (data && window.uPlot) {
  const charts = JSON.parse(data.textContent)
  const style = getComputedStyle(document.body)
  const probe = document.createElement('i')
  document.body.append(probe)
  // A canvas knows no variables: what they come to now is read off an element.
  const colour = (name) => {
    probe.style.color = `var(--${name})`
    return getComputedStyle(probe).color
  }
  const names = ['one', 'two', 'three', 'four']
  const drawn = []
  const draw = () => {
    for (const chart of drawn.splice(0)) chart.destroy()
    for (const chart of charts) {
      const place = document.querySelector(`[data-chart="${chart.id}"] .plot`)
      if (!place || place.matches('.is-empty')) continue
      place.replaceChildren()
      const axis = {
        stroke: colour('dim'),
        grid: { stroke: colour('line'), width: 1 },
        ticks: { stroke: colour('line') },
        font: `12px ${style.fontFamily}`,
      }
      const bars = chart.bars
        ? { paths: window.uPlot.paths.bars({ size: [0.8, 60] }), points: { show: false } }
        : { points: { show: false } }
      const worded = chart.unit === 'bytes' ? (value) => bytes(value) : (value) => value
      drawn.push(
        new window.uPlot(
          {
            width: place.clientWidth,
            height: place.clientHeight,
            legend: { show: false },
            cursor: { drag: { x: true, y: false } },
            scales: chart.bars
              ? { x: { time: false, range: [-0.5, chart.labels.length - 0.5] }, y: { range: [0, null] } }
              : { y: { range: (_u, _low, high) => [0, Math.max(high, 1)] } },
            axes: [
              chart.bars
                ? {
                    ...axis,
                    splits: chart.labels.map((_label, index) => index),
                    values: chart.labels,
                    rotate: -50,
                    size: 72,
                  }
                : axis,
              { ...axis, size: 62, values: (_u, ticks) => ticks.map(worded) },
            ],
            series: [
              {},
              ...chart.lines.map((label, index) => ({
                label,
                stroke: colour(names[index]),
                width: 2,
                ...(chart.bars
                  ? { fill: `color-mix(in srgb, ${colour(names[index])} 35%, transparent)` }
                  : {}),
                ...bars,
              })),
            ],
          },
          chart.data,
          place,
        ),
      )
    }
  }
  const bytes = (value) => {
    const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
    let size = value
    let unit = 0
    while (size >= 1024 && unit < units.length - 1) {
      size /= 1024
      unit += 1
    }
    return `${size < 10 && unit > 0 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`
  }
  draw()
  let width = innerWidth
  addEventListener('resize', () => {
    if (innerWidth === width) return
    width = innerWidth
    draw()
  })
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw)
}

// The point of a picture that stays in sight: a click sets it, and arrow keys move it; the form sends it.
for (const stage of document.querySelectorAll('[data-focus]')) {
  const mark = stage.querySelector('.focus-mark')
  const form = document.querySelector('[data-focus-form]')
  const within = (value) => Math.min(100, Math.max(0, Math.round(value)))
  const place = () => {
    mark.style.left = `${within(form.elements.x.value)}%`
    mark.style.top = `${within(form.elements.y.value)}%`
  }
  const set = (x, y) => {
    form.elements.x.value = within(x)
    form.elements.y.value = within(y)
    place()
  }
  stage.addEventListener('click', (event) => {
    // A press of a key on the mark is no place.
    if (event.detail === 0) return
    const box = stage.getBoundingClientRect()
    set(((event.clientX - box.left) / box.width) * 100, ((event.clientY - box.top) / box.height) * 100)
    mark.focus()
  })
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }
  mark.addEventListener('keydown', (event) => {
    const step = steps[event.key]
    if (event.key === 'Enter') form.requestSubmit()
    if (!step && event.key !== 'Enter') return
    event.preventDefault()
    const far = event.shiftKey ? 10 : 1
    if (step)
      set(Number(form.elements.x.value) + step[0] * far, Number(form.elements.y.value) + step[1] * far)
  })
  form.addEventListener('input', place)
}
