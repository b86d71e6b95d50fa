/** HTTP over a bare socket: what is sent is what was written, and what came is read as it came. */
import { connect } from 'node:net'

/** An answer as it was on the wire. */
export interface RawAnswer {
  readonly status: number
  /** Field values by lower-case name; several of one name are joined by commas. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** What to send. */
export interface RawRequest {
  readonly method?: string
  /** Field lines as they are written. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** Reads an answer; a chunked body is put together. */
function parseAnswer(wire: Buffer): RawAnswer {
  const end = wire.indexOf('\r\n\r\n')
  if (end < 0) throw new Error(`no head: ${wire.subarray(0, 200)}`)
  const [start = '', ...lines] = wire.subarray(0, end).toString('latin1').split('\r\n')
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const mark = line.indexOf(':')
    const name = line.slice(0, mark).toLowerCase()
    const value = line.slice(mark + 1).trim()
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`
  }
  return { status: Number(start.split(' ')[1]), headers, body: wire.subarray(end + 4) }
}

/** Sends one request on a connection of its own and reads until that is closed. */
export function ask(url: string, path: string, request: RawRequest = {}): Promise<RawAnswer> {
  const { hostname, port } = new URL(url)
  const { method = 'GET', headers = {}, body = '' } = request
  const fields = { Host: `${hostname}:${port}`, Connection: 'close', ...headers }
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    const socket = connect(Number(port), hostname, () => {
      const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
      socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`, 'latin1')
    })
    socket.on('data', (piece) => pieces.push(piece))
    socket.on('end', () => {
      try {
        resolve(parseAnswer(Buffer.concat(pieces)))
      } catch (error) {
        reject(error)
      }
    })
    socket.on('error', reject)
  })
}
