/** Real shared caches in front of the example site: Debian's Varnish and nginx, each with a configuration of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../support/child-process.js'

/** A running cache. Its answers say `X-Front: HIT`, `MISS`, or how it got them; what is below `/short` it keeps for a second. */
export interface Front {
  readonly url: string
  /** Its files. */
  readonly folder: string
  stop(): Promise<void>
}

/** Finds a program. @throws Error that says how to get it */
function program(places: readonly string[], name: string): string {
  const found = places.find((place) => existsSync(place))
  if (found === undefined)
    throw new Error(`These tests need ${name}: run \`apt-get install -y varnish nginx-light\`.`)
  return found
}

async function run(file: string, args: readonly string[], url: string, folder: string): Promise<Front> {
  const child: ChildProcess = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  const listen = (piece: Buffer): void => {
    said += piece
  }
  child.stdout?.on('data', listen)
  child.stderr?.on('data', listen)
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  for (let attempt = 0; ; attempt += 1) {
    if (await fetch(url).then(Boolean, () => false)) break
    if (attempt > 100 || child.exitCode !== null) throw new Error(`${file} did not start: ${said}`)
    await sleep(100)
  }
  return {
    url,
    folder,
    stop: async () => {
      child.kill('SIGTERM')
      await gone
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const VCL = (port: string): string => `vcl 4.1;
backend default { .host = "127.0.0.1"; .port = "${port}"; }
acl neighbours { "127.0.0.1"; }
sub vcl_recv {
  if (req.method == "BAN") {
    if (client.ip !~ neighbours) { return (synth(403)); }
    // Tags, with | between them. Nothing in one may mean something else in a pattern.
    if (req.http.X-Cache-Tag !~ "^[A-Za-z0-9._:|-]+$") { return (synth(400)); }
    ban("obj.http.Cache-Tag ~ (^|,)(" + regsuball(req.http.X-Cache-Tag, "\\.", "[.]") + ")(,|$)");
    return (synth(200));
  }
  if (req.url ~ "^/short/") {
    set req.url = regsub(req.url, "^/short", "");
    set req.http.X-Short = "1";
  }
}
sub vcl_hash { if (req.http.X-Short) { hash_data("short"); } }
sub vcl_backend_response {
  if (bereq.uncacheable == false && beresp.http.Cache-Control !~ "no-store") {
    set beresp.keep = 1h;
    if (beresp.http.Cache-Control !~ "immutable") { set beresp.grace = 0s; }
  }
  // What is asked for below /short is kept for a second, so that a test need not wait for an hour.
  if (bereq.http.X-Short) { set beresp.ttl = 1s; set beresp.grace = 0s; }
  if (beresp.was_304) { set beresp.http.X-Was = "304"; }
}
sub vcl_deliver {
  if (obj.hits > 0) { set resp.http.X-Front = "HIT"; }
  elsif (resp.http.X-Was == "304") { set resp.http.X-Front = "REVALIDATED"; }
  else { set resp.http.X-Front = "MISS"; }
}
`

/** Starts Varnish before a site. */
export async function startVarnish(site: string): Promise<Front> {
  const file = program(['/usr/sbin/varnishd', '/usr/local/sbin/varnishd'], 'Varnish')
  const folder = await mkdtemp(join(tmpdir(), 'artwork-varnish-'))
  const port = await freePort()
  await writeFile(join(folder, 'site.vcl'), VCL(new URL(site).port))
  const address = `127.0.0.1:${port}`
  const args = ['-F', '-j', 'none', '-a', address, '-f', join(folder, 'site.vcl'), '-n', join(folder, 'run')]
  return run(file, [...args, '-s', 'malloc,32m'], `http://${address}`, folder)
}

const NGINX = (folder: string, port: number, site: string, isRoot: boolean): string => `
${isRoot ? 'user root;' : ''}
daemon off;
pid ${folder}/nginx.pid;
error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  proxy_cache_path ${folder}/cache keys_zone=pictures:1m max_size=32m use_temp_path=off;
  server {
    listen 127.0.0.1:${port};
    proxy_cache pictures;
    proxy_cache_revalidate on;
    add_header X-Front $upstream_cache_status always;
    location / { proxy_pass ${site}; }
    location /short/ {
      proxy_cache_key short$uri;
      proxy_ignore_headers Cache-Control Expires;
      proxy_cache_valid 200 1s;
      proxy_pass ${site}/;
    }
  }
}
`

/** Starts nginx before a site. */
export async function startNginx(site: string): Promise<Front> {
  const file = program(['/usr/sbin/nginx', '/usr/local/sbin/nginx'], 'nginx')
  const folder = await mkdtemp(join(tmpdir(), 'artwork-nginx-'))
  await mkdir(join(folder, 'cache'))
  const port = await freePort()
  const conf = join(folder, 'nginx.conf')
  await writeFile(conf, NGINX(folder, port, site, process.getuid?.() === 0))
  return run(file, ['-c', conf, '-p', folder, '-e', 'stderr'], `http://127.0.0.1:${port}`, folder)
}
