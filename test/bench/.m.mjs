// src/create-artwork.ts
import { randomUUID as randomUUID6 } from "node:crypto";

// src/events.ts
import { EventEmitter } from "node:events";
function createEvents(logger) {
  const emitter = new EventEmitter();
  return {
    emit: (name, event) => {
      emitter.emit(name, event);
    },
    on: (name, listener) => {
      emitter.on(name, (event) => {
        try {
          listener(event);
        } catch (error) {
          logger.error({ err: error, event: name }, "artwork: a listener failed");
        }
      });
    }
  };
}

// src/fetch/fetcher.ts
import { lookup as systemLookup2 } from "node:dns";

// src/model/failure.ts
var SECOND = 1e3;
var MINUTE = 60 * SECOND;
var HOUR = 60 * MINUTE;
var NEVER = [0, 0];
var once = (ms2) => [ms2, ms2];
var doubling = [10 * SECOND, 300 * SECOND];
var table = {
  no_url: { status: 422, reason: "no_url", retried: false, remember: NEVER },
  invalid: { status: 400, reason: "invalid_url", retried: false, remember: NEVER },
  unauthenticated: { status: 401, reason: "refused", retried: false, remember: NEVER },
  refused: { status: 403, reason: "refused", retried: false, remember: NEVER },
  /** An address or a port of a host that may be asked may not be dialled. */
  undialable: { status: 403, reason: "refused", retried: false, remember: once(MINUTE) },
  not_found: { status: 404, reason: "http_404", retried: false, remember: once(5 * MINUTE) },
  gone: { status: 404, reason: "http_404", retried: false, remember: once(HOUR) },
  unknown_image: { status: 404, reason: "http_404", retried: false, remember: NEVER },
  method: { status: 405, reason: "refused", retried: false, remember: NEVER },
  slow_request: { status: 408, reason: "timeout", retried: false, remember: NEVER },
  too_large: { status: 413, reason: "too_large", retried: false, remember: once(HOUR) },
  unsupported: { status: 415, reason: "unsupported", retried: false, remember: once(HOUR) },
  /** A page, or text, in the place of an image. */
  no_image: { status: 415, reason: "unsupported", retried: false, remember: once(HOUR) },
  invalid_image: { status: 422, reason: "invalid_image", retried: false, remember: once(HOUR) },
  connection: { status: 502, reason: "connection", retried: true, remember: once(MINUTE) },
  bad_answer: { status: 502, reason: "connection", retried: false, remember: once(MINUTE) },
  upstream_denied: { status: 502, reason: "http_403", retried: false, remember: once(MINUTE) },
  upstream_failed: { status: 502, reason: "http_5xx", retried: true, remember: doubling },
  throttled: { status: 502, reason: "http_5xx", retried: true, remember: once(MINUTE) },
  processing: { status: 502, reason: "processing", retried: false, remember: once(MINUTE) },
  timeout: { status: 504, reason: "timeout", retried: true, remember: doubling },
  not_held: { status: 504, reason: "timeout", retried: false, remember: NEVER },
  decode_timeout: { status: 504, reason: "timeout", retried: false, remember: doubling },
  disk_write: { status: 503, reason: "disk_write", retried: false, remember: NEVER },
  unavailable: { status: 503, reason: "unavailable", retried: false, remember: NEVER },
  cancelled: { status: 503, reason: "unavailable", retried: false, remember: NEVER },
  unknown: { status: 500, reason: "unknown", retried: false, remember: NEVER }
};
var isErrorCode = (text) => Object.hasOwn(table, text);
var reasonOf = (code) => table[code].reason;
var BY_SETTINGS = /* @__PURE__ */ new Set(["refused", "invalid_url", "too_large", "unsupported"]);
var isBySettings = (reason) => BY_SETTINGS.has(reason);
var isOfBytes = ({ code }) => code === "invalid_image" || code === "too_large" || code === "unsupported" || code === "no_image";
var isUnreachable = ({ code }) => code === "connection" || code === "bad_answer" || code === "timeout" || code === "upstream_failed" || code === "unavailable";
var isHostFailure = ({ code }) => code === "connection" || code === "upstream_failed" || code === "timeout";
var OURS = /* @__PURE__ */ new Set([
  "refused",
  "invalid",
  "too_large",
  "unsupported",
  "processing",
  "decode_timeout"
]);
var isUpstreamFailure = ({ code }) => !OURS.has(code);
var isRefusal = ({ code }) => code === "refused" || code === "undialable";
var isTransient = (reason) => reason === "timeout" || reason === "connection" || reason === "http_5xx" || reason === "unavailable";
var ArtworkError = class extends Error {
  name = "ArtworkError";
  /** Row of the table of errors. */
  code;
  /** HTTP status the row answers with. */
  status;
  /** The reason that results and the management API print. */
  reason;
  /** Whether another attempt can help. */
  retried;
  /** Seconds after which asking again makes sense, where that is known. */
  retryAfter;
  /** The status that an upstream answered with, where it answered. */
  upstreamStatus;
  /** Whether it comes from the negative cache: upstream was not asked. */
  isRecalled;
  constructor(code, message, about = {}) {
    super(message, about.cause === void 0 ? void 0 : { cause: about.cause });
    const row = table[code];
    this.code = code;
    this.status = row.status;
    this.reason = row.reason;
    this.retried = row.retried;
    this.retryAfter = about.retryAfter;
    this.upstreamStatus = about.upstreamStatus;
    this.isRecalled = about.isRecalled ?? false;
  }
};
function recordFailure(error, before, now, about) {
  const [first, ceiling] = table[error.code].remember;
  if (first === 0) return void 0;
  const isSame = before?.code === error.code && before.about === about;
  const count3 = (isSame ? before.count : 0) + 1;
  const retryAfterMs = error.retryAfter === void 0 ? void 0 : Math.min(Math.max(error.retryAfter, 1), 300) * SECOND;
  const lasts = retryAfterMs ?? Math.min(first * 2 ** Math.min(count3 - 1, 16), ceiling);
  const failure2 = { code: error.code, message: error.message, at: now, until: now + lasts, count: count3 };
  return about === void 0 ? failure2 : { ...failure2, about };
}
function failureError(failure2, now) {
  return new ArtworkError(failure2.code, failure2.message, {
    retryAfter: Math.max(1, Math.ceil((failure2.until - now) / SECOND)),
    isRecalled: true
  });
}
function isFailureActive(failure2, now, about) {
  return failure2.about === about && now < failure2.until && now >= failure2.at - MINUTE;
}
var originalScope = ({ code }, run) => isBySettings(reasonOf(code)) ? run : void 0;
var isOriginalFailureActive = (failure2, now, run) => isFailureActive(failure2, now, failure2.about === void 0 ? void 0 : originalScope(failure2, run));
var codeOf = (error) => error instanceof Error && "code" in error ? String(error.code) : "";
function asArtworkError(thrown) {
  if (thrown instanceof ArtworkError) return thrown;
  return new ArtworkError("unknown", "internal error", { cause: thrown });
}
function errorFromCode(code, message) {
  return isErrorCode(code) ? new ArtworkError(code, message) : new ArtworkError("unknown", "internal error");
}

// src/model/media-type.ts
import mime from "mime-types";

// src/model/svg-prolog.ts
var LONGEST_PROLOG = 64 * 1024;
var FIRST_READ = 1024;
function encodingOf(bytes3) {
  const [first, second] = bytes3;
  if (first === 255 && second === 254 || first === 60 && second === 0) return "utf-16le";
  if (first === 254 && second === 255 || first === 0 && second === 60) return "utf-16be";
  return "utf-8";
}
var CUT = /* @__PURE__ */ Symbol("cut");
function after(text, mark, from) {
  const found = text.indexOf(mark, from);
  if (found < 0) throw CUT;
  return found + mark.length;
}
function afterDoctype(text, from) {
  let isInSubset = false;
  for (let at2 = from; ; ) {
    const sign = text[at2];
    if (sign === void 0) throw CUT;
    if (sign === '"' || sign === "'") at2 = after(text, sign, at2 + 1);
    else if (text.startsWith("<!--", at2)) at2 = after(text, "-->", at2 + 4);
    else if (text.startsWith("<?", at2)) at2 = after(text, "?>", at2 + 2);
    else if (sign === ">" && !isInSubset) return at2 + 1;
    else {
      if (sign === "[") isInSubset = true;
      if (sign === "]") isInSubset = false;
      at2 += 1;
    }
  }
}
function rootOf(text) {
  let at2 = text.startsWith("\uFEFF") ? 1 : 0;
  for (; ; ) {
    while (/\s/.test(text[at2] ?? "")) at2 += 1;
    if (at2 >= text.length) throw CUT;
    if (text.startsWith("<!--", at2)) at2 = after(text, "-->", at2 + 4);
    else if (text.startsWith("<?", at2)) at2 = after(text, "?>", at2 + 2);
    else if (/^<!doctype\s/i.test(text.slice(at2, at2 + 10))) {
      if (/^\s*html[\s>]/i.test(text.slice(at2 + 9, at2 + 200))) return void 0;
      at2 = afterDoctype(text, at2 + 9);
    } else break;
  }
  const rest = text.slice(at2, at2 + 400);
  if (/^<[^\s>/]*$/.test(rest) && rest.length < 400) throw CUT;
  const [, name] = /^<(?:[^\s<>/:='"&!?]+:)?([A-Za-z]+)[\s>/]/.exec(rest) ?? [];
  return name?.toLowerCase();
}
function isSvg(bytes3) {
  const decoder2 = new TextDecoder(encodingOf(bytes3), { fatal: false, ignoreBOM: true });
  const most = Math.min(bytes3.length, LONGEST_PROLOG);
  for (let length = Math.min(FIRST_READ, most); ; length = Math.min(length * 4, most)) {
    const text = decoder2.decode(bytes3.subarray(0, length));
    if (!/^\ufeff?\s*(?:<|$)/.test(text)) return false;
    try {
      return rootOf(text) === "svg";
    } catch (error) {
      if (error !== CUT) throw error;
      if (length === most) return false;
    }
  }
}

// src/model/media-type.ts
var KINDS = ["jpeg", "png", "gif", "webp", "avif", "svg"];
var typeOf = (kind) => mime.lookup(kind) || "application/octet-stream";
var extensionOf = (kind) => mime.extension(typeOf(kind)) || kind;
var isKind = (text) => KINDS.some((kind) => kind === text);
var isFormat = (text) => text !== "svg" && isKind(text);
function kindOfType(type) {
  return KINDS.find((kind) => typeOf(kind) === type);
}
function formatOfExtension(extension) {
  const lower = extension.toLowerCase();
  const name = lower === "jpg" ? "jpeg" : lower;
  return isFormat(name) ? name : void 0;
}
var essenceOf = (declared) => declared?.split(";", 1)[0]?.trim().toLowerCase() ?? "";
var isDocument = (type) => type === "text/html" || type === "application/xhtml+xml" || /^(?:application|text)\/json$/.test(type) || type.endsWith("+json");
var mayBeImage = (declared) => !isDocument(essenceOf(declared));
function mayBeSvg(declared) {
  const type = essenceOf(declared);
  return type === "" || type === "image" || type.startsWith("image/") || /^(?:application|text)\/xml$/.test(type) || type.endsWith("+xml") || /^(?:application|binary)\/octet-stream$/.test(type);
}
var AVIF_BRANDS = /* @__PURE__ */ new Set(["avif", "avis"]);
function sniff(bytes3) {
  const at2 = (offset, text) => bytes3.length >= offset + text.length && [...text].every((char, index) => bytes3[offset + index] === char.charCodeAt(0));
  if (at2(0, "\xFF\xD8\xFF")) return "jpeg";
  if (at2(0, "\x89PNG\r\n\n")) return "png";
  if (at2(0, "GIF87a") || at2(0, "GIF89a")) return "gif";
  if (at2(0, "RIFF") && at2(8, "WEBP")) return "webp";
  if (at2(4, "ftyp")) return hasAvifBrand(bytes3) ? "avif" : void 0;
  return isSvg(bytes3) ? "svg" : void 0;
}
function hasAvifBrand(bytes3) {
  const boxSize = new DataView(bytes3.buffer, bytes3.byteOffset, bytes3.byteLength).getUint32(0);
  const end = Math.min(boxSize, bytes3.length, 256);
  const brand = (offset) => String.fromCharCode(...bytes3.subarray(offset, offset + 4));
  if (AVIF_BRANDS.has(brand(8))) return true;
  for (let offset = 16; offset + 4 <= end; offset += 4) if (AVIF_BRANDS.has(brand(offset))) return true;
  return false;
}
function isPlainText(bytes3) {
  const start = Buffer.from(bytes3.subarray(0, 512)).toString("utf8").replace(/\ufffd+$/, "");
  return !/[\p{Cc}\ufffd]/u.test(start.replace(/\s/g, ""));
}

// src/fetch/agents.ts
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { isIP } from "node:net";
var IDLE_FOR = 15e3;
function createAgents(options7) {
  const shared = {
    keepAlive: true,
    keepAliveMsecs: 1e4,
    maxSockets: options7.perHost,
    maxFreeSockets: options7.perHost,
    scheduling: "lifo",
    // Idle sockets close by themselves. No maxTotalSockets: it counts idle ones, and the next host would wait for them.
    timeout: IDLE_FOR,
    lookup: options7.lookup
  };
  const http = bounded(new HttpAgent(shared), options7.connectTimeout, "connect");
  const https = bounded(new HttpsAgent(shared), options7.connectTimeout, "secureConnect");
  return {
    agentFor: (url) => url.protocol === "https:" ? https : http,
    close: () => {
      http.destroy();
      https.destroy();
    }
  };
}
var ATTEMPT_DELAY = 250;
function bounded(agent, timeout, ready) {
  const connect2 = agent.createConnection.bind(agent);
  const open6 = (options7) => connect2(options7, void 0);
  agent.createConnection = (given, callback) => {
    const options7 = given;
    const attempts = /* @__PURE__ */ new Set();
    let isDone = false;
    let stopRace = () => {
    };
    const settle = (error, socket) => {
      if (isDone) {
        socket?.destroy();
        return;
      }
      isDone = true;
      stopRace();
      for (const other of attempts) if (other !== socket) other.destroy();
      if (error !== null) clearTimeout(timer);
      callback?.(error, socket);
    };
    const late2 = () => {
      const error = Object.assign(new Error("connect timeout"), { code: "ECONNECTTIMEOUT" });
      stopRace();
      for (const socket of attempts) socket.destroy(error);
      settle(error);
    };
    const timer = setTimeout(late2, timeout);
    const watch = (socket) => {
      attempts.add(socket);
      const stop = () => clearTimeout(timer);
      socket.once(ready, stop);
      socket.once("close", () => {
        attempts.delete(socket);
        if (isDone && attempts.size === 0) stop();
      });
      return socket;
    };
    const { host = "", lookup } = options7;
    if (lookup === void 0 || isIP(host) !== 0) {
      isDone = true;
      return watch(open6(options7));
    }
    lookup(host, { all: true }, (error, found, family) => {
      if (error || isDone) return settle(error ?? null);
      const addresses = inTurns(Array.isArray(found) ? found : [{ address: found, family: family ?? 0 }]);
      stopRace = race(
        addresses,
        (address) => watch(open6({ ...options7, host: address, lookup: void 0 })),
        settle
      );
    });
    return void 0;
  };
  return agent;
}
function inTurns(addresses) {
  const all = addresses.map(({ address }) => address);
  const [first = ""] = all;
  const same = all.filter((one) => isIP(one) === isIP(first));
  const other = all.filter((one) => isIP(one) !== isIP(first));
  return all.flatMap((_, index) => [same[index], other[index]]).filter((one) => one !== void 0);
}
function race(addresses, open6, settle) {
  const left = [...addresses];
  let running = 0;
  let isOver = false;
  let next;
  const stop = () => {
    isOver = true;
    clearTimeout(next);
  };
  const end = (error, socket) => {
    if (isOver) return;
    stop();
    settle(error, socket);
  };
  const begin = () => {
    clearTimeout(next);
    const address = left.shift();
    if (isOver || address === void 0) return;
    running += 1;
    const socket = open6(address);
    socket.on("error", () => {
    });
    const failed2 = (error) => {
      socket.off("connect", connected).off("error", failed2).off("close", failed2);
      running -= 1;
      if (left.length > 0) begin();
      else if (running === 0) end(error ?? new Error("no address of the host could be reached"));
    };
    const connected = () => {
      socket.off("error", failed2).off("close", failed2);
      end(null, socket);
    };
    socket.once("connect", connected).once("error", failed2).once("close", failed2);
    if (left.length > 0) next = setTimeout(begin, ATTEMPT_DELAY);
  };
  if (left.length === 0) end(Object.assign(new Error("the name has no address"), { code: "ENOTFOUND" }));
  begin();
  return stop;
}

// src/fetch/circuit-breaker.ts
var MAX_HOSTS = 5e3;
function createCircuitBreakers({ threshold = 10, openFor = 6e4, now }) {
  const hosts = /* @__PURE__ */ new Map();
  const stateOf = (host) => {
    const known = hosts.get(host);
    if (known !== void 0) return known;
    if (hosts.size >= MAX_HOSTS)
      for (const oldest of [...hosts.keys()].slice(0, MAX_HOSTS / 10)) hosts.delete(oldest);
    const made = { failures: 0, openedAt: void 0, probing: false };
    hosts.set(host, made);
    return made;
  };
  const waits = (state) => {
    if (state.openedAt === void 0) return 0;
    const past = now() - state.openedAt;
    return past < 0 ? 0 : Math.max(0, openFor - past);
  };
  return {
    /**
     * Runs a call to the host. A failure for which `counts` is true, after all its retries, counts once.
     * @throws ArtworkError `unavailable` (503) at once while the breaker is open
     */
    run: async (host, call, counts) => {
      const state = stateOf(host);
      const wait = waits(state);
      if (wait > 0 || state.openedAt !== void 0 && state.probing) {
        const retryAfter = Math.max(1, Math.ceil(wait / 1e3));
        throw new ArtworkError("unavailable", "the source of this image is resting after failures", {
          retryAfter
        });
      }
      state.probing = state.openedAt !== void 0;
      try {
        const result2 = await call();
        hosts.delete(host);
        return result2;
      } catch (error) {
        if (counts(error)) {
          state.failures += 1;
          if (state.failures >= threshold) state.openedAt = now();
        } else if (!isCancelled(error)) hosts.delete(host);
        throw error;
      } finally {
        state.probing = false;
      }
    },
    /** Hosts that are resting now. */
    open: () => [...hosts].filter(([, state]) => waits(state) > 0).map(([host]) => host)
  };
}
var isCancelled = (error) => error instanceof ArtworkError && error.code === "cancelled";

// src/fetch/guard.ts
import { lookup as systemLookup } from "node:dns";
import { isIP as isIP2 } from "node:net";
import ipaddr from "ipaddr.js";

// src/model/web-url.ts
var isWebUrl = (text) => /^https?:\/\//i.test(text);
var CONFUSING = /[\p{Cc}\\]/u;
var ENCODED_CONTROL = /%(?:[01][0-9a-f]|7f)/i;
var PLAIN = /^[!-[\]-~]*$/;
var isConfusing = (text) => !PLAIN.test(text) && (CONFUSING.test(text) || text !== text.trim()) || text.includes("%") && ENCODED_CONTROL.test(text);
var isSoundUrl = (text) => isWebUrl(text) && !isConfusing(text) && URL.canParse(text);
function readWebUrl(text, base) {
  if (isConfusing(text)) throw new ArtworkError("refused", "the URL holds characters that are not allowed");
  if (!URL.canParse(text, base?.href)) throw new ArtworkError("invalid", "the URL cannot be read");
  return new URL(text, base);
}
var isExactOrigin = (value) => typeof value === "string" && isWebUrl(value) && URL.canParse(value) && new URL(value).origin === value;
var hostOf = (url) => URL.canParse(url) ? new URL(url).host : void 0;

// src/fetch/guard.ts
var refuse = (why) => {
  throw new ArtworkError("refused", why);
};
var refuseToDial = (why) => {
  throw new ArtworkError("undialable", why);
};
var portOf = (url) => url.port === "" ? url.protocol === "https:" ? 443 : 80 : Number(url.port);
var hostAndPort = (url) => `${url.hostname.replace(/\.$/, "")}:${portOf(url)}`;
var bareHost = (url) => url.hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
function isSameHost(one, other) {
  const isUsual = (url) => [80, 443].includes(portOf(url));
  const isSamePort = portOf(one) === portOf(other) || isUsual(one) && isUsual(other);
  return isSamePort && bareHost(one) === bareHost(other);
}
function checkUrl(text, options7, admits, base) {
  const url = readWebUrl(text, base);
  url.hash = "";
  if (url.protocol !== "http:" && url.protocol !== "https:") refuse("only http and https URLs are fetched");
  if (base?.protocol === "https:" && url.protocol === "http:")
    refuse("a redirect from https to http is not followed");
  if (url.username !== "" || url.password !== "") refuse("the URL must not hold credentials");
  if (url.hostname === "") refuse("the URL has no host");
  if (options7.publicOrigins.some((own) => isSameHost(url, new URL(own)))) refuse("this is our own address");
  if (!admits(url)) refuse("this host is not allowed");
  if (isExcepted(url, options7)) return url;
  if (!options7.ports.includes(portOf(url))) refuseToDial("this port is not allowed");
  const host = bareHost(url);
  if (isIP2(host) !== 0) {
    if (!options7.allowIpLiterals || !isPublicAddress(host)) refuseToDial("this address is not allowed");
  } else if (/(?:^|\.)(?:localhost|local|internal|home\.arpa|onion)$/i.test(host) || !host.includes(".")) {
    refuseToDial("this host is not allowed");
  }
  return url;
}
function isExcepted(url, options7) {
  return options7.allowPrivate.includes(hostAndPort(url));
}
var BLOCKED_V4 = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.31.196.0/24",
  "192.52.193.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "192.175.48.0/24",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4"
].map((cidr) => ipaddr.IPv4.parseCIDR(cidr));
var BLOCKED_V6 = ["2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"].map(
  (cidr) => ipaddr.IPv6.parseCIDR(cidr)
);
var GLOBAL_V6 = ipaddr.IPv6.parseCIDR("2000::/3");
var NAT64 = ipaddr.IPv6.parseCIDR("64:ff9b::/96");
function isPublicAddress(text) {
  if (isIP2(text) === 0) return false;
  const address = ipaddr.parse(text.replace(/%.*$/, ""));
  if (address instanceof ipaddr.IPv4) return isPublicV4(address);
  if (!(address instanceof ipaddr.IPv6)) return false;
  if (address.isIPv4MappedAddress()) return isPublicV4(address.toIPv4Address());
  const bytes3 = address.toByteArray();
  if (address.match(NAT64)) return isPublicV4(new ipaddr.IPv4(bytes3.slice(12)));
  const isIsatap = (bytes3[8] === 0 || bytes3[8] === 2) && bytes3[9] === 0 && bytes3[10] === 94 && bytes3[11] === 254;
  return address.match(GLOBAL_V6) && !isIsatap && !BLOCKED_V6.some((range) => address.match(range));
}
var isPublicV4 = (address) => !BLOCKED_V4.some((range) => address.match(range));
function guardedLookup(resolve5 = systemLookup) {
  return (hostname2, options7, callback) => {
    resolve5(hostname2, { ...options7, all: true }, (error, found) => {
      if (error) return callback(error, []);
      const addresses = Array.isArray(found) ? found : [{ address: found, family: isIP2(found) }];
      if (addresses.length === 0 || !addresses.every(({ address }) => isPublicAddress(address)))
        return callback(Object.assign(new Error("address not public"), { code: "EREFUSEDADDRESS" }), []);
      const [first] = addresses;
      if (options7.all || first === void 0) return callback(null, addresses);
      callback(null, first.address, first.family);
    });
  };
}

// src/concurrency.ts
var abortError = ({ reason }) => reason instanceof ArtworkError ? reason : new ArtworkError("cancelled", "nobody waits for this image any more");
function createLimiter(options7) {
  const {
    capacity,
    maxWaiting = Number.POSITIVE_INFINITY,
    overloaded: overloaded2 = "too many images are being handled"
  } = options7;
  let waiting = [];
  let onIdle = [];
  let free = capacity;
  let running = 0;
  const start = (weight) => {
    free -= weight;
    running += 1;
  };
  const beginNext = () => {
    for (let next = waiting[0]; next !== void 0 && next.weight <= free; next = waiting[0]) {
      waiting.shift();
      start(next.weight);
      next.begin();
    }
    if (running > 0 || waiting.length > 0) return;
    for (const resolve5 of onIdle) resolve5();
    onIdle = [];
  };
  const wait = (weight, signal) => {
    if (waiting.length >= maxWaiting) throw new ArtworkError("unavailable", overloaded2, { retryAfter: 2 });
    let leave = () => {
    };
    return new Promise((begin, reject) => {
      const waiter = { weight, begin };
      waiting.push(waiter);
      leave = () => {
        waiting = waiting.filter((one) => one !== waiter);
        if (signal !== void 0) reject(abortError(signal));
        beginNext();
      };
      signal?.addEventListener("abort", leave, { once: true });
    }).finally(() => signal?.removeEventListener("abort", leave));
  };
  return {
    run: async (work, { weight: asked = 1, signal } = {}) => {
      if (signal?.aborted) throw abortError(signal);
      const weight = Math.min(asked, capacity);
      if (waiting.length === 0 && weight <= free) start(weight);
      else await wait(weight, signal);
      try {
        return await work();
      } finally {
        free += weight;
        running -= 1;
        beginNext();
      }
    },
    load: () => ({ running, waiting: waiting.length }),
    clear: () => {
      waiting = [];
    },
    idle: async () => {
      if (running > 0 || waiting.length > 0) await new Promise((resolve5) => onIdle.push(resolve5));
    }
  };
}
function createKeyedLimiter(options7) {
  const limiters = /* @__PURE__ */ new Map();
  return {
    run: async (key, work, call) => {
      const limiter = limiters.get(key) ?? createLimiter(options7);
      limiters.set(key, limiter);
      try {
        return await limiter.run(work, call);
      } finally {
        const { running, waiting } = limiter.load();
        if (running + waiting === 0) limiters.delete(key);
      }
    }
  };
}
function createSingleFlight() {
  const flights = /* @__PURE__ */ new Map();
  const start = (key, work) => {
    const controller = new AbortController();
    const promise = work(controller.signal).finally(() => {
      if (flights.get(key)?.controller === controller) flights.delete(key);
    });
    promise.catch(() => {
    });
    const flight = { promise, controller, waiting: 0 };
    flights.set(key, flight);
    return flight;
  };
  const join21 = async (key, flight, signal) => {
    flight.waiting += 1;
    let leave = () => {
    };
    const left = new Promise((_resolve, reject) => {
      leave = () => reject(new ArtworkError("cancelled", "nobody waits for this image any more"));
      if (signal?.aborted) leave();
      signal?.addEventListener("abort", leave, { once: true });
    });
    try {
      return await Promise.race([flight.promise, left]);
    } finally {
      signal?.removeEventListener("abort", leave);
      flight.waiting -= 1;
      if (flight.waiting === 0 && signal?.aborted) {
        if (flights.get(key) === flight) flights.delete(key);
        flight.controller.abort();
      }
    }
  };
  return {
    run: (key, work, signal) => join21(key, flights.get(key) ?? start(key, work), signal),
    has: (key) => flights.has(key),
    idle: async () => {
      while (flights.size > 0) await Promise.allSettled([...flights.values()].map(({ promise }) => promise));
    }
  };
}
function createSerial() {
  const limiter = createKeyedLimiter({ capacity: 1 });
  return { run: (key, work) => limiter.run(key, work) };
}

// src/fetch/places.ts
var MAX_WAITING = 1e3;
function createPlaces(limits) {
  const bounds = { maxWaiting: MAX_WAITING, overloaded: "too many images are being fetched" };
  const all = createLimiter({ ...bounds, capacity: limits.maxSockets });
  const hosts = createKeyedLimiter({ ...bounds, capacity: limits.perHost });
  return {
    /** Runs `work` when there is room. @throws ArtworkError `unavailable` when too many wait */
    run: (host, work, signal) => hosts.run(host, () => all.run(work, { signal }), { signal })
  };
}

// src/fetch/proxy-health.ts
var proxyTroubles = /* @__PURE__ */ new WeakSet();
var isProxyTrouble = (error) => error instanceof ArtworkError && proxyTroubles.has(error);
var AMBIGUOUS = /* @__PURE__ */ new Set([502, 503, 504]);
function watchProxies(options7, now) {
  const tried = /* @__PURE__ */ new Set();
  const suspects = /* @__PURE__ */ new Map();
  const countFailure = (health) => {
    health.consecutiveFailures += 1;
    if (options7 === void 0 || health.consecutiveFailures < options7.restAfter) return;
    health.restingUntil = now() + options7.restFor;
    health.consecutiveFailures = 0;
  };
  const failed2 = (health, error) => {
    const failure2 = asArtworkError(error);
    const code = proxyCode(failure2);
    tried.add(health);
    if (code !== void 0) proxyTroubles.add(failure2);
    if (failure2.code === "cancelled" || isRefusal(failure2)) return;
    if (code === void 0 && failure2.code !== "connection" && failure2.code !== "timeout") return;
    health.failed += 1;
    if (code === "EPROXY") countFailure(health);
    else suspects.set(health, "failed");
  };
  const answered2 = (health, status, isTunnelled) => {
    if (isTunnelled || status !== 407 && !AMBIGUOUS.has(status)) {
      health.succeeded += 1;
      health.consecutiveFailures = 0;
      health.restingUntil = 0;
      suspects.delete(health);
      return;
    }
    tried.add(health);
    health.failed += 1;
    if (status !== 407) {
      if (!suspects.has(health)) suspects.set(health, "answered");
      return;
    }
    countFailure(health);
    const failure2 = new ArtworkError("connection", "the proxy failed");
    proxyTroubles.add(failure2);
    throw failure2;
  };
  return {
    /** Proxies that did not succeed in this fetch. */
    tried,
    /**
     * Runs an attempt through a proxy, and counts its outcome.
     * @param isTunnelled whether the answer is the source's own, asked after the attempt
     */
    observe: async (health, attempt, isTunnelled) => {
      const answer2 = await attempt().catch((error) => {
        failed2(health, error);
        throw error;
      });
      answered2(health, answer2.status, isTunnelled());
      return answer2;
    },
    /**
     * At the end of a fetch. Where two proxies or more have failed alike, it was the source; where a single one gave
     * an ambiguous answer, it cannot be known.
     */
    end: (isSuccess) => {
      for (const [health, how] of suspects)
        if (isSuccess || suspects.size === 1 && how === "failed") countFailure(health);
    }
  };
}
function proxyCode(error) {
  for (let at2 = error, depth = 0; at2 instanceof Error && depth < 5; at2 = at2.cause, depth += 1)
    if ("code" in at2 && /^EPROXY(?:REPLY)?$/.test(String(at2.code))) return String(at2.code);
  return void 0;
}

// src/fetch/proxy-agents.ts
import { connect as dial, isIP as isIP3 } from "node:net";
import { HttpProxyAgent } from "http-proxy-agent";
import { HttpsProxyAgent } from "https-proxy-agent";
import { SocksProxyAgent } from "socks-proxy-agent";
var ProxyError = class extends Error {
  /** node-fetch keeps nothing of a failure but its code. */
  code;
  /** @param isReply whether the proxy answered, and may only have passed on the source's failure */
  constructor(cause, isReply) {
    super("the proxy failed", { cause });
    this.code = isReply ? "EPROXYREPLY" : "EPROXY";
  }
};
var MIN_ATTEMPT_TIMEOUT = 10;
var SETTINGS = { keepAlive: true, timeout: 15e3, scheduling: "lifo" };
function createProxyAgents(proxy, options7) {
  const closing = new AbortController();
  const isSocks = proxy.protocol.startsWith("socks");
  const isTls = proxy.protocol === "https:";
  const bound = (agent) => bounded2(agent, { ...options7, isTls, closing: closing.signal });
  const tunnel = isSocks ? (
    // The proxy resolves names, unless they are resolved here: never by a lookup that is not guarded.
    bound(new SocksProxyAgent(withProtocol(proxy, "socks5h:"), SETTINGS))
  ) : bound(new HttpsProxyAgent(proxy, SETTINGS));
  const plain2 = isSocks || options7.lookup !== void 0 ? tunnel : bound(new HttpProxyAgent(proxy, SETTINGS));
  const agentFor = (url) => url.protocol === "https:" ? tunnel : plain2;
  return {
    agentFor,
    /** Whether what answers is the source itself, and not the proxy in its name. */
    isTunnelled: (url) => agentFor(url) === tunnel,
    close: () => {
      closing.abort();
      tunnel.destroy();
      plain2.destroy();
    }
  };
}
function withProtocol(url, protocol) {
  return protocol + url.href.slice(url.protocol.length);
}
function bounded2(agent, options7) {
  const connect2 = agent.connect.bind(agent);
  const dialling = agent;
  const base = dialling.connectOpts;
  const connectOnce = async (req, given, signal) => {
    let refusal2;
    req.once("proxyConnect", (answer2) => {
      if (answer2.statusCode !== void 0 && answer2.statusCode !== 200) refusal2 = answer2.statusCode;
    });
    const target = await resolved(given, options7.lookup);
    if (base !== void 0) dialling.connectOpts = dialOptions(base, options7, signal);
    const socket = await connect2(req, target);
    if (refusal2 === void 0) return socket;
    socket.destroy();
    throw new ProxyError(new Error(`CONNECT was answered with ${refusal2}`), refusal2 !== 407);
  };
  const inTime = (req, target) => withTimeout((signal) => connectOnce(req, target, signal), options7);
  return Object.assign(agent, { connect: inTime });
}
function dialOptions(base, { isTls, connectTimeout }, signal) {
  const patient = { autoSelectFamilyAttemptTimeout: Math.max(MIN_ATTEMPT_TIMEOUT, connectTimeout / 2) };
  const { host, port } = base;
  if (!isTls || host === void 0 || port === void 0) return { ...base, signal, ...patient };
  const socket = dial({ host, port, signal, ...patient });
  socket.on("error", () => {
  });
  return { ...base, socket };
}
async function withTimeout(connect2, { connectTimeout, closing }) {
  const expiry = new AbortController();
  const abort = () => expiry.abort();
  const timer = setTimeout(abort, connectTimeout);
  const expired = new Promise((_resolve, reject) => {
    expiry.signal.addEventListener("abort", () => reject(new Error("the proxy did not connect in time")));
  });
  expired.catch(() => {
  });
  closing.addEventListener("abort", abort, { once: true });
  if (closing.aborted) abort();
  const attempt = connect2(expiry.signal);
  try {
    return await Promise.race([attempt, expired]);
  } catch (error) {
    attempt.then((socket) => socket.destroy()).catch(() => {
    });
    abort();
    if (error instanceof ProxyError || error instanceof Unresolved) throw error;
    throw new ProxyError(error, error instanceof Error && /rejected connection/i.test(error.message));
  } finally {
    clearTimeout(timer);
    closing.removeEventListener("abort", abort);
  }
}
var Unresolved = class extends Error {
  code;
  constructor(cause) {
    super("the name could not be resolved", { cause });
    this.code = cause instanceof Error && "code" in cause ? String(cause.code) : "ENOTFOUND";
  }
};
async function resolved(target, lookup) {
  const { host } = target;
  if (lookup === void 0 || host === void 0 || isIP3(host) !== 0) return target;
  const address = await new Promise((resolve5, reject) => {
    lookup(host, {}, (error, found) => {
      const first = Array.isArray(found) ? found[0]?.address : found;
      if (error) reject(new Unresolved(error));
      else if (first === void 0) reject(new Unresolved(void 0));
      else resolve5(first);
    });
  });
  return { servername: host, ...target, host: address };
}

// src/fetch/proxy-list.ts
import { readFileSync, statSync } from "node:fs";
var CHECK_EVERY = 1e4;
function readProxy(text, where) {
  const full = /^[a-z0-9]+:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(full) ? new URL(full) : void 0;
  if (url === void 0 || url.hostname === "" || !/^(?:https?|socks5h?):$/.test(url.protocol))
    throw new TypeError(
      `${where} must be http, https or socks5 URLs such as "http://proxy.example.com:8080", got ${JSON.stringify(withoutCredentials(text))}`
    );
  return url.href;
}
var withoutCredentials = (text) => text.replace(/^([a-z0-9]+:\/\/)?.*@/i, "$1\u2026@");
var readList = (path, where) => readFileSync(path, "utf8").split("\n").map((line) => line.replace(/#.*$/, "").trim()).filter((line) => line !== "").map((line) => readProxy(line, `${where} (${path})`));
function createProxyLists({ pools, files }, now) {
  const inline = new Map(
    Object.entries(pools).map(([pool2, urls]) => [
      pool2,
      urls.map((text) => readProxy(text, `fetch.proxies.pools.${pool2}`))
    ])
  );
  const members2 = /* @__PURE__ */ new Map();
  const changedAt = /* @__PURE__ */ new Map();
  let checkedAt = now();
  const fill2 = (pool2) => {
    const path = files[pool2];
    const listed3 = path === void 0 ? [] : readList(path, `fetch.proxies.files.${pool2}`);
    members2.set(pool2, [.../* @__PURE__ */ new Set([...inline.get(pool2) ?? [], ...listed3])]);
  };
  for (const pool2 of /* @__PURE__ */ new Set([...inline.keys(), ...Object.keys(files)])) {
    const path = files[pool2];
    try {
      fill2(pool2);
      if (path !== void 0) changedAt.set(pool2, statSync(path).mtimeMs);
    } catch (error) {
      if (error instanceof TypeError) throw error;
      const rule2 = `fetch.proxies.files.${pool2} must be a file that can be read`;
      throw new Error(`${rule2}, got ${JSON.stringify(path)}`, { cause: error });
    }
  }
  return {
    /** URLs by pool. */
    members: members2,
    /** Every proxy. */
    all: () => new Set([...inline.values(), ...members2.values()].flat()),
    /** Reads files again that changed; one that cannot be read now leaves its pool as it is. Answers whether it was time to check. */
    refresh: () => {
      if (Math.abs(now() - checkedAt) < CHECK_EVERY) return false;
      checkedAt = now();
      for (const [pool2, before] of changedAt)
        try {
          const changed = statSync(files[pool2] ?? "").mtimeMs;
          if (changed === before) continue;
          changedAt.set(pool2, changed);
          fill2(pool2);
        } catch {
        }
      return true;
    }
  };
}

// src/fetch/proxy-pool.ts
var ANY_POOL = "*";
function createProxyPools(options7, parts) {
  const { now } = parts;
  const lists = createProxyLists(options7 ?? { pools: {}, files: {} }, now);
  const { members: members2 } = lists;
  const proxies2 = /* @__PURE__ */ new Map();
  const turns = /* @__PURE__ */ new Map();
  const sync2 = () => {
    const listed3 = lists.all();
    for (const proxy of proxies2.values())
      if (!listed3.has(proxy.key) && proxies2.delete(proxy.key)) close(proxy);
    for (const key of listed3)
      if (!proxies2.has(key)) proxies2.set(key, createProxy(key, options7?.resolve === "here", parts));
  };
  sync2();
  return {
    /** Names of the pools. */
    names: () => [...members2.keys()],
    /**
     * The next proxy of a pool. Undefined: the source is asked directly.
     * @param tried proxies that failed in this fetch, taken again only where there is no other
     * @throws ArtworkError `unavailable` (503) while every proxy of the pool rests
     */
    next: (pool2, tried) => {
      if (pool2 === void 0 || pool2 === ANY_POOL && members2.size === 0) return void 0;
      if (lists.refresh()) sync2();
      const keys = pool2 === ANY_POOL ? new Set([...members2.values()].flat()) : members2.get(pool2) ?? [];
      const all = [...keys].flatMap((key) => proxies2.get(key) ?? []);
      if (all.length === 0 || options7 === void 0)
        throw new ArtworkError("unavailable", "this proxy pool is empty", { retryAfter: 60 });
      const available = all.filter(({ health }) => now() >= health.restingUntil);
      if (available.length === 0) {
        if (options7.direct) return void 0;
        throw allResting(all, now());
      }
      const untried = available.filter(({ health }) => !tried.has(health));
      const turn = turns.get(pool2) ?? 0;
      turns.set(pool2, (turn + 1) % Number.MAX_SAFE_INTEGER);
      return routeOf(choose(all, untried.length > 0 ? untried : available, options7.strategy, turn));
    },
    /** Watches the proxies of one fetch. */
    watch: () => watchProxies(options7, now),
    status: () => statusOf([...proxies2.values()], members2, now()),
    close: () => {
      for (const proxy of proxies2.values()) close(proxy);
    }
  };
}
function createProxy(key, isResolvedHere, parts) {
  const url = new URL(key);
  const agents = (lookup) => createProxyAgents(url, {
    connectTimeout: parts.connectTimeout,
    lookup: isResolvedHere ? lookup : void 0
  });
  return {
    key,
    displayUrl: `${url.protocol}//${url.host}`,
    agents: agents(parts.guarded),
    excepted: agents(parts.plain),
    health: { consecutiveFailures: 0, succeeded: 0, failed: 0, restingUntil: 0 }
  };
}
var close = ({ agents, excepted }) => {
  agents.close();
  excepted.close();
};
function allResting(all, now) {
  const soonest = Math.min(...all.map(({ health }) => health.restingUntil));
  const retryAfter = Math.max(1, Math.ceil((soonest - now) / 1e3));
  return new ArtworkError("unavailable", "every proxy is resting", { retryAfter });
}
function choose(all, choices, strategy, turn) {
  if (strategy === "random") return choices[Math.floor(Math.random() * choices.length)];
  const first = turn % all.length;
  return [...all.slice(first), ...all.slice(0, first)].find((proxy) => choices.includes(proxy));
}
var routeOf = (proxy) => proxy && {
  health: proxy.health,
  agentFor: (url, isExcepted2) => (isExcepted2 ? proxy.excepted : proxy.agents).agentFor(url),
  isTunnelled: (url) => proxy.agents.isTunnelled(url)
};
function statusOf(proxies2, members2, now) {
  const found = /* @__PURE__ */ new Map();
  for (const { key, displayUrl, health } of proxies2) {
    const before = found.get(displayUrl);
    const pools = [...members2].filter(([, keys]) => keys.includes(key)).map(([pool2]) => pool2);
    const until = now < health.restingUntil ? health.restingUntil : void 0;
    found.set(displayUrl, {
      proxy: displayUrl,
      pools: [.../* @__PURE__ */ new Set([...before?.pools ?? [], ...pools])],
      succeeded: (before?.succeeded ?? 0) + health.succeeded,
      failed: (before?.failed ?? 0) + health.failed,
      restingUntil: before === void 0 ? until : until && before.restingUntil
    });
  }
  return [...found.values()];
}

// src/fetch/exchange.ts
import fetch from "node-fetch";

// src/fetch/content-encoding.ts
import { promisify } from "node:util";
import { brotliDecompress, gunzip, inflate, inflateRaw } from "node:zlib";
var MAX_CODINGS = 3;
var inflated = promisify(inflate);
var rawInflated = promisify(inflateRaw);
var gunzipped = promisify(gunzip);
var isOverBound = (error) => codeOf(error) === "ERR_BUFFER_TOO_LARGE";
var DECODERS = /* @__PURE__ */ new Map([
  ["gzip", gunzipped],
  ["x-gzip", gunzipped],
  ["br", promisify(brotliDecompress)],
  // Some servers send it without its frame.
  [
    "deflate",
    (bytes3, options7) => inflated(bytes3, options7).catch((error) => {
      if (isOverBound(error)) throw error;
      return rawInflated(bytes3, options7);
    })
  ]
]);
var tooLarge = () => new ArtworkError("too_large", "the image has too many bytes");
var undecodable = (cause) => new ArtworkError("bad_answer", "the source sent a body that cannot be decoded", { cause });
async function decodeContent(body2, encoding, maxBytes) {
  const decoders = (encoding ?? "").split(",").flatMap((name) => DECODERS.get(name.trim().toLowerCase()) ?? []);
  if (decoders.length > MAX_CODINGS) throw undecodable();
  let bytes3 = body2;
  for (const decode2 of decoders.reverse()) {
    if (bytes3.length === 0) continue;
    try {
      bytes3 = await decode2(bytes3, { maxOutputLength: maxBytes });
    } catch (error) {
      throw isOverBound(error) ? tooLarge() : undecodable(error);
    }
  }
  return bytes3;
}

// src/fetch/exchange.ts
async function exchange(request, limits) {
  const own = new AbortController();
  const stop = () => own.abort(request.signal.reason);
  if (request.signal.aborted) stop();
  request.signal.addEventListener("abort", stop, { once: true });
  const timeout = createTimeout(own);
  try {
    timeout.restart(limits.firstByteTimeout, "the source did not answer in time");
    const response = await fetch(request.url, {
      method: request.method,
      headers: request.headers,
      agent: request.agent,
      redirect: "manual",
      compress: false,
      signal: own.signal
    });
    const { status, headers } = response;
    const header = (name) => headers.get(name);
    const isWanted = request.method === "GET" && request.wantsBody(status);
    if (!isWanted && request.wantsErrorText?.(status)) {
      const text = await readBody(response, { ...limits, maxBytes: MAX_ERROR_TEXT }, timeout).catch(() => {
        own.abort();
        return Buffer.alloc(0);
      });
      return { status, header, bytes: text };
    }
    const body2 = isWanted ? await readBody(response, limits, timeout, request.enough) : Buffer.alloc(0);
    const bytes3 = await decodeContent(body2, header("content-encoding"), limits.maxBytes);
    if (!isWanted) discard(response, request.method, own, limits.idleTimeout);
    return { status, header, bytes: bytes3 };
  } catch (error) {
    const failure2 = translate(error, own.signal);
    own.abort();
    throw failure2;
  } finally {
    timeout.stop();
    request.signal.removeEventListener("abort", stop);
  }
}
var SMALL = 16 * 1024;
var MAX_ERROR_TEXT = 4096;
var SLOW_START = 3;
function discard(response, method, own, idleTimeout) {
  const { body: body2, status, headers } = response;
  if (body2 === null) return;
  body2.on("error", () => {
  });
  const bodiless = method === "HEAD" || status === 304 || status === 204;
  if (!bodiless && !(Number(headers.get("content-length") ?? SMALL + 1) <= SMALL)) {
    own.abort();
    return;
  }
  const timer = setTimeout(() => own.abort(), idleTimeout).unref();
  body2.once("close", () => clearTimeout(timer));
  if ("resume" in body2 && typeof body2.resume === "function") body2.resume();
}
function createTimeout(controller) {
  let timer;
  let generation = 0;
  const stop = () => {
    generation += 1;
    clearTimeout(timer);
  };
  return {
    restart: (ms2, why) => {
      stop();
      const own = generation;
      const expire2 = () => {
        if (own === generation) controller.abort(new ArtworkError("timeout", why));
      };
      timer = setTimeout(() => setImmediate(() => setImmediate(expire2)), ms2);
    },
    stop
  };
}
async function readBody(response, limits, timeout, enough = Number.POSITIVE_INFINITY) {
  const announced = announcedLength(response);
  if (announced !== void 0 && announced > limits.maxBytes && enough > limits.maxBytes) throw tooLarge();
  const chunks = [];
  let received = 0;
  const startedAt = performance.now();
  const isTooSlow = () => {
    const seconds3 = (performance.now() - startedAt) / 1e3;
    return seconds3 > SLOW_START && received / seconds3 < limits.minBytesPerSecond;
  };
  if (response.body !== null) {
    timeout.restart(limits.idleTimeout, "the source stopped sending");
    for await (const chunk2 of response.body) {
      const piece = Buffer.isBuffer(chunk2) ? chunk2 : Buffer.from(chunk2);
      received += piece.length;
      if (received > limits.maxBytes) throw tooLarge();
      if (isTooSlow()) throw new ArtworkError("timeout", "the source sends too slowly");
      chunks.push(piece);
      if (received >= enough) return Buffer.concat(chunks, received);
      timeout.restart(limits.idleTimeout, "the source stopped sending");
    }
  }
  if (announced !== void 0 && announced !== received)
    throw new ArtworkError("bad_answer", "the source sent another length than it announced");
  return Buffer.concat(chunks, received);
}
function announcedLength(response) {
  const text = response.headers.get("content-length");
  if (text === null) return void 0;
  if (!/^\d{1,15}$/.test(text)) throw new ArtworkError("bad_answer", "the source announced no sound length");
  return Number(text);
}
function translate(error, signal) {
  if (error instanceof ArtworkError) return error;
  if (signal.aborted && signal.reason instanceof ArtworkError) return signal.reason;
  if (signal.aborted)
    return new ArtworkError("cancelled", "nobody waits for this image any more", { cause: error });
  const code = codeOf(error);
  if (code === "EREFUSEDADDRESS")
    return new ArtworkError("undialable", "this host is not allowed", { cause: error });
  if (code === "ECONNECTTIMEOUT" || code === "ETIMEDOUT")
    return new ArtworkError("timeout", "the source could not be reached in time", { cause: error });
  if (/^(?:ERR_TLS|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_SSL)/.test(code) || code === "ENOTFOUND")
    return new ArtworkError("bad_answer", "the source could not be reached", { cause: error });
  return new ArtworkError("connection", "the connection to the source failed", { cause: error });
}

// src/http/http-date.ts
var DAYS = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
var LONG_DAYS = "(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)";
var MONTHS = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
var TIME = "\\d{2}:\\d{2}:\\d{2}";
var IMF = new RegExp(`^${DAYS}, \\d{2} ${MONTHS} \\d{4} ${TIME} GMT$`, "i");
var RFC_850 = new RegExp(`^${LONG_DAYS}, (\\d{2})-(${MONTHS})-(\\d{2}) (${TIME}) GMT$`, "i");
var ASCTIME = new RegExp(`^${DAYS} ${MONTHS} [ \\d]\\d ${TIME} \\d{4}$`, "i");
var CENTURY = 100;
function fullYear(digits) {
  const now = (/* @__PURE__ */ new Date()).getUTCFullYear();
  const year = now - now % CENTURY + Number(digits);
  return year > now + 50 ? year - CENTURY : year;
}
function httpDate(text) {
  const bare = text.trim();
  const [, day, month, year = "", time2] = RFC_850.exec(bare) ?? [];
  const ms2 = IMF.test(bare) ? Date.parse(bare) : day !== void 0 ? Date.parse(`${day} ${month} ${fullYear(year)} ${time2} GMT`) : ASCTIME.test(bare) ? Date.parse(`${bare} GMT`) : Number.NaN;
  return Number.isNaN(ms2) ? void 0 : ms2;
}

// src/fetch/response-freshness.ts
import CachePolicy from "http-cache-semantics";
var NAMES = ["expires", "date", "age", "etag", "last-modified", "pragma", "vary"];
var LONG_AGO = (/* @__PURE__ */ new Date(0)).toUTCString();
var LONGEST_GUESS = 86400;
var LONGEST = 2 ** 31;
var OWN_RULES = /* @__PURE__ */ new Set([
  "stale-while-revalidate",
  "stale-if-error",
  "immutable",
  "must-revalidate",
  "proxy-revalidate"
]);
var DELTAS = ["max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"];
var delta = (text) => /^\d+$/.test(text) ? Math.min(Number(text), LONGEST) : void 0;
var members = (text) => (text ?? "").split(",").map((member) => member.trim());
function directives(text) {
  const found = /* @__PURE__ */ new Map();
  for (const [, name = "", quoted2, bare] of (text ?? "").matchAll(
    /([\w-]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,]*)))?/g
  )) {
    const key = name.toLowerCase();
    const value = quoted2 ?? bare ?? "";
    if (!found.has(key)) found.set(key, DELTAS.includes(key) ? String(delta(value) ?? 0) : value);
  }
  return found;
}
function readResponseFreshness(header, now) {
  const said = directives(header("cache-control"));
  const headers = {};
  for (const name of NAMES) {
    const value = header(name);
    if (value !== null) headers[name] = value;
  }
  if (said.size > 0)
    headers["cache-control"] = [...said].filter(([name]) => !OWN_RULES.has(name)).map(([name, value]) => DELTAS.includes(name) ? `${name}=${value}` : name).join(", ");
  const sent = httpDate(headers.date ?? "") ?? now;
  headers.date = new Date(sent).toUTCString();
  if (headers.expires !== void 0) {
    const expires = httpDate(headers.expires);
    headers.expires = expires === void 0 ? LONG_AGO : new Date(expires).toUTCString();
  }
  const lifetime = (isShared) => new CachePolicy(
    { url: "/", method: "GET", headers: {} },
    { status: 200, headers },
    { shared: isShared }
  ).maxAge();
  const apparent = Math.max(0, Math.floor((now - sent) / 1e3));
  const age = Math.max(apparent, delta(members(headers.age).find((member) => member !== "") ?? "") ?? 0);
  const modified = httpDate(headers["last-modified"] ?? "") ?? Number.NaN;
  const mustAsk = ["must-revalidate", "proxy-revalidate", "s-maxage", "no-cache"].some(
    (name) => said.has(name)
  );
  const grace = (name) => mustAsk ? 0 : Number(said.get(name) ?? 0);
  const lasting = ["max-age", "no-cache", "no-store", "private"];
  const saysToAll = headers.expires !== void 0 || lasting.some((name) => said.has(name));
  const left = (isShared) => Math.max(0, Math.floor(Math.min(lifetime(isShared), LONGEST) - age));
  return {
    freshSeconds: saysToAll || said.has("s-maxage") ? left(true) : void 0,
    clientSeconds: saysToAll ? left(false) : void 0,
    guessSeconds: Number.isNaN(modified) ? 0 : Math.min(Math.max(0, Math.floor((sent - modified) / 1e4)), LONGEST_GUESS),
    ageSeconds: age,
    storable: !said.has("no-store") && !said.has("private") && !members(headers.vary).includes("*"),
    staleWhileRevalidate: grace("stale-while-revalidate"),
    staleIfError: grace("stale-if-error"),
    etag: headers.etag,
    lastModified: headers["last-modified"]
  };
}

// src/fetch/upstream-response.ts
var isComplete = (status) => status === 200 || status === 203;
var hasContent = (status) => isComplete(status) || status === 206;
function readResponse(response, isConditional, now) {
  const { status, header, bytes: bytes3 } = response;
  if (status === 304 && isConditional)
    return { outcome: "not-modified", ...readResponseFreshness(header, Date.now()) };
  if (status === 206 && header("content-range") !== `bytes 0-${bytes3.length - 1}/${bytes3.length}`)
    throw new ArtworkError("bad_answer", "the source sent a part of the image");
  if (!hasContent(status)) throw failureOf(response, now);
  if (!mayBeImage(header("content-type"))) throw new ArtworkError("no_image", "the source sent no image");
  if (bytes3.length === 0) throw new ArtworkError("bad_answer", "the source sent nothing");
  const kind = kindOf(response);
  if (kind === void 0)
    throw new ArtworkError(
      isPlainText(bytes3) ? "no_image" : "unsupported",
      "this is not an image of a known format"
    );
  return { outcome: "image", bytes: bytes3, kind, ...readResponseFreshness(header, Date.now()) };
}
function kindOf({ header, bytes: bytes3 }) {
  const kind = sniff(bytes3);
  return kind === "svg" && !mayBeSvg(header("content-type")) ? void 0 : kind;
}
var declaresImage = ({ status, header }) => hasContent(status) && /^image\//i.test(header("content-type") ?? "");
var beginsAsImage = (response) => hasContent(response.status) && mayBeImage(response.header("content-type")) && kindOf(response) !== void 0;
function failureOf({ status, header }, now) {
  const plain2 = { upstreamStatus: status };
  if (status === 404) return new ArtworkError("not_found", "there is no such image", plain2);
  if (status === 410) return new ArtworkError("gone", "the image is gone", plain2);
  const about = { ...plain2, retryAfter: retryAfterSeconds(header("retry-after"), now) };
  if (status === 429) return new ArtworkError("throttled", "the source asks for patience", about);
  if (status >= 500)
    return new ArtworkError("upstream_failed", "the source failed", status === 503 ? about : plain2);
  if (status >= 400)
    return new ArtworkError("upstream_denied", "the source does not give this image out", plain2);
  return new ArtworkError("bad_answer", "the source gave an answer that makes no sense", plain2);
}
function retryAfterSeconds(text, now) {
  if (text === null) return void 0;
  const date = httpDate(text);
  const wait = date !== void 0 ? (date - now) / 1e3 : /^\d{1,9}$/.test(text.trim()) ? Number(text) : void 0;
  return wait === void 0 ? void 0 : Math.min(Math.max(Math.ceil(wait), 1), 300);
}

// src/fetch/redirects.ts
var ACCEPT = "image/webp,image/png,image/jpeg,image/gif,image/svg+xml;q=0.8,*/*;q=0.1";
var REDIRECTS = /* @__PURE__ */ new Set([301, 302, 303, 307, 308]);
async function followRedirects(options7, { request, method, headers, enough }, signal, agentFor) {
  const first = checkUrl(request.url, options7, request.admits);
  const limits = { ...options7, maxBytes: request.maxBytes ?? options7.maxBytes };
  const fixed = {
    Accept: ACCEPT,
    "Accept-Encoding": "identity",
    "User-Agent": options7.userAgent,
    Via: options7.via
  };
  let url = first;
  for (let hop = 0; ; hop += 1) {
    const own = url.origin === first.origin ? request.headersFor?.(url, isExcepted(url, options7)) : void 0;
    const response = await exchange(
      {
        url,
        method,
        headers: mergeHeaders(fixed, own, headers),
        agent: agentFor(url),
        signal,
        wantsBody: hasContent,
        wantsErrorText: (status) => status === 400 && request.isMissing !== void 0,
        enough
      },
      limits
    );
    if (!REDIRECTS.has(response.status)) return response;
    const location = asText(response.header("location"));
    if (location === null) throw new ArtworkError("bad_answer", "the source redirected to nowhere");
    if (hop >= options7.maxRedirects) throw new ArtworkError("bad_answer", "the source redirects too often");
    url = nextHop(location, url, options7, request);
  }
}
function nextHop(location, from, options7, { admits }) {
  try {
    return checkUrl(location, options7, admits, from);
  } catch (error) {
    if (error instanceof ArtworkError && isRefusal(error)) throw error;
    throw new ArtworkError("bad_answer", "the source redirected to nowhere", { cause: error });
  }
}
function asText(value) {
  if (value === null || !/[\x80-\xff]/.test(value)) return value;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(value, "latin1"));
  } catch {
    return value;
  }
}
function mergeHeaders(...given) {
  const found = /* @__PURE__ */ new Map();
  for (const fields of given)
    for (const [name, value] of Object.entries(fields ?? {})) found.set(name.toLowerCase(), [name, value]);
  return Object.fromEntries(found.values());
}

// src/fetch/retry.ts
import { DelegateBackoff, handleWhen, retry } from "cockatiel";
var FIRST_BACKOFF = 150;
function createDeadline(totalTimeout, signals) {
  const expiry = new AbortController();
  const startedAt = performance.now();
  let hasBegun = false;
  const expire2 = () => expiry.abort(
    hasBegun ? new ArtworkError("timeout", "the source took too long in all") : new ArtworkError("unavailable", "too many images are being fetched", { retryAfter: 2 })
  );
  const timer = setTimeout(expire2, totalTimeout);
  const signal = AbortSignal.any([expiry.signal, ...signals]);
  return {
    signal,
    /** The first attempt has begun: until then, time passes in a queue. */
    begin: () => {
      hasBegun = true;
    },
    /** Ms that are left. */
    left: () => totalTimeout - (performance.now() - startedAt),
    /** The error to throw for one that was caught: why the signal was aborted, if it was. */
    explain: (error) => {
      if (!signal.aborted) return error;
      return signal.reason instanceof ArtworkError ? signal.reason : new ArtworkError("cancelled", "nobody waits for this image any more");
    },
    clear: () => clearTimeout(timer)
  };
}
var retryPolicy = (retries, deadline) => retry(
  handleWhen((error) => {
    const { retried, retryAfter = 0 } = asArtworkError(error);
    return retried && !deadline.signal.aborted && retryAfter * 1e3 < deadline.left();
  }),
  {
    maxAttempts: retries,
    backoff: new DelegateBackoff(({ attempt, result: result2 }) => {
      const retryAfter = "error" in result2 ? asArtworkError(result2.error).retryAfter : void 0;
      const step = FIRST_BACKOFF * 2 ** (attempt - 1);
      return retryAfter === void 0 ? step * (0.5 + Math.random()) : retryAfter * 1e3 + Math.random() * step;
    })
  }
);

// src/fetch/fetcher.ts
var ACCEPT_DOCUMENT = "application/did+ld+json,application/json";
var MAX_DOCUMENT_BYTES = 64 * 1024;
var PROBED_BYTES = 64 * 1024;
function createFetcher(options7) {
  const { connectTimeout, perHost, now } = options7;
  const plain2 = options7.lookup ?? systemLookup2;
  const guarded = guardedLookup(plain2);
  const agents = createAgents({ perHost, connectTimeout, lookup: guarded });
  const exceptedAgents = createAgents({ perHost, connectTimeout, lookup: plain2 });
  const pools = createProxyPools(options7.proxies, { connectTimeout, guarded, plain: plain2, now });
  const places = createPlaces(options7);
  const breakers = createCircuitBreakers({ now });
  const closing = new AbortController();
  const attempt = async (message, signal, watch) => {
    const route2 = pools.next(message.request.pool, watch.tried);
    let isTunnelled = false;
    const agentFor = (url) => {
      const isException = isExcepted(url, options7);
      isTunnelled = route2?.isTunnelled(url) ?? false;
      return route2?.agentFor(url, isException) ?? (isException ? exceptedAgents : agents).agentFor(url);
    };
    const send3 = () => followRedirects(options7, message, signal, agentFor);
    return route2 === void 0 ? send3() : watch.observe(route2.health, send3, () => isTunnelled);
  };
  const send2 = async (message, read2, signal) => {
    const { host } = checkUrl(message.request.url, options7, message.request.admits);
    const watch = pools.watch();
    const deadline = createDeadline(options7.totalTimeout, [closing.signal, ...signal ? [signal] : []]);
    const policy = retryPolicy(options7.retries, deadline);
    const attemptOnce = async () => {
      deadline.begin();
      return read2(await attempt(message, deadline.signal, watch));
    };
    const attempts = () => policy.execute(() => places.run(host, attemptOnce, deadline.signal), deadline.signal);
    try {
      const result2 = await breakers.run(host, attempts, countsForBreaker);
      watch.end(true);
      return result2;
    } catch (error) {
      watch.end(false);
      throw deadline.explain(error);
    } finally {
      deadline.clear();
    }
  };
  return {
    fetch: (request, validators = {}, signal) => fetchImage(send2, request, validators, now, signal),
    document: (request, signal) => fetchDocument(send2, request, now, signal),
    probe: (request) => probe(send2, request),
    resting: breakers.open,
    pools: pools.names,
    proxies: pools.status,
    close: () => {
      closing.abort(new ArtworkError("unavailable", "shutting down"));
      agents.close();
      exceptedAgents.close();
      pools.close();
    }
  };
}
var countsForBreaker = (error) => !isProxyTrouble(error) && isHostFailure(asArtworkError(error));
async function fetchImage(send2, request, { etag, lastModified }, now, signal) {
  const headers = {
    ...etag !== void 0 && { "If-None-Match": etag },
    ...lastModified !== void 0 && { "If-Modified-Since": lastModified }
  };
  const isConditional = etag !== void 0 || lastModified !== void 0;
  const read2 = (response) => {
    if (request.isMissing?.(response.status, response.bytes.toString("utf8").slice(0, 1e3)))
      throw new ArtworkError("not_found", "there is no such image");
    return readResponse(response, isConditional, now());
  };
  return send2({ request, method: "GET", headers }, read2, signal);
}
async function fetchDocument(send2, request, now, signal) {
  const small = { ...request, maxBytes: MAX_DOCUMENT_BYTES };
  const read2 = (response) => {
    const { status, bytes: bytes3 } = response;
    if (isComplete(status)) return bytes3.toString("utf8");
    if (status === 404 || status === 410) return void 0;
    throw failureOf(response, now());
  };
  return send2({ request: small, method: "GET", headers: { Accept: ACCEPT_DOCUMENT } }, read2, signal);
}
async function probe(send2, request) {
  const ask = (message) => send2({ request, ...message }, (response) => response);
  const range = (last) => ask({ method: "GET", headers: { Range: `bytes=0-${last}` }, enough: PROBED_BYTES });
  const head = await ask({ method: "HEAD", headers: {} }).catch((error) => {
    if (asArtworkError(error).code !== "bad_answer") throw error;
    return void 0;
  });
  if (head !== void 0 && declaresImage(head)) return true;
  const first = await range(0);
  if (declaresImage(first)) return true;
  if (!hasContent(first.status) || !mayBeImage(first.header("content-type"))) return false;
  return beginsAsImage(await range(PROBED_BYTES - 1));
}

// src/model/address.ts
var KIND = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
var VARIANT = /^[a-z][a-z0-9_-]{0,127}$/;
var ID_SEGMENT = /^[A-Za-z0-9_][A-Za-z0-9._:%~-]*$/;
var MAX_ID = 11e3;
var refuse2 = (why) => {
  throw new ArtworkError("invalid", why);
};
function makeAddress(kind, variant, id) {
  if (!KIND.test(kind)) refuse2("image type is not known");
  if (!VARIANT.test(variant)) refuse2("image size is not known");
  const segments = id.split("/");
  const sound = segments.length <= 2 && id.length <= MAX_ID && segments.every((segment) => ID_SEGMENT.test(segment));
  if (!sound) refuse2("image id is not valid");
  return Object.freeze({ kind, variant, id });
}
function parseAddress(text) {
  const [kind, variant, ...rest] = text.split("/");
  if (kind === void 0 || variant === void 0 || rest.length === 0)
    return refuse2("an image needs type, size and id");
  return makeAddress(kind, variant, rest.join("/"));
}
var formatAddress = (address) => `${address.kind}/${address.variant}/${address.id}`;
function toAddress(given) {
  return typeof given === "string" ? parseAddress(given) : makeAddress(given.kind, given.variant, given.id);
}
function pathSegments(rawPath) {
  const segments = [];
  for (const raw of rawPath.replace(/^\//, "").split("/")) {
    const segment = decodeSegment(raw);
    if (segment === void 0) return void 0;
    segments.push(segment);
  }
  return segments;
}
var ENCODED_UNRESERVED = /%(?:2[de]|3[0-9]|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9ae])/i;
function pathForm(rawPath) {
  if (!rawPath.includes("%")) return "canonical";
  if (ENCODED_UNRESERVED.test(rawPath)) return "alias";
  return rawPath.replaceAll("%25", "").includes("%") ? "equivalent" : "canonical";
}
function decodeSegment(raw) {
  let decoded3;
  try {
    decoded3 = decodeURIComponent(raw);
  } catch {
    return void 0;
  }
  if (decoded3 === "" || /^\.+$/.test(decoded3)) return void 0;
  return /[/\\\p{Cc}]/u.test(decoded3) ? void 0 : decoded3;
}

// src/model/digest.ts
import { createHash } from "node:crypto";
var digestOf = (bytes3) => createHash("sha256").update(bytes3).digest("hex");
var isDigest = (value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
var versionOf = (digest) => digest.slice(0, 16);
var etagOf = (digest) => `"${digest.slice(0, 32)}"`;

// src/model/entry.ts
var IMAGES = "images/";
var ENTITY_IMAGES = "local/";
var imageKey = (addressText) => IMAGES + addressText;
var entityImageKey = (path) => ENTITY_IMAGES + path;
var addressOfKey = (key) => key.startsWith(IMAGES) ? key.slice(IMAGES.length) : void 0;
var pathOfKey = (key) => key.startsWith(ENTITY_IMAGES) ? key.slice(ENTITY_IMAGES.length) : void 0;
var looksOf = (traits) => traits === void 0 ? {} : { alpha: traits.alpha, animated: traits.frames > 1, ...traits.preview ?? {} };

// src/model/no-picture.ts
var NO_PICTURE = /^(?:[0-9a-f]{64}|[A-Za-z0-9+/]{8,60}={0,2})$/;
var DIGEST = /^[0-9a-f]{64}$/;
var MAX_MEAN_STEPS = 2;
var MAX_DETAIL_STEPS = 0.75;
function readNoPicture(list) {
  const digests = new Set(list.filter((one) => DIGEST.test(one)));
  const hashes = list.filter((one) => !DIGEST.test(one)).map((one) => Buffer.from(one, "base64"));
  return ({ digest, thumbhash }) => {
    if (digests.has(digest)) return true;
    if (thumbhash === void 0 || hashes.length === 0) return false;
    const hash = Buffer.from(thumbhash, "base64");
    return hashes.some((one) => areAlike(one, hash));
  };
}
function areAlike(one, other) {
  if (one.length !== other.length || one.length < 5) return false;
  const [means, otherMeans] = [one.readUIntLE(0, 3), other.readUIntLE(0, 3)];
  for (const shift of [0, 6, 12])
    if (Math.abs((means >> shift & 63) - (otherMeans >> shift & 63)) > MAX_MEAN_STEPS) return false;
  const layout = (hash) => hash.readUInt8(2) >> 7 | (hash.readUInt16LE(3) & 32775) << 1;
  if (layout(one) !== layout(other)) return false;
  let steps = 0;
  for (let at2 = 5; at2 < one.length; at2 += 1) {
    const [a = 0, b = 0] = [one[at2], other[at2]];
    steps += Math.abs((a >> 4) - (b >> 4)) + Math.abs((a & 15) - (b & 15));
  }
  return steps <= MAX_DETAIL_STEPS * 2 * (one.length - 5);
}

// src/model/text.ts
var isObject = (value) => typeof value === "object" && value !== null;
var textOf = (value) => rawText(value)?.trim();
function rawText(value) {
  const text = typeof value === "string" ? value : textForm(value);
  return text.trim() === "" ? void 0 : text;
}
function textForm(value) {
  try {
    return value instanceof String || value instanceof URL ? String(value) : "";
  } catch {
    return "";
  }
}
function idOf(value) {
  if (typeof value === "number" || typeof value === "bigint") return value;
  const text = rawText(value);
  if (text !== void 0 || !isObject(value)) return text;
  try {
    const isPlain2 = value.toString === Object.prototype.toString || value.toString === void 0;
    if (isPlain2 || value instanceof Date || Symbol.iterator in value) return void 0;
    return rawText(String(value));
  } catch {
    return void 0;
  }
}
function fieldOf(record, name) {
  try {
    return record[name];
  } catch {
    return void 0;
  }
}
function hasField(record, name) {
  try {
    return name in record;
  } catch {
    return false;
  }
}

// src/http/accept.ts
var UNMENTIONED = 1e-4;
var WEIGHT = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/;
function parseAccept(header) {
  return header.slice(0, 2e3).split(",").map((part) => {
    const [type = "", ...params] = part.split(";").map((piece) => piece.trim().toLowerCase());
    const q = params.find((piece) => piece.startsWith("q="))?.slice(2);
    const weight = q === void 0 ? 1 : WEIGHT.test(q) ? Number(q) : 0;
    return { type, weight, isRefused: weight === 0 && WEIGHT.test(q ?? "") };
  }).filter((range) => range.type !== "");
}
var namedWeight = (ranges, type) => ranges.find((range) => range.type === type)?.weight ?? 0;
var modernFormats = (allowed) => ["avif", "webp"].filter((format2) => allowed.includes(format2));
function otherThan(ranges, plain2, modern, fallback) {
  const wildcard = Math.max(namedWeight(ranges, "image/*"), namedWeight(ranges, "*/*"));
  const unmentioned = (format2) => format2 === "avif" ? 0 : modern.includes(format2) ? wildcard : Math.max(wildcard, UNMENTIONED);
  const weightOf = (format2) => ranges.find((range) => range.type === `image/${format2}`)?.weight ?? unmentioned(format2);
  const others = [...modern, fallback].filter((format2) => `image/${format2}` !== plain2);
  const best = others.reduce(
    (one, other) => one === void 0 || weightOf(other) > weightOf(one) ? other : one,
    void 0
  );
  return best !== void 0 && weightOf(best) > 0 ? best : void 0;
}
function negotiate(header, { plainType: plain2, modern, fallback }) {
  const ranges = parseAccept(header ?? "");
  const asks = (type) => namedWeight(ranges, type) > 0;
  if (plain2 === "image/avif" && !asks(plain2))
    return modern.includes("webp") && asks("image/webp") ? "webp" : fallback;
  const wildcard = Math.max(namedWeight(ranges, "image/*"), namedWeight(ranges, "*/*"));
  const plainRange = ranges.find((range) => range.type === plain2);
  const judging = plainRange ?? ranges.find(({ type }) => type === "image/*") ?? ranges.find(({ type }) => type === "*/*");
  if (judging?.isRefused === true) return otherThan(ranges, plain2, modern, fallback);
  const plainWeight = plainRange?.weight ?? wildcard;
  let best;
  for (const format2 of modern) {
    const weight = namedWeight(ranges, `image/${format2}`);
    if (weight > 0 && weight > (best?.weight ?? 0)) best = { format: format2, weight };
  }
  if (best !== void 0 && `image/${best.format}` === plain2) return void 0;
  return best !== void 0 && (best.weight >= plainWeight || plainRange === void 0) ? best.format : void 0;
}
function asksForImage(destination, accept) {
  if (destination !== void 0) return destination.trim().toLowerCase() === "image";
  const best = (isImage) => Math.max(
    0,
    ...parseAccept(accept ?? "").filter(({ type }) => type.startsWith("image/") === isImage).map(({ weight }) => weight)
  );
  return best(true) > best(false);
}

// src/model/encode-budget.ts
var MOST_WORK = 3500;
var STILL = {
  jpeg: [[0, 40]],
  png: [[0, 65]],
  webp: [
    [1, 65],
    [3, 90],
    [4, 170],
    [6, 530]
  ],
  avif: [
    [0, 175],
    [1, 460],
    [2, 950],
    [3, 1750],
    [9, 12e3]
  ],
  gif: [
    [3, 440],
    [4, 900],
    [5, 1800],
    [7, 5400],
    [10, 1e4]
  ]
};
var PALETTE_PNG = [
  [3, 410],
  [5, 600],
  [7, 4400],
  [10, 8200]
];
var MOVING = {
  webp: [
    [1, 70],
    [3, 100],
    [4, 190],
    [6, 600]
  ],
  // Frames share what was learned of their colours.
  gif: [
    [3, 290],
    [7, 1500],
    [10, 3e3]
  ]
};
var LOSSLESS_WEBP = [
  [0, 150],
  [4, 520],
  [6, 1500]
];
var costsOf = ({ format: format2, frames, isPalette = false, isLossless = false }) => {
  if (format2 === "webp" && isLossless) return LOSSLESS_WEBP;
  if (format2 === "png" && isPalette) return PALETTE_PNG;
  return (frames > 1 ? MOVING[format2] : void 0) ?? STILL[format2];
};
function workOf(job3, effort2) {
  const costs = costsOf(job3);
  const [, cost = 0] = costs.find(([up]) => effort2 <= up) ?? costs.at(-1) ?? [];
  return cost * job3.pixels / 1e6;
}
var leastOf = ({ format: format2, isPalette = false }) => format2 === "gif" || format2 === "png" && isPalette ? 1 : 0;
var isAffordable = (job3) => workOf(job3, leastOf(job3)) <= MOST_WORK;
function effortFor(job3, wanted) {
  for (let effort2 = Math.max(wanted, leastOf(job3)); effort2 >= leastOf(job3); effort2 -= 1)
    if (workOf(job3, effort2) <= MOST_WORK) return effort2;
  return void 0;
}

// src/model/encoding.ts
var DEFAULT_QUALITY = { jpeg: 85, webp: 85, avif: 67 };
var DEFAULT_EFFORT = { webp: 4, avif: 3, gif: 7, png: 4 };
var EFFORTS = {
  webp: [0, 6],
  avif: [0, 9],
  gif: [1, 10],
  png: [1, 10]
};
var isLossy = (format2) => format2 !== "png" && format2 !== "gif";
var equalQuality = (quality2, format2) => format2 === "avif" ? Math.max(1, Math.round(quality2 * DEFAULT_QUALITY.avif / DEFAULT_QUALITY.webp)) : quality2;
function qualitiesOf(given) {
  if (typeof given !== "number") return { ...DEFAULT_QUALITY, ...given };
  return { jpeg: given, webp: given, avif: equalQuality(given, "avif") };
}
function effortsOf(given) {
  if (typeof given !== "number") return { ...DEFAULT_EFFORT, ...given };
  const within2 = (format2) => {
    const [least, most] = EFFORTS[format2];
    return Math.min(most, Math.max(least, given));
  };
  return { webp: within2("webp"), avif: within2("avif"), gif: within2("gif"), png: within2("png") };
}
var qualityFor = ({ quality: quality2 }, format2) => quality2[format2 !== void 0 && isLossy(format2) ? format2 : "jpeg"];
var effortIn = ({ effort: effort2 }, format2) => format2 === "jpeg" ? void 0 : effort2[format2];

// src/model/variant.ts
var PIPELINE_VERSION = { first: 1, revised: 2 };
var MAX_SIDE = 16383;
var NUMBER = /^[1-9][0-9]{0,4}$/;
var PRESET_NAME = /^[a-z][a-z_]*$/;
var RESERVED = /* @__PURE__ */ new Set(["original", "box", "inside", "cover", "auto", "svg", "jpg"]);
function presetNameProblem(name) {
  if (!PRESET_NAME.test(name)) return "must be lower-case letters and underscores";
  if (RESERVED.has(name) || isFormat(name) || /^[whq]$/.test(name)) return "is a word of the variant language";
  return void 0;
}
var refuse3 = (text, why) => {
  throw new ArtworkError("invalid", `variant ${JSON.stringify(text.slice(0, 80))} ${why}`);
};
function parseVariant(text, rules) {
  const tokens = text.split("-");
  const take = (test) => tokens[0] !== void 0 && test(tokens[0]) ? tokens.shift() : void 0;
  const takeNumber = (letter, most) => {
    const token = take((word) => word[0] === letter && NUMBER.test(word.slice(1)));
    if (token === void 0) return void 0;
    const value = Number(token.slice(1));
    return value <= most ? value : refuse3(text, `asks for more than ${letter}${most}`);
  };
  const named = take((word) => word === "original" || Object.hasOwn(rules.presets, word));
  const width = named === void 0 ? takeNumber("w", MAX_SIDE) : void 0;
  const height = named === void 0 ? takeNumber("h", MAX_SIDE) : void 0;
  const cover = named === void 0 && take((word) => word === "cover") !== void 0;
  const format2 = take((word) => word === "auto" || isFormat(word));
  const quality2 = takeNumber("q", 100);
  const base = named ?? "box";
  if (base === "box" && width === void 0 && height === void 0) refuse3(text, "is not known");
  if (cover && (width === void 0 || height === void 0)) refuse3(text, "needs w and h to cover");
  if (tokens.length > 0) refuse3(text, "is not canonical");
  if (quality2 !== void 0 && (format2 === "png" || format2 === "gif"))
    refuse3(text, `has no quality in ${format2}`);
  const variant = {
    base,
    ...width === void 0 ? {} : { width },
    ...height === void 0 ? {} : { height },
    cover,
    ...format2 === "auto" || format2 !== void 0 && isFormat(format2) ? { format: format2 } : {},
    ...quality2 === void 0 ? {} : { quality: quality2 }
  };
  return formatVariant(variant, rules) === text ? variant : refuse3(text, "is not canonical");
}
function formatVariant(variant, rules) {
  return [
    variant.base === "box" ? void 0 : variant.base,
    variant.width === void 0 ? void 0 : `w${variant.width}`,
    variant.height === void 0 ? void 0 : `h${variant.height}`,
    variant.cover ? "cover" : void 0,
    variant.format,
    variant.quality === void 0 || variant.quality === defaultQuality(variant, rules) ? void 0 : `q${variant.quality}`
  ].filter((token) => token !== void 0).join("-");
}
function defaultQuality(variant, rules) {
  const format2 = variant.format === "auto" ? void 0 : variant.format;
  return usualQuality(presetOf(variant, rules)?.quality, format2, rules.encoding);
}
var usualQuality = (presetQuality, format2, encoding) => presetQuality === void 0 ? qualityFor(encoding, format2) : equalQuality(presetQuality, format2 ?? "jpeg");
function presetOf(variant, rules) {
  return Object.hasOwn(rules.presets, variant.base) ? rules.presets[variant.base] : void 0;
}
function recipeOf(variant, rules) {
  const preset2 = presetOf(variant, rules);
  const width = preset2 ? preset2.width : variant.width;
  const height = preset2 ? preset2.height : variant.height;
  const format2 = variant.format === "auto" ? void 0 : variant.format ?? preset2?.format;
  return {
    ...width === void 0 ? {} : { width },
    ...height === void 0 ? {} : { height },
    fit: preset2 ? preset2.fit ?? "inside" : variant.cover ? "cover" : "inside",
    enlarge: preset2?.enlarge ?? false,
    ...format2 === void 0 ? {} : { format: format2 },
    ...variant.quality === void 0 ? {} : { quality: variant.quality },
    ...preset2?.quality === void 0 ? {} : { presetQuality: preset2.quality }
  };
}
function completeRecipe(recipe, source, encoding) {
  const { presetQuality, ...rest } = recipe;
  const format2 = recipe.format ?? (source === "svg" ? "png" : source);
  const quality2 = recipe.quality ?? usualQuality(presetQuality, format2, encoding);
  return { ...rest, format: format2, quality: quality2, effort: effortIn(encoding, format2) };
}
var EFFORT_LEFT_OUT = { webp: 4, avif: 4, gif: 7, png: 4 };
function recipeText(recipe, { kind, isRevised: isRevised2 }, encoding) {
  const { width = 0, height = 0, fit, enlarge } = recipe;
  const { format: format2, quality: quality2, effort: effort2 } = completeRecipe(recipe, kind, encoding);
  const version = PIPELINE_VERSION[isRevised2 ? "revised" : "first"];
  const spent = effort2 === EFFORT_LEFT_OUT[format2] ? "" : `:e${effort2}`;
  return `${version}:${width}x${height}:${fit}${enlarge ? "+" : ""}:${recipe.format ?? "same"}:${quality2}${spent}`;
}
var cutOf = (recipe) => /^\d+:(\d+x\d+):cover/.exec(recipe ?? "")?.[1];
var isSameLook = (one, other) => one.split(":").slice(1, 4).join(":") === other.split(":").slice(1, 4).join(":");
var isAsFetched = (variant) => variant.base === "original" && variant.format === void 0 && variant.quality === void 0;
function settleAuto(variant, format2) {
  const { format: _auto, ...rest } = variant;
  if (format2 === void 0) return rest;
  const { quality: quality2 } = variant;
  return { ...rest, format: format2, ...quality2 !== void 0 && { quality: equalQuality(quality2, format2) } };
}

// src/model/output.ts
var LONGEST_SIDE = {
  // libjpeg's JPEG_MAX_DIMENSION.
  jpeg: 65500,
  png: 1e7,
  gif: 65535,
  webp: MAX_SIDE,
  // libheif, and browsers, take no more.
  avif: 16384
};
var longestSide = (format2) => LONGEST_SIDE[format2];
var MOVING_FORMATS = /* @__PURE__ */ new Set(["gif", "webp"]);
var isMovingFormat = (format2) => MOVING_FORMATS.has(format2);
var wouldStop = (kind, traits) => (traits?.frames ?? 1) > 1 && !(kind !== void 0 && isFormat(kind) && isMovingFormat(kind));
var movesWithin = (frames, { width, height }, { maxFrames, maxPixels }) => frames <= maxFrames && frames * width * height <= maxPixels;
function outputSize(source, recipe) {
  const { fit, enlarge, format: format2 } = recipe;
  const round = (length) => Math.max(1, Math.round(length));
  if (fit === "cover" && recipe.width !== void 0 && recipe.height !== void 0) {
    const scale2 = enlarge ? 1 : Math.min(1, source.width / recipe.width, source.height / recipe.height);
    return { width: round(recipe.width * scale2), height: round(recipe.height * scale2) };
  }
  const most = longestSide(format2);
  const fits = Math.min(
    Math.min(recipe.width ?? most, most) / source.width,
    Math.min(recipe.height ?? most, most) / source.height
  );
  const isFree = recipe.width === void 0 && recipe.height === void 0;
  const scale = enlarge && !isFree ? fits : Math.min(1, fits);
  return { width: round(source.width * scale), height: round(source.height * scale) };
}

// src/images/auto-format.ts
function negotiationFor(question) {
  const { original, plainType, recipe, bounds, isAvifWanted } = question;
  const allowed = modernFormats(bounds.formats);
  const fallback = original.traits?.alpha ? "png" : "jpeg";
  const { frames = 1 } = original.traits ?? {};
  if (kindOfType(original.type) === "svg")
    return { plainType: original.type, modern: [], isPassedOn: true, fallback };
  if (frames > 1) return formatsOfMoving(question, frames, allowed, fallback);
  const isAvifPossible = () => {
    const { width, height } = outputSize(original, { ...recipe, format: "avif" });
    return (original.width === 0 || width * height <= bounds.maxAvifPixels) && isAvifWanted();
  };
  const modern = allowed.filter((format2) => format2 !== "avif" || isAvifPossible());
  return { plainType, modern, fallback, isPassedOn: false };
}
function formatsOfMoving({ original, plainType, recipe, bounds }, frames, allowed, still) {
  const family = kindOfType(original.type);
  const isOwnFamily = plainType === original.type;
  if (family !== "gif" && family !== "webp") {
    const modern2 = family === "avif" ? allowed : [];
    const isPassedOn2 = isOwnFamily || !modern2.includes("avif");
    return { plainType: isPassedOn2 ? original.type : plainType, modern: modern2, isPassedOn: isPassedOn2, fallback: still };
  }
  const canMove = (format2) => {
    const { width, height } = outputSize(original, { ...recipe, format: format2 });
    return isMovingFormat(format2) && movesWithin(frames, original, bounds) && isAffordable({ format: format2, pixels: frames * width * height, frames });
  };
  const modern = allowed.filter(canMove);
  const isPassedOn = isOwnFamily ? !canMove(family) : modern.length === 0;
  const fallback = bounds.formats.includes("gif") && canMove("gif") ? "gif" : still;
  return { plainType: isPassedOn ? original.type : plainType, modern, isPassedOn, fallback };
}

// src/images/auto-formats.ts
function createAutoFormats({ settings, store, resolver, recipes, renditions }) {
  const bounds = settings.transform;
  const allowed = modernFormats(bounds.formats);
  const lookAt = (resolved2, original, format2) => {
    const recipe = resolver.recipeIn(resolved2, format2);
    const text = formatAddress(resolver.settle(resolved2, format2).address);
    return { state: renditions.peek(text, original, recipe), recipe: recipes.text(recipe, original) };
  };
  const isAvifWanted = (resolved2, original, avif) => {
    if (avif.state === "failed") return false;
    const webp = allowed.includes("webp") ? lookAt(resolved2, original, "webp").state : void 0;
    if (typeof webp !== "object") return true;
    const isLarger = typeof avif.state === "object" && avif.state.size >= webp.size;
    return !isLarger && webp.smallerThan !== avif.recipe;
  };
  return {
    /** Reads back, after a catalogue was lost, the renditions that an address may come down to. */
    prepare: async (resolved2) => {
      for (const format2 of allowed)
        await store.lookup(imageKey(formatAddress(resolver.settle(resolved2, format2).address)));
    },
    /** The format for this `Accept`. Costs no I/O but look-ups of keys. */
    choose: (resolved2, original, accept) => {
      let seen;
      const avif = () => {
        seen ??= lookAt(resolved2, original, "avif");
        return seen;
      };
      const negotiation = negotiationFor({
        original,
        plainType: resolver.plainTypeOf(resolved2, original.type),
        recipe: resolver.recipeIn(resolved2, void 0),
        bounds,
        isAvifWanted: () => isAvifWanted(resolved2, original, avif())
      });
      const format2 = negotiate(accept, negotiation);
      if (format2 === void 0 && negotiation.isPassedOn)
        return { resolved: resolver.asFetched(resolved2), negotiation, late: void 0 };
      const chosen = resolver.settle(resolved2, format2);
      if (format2 !== "avif" || avif().state !== void 0)
        return { resolved: chosen, negotiation, late: void 0 };
      const without = { ...negotiation, modern: negotiation.modern.filter((one) => one !== "avif") };
      const meanwhile = resolver.settle(resolved2, negotiate(accept, without));
      return { resolved: meanwhile, negotiation, late: chosen };
    },
    /**
     * Judges an AVIF that was made behind an answer. Where the WebP of the same variant is no larger, that is stored as a
     * fact of the WebP, and the AVIF goes.
     */
    compare: async (resolved2, original, avif) => {
      if (!avif.isStored || !allowed.includes("webp")) return;
      const webp = lookAt(resolved2, original, "webp").state;
      if (typeof webp !== "object" || avif.size < webp.size || avif.recipe === void 0) return;
      store.update(webp, { smallerThan: avif.recipe });
      await store.delete(avif.key);
    }
  };
}

// src/model/artwork-path.ts
import { createHash as createHash2 } from "node:crypto";
var PLAIN_ID = /^[A-Za-z0-9_-]{1,200}$/;
var LONGEST_SLUG = 120;
function entityIdText(id) {
  const text = typeof id === "string" ? id : Number.isInteger(id) || typeof id === "bigint" ? String(id) : "";
  const shapedLikePath = text.split(/[/\\]/).some((part) => /^\.*$/.test(part.trim())) || /\p{Cc}/u.test(text);
  if (text === "" || text.length > 1e3 || shapedLikePath)
    throw new ArtworkError("invalid", "entity id is not valid");
  return text;
}
var isPlainId = (text) => PLAIN_ID.test(text);
function slugOf(text) {
  const bare = text.normalize("NFKD").replace(/\p{Mark}/gu, "");
  return bare.toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/^_+|_+$/g, "").slice(0, LONGEST_SLUG);
}
var hashOf = (text) => createHash2("sha256").update(text).digest("hex").slice(0, 12);
function artworkPaths(kind, id, params = {}) {
  const text = entityIdText(id);
  const slugged = !isPlainId(text) || kind.path.includes("{slug}");
  if (!slugged) return [fill(kind, text, params)];
  const slug = slugOf(text);
  const hashed = `${slug === "" ? "id" : slug}_${hashOf(text)}`;
  return slug === "" || slug.length >= LONGEST_SLUG ? [fill(kind, hashed, params)] : [fill(kind, slug, params), fill(kind, hashed, params)];
}
function fill(kind, name, params) {
  const known = { plural: kind.plural, shard: name.slice(0, 2), id: name, slug: name };
  return kind.path.replace(/\{([a-z_]+)\}/g, (_all, key) => known[key] ?? param(key, params));
}
function param(key, params) {
  const value = params[key];
  if (value === void 0) throw new ArtworkError("invalid", `the artwork path needs the parameter ${key}`);
  const text = entityIdText(value);
  return isPlainId(text) ? text : slugOf(text) || `id_${hashOf(text)}`;
}
var pathParams = (kind, params) => Object.fromEntries(
  Object.entries(params).filter(([name]) => kind?.params.includes(name)).map(([name, value]) => [name, String(value)])
);
var SEGMENT = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}$/;
function readArtworkPath(given) {
  const segments = typeof given === "string" ? given.split("/") : given;
  const sound = segments.length >= 1 && segments.length <= 8 && segments.every((segment) => SEGMENT.test(segment));
  return sound ? segments.join("/") : void 0;
}

// src/model/freshness.ts
var CLOCK_SLACK = 6e4;
var NEVER_STALE = 864e10;
var canExpire = (entry) => entry.freshnessLifetime < NEVER_STALE;
var freshUntil = (entry, policy) => entry.validatedAt + (entry.staleIfError === void 0 ? Math.min(entry.freshnessLifetime, policy.maxAge) : entry.freshnessLifetime);
function freshnessOf(entry, policy, now) {
  if (!canExpire(entry)) return "fresh";
  if (entry.validatedAt > now + CLOCK_SLACK) return "stale";
  const past = now - freshUntil(entry, policy);
  if (past < 0) return "fresh";
  const within2 = (grace) => grace > 0 && past <= grace;
  if (within2(entry.staleWhileRevalidate ?? policy.staleWhileRevalidate)) return "stale";
  return within2(entry.staleIfError ?? policy.staleIfError) ? "overdue" : "dead";
}
var ONE_HOUR = 36e5;
function boundedFreshness(freshSeconds, maxAge) {
  if (freshSeconds === void 0) return maxAge;
  return Math.min(Math.max(freshSeconds * 1e3, Math.min(ONE_HOUR, maxAge)), maxAge);
}
function freshnessAfter(reported, rules, stored, { now, maxAge }) {
  const none = {
    staleWhileRevalidate: void 0,
    staleIfError: void 0,
    clientFreshnessLifetime: void 0
  };
  if (rules === "immutable") return { ...none, validatedAt: now, freshnessLifetime: NEVER_STALE };
  const { freshSeconds, ageSeconds } = reported;
  if (rules === "bounded")
    return { ...none, validatedAt: now, freshnessLifetime: boundedFreshness(freshSeconds, maxAge) };
  const isSilent = reported.outcome === "not-modified" && freshSeconds === void 0;
  if (isSilent && stored?.staleIfError !== void 0) {
    const { freshnessLifetime: freshnessLifetime2, staleWhileRevalidate, staleIfError, clientFreshnessLifetime } = stored;
    return {
      validatedAt: now,
      freshnessLifetime: freshnessLifetime2,
      staleWhileRevalidate,
      staleIfError,
      clientFreshnessLifetime
    };
  }
  const lifetime = (seconds3) => ((seconds3 ?? reported.guessSeconds) + ageSeconds) * 1e3;
  const [freshnessLifetime, clientLifetime] = [lifetime(freshSeconds), lifetime(reported.clientSeconds)];
  return {
    validatedAt: now - ageSeconds * 1e3,
    freshnessLifetime,
    staleWhileRevalidate: reported.staleWhileRevalidate * 1e3,
    staleIfError: reported.staleIfError * 1e3,
    clientFreshnessLifetime: clientLifetime === freshnessLifetime ? void 0 : clientLifetime
  };
}

// src/model/sized-path.ts
var SIZED = /^(.+)\.w([1-9][0-9]{0,4})\.([a-z]+)$/;
var stemOf = (path) => path.slice(0, path.lastIndexOf("."));
var sizeVersion = (original, cut) => cut === void 0 ? original : digestOf(Buffer.from(`${original} ${cut}`));
function readSizedPath(path) {
  const [, stem, width, extension = ""] = SIZED.exec(path) ?? [];
  const format2 = formatOfExtension(extension);
  if (stem === void 0 || format2 === void 0 || extensionOf(format2) !== extension) return void 0;
  return { stem, width: Number(width), format: format2 };
}
var sizedPath = (stem, width, format2) => `${stem}.w${width}.${extensionOf(format2)}`;

// src/model/urls.ts
var inPath = (addressText) => addressText.includes("%") ? addressText.replaceAll("%", "%25") : addressText;
var imagePath = (urls, addressText) => `${urls.images}/${inPath(addressText)}`;
var imageUrl = (urls, addressText) => urls.base + imagePath(urls, addressText);
var entityImageUrl = (urls, path, digest) => `${urls.base}${urls.local}/${path}${digest === void 0 ? "" : `?v=${versionOf(digest)}`}`;
var placeholderUrl = (urls, file) => `${urls.base}${urls.placeholders}/${file}`;
function entryUrl(urls, entry) {
  const path = pathOfKey(entry.key);
  return path === void 0 ? imageUrl(urls, addressOfKey(entry.key) ?? "") : entityImageUrl(urls, path, versionedBy(entry));
}
function versionedBy({ key, digest, role, madeFrom = digest, recipe }) {
  if (role === "artwork") return digest;
  return pathOfKey(key) === void 0 ? madeFrom : sizeVersion(madeFrom, cutOf(recipe));
}
function allUrls(urls, entry) {
  const { key } = entry;
  const path = pathOfKey(key);
  const version = versionedBy(entry);
  if (path !== void 0) return [entityImageUrl(urls, path), entityImageUrl(urls, path, version)];
  const [kind = "", variant = "", ...id] = (addressOfKey(key) ?? "").split("/");
  const negotiated = variant.replace(/(?:-(?:avif|webp|jpeg|png|gif))?(-q\d+)?$/, "-auto$1");
  return [variant, negotiated].flatMap((one) => {
    const url = imageUrl(urls, [kind, one, ...id].join("/"));
    return [url, `${url}?v=${versionOf(version)}`];
  });
}
function readOwnUrl(urls, text) {
  const { base, images: images2, local, placeholders } = urls;
  const below = base !== "" && text.startsWith(`${base}/`) ? text.slice(base.length) : text;
  const path = below.split(/[?#]/, 1)[0] ?? "";
  if (path.startsWith(`${images2}/`)) return { image: path.slice(images2.length + 1) };
  if (path.startsWith(`${local}/`)) return { local: path.slice(local.length + 1) };
  if (path.startsWith(`${placeholders}/placeholder`))
    return { placeholder: path.slice(placeholders.length + 1) };
  return void 0;
}
var isOwnUrl = (urls, url) => urls.base !== "" && url.startsWith(`${urls.base}/`) && readOwnUrl(urls, url) !== void 0;
function artworkPathOf(urls, text) {
  const own = readOwnUrl(urls, text);
  if (own !== void 0) return "local" in own ? readArtworkPath(own.local) : void 0;
  return readArtworkPath(text.split(/[?#]/, 1)[0] ?? "");
}

// src/images/download.ts
function createDownload(parts) {
  const { settings } = parts;
  return {
    /** Whether an entity's image is of this URL; of one that was signed anew it is, for as long as its original is fresh. */
    isOf: (entry, url) => isOf(parts, entry, url),
    /** Tells the app's record of an entity's stored image. */
    tellRecord: ({ path, entry }) => saveRecord(parts, path, entry, entry.sourceUrl),
    /** Never throws: what went wrong is in `reason`. */
    download: async (request, signal) => {
      try {
        return await download(parts, request, signal);
      } catch (error) {
        const failure2 = asArtworkError(error);
        const level = failure2.code === "unknown" ? "error" : "info";
        settings.logger[level](
          { err: error, image: `${request.entityType}/${request.entityId}` },
          "artwork: a download failed"
        );
        return { status: "failed", reason: failure2.reason, repository: "none" };
      }
    }
  };
}
async function download(parts, request, signal) {
  const kind = parts.entityImages.kindOf(request.entityType);
  const paths = artworkPaths(kind, request.entityId, request.params);
  if (paths.length === 1) return downloadTo(parts, request, signal);
  const lease = await parts.store.lease(`path:${paths[0]}`, signal);
  try {
    return await downloadTo(parts, request, signal);
  } finally {
    lease.release();
  }
}
async function downloadTo(parts, request, signal) {
  const { store, entityImages, originals } = parts;
  const { sourceUrl, entityId, force = false, again = false, params } = request;
  const kind = entityImages.kindOf(request.entityType);
  const ownerId = entityIdText(entityId);
  if (sourceUrl === null || sourceUrl === void 0 || sourceUrl === "")
    throw new ArtworkError("no_url", "the entity has no image URL");
  const original = parts.resolver.resolveUrl(sourceUrl);
  for (const path2 of artworkPaths(kind, entityId, params)) await store.lookup(entityImageKey(path2));
  const path = entityImages.pathFor(kind, entityId, params);
  const target = {
    key: entityImageKey(path),
    role: "artwork",
    sourceUrl,
    ownerKind: kind.kind,
    ownerId
  };
  const before = store.find(target.key);
  if (!force && before?.isStored && isOf(parts, before, sourceUrl) && await store.check(before) === "whole") {
    const repository = again ? await saveRecord(parts, path, before, sourceUrl) : "none";
    return result(parts, "cached", path, before, repository);
  }
  if (force) await originals.refresh(original, true);
  const known = await originals.obtain(original, { signal });
  store.negativeCache.clear(target.key);
  const made = await parts.makeRendition(target, original, known, entityImages.recipeFor(kind), { signal });
  if (!made.entry.isStored) throw new ArtworkError("disk_write", "the image could not be kept");
  return result(parts, "downloaded", path, made.entry, await saveRecord(parts, path, made.entry, sourceUrl));
}
function isOf({ store, settings, presignedUrls }, { sourceUrl, original }, url) {
  if (sourceUrl === url) return true;
  const known = original === void 0 ? void 0 : store.find(original);
  const isFresh = known !== void 0 && freshnessOf(known, settings.freshness, settings.now()) === "fresh";
  return sourceUrl !== void 0 && presignedUrls.isSame(sourceUrl, url) && isFresh;
}
async function saveRecord({ settings: { repository, logger } }, path, { ownerKind, ownerId, width, height, digest }, sourceUrl) {
  if (repository?.saveImage === void 0) return "none";
  if (ownerKind === void 0 || ownerId === void 0 || sourceUrl === void 0) return "none";
  try {
    const image3 = { imageUrl: sourceUrl, imagePath: path, width, height, digest };
    return await repository.saveImage(ownerKind, ownerId, image3) === false ? "refused" : "saved";
  } catch (error) {
    logger.warn({ err: error, image: path }, "artwork: the repository refused a picture");
    return "refused";
  }
}
var result = ({ settings }, status, path, { width, height, size, digest }, repository) => ({
  status,
  localPath: path,
  url: entityImageUrl(settings.urls, path, digest),
  width,
  height,
  bytes: size,
  digest,
  repository
});

// src/model/recent.ts
function createRecent(most) {
  const known = /* @__PURE__ */ new Map();
  return {
    get: (key) => known.get(key),
    set: (key, value) => {
      known.delete(key);
      known.set(key, value);
      if (known.size <= most) return;
      const [oldest] = known.keys();
      if (oldest !== void 0) known.delete(oldest);
    }
  };
}

// src/images/fetch-original.ts
var MAX_INSPECTED = 2e3;
function kindOf2(entry) {
  const kind = kindOfType(entry.type);
  if (kind === void 0) throw new ArtworkError("unsupported", "this is not an image of a known format");
  return kind;
}
var isStrict = ({ freshness: freshness2 }, { source }) => freshness2.upstream === "strict" && source.cache === void 0;
function createFetchOriginal(parts) {
  const inspect2 = createInspections(parts);
  return {
    /** Whether a fetch, or a revalidation, of an original is running. */
    isRunning: (key, stored) => parts.singleFlight.has(flightKey(key, stored)),
    /**
     * Fetches an original, or revalidates the stored one. Failures are recorded, and thrown at once while they are active.
     * @param before what the caller knew of it, where that is not what is asked about
     * @throws ArtworkError any row that has to do with an upstream
     */
    revalidate: (original, stored, isForced, { signal, client } = {}, before = stored) => {
      const key = imageKey(original.text);
      return collapse(parts, { original, key, stored, before, isForced, client }, inspect2, signal);
    }
  };
}
var flightKey = (key, stored) => `${key}${stored === void 0 ? "" : "?"}`;
async function collapse(parts, task, inspect2, signal) {
  const { singleFlight, store } = parts;
  const { key, stored, isForced } = task;
  const flight = flightKey(key, stored);
  const joined = singleFlight.has(flight);
  const known = await singleFlight.run(
    flight,
    async (aborted) => {
      const lease = await store.lease(key, aborted);
      try {
        const mayBeThere = lease.waited || stored === void 0 && !isForced;
        const found = mayBeThere ? fetchedElsewhere(parts, task) : void 0;
        return found ?? await fetchOnce(parts, task, inspect2, aborted);
      } finally {
        lease.release();
      }
    },
    signal
  );
  const collapsed = joined || known.forward === void 0;
  return {
    ...known,
    forward: {
      why: stored === void 0 ? "miss" : "stale",
      status: collapsed ? void 0 : known.forward?.status,
      collapsed
    }
  };
}
function fetchedElsewhere({ store }, { key, before }) {
  const entry = store.find(key);
  const isNewer = before === void 0 || entry !== void 0 && entry.validatedAt > before.validatedAt;
  return entry?.isStored && isNewer ? { entry } : void 0;
}
async function fetchOnce(parts, task, inspect2, signal) {
  const { store, settings, fetcher, presignedUrls, events, run } = parts;
  const { original, key, stored, isForced } = task;
  const failure2 = store.negativeCache.get(key);
  if (!isForced && failure2 !== void 0 && isOriginalFailureActive(failure2, settings.now(), run))
    throw failureError(failure2, settings.now());
  const generation = store.generation();
  try {
    const request = await original.source.locate(original.address, parts.means);
    events.emit("upstream-request", {});
    const relative = stored === void 0 && !isForced ? presignedUrls.relative(request.url) : void 0;
    const response = await fetcher.fetch(request, stored ?? relative ?? {}, signal);
    const fetched2 = await takeRelative(parts, response, relative, request, signal);
    const known = await storeResponse(
      parts,
      fetched2,
      { ...task, url: request.url, signal, generation },
      inspect2
    );
    if (failure2 !== void 0) store.negativeCache.clear(key);
    presignedUrls.brought(request.url, known.entry);
    return known;
  } catch (error) {
    events.emit("operation-failed", {});
    const thrown = asArtworkError(error);
    const recorded = recordFailure(
      thrown,
      store.negativeCache.get(key),
      settings.now(),
      originalScope(thrown, run)
    );
    if (recorded !== void 0) store.negativeCache.set(key, recorded);
    throw error;
  }
}
async function takeRelative({ store, fetcher }, response, relative, request, signal) {
  if (response.outcome !== "not-modified" || relative === void 0) return response;
  const read2 = await store.read(relative);
  if (read2 === void 0) return fetcher.fetch(request, {}, signal);
  const { etag, lastModified } = relative;
  return { ...response, outcome: "image", bytes: read2.bytes, kind: kindOf2(relative), etag, lastModified };
}
async function storeResponse(parts, response, arrival, inspect2) {
  if (response.outcome === "not-modified") return notModified(parts, response, arrival);
  const { store, settings } = parts;
  const { original, stored, key } = arrival;
  const { bytes: bytes3, kind, etag, lastModified } = response;
  const storedAt = settings.now();
  const facts = { ...freshness(parts, response, arrival), etag, lastModified };
  original.source.verify?.(original.address, bytes3);
  const digest = digestOf(bytes3);
  const isTransient2 = isStrict(settings, original) && !response.storable;
  if (!isTransient2 && stored?.isStored && stored.digest === digest)
    return { entry: store.update(stored, facts), bytes: bytes3, ...answered(200) };
  const { width, height, traits } = await inspect2(digest, bytes3, kind, arrival);
  if (parts.noPicture({ digest, thumbhash: traits.preview?.thumbhash }))
    throw new ArtworkError("no_image", "the source has only a picture that stands for none");
  const about = { key, role: "original", type: typeOf(kind), width, height, traits };
  const entry = { ...about, storedAt, ...facts, sourceUrl: arrival.url };
  const unstored = { ...entry, digest, size: bytes3.length, isStored: false };
  if (isTransient2) {
    if (store.find(key) !== void 0) await store.delete(key);
    return { entry: unstored, bytes: bytes3, isTransient: isTransient2, ...answered(200) };
  }
  if (store.generation() !== arrival.generation)
    return { entry: unstored, bytes: bytes3, isPurged: true, ...answered(200) };
  return { entry: await store.write(entry, bytes3).catch(() => unstored), bytes: bytes3, ...answered(200) };
}
async function notModified(parts, response, arrival) {
  const { store, settings } = parts;
  const { original, stored, key } = arrival;
  if (stored === void 0)
    throw new ArtworkError("bad_answer", "the source answered a question that was not asked");
  const lifetime = freshness(parts, response, arrival);
  if (isStrict(settings, original) && !response.storable) {
    const read2 = await store.read(stored);
    await store.delete(key);
    if (read2 === void 0) throw new ArtworkError("bad_answer", "the source sent nothing");
    const entry = { ...stored, ...lifetime, isStored: false };
    return { entry, bytes: read2.bytes, isTransient: true, ...answered(304) };
  }
  const { etag, lastModified } = response;
  const validators = { ...etag && { etag }, ...lastModified && { lastModified } };
  return { entry: store.update(stored, { ...lifetime, ...validators }), ...answered(304) };
}
var answered = (status) => ({ forward: { why: "miss", status, collapsed: false } });
function freshness({ settings }, response, { original, stored }) {
  const rules = original.source.isLasting ? "immutable" : isStrict(settings, original) ? "strict" : "bounded";
  return freshnessAfter(response, rules, stored, { now: settings.now(), maxAge: settings.freshness.maxAge });
}
function createInspections({ settings, transformer }) {
  const known = createRecent(MAX_INSPECTED);
  const serial = createSerial();
  return (digest, bytes3, kind, { isForced, signal, client, url }) => serial.run(digest, async () => {
    const before = known.get(digest);
    if (before !== void 0 && "traits" in before) return before;
    if (!isForced && before !== void 0 && isFailureActive(before, settings.now()))
      throw failureError(before, settings.now());
    try {
      const found = await transformer.inspect(bytes3, kind, { signal, client, host: hostOf(url) });
      known.set(digest, found);
      return found;
    } catch (error) {
      const thrown = asArtworkError(error);
      const failure2 = recordFailure(thrown, before, settings.now());
      if (failure2 !== void 0 && isOfBytes(thrown)) known.set(digest, failure2);
      throw error;
    }
  });
}

// src/images/image.ts
var withForward = (forward) => forward === void 0 ? {} : { forward };

// src/images/recipes.ts
function createRecipes({ transform: transform2 }, run) {
  const text = (recipe, original) => recipeText(recipe, { kind: kindOf2(original), isRevised: original.traits?.isRevised ?? false }, transform2);
  const scope = (recipe, original) => `${original.digest} ${text(recipe, original)}`;
  return {
    text,
    scope,
    failureScope: (recipe, original, failure2) => [scope(recipe, original), originalScope(failure2, run)].filter(Boolean).join(" "),
    isCurrent: (entry, original, recipe) => {
      if (entry.madeFrom !== original.digest || entry.recipe === void 0) return false;
      const wanted = text(recipe, original);
      return entry.recipe === wanted || !original.isStored && isSameLook(entry.recipe, wanted);
    }
  };
}
async function readCurrent({ store, recipes }, key, original, recipe) {
  const entry = await store.lookup(key);
  if (entry === void 0 || !recipes.isCurrent(entry, original, recipe)) return void 0;
  const read2 = await store.read(entry);
  return read2 === void 0 ? void 0 : { entry, ...read2 };
}

// src/images/make-rendition.ts
var MAX_KNOWN = 5e3;
function createMakeRendition(parts) {
  const { singleFlight, store, recipes } = parts;
  const memory = { made: createRecent(MAX_KNOWN), failed: createRecent(MAX_KNOWN) };
  const serial = createSerial();
  return (target, original, known, recipe, options7 = {}) => {
    const scope = recipes.scope(recipe, known.entry);
    return singleFlight.run(
      `${target.key} ${scope}`,
      async (signal) => {
        const lease = await store.lease(target.key, signal);
        try {
          const made = lease.waited ? await readCurrent(parts, target.key, known.entry, recipe) : void 0;
          if (made !== void 0) return { ...made, original: known.entry };
          const task = { target, original, known, recipe, options: { ...options7, signal } };
          return await serial.run(scope, () => make(parts, memory, task));
        } finally {
          lease.release();
        }
      },
      options7.signal
    );
  };
}
async function make(parts, memory, task) {
  const { settings, store, recipes } = parts;
  const { target, known, recipe, original, options: options7 } = task;
  const now = settings.now();
  const failure2 = store.negativeCache.get(target.key);
  if (failure2 !== void 0 && isFailureActive(failure2, now, recipes.failureScope(recipe, known.entry, failure2)))
    throw failureError(failure2, now);
  const same = await copyOfSame(parts, memory, task);
  if (same !== void 0) return same;
  const before = target.role === "rendition" ? memory.failed.get(recipes.scope(recipe, known.entry)) : void 0;
  if (before !== void 0 && isFailureActive(before, settings.now()))
    throw failureError(before, settings.now());
  const generation = store.generation();
  const source = await parts.originals.bytes(original, known, options7);
  try {
    return await encodeAndStore(parts, memory, task, source, generation);
  } catch (error) {
    parts.events.emit("operation-failed", {});
    const thrown = asArtworkError(error);
    const scope = recipes.failureScope(recipe, source.entry, thrown);
    const recorded = recordFailure(thrown, failure2, settings.now(), scope);
    if (recorded !== void 0) {
      store.negativeCache.set(target.key, recorded);
      const { about: _about, ...plain2 } = recorded;
      if (isOfBytes(thrown)) memory.failed.set(recipes.scope(recipe, source.entry), plain2);
    }
    throw error;
  }
}
async function copyOfSame(parts, memory, { target, known, recipe }) {
  const { store, recipes } = parts;
  const original = known.entry;
  const key = memory.made.get(recipes.scope(recipe, original));
  const other = key === void 0 || key === target.key ? void 0 : store.find(key);
  if (other === void 0 || !original.isStored || !recipes.isCurrent(other, original, recipe))
    return void 0;
  const generation = store.generation();
  const read2 = await store.read(other);
  if (read2 === void 0) return void 0;
  const entry = newEntry(parts, target, other, original, other.recipe);
  const isStorable = store.generation() === generation;
  return { entry: await write(parts, entry, read2.bytes, isStorable), ...read2, original };
}
async function encodeAndStore(parts, memory, { target, recipe, options: options7 }, source, generation) {
  const { settings, store, transformer, recipes, events } = parts;
  events.emit("image-encode", {});
  const { entry: original, bytes: bytes3, isTransient: isTransient2 = false, isPurged = false, forward } = source;
  const kind = kindOf2(original);
  const complete = completeRecipe(recipe, kind, settings.transform);
  const made = await transformer.transform(bytes3, kind, complete, {
    ...options7,
    host: original.sourceUrl === void 0 ? void 0 : hostOf(original.sourceUrl),
    isAlone: options7.isUnsigned === true && complete.format === "avif"
  });
  const facts = { type: typeOf(made.format), width: made.width, height: made.height };
  const entry = newEntry(parts, target, facts, original, recipes.text(recipe, original));
  const isStorable = !isTransient2 && !isPurged && store.generation() === generation;
  const stored = await write(parts, entry, made.bytes, isStorable);
  if (isStorable) memory.made.set(recipes.scope(recipe, original), target.key);
  return {
    entry: stored,
    bytes: made.bytes,
    from: "upstream",
    original,
    isTransient: isTransient2,
    ...withForward(forward)
  };
}
function newEntry({ settings }, target, { type, width, height }, original, recipe) {
  const at2 = settings.now();
  const times2 = { storedAt: at2, validatedAt: at2, freshnessLifetime: 0 };
  return {
    ...target,
    type,
    width,
    height,
    ...times2,
    original: original.key,
    madeFrom: original.digest,
    recipe
  };
}
async function write({ store }, entry, bytes3, isStorable) {
  const unstored = { ...entry, digest: digestOf(bytes3), size: bytes3.length, isStored: false };
  return isStorable ? store.write(entry, bytes3).catch(() => unstored) : unstored;
}

// src/images/originals.ts
var WITHOUT_TRAITS = /* @__PURE__ */ new Set(["jpeg", "svg"]);
function forwardOf(why, thrown, collapsed = false) {
  const { isRecalled, code, upstreamStatus } = asArtworkError(thrown);
  if (isRecalled || code === "unavailable" || code === "not_held") return void 0;
  return { why, status: collapsed ? void 0 : upstreamStatus, collapsed };
}
var hasTraits = (entry) => entry.traits !== void 0 || WITHOUT_TRAITS.has(kindOf2(entry));
var MAX_ASKED = 1e4;
var notStored = () => {
  throw new ArtworkError("not_held", "the image is not held");
};
function createOriginals(parts) {
  const asked = createRecent(MAX_ASKED);
  return {
    /** The facts of an original, fetched where there are none. @throws ArtworkError */
    obtain: (original, options7 = {}) => obtain(parts, original, options7),
    /** An original whose facts are known with its bytes, fetched again where they are gone. @throws ArtworkError */
    bytes: (original, known, options7 = {}) => readBytes(parts, original, known, options7),
    /** An original with its traits: they are looked for where an earlier version, or an upload, left them out. */
    withTraits: async (original, known, options7 = {}) => {
      if (hasTraits(known.entry)) {
        addPreview(parts, asked, original, known);
        return known;
      }
      const found = await readBytes(parts, original, known, options7);
      const { traits } = await parts.transformer.inspect(found.bytes, kindOf2(found.entry), options7);
      return { ...found, entry: parts.store.update(found.entry, { traits }) };
    },
    /**
     * Asks upstream about an original now, whatever its age.
     * @param isWhole fetch it whole, even when it is stored
     */
    refresh: async (original, isWhole2 = false) => {
      const before = await find(parts, original);
      const { isLasting, isHosted } = original.source;
      if (before !== void 0 && isLasting && (before.isStored || isHosted))
        return { entry: before, changed: false };
      const stored = isWhole2 ? void 0 : before;
      const { entry } = await parts.fetchOriginal.revalidate(original, stored, true);
      return { entry, changed: before !== void 0 && before.digest !== entry.digest };
    },
    /** Whether what was made from an original may stand in for it, though it cannot be asked for any more. */
    mayStandIn: (original, error) => parts.store.find(imageKey(original.text)) === void 0 && !isStrict(parts.settings, original) && isUnreachable(asArtworkError(error))
  };
}
function addPreview(parts, asked, original, { entry }) {
  const kind = kindOf2(entry);
  if (entry.traits?.preview !== void 0 || kind === "svg" || !entry.isStored) return;
  if (asked.get(entry.digest) === true) return;
  asked.set(entry.digest, true);
  const later = { onlyIfCached: true, isBackground: true };
  readBytes(parts, original, { entry }, later).then(({ bytes: bytes3 }) => parts.transformer.inspect(bytes3, kind, later)).then(({ traits }) => {
    const now = parts.store.find(entry.key);
    if (now?.digest === entry.digest && traits.preview !== void 0) parts.store.update(now, { traits });
  }).catch(() => {
  });
}
async function find({ store }, original) {
  const key = imageKey(original.text);
  return store.find(key) ?? store.lookup(key);
}
async function obtain(parts, original, options7) {
  const { settings, events, fetchOriginal } = parts;
  const entry = await find(parts, original);
  if (entry === void 0) {
    if (original.source.isHosted) throw missingUpload(parts);
    return options7.onlyIfCached ? notStored() : fetchOriginal.revalidate(original, void 0, false, options7);
  }
  const freshness2 = freshnessOf(entry, settings.freshness, settings.now());
  if (freshness2 === "fresh") return { entry };
  if (freshness2 === "stale") {
    events.emit("original-stale", { address: original.text });
    return { entry };
  }
  const collapsed = fetchOriginal.isRunning(entry.key, entry);
  try {
    if (options7.onlyIfCached) return notStored();
    return await fetchOriginal.revalidate(original, entry, false, options7);
  } catch (error) {
    if (freshness2 === "overdue" && mayServeStale(entry, error))
      return { entry, ...withForward(forwardOf("stale", error, collapsed)) };
    if (entry.staleIfError !== void 0 && entry.isStored && isUnreachable(asArtworkError(error)))
      throw new ArtworkError("timeout", "the source could not be asked", { cause: error });
    throw error;
  }
}
function missingUpload({ areUploadsOpen }) {
  if (areUploadsOpen()) return new ArtworkError("unknown_image", "there is no such image");
  return new ArtworkError("unavailable", "uploads cannot be read", { retryAfter: 5 });
}
function mayServeStale(entry, error) {
  const failure2 = asArtworkError(error);
  return entry.staleIfError === void 0 ? failure2.code !== "cancelled" : isUnreachable(failure2);
}
async function readBytes({ store, fetchOriginal }, original, known, options7) {
  if (known.bytes !== void 0) return { ...known, bytes: known.bytes, from: "upstream" };
  const stored = await store.read(known.entry);
  if (stored !== void 0) {
    store.touch(known.entry.key);
    return { ...known, ...stored };
  }
  if (original.source.isHosted)
    throw new ArtworkError("unavailable", "the image cannot be read", { retryAfter: 60 });
  if (options7.onlyIfCached) return notStored();
  const again = await fetchOriginal.revalidate(original, void 0, false, options7, known.entry);
  if (again.bytes !== void 0) return { ...again, bytes: again.bytes, from: "upstream" };
  const fetched2 = await store.read(again.entry);
  if (fetched2 === void 0) throw new ArtworkError("bad_answer", "the source sent nothing");
  return { ...again, ...fetched2 };
}

// src/images/presigned-urls.ts
function createPresignedUrls({ store, means, resolver }) {
  const noteKey = (identity) => `signed/${digestOf(Buffer.from(identity)).slice(0, 32)}`;
  return {
    /** Whether two URLs are of one picture. */
    isSame: (one, other) => one === other || resolver.identityOf(one) === resolver.identityOf(other),
    /** What another signature of a URL brought, where upstream can be asked about it. */
    relative: (url) => {
      const identity = resolver.identityOf(url);
      const known = identity === url ? void 0 : means.notes.get(noteKey(identity));
      const entry = known === void 0 ? void 0 : store.find(known.value);
      const hasValidator = entry?.etag !== void 0 || entry?.lastModified !== void 0;
      return entry?.isStored === true && hasValidator ? entry : void 0;
    },
    /** Records what a signature has brought. */
    brought: (url, entry) => {
      const identity = resolver.identityOf(url);
      if (identity !== url && entry.isStored) means.notes.set(noteKey(identity), entry.key);
    }
  };
}

// src/model/job-kinds.ts
var JOB_KINDS = [
  "sync",
  "refresh",
  "validate",
  "warm",
  "cleanup",
  "verify",
  "export",
  "import"
];
var SCHEDULED_KINDS = JOB_KINDS.filter((kind) => kind !== "import");

// src/model/entity.ts
var PLACEHOLDERS = [
  "artist",
  "album",
  "playlist",
  "profile",
  "category",
  "artwork",
  "poster",
  "backdrop",
  "logo",
  "still"
];
var SQUARE = { width: 600, height: 600 };
var WIDE = { width: 960, height: 540 };
var PLACEHOLDER_BOXES = {
  "": SQUARE,
  artist: SQUARE,
  album: SQUARE,
  playlist: SQUARE,
  profile: SQUARE,
  category: { width: 600, height: 800 },
  artwork: WIDE,
  poster: { width: 600, height: 900 },
  backdrop: WIDE,
  logo: { width: 600, height: 300 },
  still: WIDE
};
var placeholderNamed = (name) => PLACEHOLDERS.find((one) => one === name) ?? "";
var PROVIDERS = ["spotify", "deezer", "tidal", "musicbrainz"];
var BUILT_IN_KINDS = {
  artist: { variant: "w300-h300" },
  album: { variant: "w500-h500" },
  playlist: { variant: "w400-h400" },
  track: { variant: "w500-h500", placeholder: "album" },
  profile: { variant: "w300-h300", alias: "streamer", path: "profiles/profile_avatar_{id}.jpg" },
  category: { variant: "w600-h800", plural: "categories", path: "categories/{slug}.jpg" },
  artwork: {
    variant: "w1280-h1280",
    ratio: "16/9",
    plural: "artwork",
    path: "artwork/profile_avatar_{streamer}/stream_{id}.jpg"
  }
};
var DEFAULT_PATH = "{plural}/{shard}/{id}.webp";
var KIND_NAME = /^[a-z][a-z0-9_]{0,63}$/;
var PATH_SHAPE = /^[a-z0-9_{}-]+(?:\/[A-Za-z0-9_{}-]+)*\.[a-z0-9]+$/;
var RESERVED2 = /* @__PURE__ */ new Set([
  ...JOB_KINDS,
  "stats",
  "jobs",
  "images",
  "purge",
  "explain",
  "events",
  "docs",
  "dashboard",
  "failures",
  "schedules",
  "pause",
  "resume"
]);
function settleKinds(declared) {
  const names = /* @__PURE__ */ new Set([...Object.keys(BUILT_IN_KINDS), ...Object.keys(declared)]);
  const kinds = [...names].map(
    (kind) => settleKind(kind, { ...BUILT_IN_KINDS[kind], ...withoutGaps(declared[kind]) })
  );
  const taken = /* @__PURE__ */ new Map();
  for (const { kind, alias } of kinds)
    for (const name of alias === void 0 ? [kind] : [kind, alias]) {
      const other = taken.get(name);
      if (RESERVED2.has(name))
        throw new TypeError(
          `entities.${kind} must not be named as a route of the management API, got ${JSON.stringify(name)}`
        );
      if (other !== void 0)
        throw new TypeError(
          `entities.${kind} and entities.${other} must not both be named ${JSON.stringify(name)}`
        );
      taken.set(name, kind);
    }
  return new Map(kinds.map((settled) => [settled.kind, settled]));
}
function withoutGaps(options7 = {}) {
  return Object.fromEntries(Object.entries(options7).filter(([, value]) => value !== void 0));
}
function settleKind(kind, options7) {
  const path = options7.path ?? DEFAULT_PATH;
  const extension = path.slice(path.lastIndexOf(".") + 1);
  const problem2 = (rule2, value) => new TypeError(`entities.${kind} ${rule2}, got ${JSON.stringify(value)}`);
  if (!KIND_NAME.test(kind)) throw problem2("must be named by lower-case letters, digits and _", kind);
  if (!PATH_SHAPE.test(path) || formatOfExtension(extension) === void 0)
    throw problem2(".path must be a relative template that ends in jpg, png, webp, gif or avif", path);
  if (!/\{(?:id|slug)\}/.test(path)) throw problem2(".path must hold {id} or {slug}", path);
  const ratio = options7.ratio === void 0 ? void 0 : readRatio(options7.ratio);
  if (options7.ratio !== void 0 && ratio === void 0)
    throw problem2('.ratio must be width by height, such as "2/3"', String(options7.ratio));
  const variant = options7.variant ?? "w500-h500";
  const placeholder = options7.placeholder ?? (PLACEHOLDERS.some((name) => name === kind) ? kind : "");
  return Object.freeze({
    kind,
    variant,
    box: boxOf(variant, ratio, placeholderNamed(placeholder)),
    plural: options7.plural ?? `${kind}s`,
    path,
    params: [...path.matchAll(/\{([a-z_]+)\}/g)].map(([, name = ""]) => name),
    fields: options7.fields ?? {},
    placeholder,
    alias: options7.alias,
    providers: options7.providers ?? PROVIDERS
  });
}
function readRatio(given) {
  const [, above, below = "1"] = /^\s*(\d{1,5}(?:\.\d{1,6})?)\s*(?:[/:]\s*(\d{1,5}(?:\.\d{1,6})?)\s*)?$/.exec(String(given)) ?? [];
  const ratio = Number(above) / Number(below);
  return Number.isFinite(ratio) && ratio > 0.01 && ratio < 100 ? ratio : void 0;
}
function boxOf(variant, ratio, placeholder) {
  const [, width, height] = /^w(\d+)(?:-h(\d+))?/.exec(variant) ?? [];
  const own = PLACEHOLDER_BOXES[placeholder];
  const wide2 = Number(width ?? own.width);
  if (ratio === void 0 && height !== void 0) return { width: wide2, height: Number(height) };
  return { width: wide2, height: Math.max(1, Math.round(wide2 / (ratio ?? own.width / own.height))) };
}
function placeholderFile(kind) {
  return kind?.placeholder ? `placeholder-${kind.placeholder}.svg` : "placeholder.svg";
}
function formatOfKind(kind) {
  const format2 = formatOfExtension(kind.path.slice(kind.path.lastIndexOf(".") + 1));
  if (format2 === void 0) throw new ArtworkError("invalid", "the entity kind has no known format");
  return format2;
}

// src/model/subject.ts
var URL_FIELDS = ["image_url", "imageUrl", "cover_url", "coverUrl"];
var PATH_FIELDS = ["image_path", "imagePath", "cover_path", "coverPath"];
function readSubject(given, kindName, kinds, kindOf3) {
  const named = kindName === void 0 || kindName === "" ? void 0 : kinds.get(kindName);
  const text = textOf(given);
  if (text !== void 0) {
    const isUrl = /^[a-z][a-z0-9+.-]*:/i.test(text) || text.startsWith("//");
    const nothing2 = { id: void 0, providerIds: [], params: {}, lacksPath: false };
    return {
      kind: named,
      kindName,
      sourceUrl: isUrl ? text : void 0,
      localPath: isUrl ? void 0 : text,
      ...nothing2
    };
  }
  const entity = typeof given === "object" && given !== null ? given : {};
  const field = (name) => fieldOf(entity, name);
  const kind = kindName ? named : (kindOf3 === void 0 ? void 0 : lookUp(kinds, kindByApp(kindOf3, entity))) ?? lookUp(kinds, field("entity_type")) ?? lookUp(kinds, field("type"));
  const first = (names) => {
    for (const name of names) {
      const text2 = textOf(field(name));
      if (text2 !== void 0) return text2;
    }
    return void 0;
  };
  const pathFields = kind?.fields.path === void 0 ? PATH_FIELDS : [kind.fields.path];
  const localPath = first(pathFields);
  return {
    kind,
    kindName,
    id: idOf(field("id")),
    providerIds: providerIdsOf(entity, kind),
    sourceUrl: first(kind?.fields.url === void 0 ? URL_FIELDS : [kind.fields.url]),
    localPath,
    lacksPath: localPath === void 0 && pathFields.some((name) => hasField(entity, name)),
    params: paramsOf(entity, kind)
  };
}
function paramsOf(entity, kind) {
  const found = {};
  for (const name of kind?.params ?? []) {
    const value = idOf(fieldOf(entity, name));
    if (value !== void 0) found[name] = value;
  }
  return found;
}
function kindByApp(kindOf3, entity) {
  try {
    const found = kindOf3(entity);
    if (found instanceof Promise) found.catch(() => {
    });
    return found;
  } catch {
    return void 0;
  }
}
var sourceKindsOf = ({
  kindName,
  kind
}) => [kindName, kind?.kind, kind?.placeholder].filter((name) => name !== void 0 && name !== "");
var lookUp = (kinds, name) => kinds.get(textOf(name) ?? "");
function providerIdsOf(entity, kind) {
  const listed3 = fieldOf(entity, "provider_ids") ?? fieldOf(entity, "providerIds");
  const table2 = typeof listed3 === "object" && listed3 !== null ? listed3 : {};
  const ids = [];
  for (const provider of kind?.providers ?? []) {
    const id = idOf(fieldOf(table2, provider)) ?? idOf(fieldOf(entity, `${provider}_id`)) ?? idOf(fieldOf(entity, `${provider}Id`));
    if (id !== void 0) ids.push(id);
  }
  return ids;
}

// src/images/references.ts
var isSvgByName = ({ address, source }) => /\.svgz?$/i.test(source.fileName?.(address) ?? address.id);
function orUndefined(look2) {
  try {
    return look2();
  } catch {
    return void 0;
  }
}
function createReferences({ settings, store, resolver, means, onMore }) {
  const { urls, sources } = settings;
  const isListed = (kind) => sources.some((source) => source.kinds.includes(kind) || source.owns?.(kind) === true);
  const ownPrint = (kind, id) => {
    for (const source of sources) {
      const printed = source.print?.(kind, id, means);
      if (printed === void 0) continue;
      onMore();
      return printed;
    }
    return void 0;
  };
  const answerable = (reference) => orUndefined(() => {
    const { kind, id } = reference;
    if (ownPrint(kind, id) !== void 0) return reference;
    const variant = reference.variant ?? resolver.sourceOf(kind).defaultVariant(kind);
    const { original } = resolver.resolve(makeAddress(kind, variant, id), true);
    const isThere = original.source.isHosted !== true || store.find(imageKey(original.text), "memory")?.isStored;
    return isThere ? reference : void 0;
  });
  const fromSegments = (segments) => {
    const [kind = "", first = "", ...rest] = segments;
    const id = [first, ...rest].join("/");
    if (first === "" || !(isListed(kind) || ownPrint(kind, id) !== void 0)) return void 0;
    const whole = answerable({ kind, id });
    return whole ?? (rest.length > 0 ? answerable({ kind, variant: first, id: rest.join("/") }) : void 0);
  };
  const fromImageUrl = (path) => {
    const [kind = "", second = "", ...rest] = pathSegments(path) ?? [];
    if (rest.length > 0) return answerable({ kind, variant: second, id: rest.join("/") });
    const isUpload2 = orUndefined(() => resolver.sourceOf(kind).isHosted) === true;
    return isUpload2 ? answerable({ kind, id: second, isShort: true }) : void 0;
  };
  const fromPath = (path, kinds) => {
    const id = path.replace(/^\//, "");
    for (const kind of id === "" || id.includes("/") ? [] : kinds) {
      const found = isListed(kind) ? answerable({ kind, id }) : void 0;
      if (found !== void 0) return found;
    }
    return void 0;
  };
  const read2 = (text, kinds = []) => {
    const own = readOwnUrl(urls, text);
    if (own !== void 0 && "image" in own) return fromImageUrl(own.image);
    if (isSoundUrl(text))
      return orUndefined(() => {
        const { kind, id, variant } = resolver.resolveUrl(text, kinds).address;
        return { kind, id, variant };
      });
    return fromSegments(text.split("/")) ?? fromPath(text, kinds);
  };
  return {
    ownPrint,
    /**
     * What a text refers to; undefined where that is nothing of ours.
     * @param kinds which it may be of where it does not say itself, best first
     */
    read: read2,
    /** A placeholder that we printed, as it is printed. */
    placeholder: (text) => {
      const own = readOwnUrl(urls, text);
      return own !== void 0 && "placeholder" in own ? placeholderUrl(urls, own.placeholder) : void 0;
    }
  };
}
function readTarget({ settings, store }, given) {
  if (typeof given !== "string") return { address: given };
  const own = readOwnUrl(settings.urls, given);
  if (own !== void 0 && "image" in own) return { address: decoded(own.image) };
  const isLocal = own !== void 0 && "local" in own;
  const bare = isLocal ? own.local : given.split(/[?#]/, 1)[0] ?? "";
  const kind = bare.split("/", 1)[0] ?? "";
  if (!isLocal && settings.sources.some((source) => source.kinds.includes(kind))) return { address: given };
  const path = readArtworkPath(bare);
  const local = path === void 0 ? void 0 : store.find(entityImageKey(path));
  if (local !== void 0) return { local };
  if (isLocal) throw new ArtworkError("unknown_image", "there is no such image");
  return { address: given };
}
var decoded = (text) => orUndefined(() => decodeURIComponent(text)) ?? text;

// src/images/display-url.ts
function createDisplayUrls(parts) {
  const { settings, references, presignedUrls } = parts;
  return {
    ...parts.printUrl,
    /** Candidates and original of an entity's own image. */
    entity: {
      candidates: parts.entitySizes.candidates,
      originalOf: parts.entitySizes.originalOf
    },
    display: (question) => display(parts, question).shown,
    /** The same, with what was found on the way. */
    show: (question) => display(parts, question),
    /** The local image that a question comes to, and its artwork path. */
    local: (question) => findLocal(parts, question),
    placeholder: (kind) => placeholderUrl(settings.urls, placeholderFile(kind)),
    /** Whether a text is a URL or an address of ours that answers, and no other's. */
    isOwn: (text) => {
      if (isWebUrl(text) && !isOwnUrl(settings.urls, text)) return false;
      return references.placeholder(text) !== void 0 || findByPath(parts, text) !== void 0 || references.read(text) !== void 0;
    },
    /**
     * The URL that an entity's own image came by, where its record has the same one signed anew, and the image is fresh: so
     * a page prints one URL of it. Never another entity's.
     */
    ownUrl: (question) => {
      const { id, sourceUrl } = question;
      if (id === void 0 || sourceUrl === void 0 || !sourceUrl.includes("?")) return void 0;
      const entry = findLocal(parts, question)?.entry;
      const known = entry?.sourceUrl;
      const isOwn = entry?.ownerId === String(id) && known !== void 0 && known !== sourceUrl;
      return isOwn && presignedUrls.isSame(known, sourceUrl) && !needsDownload(parts, entry, sourceUrl) ? known : void 0;
    }
  };
}
function display(parts, question) {
  const { urls } = parts.settings;
  const { kind, sourceUrl, localPath } = question;
  const requireLocal = question.requireLocal === true || parts.settings.display.requireLocal;
  const found = findLocal(parts, question);
  const isNone = found !== void 0 && standsForNone(parts, found.entry);
  const isOutdated = isNone && sourceUrl !== void 0 && needsDownload(parts, found.entry, sourceUrl);
  if (isNone && !isOutdated)
    return {
      shown: { url: placeholderUrl(urls, placeholderFile(kind)), from: "placeholder", wanted: false }
    };
  const local = isNone ? void 0 : found;
  if (local !== void 0) {
    const { path, entry } = local;
    const size = entry.width > 0 ? { width: entry.width, height: entry.height } : {};
    const wanted = sourceUrl !== void 0 && needsDownload(parts, entry, sourceUrl);
    return { shown: { url: entityImageUrl(urls, path, entry.digest), from: "local", ...size, wanted }, local };
  }
  const usable = sourceUrl !== void 0 && isSoundUrl(sourceUrl) ? sourceUrl : void 0;
  const isOther2 = usable !== void 0 && !isOwnUrl(urls, usable);
  const own = (localPath === void 0 ? void 0 : displayOwn(parts, localPath, question)) ?? (isOther2 || sourceUrl === void 0 ? void 0 : displayOwn(parts, sourceUrl, question));
  if (own !== void 0) return { shown: own };
  if (usable !== void 0) {
    const image3 = parts.printUrl.image(usable, sourceKindsOf(question));
    if (!requireLocal && image3?.failure() !== "upstream")
      return { shown: { url: usable, from: "source", wanted: isOther2 }, source: { text: usable, image: image3 } };
  }
  return {
    shown: { url: placeholderUrl(urls, placeholderFile(kind)), from: "placeholder", wanted: isOther2 }
  };
}
function standsForNone({ entitySizes, noPicture }, entry) {
  const thumbhash = entitySizes.originalOf(entry)?.traits?.preview?.thumbhash;
  return noPicture({ digest: entry.madeFrom ?? entry.digest, thumbhash });
}
function displayOwn({ references, printUrl }, text, question) {
  const placeholder = references.placeholder(text);
  if (placeholder !== void 0) return { url: placeholder, from: "placeholder", wanted: false };
  const url = printUrl.image(text, sourceKindsOf(question))?.url();
  return url === void 0 ? void 0 : { url, from: "local", wanted: false };
}
function findLocal(parts, question) {
  const { kind, id, providerIds = [], localPath, sourceUrl, params } = question;
  const named = localPath === void 0 ? void 0 : findByPath(parts, localPath);
  if (named !== void 0) return named;
  if (kind !== void 0)
    for (const own of id === void 0 ? providerIds : [id, ...providerIds]) {
      const found = orUndefined(() => parts.entityImages.peekEntity(kind, own, params));
      if (found !== void 0) return found;
    }
  const isOwn = sourceUrl !== void 0 && (!isWebUrl(sourceUrl) || isOwnUrl(parts.settings.urls, sourceUrl));
  return isOwn ? findByPath(parts, sourceUrl) : void 0;
}
function findByPath({ settings, entityImages }, text) {
  const path = artworkPathOf(settings.urls, text);
  const entry = path === void 0 ? void 0 : orUndefined(() => entityImages.peek(path));
  return path === void 0 || entry === void 0 ? void 0 : { path, entry };
}
function needsDownload({ settings, store, presignedUrls }, { sourceUrl, original }, url) {
  if (sourceUrl === void 0 || sourceUrl === url || !isSoundUrl(url)) return false;
  if (!presignedUrls.isSame(sourceUrl, url)) return true;
  const known = original === void 0 ? void 0 : store.find(original, "memory");
  return known !== void 0 && freshnessOf(known, settings.freshness, settings.now()) !== "fresh";
}

// src/images/entity-images.ts
function createEntityImages(parts) {
  const { settings, store, events } = parts;
  const kinds = createKinds(settings);
  const current = createCurrentCheck(parts, kinds);
  const checkAge = (entry) => {
    const original = entry.original === void 0 ? void 0 : store.find(entry.original, "memory");
    if (original === void 0) return;
    if (entry.madeFrom !== void 0 && !current(entry, original))
      events.emit("image-missing", { path: pathOfKey(entry.key) ?? "" });
    if (freshnessOf(original, settings.freshness, settings.now()) !== "fresh")
      events.emit("original-stale", { address: addressOfKey(original.key) ?? "" });
  };
  const findOwn = (kind, id, params, trust) => {
    const text = entityIdText(id);
    for (const path of artworkPaths(kind, id, params)) {
      const entry = store.find(entityImageKey(path), trust);
      if (entry?.isStored && isOwner(entry, kind.kind, text)) return { path, entry };
    }
    return void 0;
  };
  const use = (entry) => {
    store.touch(entry.key);
    checkAge(entry);
  };
  return {
    ...kinds,
    isCurrent: current,
    /** The path of an entity: the first of its choices that is free or its own already. */
    pathFor: (kind, id, params) => {
      const text = entityIdText(id);
      const paths = artworkPaths(kind, id, params);
      const free = paths.find((path) => {
        const entry = store.find(entityImageKey(path));
        return entry === void 0 || isOwner(entry, kind.kind, text);
      });
      return free ?? paths[paths.length - 1] ?? paths[0];
    },
    /** The entry under an artwork path whose bytes are stored, without I/O once warm. */
    peek: (path) => {
      const entry = store.find(entityImageKey(path), "memory");
      if (!entry?.isStored || entry.role !== "artwork") return void 0;
      use(entry);
      return entry;
    },
    /** An entity's image: by its own id, or by one of its providers'. Without I/O once warm. */
    peekEntity: (kind, id, params) => {
      const found = findOwn(kind, id, params, "memory");
      if (found !== void 0) use(found.entry);
      return found;
    },
    /** As `peekEntity`, asking the store: also for what another process has just made. @throws ArtworkError for a bad id */
    findEntity: (kind, id, params) => {
      entityIdText(id);
      try {
        return findOwn(kind, id, params);
      } catch {
        return void 0;
      }
    },
    /**
     * The image under an artwork path, from what is stored: never from the network.
     * @returns the image; the entry alone where its bytes are gone; undefined for an unknown path
     */
    get: async (path) => {
      const key = entityImageKey(path);
      let entry = await store.lookup(key);
      for (let digest = ""; entry !== void 0 && isOther(entry, digest); entry = store.find(key)) {
        const read2 = await store.read(entry);
        if (read2 !== void 0) {
          use(entry);
          const original = entry.original === void 0 ? void 0 : store.find(entry.original, "memory");
          return { entry, ...read2, ...original && { original } };
        }
        digest = entry.digest;
      }
      if (entry === void 0 || entry.role !== "artwork") return void 0;
      events.emit("image-missing", { path });
      return { ...entry, isStored: false };
    }
  };
}
var isOther = (entry, digest) => entry.role === "artwork" && entry.digest !== digest;
var isOwner = (entry, kind, id) => entry.ownerKind === kind && entry.ownerId === id;
function createKinds(settings) {
  const rules = { presets: settings.presets, encoding: settings.transform };
  const recipes = /* @__PURE__ */ new Map();
  return {
    /** @throws ArtworkError `invalid` (400) */
    kindOf: (name) => {
      const kind = settings.kinds.get(name);
      if (kind === void 0) throw new ArtworkError("invalid", "entity type is not known");
      return kind;
    },
    recipeFor: (kind) => {
      const known = recipes.get(kind.kind);
      if (known !== void 0) return known;
      const format2 = formatOfKind(kind);
      const recipe = {
        ...recipeOf(parseVariant(kind.variant, rules), rules),
        ...isFormat(format2) ? { format: format2 } : {}
      };
      recipes.set(kind.kind, recipe);
      return recipe;
    }
  };
}
function createCurrentCheck({ settings, recipes }, kinds) {
  const judged = /* @__PURE__ */ new WeakMap();
  return (entry, original) => {
    const before = judged.get(entry);
    if (before?.original === original) return before.isCurrent;
    const kind = entry.ownerKind === void 0 ? void 0 : settings.kinds.get(entry.ownerKind);
    const isKnown2 = !original.isStored || hasTraits(original);
    const isCurrent = kind === void 0 ? entry.madeFrom === original.digest : isKnown2 && recipes.isCurrent(entry, original, kinds.recipeFor(kind));
    judged.set(entry, { original, isCurrent });
    return isCurrent;
  };
}

// src/model/signature.ts
import { createHmac, timingSafeEqual } from "node:crypto";
var SIGNATURE = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;
var mac = (key, path, version, expires) => createHmac("sha256", key).update(`${path}
${version}
${expires}`).digest();
function signAddress(path, key, options7 = {}) {
  const [bare = "", query = ""] = path.split("?", 2);
  const params = new URLSearchParams(query);
  params.delete("s");
  if (options7.expires !== void 0) {
    const { expires } = options7;
    params.set(
      "expires",
      String(Math.floor(typeof expires === "number" ? expires : expires.getTime() / 1e3))
    );
  }
  const signature = mac(
    key,
    bare.replace(/^https?:\/\/[^/]+/i, ""),
    params.get("v") ?? "",
    params.get("expires") ?? ""
  );
  params.set("s", signature.toString("base64url"));
  return `${bare}?${params}`;
}
function signatureHolds(parts, keys, now) {
  const { paths, v = "", expires = "", s = "" } = parts;
  if (!SIGNATURE.test(s) || expires !== "" && !/^\d{1,12}$/.test(expires)) return false;
  const given = Buffer.from(s, "base64url");
  const expired = expires !== "" && Number(expires) * 1e3 <= now;
  const made = keys.flatMap((key) => paths.map((path) => timingSafeEqual(mac(key, path, v, expires), given)));
  return made.includes(true) && !expired;
}

// src/images/print-url.ts
function createPrintUrl(parts) {
  const image3 = (text, kinds = []) => orUndefined(() => prepare(parts, text, kinds));
  return {
    image: image3,
    /**
     * The URL under `/images` of an image in a variant, or undefined where it is not offered (an unknown host, or a size that
     * is neither listed nor signed), and where it is known not to be had.
     * @param text a source URL, an address text (`poster/abc.jpg`), or a URL that we printed
     * @param variant canonical text; left out: the size that `text` tells, else the usual one of its kind
     * @param kinds kinds of source that it may be of where it does not say itself, best first
     */
    imageUrl: (text, variant, kinds = []) => image3(text, kinds)?.url(variant)
  };
}
var srcsetOf = (candidates) => candidates.map(({ url, width }) => `${url} ${width}w`).join(", ");
var isOnlyAsItIs = ({ type, traits }) => wouldStop(kindOfType(type), traits);
function inOrder(widths) {
  const wanted = widths.map((width) => orUndefined(() => Number(width)) ?? 0).filter((width) => Number.isInteger(width) && width > 0 && width <= MAX_SIDE);
  return [...new Set(wanted)].sort((a, b) => a - b);
}
function widthsOfKind({
  settings: { widths, areWidthsDefault },
  resolver
}, kind) {
  if (!areWidthsDefault && widths.length > 0) return widths;
  const native = resolver.sourceOf(kind).nativeWidths(kind);
  const widest = Math.max(0, ...native);
  return areWidthsDefault ? [...native, ...widths.filter((width) => width > widest)] : native;
}
function prepare(parts, text, kinds) {
  const { settings, resolver, references } = parts;
  const reference = references.read(text, kinds);
  if (reference === void 0) return void 0;
  const { kind, id } = reference;
  const special = references.ownPrint(kind, id);
  if (special !== void 0 && "url" in special) {
    const url = settings.display.requireLocal ? void 0 : special.url;
    return {
      kind,
      url: () => url,
      candidates: () => [],
      failure: () => void 0,
      original: () => void 0,
      size: () => void 0,
      usualSize: void 0
    };
  }
  const source = resolver.sourceOf(kind);
  const isOneOriginal = source.nativeWidths(kind).length === 0;
  const base = special?.base ?? settings.urls.base;
  const printVariant = variantPrinter(parts, reference, { source, base, isOneOriginal });
  const printable = (variant) => {
    const found = orUndefined(() => printVariant(variant));
    if (found?.isSvg !== true || variant === void 0) return found;
    const bare = variant.replace(/-(?:auto|jpeg|png|gif|webp|avif)(?:-q\d+)?$/, "");
    const isNative = orUndefined(() => resolver.isNative(kind, bare)) === true;
    return orUndefined(() => printVariant(isNative ? bare : "original"));
  };
  const chosen = (variant) => variant ?? reference.variant ?? source.defaultVariant(kind);
  return {
    kind,
    url: (variant) => {
      const printed = printable(variant);
      return printed?.failure === void 0 ? printed?.url : void 0;
    },
    candidates: (format2, widths) => {
      const found = [];
      for (const width of widths === void 0 ? widthsOfKind(parts, kind) : inOrder(widths)) {
        const variant = format2 === void 0 ? `w${width}` : `w${width}-${format2}`;
        const printed = orUndefined(() => printVariant(variant));
        if (printed === void 0 || printed.failure !== void 0) continue;
        const { url, entry, isSvg: isSvg2 } = printed;
        if (isSvg2 || entry !== void 0 && isOnlyAsItIs(entry)) return [];
        const own = entry?.width || Number.POSITIVE_INFINITY;
        found.push({ url, width: Math.min(width, own) });
        if (width > own || width === own && isOneOriginal) break;
      }
      return found;
    },
    failure: (variant) => orUndefined(() => printVariant(variant))?.failure,
    original: (variant) => orUndefined(() => printVariant(variant))?.entry,
    usualSize: orUndefined(() => usualSize(source, kind, resolver.recipeOf(kind, chosen(void 0)))),
    size: (variant) => {
      const entry = orUndefined(() => printVariant(variant))?.entry;
      if (entry === void 0 || !(entry.width > 0)) return void 0;
      const recipe = resolver.recipeOf(kind, chosen(variant));
      return recipe === void 0 ? entry : outputSize(entry, { ...recipe, format: recipe.format ?? "jpeg" });
    }
  };
}
function usualSize(source, kind, recipe) {
  const ratio = source.ratioOf?.(kind);
  if (ratio === void 0) return void 0;
  const width = recipe?.width ?? (recipe?.height ?? USUAL_SIDE) * ratio;
  return { width: Math.round(width), height: Math.max(1, Math.round(width / ratio)) };
}
var USUAL_SIDE = 600;
function variantPrinter({ settings, store, resolver, knownFailures }, { kind, id, variant: own, isShort = false }, {
  source,
  base,
  isOneOriginal
}) {
  const isTrusted = settings.signing.keys.length > 0;
  let first;
  const known = /* @__PURE__ */ new Map();
  const about = (original) => {
    const before = known.get(original.text);
    if (before !== void 0) return before;
    const entry = store.find(imageKey(original.text), "memory");
    const isSvg2 = entry === void 0 ? isSvgByName(original) : kindOfType(entry.type) === "svg";
    const found = { entry, isSvg: isSvg2, failure: knownFailures.ofOriginal(original) };
    known.set(original.text, found);
    return found;
  };
  return (variant) => {
    const chosen = variant ?? own ?? source.defaultVariant(kind);
    let found = first;
    if (found === void 0) {
      const { original, address } = resolver.resolve(makeAddress(kind, chosen, id), isTrusted);
      found = { original, id: address.id };
      if (isOneOriginal) first = found;
    } else resolver.checkVariant(kind, chosen, isTrusted);
    source.precheck?.(chosen, id);
    const { entry, isSvg: isSvg2, failure: failure2 } = about(found.original);
    const path = isShort && variant === void 0 ? `${settings.urls.images}/${kind}/${id}` : printPath(settings, `${kind}/${chosen}/${found.id}`, entry?.isStored ? entry : void 0);
    return { url: base + path, entry, isSvg: isSvg2, failure: failure2 };
  };
}
function printPath({ urls, signing }, addressText, original) {
  const path = imagePath(urls, addressText);
  const versioned = original === void 0 ? path : `${path}?v=${versionOf(original.digest)}`;
  const [key] = signing.keys;
  return key === void 0 ? versioned : signAddress(versioned, key);
}

// src/images/entity-sizes.ts
function createEntitySizes(parts) {
  const { settings } = parts;
  const extensions = [...new Set([...settings.kinds.values()].map(({ path }) => path.replace(/^.*\./, "")))];
  return {
    /**
     * The image under the path of a size, made where its original is stored.
     * @returns undefined for a path that is none of a size, or of no image that is known
     * @throws ArtworkError `invalid` (400) for a width that is not offered, `unsupported` (415) for a format
     */
    get: async (path, options7) => {
      const sized = readSizedPath(path);
      if (sized === void 0) return void 0;
      const found = await findEntityImage(parts, sized.stem, extensions);
      const isOwn = (await parts.store.lookup(entityImageKey(path)))?.role === "artwork";
      if (found === void 0 || isOwn) return void 0;
      if (!settings.transform.formats.includes(sized.format))
        throw new ArtworkError("unsupported", "this image format is not allowed");
      if (sized.width > MAX_SIDE || settings.strict && !widthsOf(parts, found.entry).includes(sized.width))
        throw new ArtworkError("invalid", "this size is not offered for this type");
      const size = await obtain2(parts, found.entry, { ...sized, key: entityImageKey(path) }, options7);
      if (size === void 0) return { entityImage: found.entry, path: found.path };
      const { madeFrom = "", recipe } = size.entry;
      return { ...size, entityImage: found.entry, version: sizeVersion(madeFrom, cutOf(recipe)) };
    },
    /**
     * The widths of an entity's image that answer now, narrowest first, up to its original's own: those that are stored, and
     * all where the original is. None of what shows something else when it is made again. Without I/O once warm.
     * @param format undefined: the entity's own
     */
    candidates: (found, format2, widths) => orUndefined(() => candidatesOf(parts, found, format2, widths)) ?? [],
    /** The original of an entity's image, where it is known. Without I/O once warm. */
    originalOf: (entry) => originalOf(parts, entry)
  };
}
async function findEntityImage({ store, entityImages }, stem, extensions) {
  for (const extension of extensions) {
    const path = `${stem}.${extension}`;
    const entry = await store.lookup(entityImageKey(path));
    if (entry?.role !== "artwork") continue;
    entityImages.peek(path);
    return { path, entry };
  }
  return void 0;
}
var originalKeyOf = ({ original, madeFrom }) => madeFrom === void 0 ? void 0 : original;
function originalOf({ store }, entry) {
  const key = originalKeyOf(entry);
  return key === void 0 ? void 0 : store.find(key, "memory");
}
function widthsOf(parts, { original }) {
  const address = original === void 0 ? void 0 : addressOfKey(original);
  const kind = address?.split("/", 1)[0] ?? "";
  return orUndefined(() => widthsOfKind(parts, kind)) ?? parts.settings.widths;
}
function recipeIn({ entityImages }, { ownerKind }, width, format2) {
  const own = entityImages.recipeFor(entityImages.kindOf(ownerKind ?? ""));
  const isCut = own.fit === "cover" && own.width !== void 0 && own.height !== void 0;
  return {
    width,
    ...isCut && { height: Math.max(1, Math.round(width * (own.height ?? 1) / (own.width ?? 1))) },
    fit: isCut ? "cover" : "inside",
    enlarge: false,
    format: format2,
    ...own.presetQuality !== void 0 && { presetQuality: own.presetQuality }
  };
}
async function obtain2(parts, entityImage, { width, format: format2, key }, options7) {
  const { store, resolver, originals } = parts;
  const originalKey = originalKeyOf(entityImage);
  const address = originalKey === void 0 ? void 0 : addressOfKey(originalKey);
  const entry = originalKey === void 0 ? void 0 : await store.lookup(originalKey);
  if (address === void 0 || entry === void 0) return void 0;
  try {
    const original = resolver.originalOf(parseAddress(address));
    const recipe = recipeIn(parts, entityImage, width, format2);
    const asStored = { ...options7, onlyIfCached: true };
    const known = entry.isStored ? await originals.withTraits(original, { entry }, asStored) : { entry };
    const stored = await readCurrent(parts, key, known.entry, recipe);
    if (stored !== void 0) {
      store.touch(key);
      return { ...stored, original: known.entry };
    }
    if (!known.entry.isStored) return void 0;
    const isUnsigned = parts.settings.strict && original.source.freeFormats !== void 0;
    const asked = { ...asStored, isUnsigned };
    return await parts.makeRendition({ key, role: "rendition" }, original, known, recipe, asked);
  } catch (error) {
    if (asArtworkError(error).code === "cancelled") throw error;
    return void 0;
  }
}
function candidatesOf(parts, { path, entry }, wanted, widths = widthsOf(parts, entry)) {
  const { settings, store, recipes } = parts;
  const original = originalOf(parts, entry);
  if (original === void 0 || !(original.width > 0) || entry.ownerKind === void 0) return [];
  const kind = kindOfType(original.type);
  const own = formatOfKind(parts.entityImages.kindOf(entry.ownerKind));
  const format2 = wanted ?? own;
  if (!isFormat(format2) || !settings.transform.formats.includes(format2) || wouldStop(kind, original.traits))
    return [];
  const stem = stemOf(path);
  const offered = widthsOf(parts, entry);
  const found = [];
  for (const width of widths) {
    if (settings.strict && !offered.includes(width)) continue;
    const recipe = recipeIn(parts, entry, width, format2);
    const sized = sizedPath(stem, width, format2);
    if (!original.isStored) {
      const stored = store.find(entityImageKey(sized), "memory");
      if (stored?.isStored !== true || !recipes.isCurrent(stored, original, recipe)) continue;
    }
    const size = outputSize(original, { ...recipe, format: format2 });
    const cut = recipe.fit === "cover" ? cutOf(recipes.text(recipe, original)) : void 0;
    const version = sizeVersion(original.digest, cut);
    found.push({ url: entityImageUrl(settings.urls, sized, version), width: size.width });
    if (size.width < width) break;
  }
  return found;
}

// src/images/known-failures.ts
function createKnownFailures(parts) {
  const { settings, store, run, noPicture } = parts;
  const failureOf2 = ({ text }) => {
    const key = imageKey(text);
    const entry = store.find(key, "memory");
    if (entry !== void 0)
      return noPicture({ digest: entry.digest, thumbhash: entry.traits?.preview?.thumbhash }) ? "upstream" : void 0;
    const failure2 = store.negativeCache.get(key, "memory");
    if (failure2 === void 0 || !isOriginalFailureActive(failure2, settings.now(), run)) return void 0;
    return isUpstreamFailure(failure2) ? "upstream" : "ours";
  };
  return {
    /** Of an original. */
    ofOriginal: failureOf2
  };
}

// src/images/read-trace.ts
function createReadTrace(store) {
  let keys;
  let isWhole2 = true;
  const note = (key) => {
    if (keys !== void 0 && !keys.includes(key)) keys.push(key);
  };
  const traced = {
    ...store,
    find: (key, trust) => {
      note(key);
      return store.find(key, trust);
    },
    negativeCache: {
      ...store.negativeCache,
      get: (key, trust) => {
        note(key);
        return store.negativeCache.get(key, trust);
      }
    }
  };
  return {
    store: traced,
    /** What is being asked depends on something that no key tells of. */
    isMore: () => {
      isWhole2 = false;
    },
    /** Asks, and notes. A question within another counts for both. */
    run: (ask) => {
      const [outerKeys, wasWhole] = [keys, isWhole2];
      const own = [];
      keys = own;
      isWhole2 = true;
      try {
        const value = ask();
        return { value, keys: isWhole2 ? own : void 0 };
      } finally {
        keys = outerKeys;
        for (const key of own) note(key);
        isWhole2 = wasWhole && isWhole2;
      }
    }
  };
}

// src/images/printing.ts
function createPrinting(parts) {
  const trace = createReadTrace(parts.store);
  const noted = { ...parts, store: trace.store };
  const entityImages = createEntityImages(noted);
  const references = createReferences({ ...noted, onMore: trace.isMore });
  const knownFailures = createKnownFailures(noted);
  const printUrl = createPrintUrl({ ...noted, references, knownFailures });
  const entitySizes = createEntitySizes({ ...noted, entityImages });
  const display2 = createDisplayUrls({
    ...noted,
    entityImages,
    entitySizes,
    references,
    printUrl,
    knownFailures
  });
  return { entityImages, entitySizes, display: display2, trace };
}

// src/images/purge.ts
import { setTimeout as sleep } from "node:timers/promises";

// src/model/tags.ts
import { createHash as createHash3 } from "node:crypto";
function imageTag(name) {
  const [, kind = "", , ...id] = name.split("/");
  const hash = createHash3("sha256").update(`${kind}/${id.join("/")}`).digest("hex");
  return `image-${hash.slice(0, 16)}`;
}
var safe = (text) => text.replace(/[^A-Za-z0-9._:-]/g, "_");
function tagsOf(entry, original) {
  const origin = entry.role === "original" ? entry.key : entry.original;
  const kind = /^images\/([^/]+)\//.exec(origin ?? entry.key)?.[1];
  const url = original?.sourceUrl ?? entry.sourceUrl;
  const host = url === void 0 ? void 0 : hostOf(url);
  const { ownerKind, ownerId } = entry;
  return [
    ...kind === void 0 ? [] : [`kind-${safe(kind)}`],
    ...host === void 0 ? [] : [`host-${safe(host)}`],
    ...ownerKind === void 0 ? [] : [`entity-${ownerKind}`],
    ...ownerKind === void 0 || ownerId === void 0 ? [] : [`entity-${ownerKind}-${safe(ownerId)}`],
    ...origin === void 0 ? [] : [imageTag(origin)]
  ];
}

// src/store/pager.ts
import { setImmediate as yieldToEventLoop } from "node:timers/promises";
var PAGE_SIZE = 200;
async function* entries(store, filter, pageSize = PAGE_SIZE) {
  for (let after2; ; ) {
    const page3 = store.select({ ...filter, limit: pageSize, ...after2 !== void 0 && { after: after2 } });
    yield* page3;
    const last = page3.at(-1);
    if (last === void 0 || page3.length < pageSize) return;
    after2 = last.key;
    await yieldToEventLoop();
  }
}

// src/images/purge.ts
var BATCH = 500;
var WRITES_END_WITHIN = 30;
function createPurge(parts) {
  const { settings } = parts;
  return {
    /** Deletes a key and everything that was made from it. */
    removeTree: (key) => removeTree(parts, key, false),
    /**
     * Takes images away with every rendition, memory included, and tells `onPurge`. An address may be a URL that we
     * printed, or an artwork path: then every picture of its entity goes, originals included.
     * @throws ArtworkError `invalid` (400), `refused` (403) or `unknown_image` (404) for a target that nothing has
     */
    purge: async (target) => {
      const own = "url" in target && isOwnUrl(settings.urls, target.url) ? target.url : void 0;
      const named = own ?? ("address" in target ? target.address : void 0);
      if (named === void 0) return purge(parts, target);
      const found = readTarget(parts, named);
      if ("address" in found) return purge(parts, found);
      const { key, original, ownerKind: kind, ownerId: id } = found.local;
      if (kind !== void 0 && id !== void 0) return purge(parts, { entity: { kind, id } });
      if (original !== void 0) return purge(parts, { address: addressOfKey(original) ?? "" });
      return { removed: (await removeTree(parts, key, true)).length, urls: [], tags: [] };
    }
  };
}
async function purge(parts, target) {
  const { settings, store } = parts;
  store.advanceGeneration();
  const { roots, tags } = await find2(parts, target);
  const gone = [];
  for (const root of roots) gone.push(...await removeTree(parts, root, true));
  await sleep(WRITES_END_WITHIN);
  for (const root of roots) gone.push(...await removeTree(parts, root, true));
  const purged2 = {
    removed: gone.length,
    urls: [...new Set(gone.flatMap((entry) => allUrls(settings.urls, entry)))],
    tags: [...new Set(tags)]
  };
  try {
    await settings.onPurge?.(purged2.urls, purged2.tags);
  } catch (error) {
    settings.logger.error({ err: error, tags: purged2.tags }, "artwork: onPurge failed");
  }
  return purged2;
}
async function removeTree(parts, key, isPurge) {
  const { store } = parts;
  const gone = [];
  const remove = async (entry) => {
    if (entry !== void 0 && await store.delete(entry.key)) gone.push(entry);
  };
  for (let before = -1; gone.length > before; ) {
    before = gone.length;
    for (const entry of store.select({ original: key, limit: BATCH })) await remove(entry);
  }
  store.negativeCache.clear(key);
  if (!isPurge || !isUpload(parts, key)) await remove(await store.lookup(key));
  return gone;
}
function isUpload({ resolver }, key) {
  const kind = addressOfKey(key)?.split("/")[0];
  return kind !== void 0 && orUndefined(() => resolver.sourceOf(kind).isHosted) === true;
}
async function find2(parts, target) {
  if ("address" in target || "url" in target) return findPicture(parts, target);
  if ("tag" in target) return findTagged(parts, target.tag);
  return findEntity(parts, target.entity);
}
function findPicture({ resolver }, target) {
  const { address, source, text } = "url" in target ? resolver.resolveUrl(target.url) : resolver.resolve(toAddress(target.address), true).original;
  const keys = source.originalsOf(address, "url" in target).map((one) => imageKey(formatAddress(one)));
  return { roots: new Set(keys), tags: [imageTag(imageKey(text)), ...keys.map(imageTag)] };
}
async function findTagged({ store }, tag) {
  const [, ownerKind] = /^entity-([a-z0-9_]+)/.exec(tag) ?? [];
  const roots = /* @__PURE__ */ new Set();
  for await (const entry of entries(store, ownerKind === void 0 ? {} : { ownerKind }, BATCH))
    if (tagsOf(entry).includes(tag)) roots.add(entry.original ?? entry.key).add(entry.key);
  return { roots, tags: [tag] };
}
async function findEntity({ store, entityImages }, { kind, id }) {
  const text = entityIdText(id);
  const entityKind2 = entityImages.kindOf(kind);
  const paths = orUndefined(() => artworkPaths(entityKind2, id)) ?? [];
  for (const path of paths) await store.lookup(entityImageKey(path));
  const roots = /* @__PURE__ */ new Set();
  for await (const entry of entries(store, { ownerKind: kind }, BATCH))
    if (entry.ownerKind === kind && entry.ownerId === text)
      roots.add(entry.original ?? entry.key).add(entry.key);
  const images2 = [...roots].filter((key) => addressOfKey(key) !== void 0);
  return { roots, tags: [`entity-${kind}-${text}`, ...images2.map(imageTag)] };
}

// src/images/regenerate.ts
var MAX_BATCH = 1e3;
function createRegenerate(parts) {
  const { settings, store } = parts;
  return {
    /** After an original changed: entities' images, and what was used lately; the rest is made when it is asked for. */
    after: async (original) => {
      const recent = settings.now() - settings.freshness.maxAge;
      for (const entry of store.select({ original: original.key, limit: MAX_BATCH })) {
        if (entry.madeFrom === original.digest) continue;
        try {
          if (entry.role === "artwork") await remake(parts, entry);
          else if ((store.lastUsed(entry.key) ?? 0) >= recent) await renderAgain(parts, entry);
        } catch (error) {
          settings.logger.warn({ err: error, image: entry.key }, "artwork: a picture could not be made again");
        }
      }
    },
    /** An entity's image whose bytes are missing, or that would be another one now. @throws ArtworkError */
    repair: async (path) => {
      const entry = store.find(entityImageKey(path));
      if (entry !== void 0) await remake(parts, entry);
    }
  };
}
async function renderAgain({ render, entitySizes }, { key }) {
  const path = pathOfKey(key);
  if (path === void 0) await render(addressOfKey(key) ?? "");
  else await entitySizes.get(path, { isBackground: true });
}
async function remake(parts, entry) {
  const { originals, entityImages, resolver } = parts;
  const { key, sourceUrl, ownerKind, ownerId } = entry;
  const address = entry.original === void 0 ? void 0 : addressOfKey(entry.original);
  if (address === void 0 || ownerKind === void 0)
    throw new ArtworkError("unknown_image", "there is no such image");
  const original = resolver.originalOf(parseAddress(address));
  const target = {
    key,
    role: "artwork",
    ownerKind,
    ...sourceUrl !== void 0 && { sourceUrl },
    ...ownerId !== void 0 && { ownerId }
  };
  const known = await originals.withTraits(original, await originals.obtain(original));
  if (entry.isStored && entityImages.isCurrent(entry, known.entry)) return;
  const recipe = entityImages.recipeFor(entityImages.kindOf(ownerKind));
  const made = await parts.makeRendition(target, original, known, recipe);
  if (made.entry.isStored && made.entry.digest !== entry.digest)
    await saveRecord(parts, pathOfKey(key) ?? "", made.entry, sourceUrl);
}

// src/images/renditions.ts
function createRenditions(parts) {
  const { settings, store, recipes } = parts;
  return {
    /** The rendition of an address as it stands: stored and current, or `failed` while a failure is active. */
    peek: (addressText, original, recipe) => {
      const key = imageKey(addressText);
      const entry = store.find(key);
      if (entry?.isStored && recipes.isCurrent(entry, original, recipe)) return entry;
      const failure2 = store.negativeCache.get(key);
      if (failure2 === void 0) return void 0;
      const scope = recipes.failureScope(recipe, original, failure2);
      return isFailureActive(failure2, settings.now(), scope) ? "failed" : void 0;
    },
    /**
     * The rendition of an address, made where it is not stored or its original has changed.
     * @param given the original, where the caller has asked for it already
     * @throws ArtworkError
     */
    obtain: async (addressText, original, recipe, options7, given) => {
      const key = imageKey(addressText);
      const entry = store.find(key) ?? await store.lookup(key);
      let known;
      try {
        known = await knownOriginal(parts, original, options7, given);
      } catch (error) {
        if (entry === void 0 || options7.onlyIfCached) throw error;
        return await standIn(parts, original, entry, error);
      }
      if (options7.passesSvg && kindOf2(known.entry) === "svg" && !isSvgByName(original))
        return asItIs(parts, original, known, options7);
      const stored = await readCurrent(parts, key, known.entry, recipe);
      if (stored !== void 0) {
        store.touch(key);
        return { ...stored, original: known.entry, ...withForward(known.forward) };
      }
      if (options7.onlyIfCached && !known.entry.isStored)
        throw new ArtworkError("not_held", "the image is not held");
      const made = await parts.makeRendition({ key, role: "rendition" }, original, known, recipe, options7);
      return { ...made, ...withForward(made.forward ?? known.forward) };
    }
  };
}
async function knownOriginal({ originals }, original, options7, given) {
  const known = given ?? await originals.obtain(original, options7);
  return known.entry.isStored ? originals.withTraits(original, known, options7) : known;
}
async function standIn({ store, originals }, original, entry, error) {
  const copy2 = originals.mayStandIn(original, error) ? await store.read(entry) : void 0;
  if (copy2 === void 0) throw error;
  return { entry, ...copy2, ...withForward(forwardOf("miss", error)) };
}
async function asItIs({ originals }, original, known, options7) {
  const { entry, bytes: bytes3, from, forward } = await originals.bytes(original, known, options7);
  return { entry, bytes: bytes3, from, original: entry, ...withForward(forward ?? known.forward) };
}

// src/images/resolve.ts
var MAX_KNOWN2 = 5e3;
var LONGEST_KEY = 512;
var MAX_VARIANTS = 2e3;
function createRules(settings) {
  const rules = { presets: settings.presets, encoding: settings.transform };
  const sources = new Map(
    settings.sources.flatMap((source) => source.kinds.map((kind) => [kind, source]))
  );
  const sourceOf = (kind) => {
    const source = sources.get(kind) ?? settings.sources.find((one) => one.owns?.(kind));
    if (source === void 0) throw new ArtworkError("invalid", "image type is not known");
    return source;
  };
  const isListed = (source, kind, variant) => {
    if (variant.quality !== void 0) return false;
    const { format: format2 } = variant;
    if (format2 !== void 0 && source.freeFormats?.(variant).includes(format2) === false) return false;
    if (Object.hasOwn(settings.presets, variant.base) || source.isNative(kind, variant)) return true;
    const { width, height, cover } = variant;
    return width !== void 0 && height === void 0 && !cover && settings.widths.includes(width);
  };
  const known = /* @__PURE__ */ new Map();
  const refuse4 = ({ noun = "size" }) => {
    throw new ArtworkError("invalid", `this ${noun} is not offered for this type`);
  };
  const variantOf = (source, text) => {
    try {
      return parseVariant(text, rules);
    } catch (error) {
      if (source.noun === void 0) throw error;
      throw new ArtworkError("invalid", `this ${source.noun} is not known`);
    }
  };
  const offered = (source, kind, text, trusted) => {
    const key = `${trusted ? "+" : "-"}${kind}/${text}`;
    const before = known.get(key);
    if (before !== void 0) return before;
    const variant = variantOf(source, text);
    if (settings.strict && !trusted && !isListed(source, kind, variant)) refuse4(source);
    const { format: format2 } = variant;
    if (format2 !== void 0 && format2 !== "auto" && !settings.transform.formats.includes(format2))
      throw new ArtworkError("unsupported", "this image format is not allowed");
    const found = { variant, recipe: recipeOf(variant, rules) };
    if (known.size >= MAX_VARIANTS) known.clear();
    known.set(key, found);
    return found;
  };
  return { rules, sourceOf, variantOf, offered };
}
function createResolver(settings) {
  const { rules, sourceOf, variantOf, offered } = createRules(settings);
  const claimed = createRecent(MAX_KNOWN2);
  const known = /* @__PURE__ */ new Map();
  const remember = (key, resolved2) => {
    if (known.size >= MAX_KNOWN2) known.clear();
    if (key.length <= LONGEST_KEY) known.set(key, resolved2);
    return resolved2;
  };
  return {
    sourceOf,
    /**
     * Checks an address. Costs no I/O.
     * @param trusted whether a signature, or our own code, allows any variant
     * @throws ArtworkError `invalid` (400), `refused` (403), `unsupported` (415)
     */
    resolve: (address, trusted) => {
      const key = `${trusted ? "+" : "-"}${formatAddress(address)}`;
      const before = known.get(key);
      if (before !== void 0) return before;
      const source = sourceOf(address.kind);
      const { variant, recipe } = offered(source, address.kind, address.variant, trusted);
      const checked2 = source.check({ address, variant, recipe });
      const text = formatAddress(checked2.original);
      const isOriginal = formatAddress(checked2.address) === text;
      return remember(key, {
        address: checked2.address,
        original: { address: checked2.original, text, source },
        variant,
        isUnsigned: !trusted && settings.strict && source.freeFormats !== void 0,
        recipe: isOriginal || isAsFetched(variant) ? void 0 : recipe
      });
    },
    /** Whether a variant of a kind is answered, of a picture that is. @throws ArtworkError as `resolve` does */
    checkVariant: (kind, variant, trusted) => void offered(sourceOf(kind), kind, variant, trusted),
    /** What is done for a variant, `auto` in the source's own family; undefined where that is nothing. */
    recipeOf: (kind, text) => {
      const { variant, recipe } = offered(sourceOf(kind), kind, text, true);
      return isAsFetched(settleAuto(variant, void 0)) ? void 0 : recipe;
    },
    /** Media type of an `auto` variant for who asks for nothing modern: its preset's, else that of the original. */
    plainTypeOf: (resolved2, originalType) => {
      const { format: format2 } = recipeOf(settleAuto(resolved2.variant, void 0), rules);
      return format2 === void 0 ? originalType : typeOf(format2);
    },
    /** An address in this format, or in the source's own family. */
    settle: (resolved2, format2) => {
      const variant = settleAuto(resolved2.variant, format2);
      const name = formatVariant(variant, rules);
      return {
        ...resolved2,
        address: { ...resolved2.address, variant: name },
        variant,
        recipe: name === resolved2.original.address.variant ? void 0 : recipeOf(variant, rules)
      };
    },
    /** What has to be done for an address in this format. */
    recipeIn: (resolved2, format2) => recipeOf(settleAuto(resolved2.variant, format2), rules),
    /** The original of an address, as it is. */
    asFetched: (resolved2) => ({
      ...resolved2,
      address: resolved2.original.address,
      variant: settleAuto(resolved2.variant, void 0),
      recipe: void 0
    }),
    /** What of a URL is the picture: two URLs with the same are one. Never throws. */
    identityOf: (sourceUrl) => {
      if (!sourceUrl.includes("?") || !URL.canParse(sourceUrl)) return sourceUrl;
      const url = new URL(sourceUrl);
      const found = settings.sources.map((source) => source.identityOf?.(url)).find((one) => one !== void 0);
      return found === void 0 || found === url.href ? sourceUrl : found;
    },
    /** Whether a variant is a native size of a kind. @throws ArtworkError `invalid` (400) */
    isNative: (kind, variant) => {
      const source = sourceOf(kind);
      return source.isNative(kind, variantOf(source, variant));
    },
    /**
     * The original behind a URL that an app keeps.
     * @param kinds which it may be of where the URL does not say, best first
     * @throws ArtworkError `invalid` (400), `refused` (403)
     */
    resolveUrl: (sourceUrl, kinds = []) => {
      const key = kinds.length === 0 ? sourceUrl : `${sourceUrl}
${kinds.join()}`;
      const before = claimed.get(key);
      if (before !== void 0) return before;
      const url = readWebUrl(sourceUrl);
      for (const source of settings.sources) {
        const address = source.claim(url, kinds);
        if (address === void 0) continue;
        const original = { address, text: formatAddress(address), source };
        if (key.length <= LONGEST_KEY) claimed.set(key, original);
        return original;
      }
      throw new ArtworkError("refused", "this host is not allowed");
    },
    /** The original of an address text that was resolved before. */
    originalOf: (address) => ({
      address,
      text: formatAddress(address),
      source: sourceOf(address.kind)
    })
  };
}

// src/images/serve.ts
function serve(parts, resolved2, options7) {
  return resolved2.variant.format === "auto" ? serveAuto(parts, resolved2, options7) : serveOne(parts, resolved2, options7);
}
async function serveOne(parts, resolved2, options7, given) {
  const image3 = await obtain3(parts, resolved2, options7, given);
  parts.events.emit("image-served", { from: image3.from });
  return image3;
}
async function obtain3({ settings, originals, renditions }, { address, original, variant, recipe, isUnsigned }, options7, given) {
  if (recipe === void 0) {
    const known = given ?? await originals.obtain(original, options7);
    const image3 = await originals.bytes(original, known, options7);
    return { ...image3, ...withForward(image3.forward ?? known.forward), original: image3.entry };
  }
  const passesSvg = !Object.hasOwn(settings.presets, variant.base);
  const asked = { ...options7, passesSvg, isUnsigned };
  return renditions.obtain(formatAddress(address), original, recipe, asked, given);
}
async function serveAuto(parts, resolved2, options7) {
  const { originals, autoFormats } = parts;
  const known = await originals.withTraits(
    resolved2.original,
    await originals.obtain(resolved2.original, options7),
    options7
  );
  await autoFormats.prepare(resolved2);
  const { resolved: chosen, negotiation, late: late2 } = autoFormats.choose(resolved2, known.entry, options7.accept);
  if (late2 !== void 0 && !known.isTransient)
    void serveOne(parts, late2, { onlyIfCached: true, isBackground: true }).then((avif) => autoFormats.compare(resolved2, known.entry, avif.entry)).catch(() => {
    });
  const image3 = await serveOne(parts, chosen, options7, known);
  return {
    ...image3,
    ...withForward(known.forward ?? image3.forward),
    negotiation,
    ...late2 !== void 0 && { isInterim: true }
  };
}

// src/images/images.ts
var DOUBTED_AFTER_MS = 6e4;
function createImages(settings, ports) {
  const singleFlight = createSingleFlight();
  const resolver = createResolver(settings);
  const recipes = createRecipes(settings, ports.run);
  const noPicture = readNoPicture(settings.noPicture);
  const base = { ...ports, settings, singleFlight, resolver, recipes, noPicture };
  const presignedUrls = createPresignedUrls(base);
  const fetchOriginal = createFetchOriginal({ ...base, presignedUrls });
  const originals = createOriginals({ ...base, fetchOriginal });
  const makeRendition = createMakeRendition({ ...base, originals });
  const renditions = createRenditions({ ...base, originals, makeRendition });
  const autoFormats = createAutoFormats({ ...base, renditions });
  const { display: display2, entityImages, entitySizes, trace } = createPrinting({
    ...base,
    originals,
    makeRendition,
    presignedUrls
  });
  const { purge: purge2, removeTree: removeTree2 } = createPurge({ ...base, entityImages });
  const parts = { ...base, originals, renditions, autoFormats, entityImages, makeRendition, presignedUrls };
  const downloads = createDownload(parts);
  const serveAddress = (address, isTrusted, options7 = {}) => Promise.resolve().then(() => serve(parts, resolver.resolve(toAddress(address), isTrusted), options7));
  const regenerate = createRegenerate({
    ...parts,
    entitySizes,
    render: (address) => serveAddress(address, true)
  });
  return {
    resolver,
    recipes,
    originals,
    renditions,
    autoFormats,
    entityImages,
    entitySizes,
    display: display2,
    trace,
    presignedUrls,
    singleFlight,
    removeTree: removeTree2,
    purge: purge2,
    downloads,
    /** For the routers: resolves by the strict list unless `isTrusted`. @throws ArtworkError */
    serve: serveAddress,
    /** Makes an entity's image again that is missing or not current. @throws ArtworkError */
    repair: regenerate.repair,
    /** Whether an entry is what is stored under its key now. */
    isCurrent: (entry) => {
      const now = ports.store.find(entry.key);
      return now?.digest === entry.digest && now.validatedAt === entry.validatedAt;
    },
    /**
     * A browser could not show a source's URL: its source is asked, in the background, unless that was done just now.
     * @throws ArtworkError for a URL that no source has
     */
    doubt: (url) => {
      const { text } = resolver.resolveUrl(url);
      const key = imageKey(text);
      const now = settings.now();
      const failure2 = ports.store.negativeCache.get(key);
      const isRecent = (ports.store.find(key)?.validatedAt ?? 0) > now - DOUBTED_AFTER_MS;
      if (isRecent || failure2 !== void 0 && isOriginalFailureActive(failure2, now, ports.run)) return;
      ports.events.emit("original-stale", { address: text });
    },
    /** Resolves when everything that has begun has ended. */
    idle: singleFlight.idle,
    ...createVerbs(settings, {
      ...ports,
      resolver,
      originals,
      display: display2,
      downloads,
      regenerate,
      removeTree: removeTree2,
      serveAddress
    })
  };
}
function createVerbs(settings, parts) {
  const { resolver, originals, display: display2, regenerate } = parts;
  return {
    /**
     * The image of an address, fetched and made where it is not stored.
     * @throws ArtworkError any row of the table of errors
     */
    getImage: async (address, options7 = {}) => toImage(await parts.serveAddress(address, true, options7)),
    /**
     * What URL to print, synchronously: the local copy, else the source, else the placeholder of the type.
     * @param sourceUrl the entity's own URL
     * @param localPath its artwork path
     * @param entityType an entity kind; an unknown one has the plain placeholder
     * @param options.requireLocal never let the source's URL out
     */
    getDisplayUrl: (sourceUrl, localPath, entityType, options7) => display2.display({
      kind: settings.kinds.get(textOf(entityType) ?? ""),
      sourceUrl: textOf(sourceUrl),
      localPath: textOf(localPath),
      kindName: textOf(entityType),
      requireLocal: fieldOf(Object(options7), "requireLocal") === true
    }).url,
    /** Fetches an entity's picture, makes it and names it. Never throws: see `status` and `reason`. */
    downloadAndCache: (request) => parts.downloads.download({
      ...request,
      sourceUrl: textOf(request.sourceUrl),
      entityId: idOf(request.entityId) ?? ""
    }),
    /** Whether a URL answers with an image: HEAD, and a ranged GET where HEAD is refused. Never throws. */
    validateImage: (url) => validate(settings, parts, url),
    /**
     * Keeps given bytes as the original of an address.
     * @throws ArtworkError `unsupported` (415), `invalid_image` (422), `too_large` (413), `disk_write` (503)
     */
    put: (address, bytes3) => put(settings, parts, address, Buffer.from(bytes3)),
    /**
     * Asks upstream about an image now; when it changed, what was made from it is made again.
     * @throws ArtworkError any row that has to do with an upstream; what is stored stays
     */
    refresh: async (address) => {
      const { original } = resolver.resolve(toAddress(address), true);
      const { entry, changed } = await originals.refresh(original);
      await regenerate.after(entry);
      return { changed };
    },
    /** Forgets an image and everything made from it. Answers whether it was there. */
    remove: async (address) => {
      const { address: canonical2 } = resolver.resolve(toAddress(address), true);
      return (await parts.removeTree(imageKey(formatAddress(canonical2)))).length > 0;
    }
  };
}
var toImage = ({ entry, bytes: bytes3, from, original = entry }) => {
  const { digest, type, width, height, storedAt } = entry;
  const looks2 = looksOf(original.traits);
  return { bytes: bytes3, contentType: type, etag: etagOf(digest), digest, width, height, storedAt, from, ...looks2 };
};
async function validate({ logger }, { display: display2, resolver, fetcher, means }, url) {
  try {
    if (display2.isOwn(url)) return true;
    const { source, address } = resolver.resolveUrl(url);
    return await fetcher.probe({ ...await source.locate(address, means), url });
  } catch (error) {
    if (asArtworkError(error).code === "unknown") logger.error({ err: error }, "artwork: a check failed");
    return false;
  }
}
async function put(settings, { resolver, store, transformer, events }, address, bytes3) {
  const { original } = resolver.resolve(toAddress(address), true);
  if (original.source.isHosted) throw new ArtworkError("invalid", "an upload has its id from its bytes");
  const facts = await inspectGiven({ settings, transformer }, bytes3);
  const at2 = settings.now();
  const times2 = { storedAt: at2, validatedAt: at2, freshnessLifetime: settings.freshness.maxAge };
  const fresh = { key: imageKey(original.text), role: "original", ...facts, ...times2 };
  const entry = await store.write(fresh, bytes3);
  events.emit("image-served", { from: "memory" });
  return toImage({ entry, bytes: bytes3, from: "memory" });
}
async function inspectGiven({
  settings,
  transformer
}, bytes3) {
  if (bytes3.length > settings.fetch.maxBytes)
    throw new ArtworkError("too_large", "the image has too many bytes");
  const kind = sniff(bytes3);
  if (kind === void 0) throw new ArtworkError("unsupported", "this is not an image of a known format");
  return { type: typeOf(kind), ...await transformer.inspect(bytes3, kind) };
}

// src/jobs/retry.ts
var RETRY_DELAYS = [2e3, 1e4];
var MAX_BACK_OFF_MS = 24 * 36e5;
var FIRST_BACK_OFF_MS = 5 * 6e4;
var MAX_REFUSED = 2e4;
function retryDelay(reason, attempts, delays) {
  const delay = isTransient(reason) ? delays[attempts - 1] : void 0;
  return delay === void 0 ? void 0 : delay * (0.75 + Math.random() / 2);
}
var backOffMs = (reason, times2) => isTransient(reason) ? Math.min(FIRST_BACK_OFF_MS * 2 ** Math.min(times2 - 1, 16), MAX_BACK_OFF_MS) : MAX_BACK_OFF_MS;
function createUrlBackOff({ backOffs, isSame, now }) {
  const refused = /* @__PURE__ */ new Map();
  return {
    record: (key, url, reason) => {
      const before = backOffs.get(key);
      const times2 = before !== void 0 && isSame(before.url, url) ? before.times + 1 : 1;
      backOffs.set(key, { url, until: now() + backOffMs(reason, times2), times: times2, reason });
      if (!isBySettings(reason)) return;
      if (refused.size >= MAX_REFUSED) refused.clear();
      refused.set(key, url);
    },
    /** Whether a URL failed, and is not tried again yet. */
    isActive: (key, url) => {
      const found = backOffs.get(key);
      if (found === void 0 || !isSame(found.url, url)) return false;
      const left = found.until - now();
      if (left <= 0 || left > MAX_BACK_OFF_MS) return false;
      const isRecent = left > MAX_BACK_OFF_MS - FIRST_BACK_OFF_MS || isTransient(found.reason);
      if (found.url !== url && !isRecent) return false;
      return !isBySettings(found.reason) || isSame(refused.get(key) ?? "", url);
    }
  };
}

// src/jobs/downloads.ts
var PRIORITIES = { high: 2, normal: 1, low: 0 };
var downloadKey = (kind, id) => `${kind}:${entityIdText(id)}`;
function replacement(before, payload) {
  const isForced = before.force === true;
  if (before.sourceUrl === payload.sourceUrl && (isForced || !payload.force)) return void 0;
  return isForced ? { ...payload, force: true } : payload;
}
function createDownloads(parts) {
  const { backOffs, paramsOf: paramsOf2, download: download2, retryDelays = RETRY_DELAYS } = parts;
  const backOff = createUrlBackOff(parts);
  const prepare3 = (request, priority, parent) => {
    const { entityType, force } = request;
    const payload = {
      sourceUrl: request.sourceUrl ?? "",
      entityType,
      entityId: entityIdText(request.entityId),
      params: paramsOf2(entityType, request.params ?? {}),
      ...force && { force: true }
    };
    return {
      key: downloadKey(entityType, request.entityId),
      kind: "download",
      lane: "task",
      priority: PRIORITIES[priority],
      payload,
      host: hostOf(payload.sourceUrl),
      parent,
      replace: (before) => replacement(before, payload)
    };
  };
  const handler = async ({ key, attempts, payload }, { signal }) => {
    const request = payload;
    const result2 = await download2({ ...request, again: attempts > 1 }, signal);
    if (result2.status !== "failed") {
      backOffs.clear(key);
      const { status, localPath, url, width, height, bytes: bytes3, digest, repository } = result2;
      return { state: "done", result: { status, localPath, url, width, height, bytes: bytes3, digest, repository } };
    }
    if (signal.aborted) return { state: "cancelled" };
    const { reason = "unknown" } = result2;
    const delay = retryDelay(reason, attempts, retryDelays);
    if (delay !== void 0) return { state: "again", after: delay, reason };
    backOff.record(key, request.sourceUrl, reason);
    return { state: "failed", reason, error: `the picture could not be had: ${reason}` };
  };
  return { prepare: prepare3, handler, isResting: backOff.isActive };
}

// src/jobs/background.ts
var MAX_WAITING2 = 1e4;
var REQUESTED_FOR_MS = 3e4;
var MAX_REQUESTED = 2e4;
function createBackground(parts) {
  const { refresh: refresh2, heal, request, isSame, now, logger } = parts;
  const limiter = createLimiter({ capacity: parts.concurrency });
  const open6 = /* @__PURE__ */ new Set();
  const requested = /* @__PURE__ */ new Map();
  const counts = { done: 0, failed: 0 };
  let isClosed = false;
  const run = async (key, work) => {
    try {
      await work();
      counts.done += 1;
    } catch (error) {
      counts.failed += 1;
      const { code, reason } = asArtworkError(error);
      logger[code === "unknown" ? "error" : "info"](
        { err: error, image: key, reason },
        "artwork: refreshing failed"
      );
    } finally {
      open6.delete(key);
    }
  };
  const add = (key, work) => {
    if (isClosed || open6.has(key) || limiter.load().waiting >= MAX_WAITING2) return;
    open6.add(key);
    void limiter.run(() => run(key, work));
  };
  return {
    /** An original was served stale: it is revalidated. */
    originalStale: (address) => add(`stale:${address}`, () => refresh2(address)),
    /** The bytes of an entity's image are missing: it is made again. */
    imageMissing: (path) => add(`lost:${path}`, () => heal(path)),
    /** A template printed an entity whose image is not stored. */
    entityRequested: (wanted) => {
      const key = downloadKey(wanted.entityType, wanted.entityId);
      const before = requested.get(key);
      const url = wanted.sourceUrl ?? "";
      if (before !== void 0 && isSame(before.url, url) && Math.abs(now() - before.at) < REQUESTED_FOR_MS)
        return;
      if (requested.size >= MAX_REQUESTED) requested.clear();
      requested.set(key, { url, at: now() });
      request(wanted);
    },
    forgetRequested: () => requested.clear(),
    status: () => ({ queued: limiter.load().waiting, running: limiter.load().running, ...counts }),
    idle: () => limiter.idle(),
    /** Drops what waits. What runs is waited for with `idle`. */
    close: () => {
      isClosed = true;
      limiter.clear();
    }
  };
}
function listen(events, refresher) {
  events.on("original-stale", ({ address }) => refresher.originalStale(address));
  events.on("image-missing", ({ path }) => refresher.imageMissing(path));
  events.on("entity-requested", ({ kind, id, sourceUrl, params }) => {
    if (refresher.isStarted())
      refresher.entityRequested({ sourceUrl, entityType: kind, entityId: id, ...params && { params } });
  });
}

// src/jobs/kinds.ts
import { createHash as createHash4 } from "node:crypto";
import { z as z10 } from "zod";

// src/jobs/kinds/cleanup.ts
import { z } from "zod";

// src/jobs/kinds/definition.ts
import { setTimeout as sleep2 } from "node:timers/promises";
var fieldsOf = (payload) => typeof payload === "object" && payload !== null ? { ...payload } : {};
var textsOf = (value) => Array.isArray(value) ? value.filter((item) => typeof item === "string") : void 0;
var pause = (ms2, signal) => sleep2(Math.min(ms2, 6e4), void 0, { ref: false, signal }).catch(() => {
});

// src/jobs/kinds/cleanup.ts
var MAX_NAMES = 200;
var options = z.strictObject({
  maxAgeDays: z.number().nonnegative().optional().describe("Days without use. 90 where left out."),
  dryRun: z.boolean().optional().describe("Remove nothing, and say the same."),
  force: z.boolean().optional().describe("Also the pictures of a kind of which, by the repository, no entity is left.")
});
var cleanup = {
  summary: "Remove what was not used for long, orphans and damaged copies",
  options,
  body: options,
  async run({ maintenance }, job3, { signal, progress: onProgress }) {
    const { dryRun, maxAgeDays, force } = fieldsOf(job3.payload);
    const going = [];
    const onGoing = (name, why) => {
      if (going.length < MAX_NAMES) going.push({ name, why });
    };
    const days = typeof maxAgeDays === "number" ? { maxAgeDays } : {};
    const chosen = { dryRun: dryRun === true, force: force === true, ...days };
    const result2 = await maintenance.optimizeCache(chosen, { signal, onProgress, onGoing });
    return signal.aborted ? { state: "cancelled" } : { state: "done", result: { ...result2, going } };
  }
};

// src/jobs/kinds/export.ts
import { z as z2 } from "zod";
var body = z2.strictObject({
  overwrite: z2.boolean().optional().describe("Replace files of the same name that are not ours.")
});
var exportFiles = {
  summary: "Put pictures where media servers find them",
  options: z2.strictObject({ directory: z2.string().optional(), ...body.shape }),
  body,
  async run({ settings, exporter }, job3, { signal, progress }) {
    const { directory = settings.export.directory, overwrite } = fieldsOf(job3.payload);
    if (typeof directory !== "string" || directory === "")
      return {
        state: "failed",
        reason: "invalid_url",
        error: "no directory to export to: set export.directory"
      };
    try {
      const how = { overwrite: overwrite === true, signal, onProgress: progress };
      const report = await exporter.run(directory, how);
      if (!report.complete) return { state: "cancelled" };
      return report.failed === 0 ? { state: "done", result: report } : { state: "failed", reason: "disk_write", error: "some files could not be placed", result: report };
    } catch (error) {
      settings.logger.error({ err: error }, "artwork export: the directory cannot be used");
      return { state: "failed", reason: "disk_write", error: "the export directory cannot be used" };
    }
  }
};

// src/jobs/kinds/import.ts
import { z as z3 } from "zod";
var importFiles = {
  summary: "Take pictures in that are files already",
  options: z3.strictObject({ directory: z3.string().optional(), overwrite: z3.boolean().optional() }),
  async run({ maintenance }, job3, { signal, progress }) {
    const { directory, overwrite } = fieldsOf(job3.payload);
    if (typeof directory !== "string" || directory === "")
      return { state: "failed", reason: "invalid_url", error: "no directory to import from" };
    const how = { overwrite: overwrite === true, signal, onProgress: progress };
    const result2 = await maintenance.importFolder(directory, how);
    return signal.aborted ? { state: "cancelled" } : { state: "done", result: result2 };
  }
};

// src/jobs/kinds/refresh.ts
import { z as z4 } from "zod";
var PER_MINUTE = 600;
var options2 = z4.strictObject({
  perMinute: z4.number().positive().optional().describe("How many at most.")
});
async function staleOriginals({ settings, store }, signal) {
  const stale = [];
  for await (const entry of entries(store, { role: "original" })) {
    if (signal.aborted) break;
    if (freshnessOf(entry, settings.freshness, settings.now()) !== "fresh")
      stale.push({ key: entry.key, usedAt: store.lastUsed(entry.key) ?? 0 });
  }
  return stale.sort((a, b) => b.usedAt - a.usedAt).map(({ key }) => key);
}
var refresh = {
  summary: "Ask about originals that have aged",
  options: options2,
  body: options2,
  async run(parts, job3, { signal, progress }) {
    const perMinute = Number(fieldsOf(job3.payload).perMinute ?? PER_MINUTE);
    const stale = await staleOriginals(parts, signal);
    const count3 = { changed: 0, unchanged: 0, failed: 0 };
    for (const [index, key] of stale.entries()) {
      if (signal.aborted) return { state: "cancelled" };
      try {
        const { changed } = await parts.images.refresh(addressOfKey(key) ?? "");
        count3[changed ? "changed" : "unchanged"] += 1;
      } catch (error) {
        count3.failed += 1;
        parts.settings.logger.info({ err: error, image: key }, "artwork: refreshing failed");
      }
      progress(index + 1, stale.length);
      await pause(6e4 / Math.max(1, perMinute), signal);
    }
    return { state: "done", result: count3 };
  }
};

// src/jobs/kinds/sync.ts
import { z as z6 } from "zod";

// src/jobs/kinds/entities.ts
import { setImmediate as yieldToEventLoop2 } from "node:timers/promises";
import { z as z5 } from "zod";

// src/model/repository.ts
var late = (verb) => new Error(`the repository did not answer in time: ${verb}`);
var WrongShape = class extends Error {
};
var shapeOf = (value) => value === null ? "null" : Array.isArray(value) ? "an array" : typeof value;
var isObject2 = (value) => typeof value === "object" && value !== null;
var isIterable = (value) => isObject2(value) && Symbol.iterator in value;
var isAsyncIterable = (value) => isObject2(value) && Symbol.asyncIterator in value;
var idText = (value) => {
  const id = idOf(value);
  return id === void 0 ? void 0 : String(id);
};
var UUID = /^[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/i;
var comparable = (text) => UUID.test(text.trim()) ? text.trim().toLowerCase() : text.trim();
function existingOf(answer2, asked) {
  if (!isIterable(answer2))
    throw new WrongShape(`repository.exists must answer the ids that exist, and answered ${shapeOf(answer2)}`);
  const byText = /* @__PURE__ */ new Map();
  for (const id of asked) byText.set(comparable(id), [...byText.get(comparable(id)) ?? [], id]);
  const found = /* @__PURE__ */ new Set();
  for (const one of answer2) {
    const text = idText(one);
    if (text === void 0)
      throw new WrongShape(`repository.exists must answer ids, and ${shapeOf(one)} was among them`);
    const same = byText.get(comparable(text));
    if (same === void 0)
      throw new WrongShape(
        `repository.exists answered ${JSON.stringify(text.slice(0, 80))}, an id that was not asked for`
      );
    for (const id of same) found.add(id);
  }
  return found;
}
function pageOf(answer2) {
  if (isIterable(answer2) || isAsyncIterable(answer2)) return { entities: answer2, next: void 0 };
  const { entities, rows, next } = isObject2(answer2) ? answer2 : {};
  const listed3 = entities ?? rows;
  if (!isIterable(listed3) && !isAsyncIterable(listed3))
    throw new WrongShape(
      `repository.list must answer { entities, next }, rows or a list, and answered ${shapeOf(answer2)}`
    );
  if (next === void 0 || next === null || next === "") return { entities: listed3, next: void 0 };
  const cursor = idText(next);
  if (cursor === void 0)
    throw new WrongShape(`repository.list: next must be a text or a number, and was ${shapeOf(next)}`);
  return { entities: listed3, next: cursor };
}
async function* entitiesIn(repository, kind, atOnce = 200) {
  if (repository?.list === void 0) return;
  const seen = /* @__PURE__ */ new Set();
  for (let cursor; ; ) {
    const { entities, next } = pageOf(await repository.list(kind, cursor));
    let some = [];
    for await (const entity of entities) {
      some.push(entity);
      if (some.length >= atOnce) {
        yield some;
        some = [];
      }
    }
    if (some.length > 0) yield some;
    if (next === void 0 || seen.has(next)) return;
    cursor = next;
    seen.add(cursor);
  }
}
function bounded3(repository, ms2) {
  if (repository === void 0) return void 0;
  const inTime = async (verb, work) => {
    let timer;
    const over2 = new Promise((_resolve, reject) => {
      timer = setTimeout(() => reject(late(verb)), ms2);
    });
    return Promise.race([Promise.resolve().then(work), over2]).finally(() => clearTimeout(timer));
  };
  const { list, exists, find: find4, saveImage } = repository;
  return {
    ...list && {
      list: (kind, cursor) => inTime("list", async () => list.call(repository, kind, cursor))
    },
    ...exists && {
      exists: (kind, ids) => inTime("exists", async () => existingOf(await exists.call(repository, kind, ids), ids))
    },
    ...find4 && { find: (kind, id) => inTime("find", () => find4.call(repository, kind, id)) },
    ...saveImage && {
      saveImage: (kind, id, image3) => inTime("saveImage", async () => saveImage.call(repository, kind, id, image3))
    }
  };
}

// src/jobs/kinds/entities.ts
var BATCH2 = 200;
var entityKinds = z5.array(z5.string()).optional().describe("Kinds of entity; left out: all.");
function kindsIn(payload, { kinds }) {
  const named = textsOf(fieldsOf(payload).kinds) ?? [...kinds.keys()];
  const unknown = named.filter((kind) => !kinds.has(kind));
  if (unknown.length > 0) throw new ArtworkError("invalid", `no kinds of entity: ${unknown.join(", ")}`);
  return named;
}
async function* entityBatches(kind, { repository, logger }) {
  try {
    for await (const batch of entitiesIn(repository, kind, BATCH2)) {
      yield batch;
      await yieldToEventLoop2();
    }
  } catch (error) {
    logger.warn({ err: error, kind }, "artwork: the repository could not be asked");
    if (error instanceof ArtworkError) throw error;
    const why = error instanceof WrongShape ? `: ${error.message}` : "";
    throw new ArtworkError("unavailable", `the repository could not list ${kind}${why}`, { cause: error });
  }
}

// src/jobs/kinds/sync.ts
var POLL_INTERVAL_MS = 200;
var MAX_ERRORS = 100;
var options3 = z6.strictObject({
  kinds: entityKinds,
  force: z6.boolean().optional().describe("Also what is held and unchanged.")
});
async function planDownload({ store, images: images2, downloads }, { entityType, entityKind: entityKind2, id, sourceUrl, params, lacksPath }, force, parent) {
  const { entityImages, display: display2, downloads: stored } = images2;
  const local = entityImages.findEntity(entityKind2, id, params);
  if (display2.isOwn(sourceUrl)) return void 0;
  const isCurrent = local !== void 0 && stored.isOf(local.entry, sourceUrl);
  if (!force && isCurrent && lacksPath) await stored.tellRecord(local);
  if (!force && (isCurrent || downloads.isResting(downloadKey(entityType, id), sourceUrl))) return void 0;
  const original = local?.entry.original;
  const isRevalidated = parent.attempts > 1 && original !== void 0 && (store.find(original)?.validatedAt ?? 0) >= parent.createdAt;
  if (force && isCurrent && isRevalidated) return void 0;
  return {
    job: downloads.prepare({ sourceUrl, entityType, entityId: id, params, force }, "low", parent.id),
    isNeeded: () => {
      const now = entityImages.findEntity(entityKind2, id, params);
      return force || now === void 0 || !stored.isOf(now.entry, sourceUrl);
    }
  };
}
async function queueBatch(parts, entityType, entities, force, parent) {
  const { settings, jobs: jobs2 } = parts;
  const planned = /* @__PURE__ */ new Map();
  const count3 = { seen: 0, unreadable: 0 };
  for (const entity of entities)
    try {
      const { id, sourceUrl, params, kind, lacksPath } = readSubject(entity, entityType, settings.kinds);
      if (id === void 0 || sourceUrl === void 0 || kind === void 0) continue;
      count3.seen += 1;
      const wanted = { entityType, entityKind: kind, id, sourceUrl, params, lacksPath };
      const plan = await planDownload(parts, wanted, force, parent);
      if (plan !== void 0) planned.set(plan.job, plan);
    } catch (error) {
      count3.unreadable += 1;
      settings.logger.debug({ err: error, kind: entityType }, "artwork: an entity could not be read");
    }
  const queued = jobs2.addAll([...planned.keys()], (job3) => planned.get(job3)?.isNeeded() !== false);
  if (queued === void 0) throw new ArtworkError("unavailable", "the queue could not be written");
  return { ...count3, queued };
}
async function childrenEnded(jobs2, id, total, { signal, progress }) {
  for (; ; ) {
    const { done, failed: failed2, cancelled: cancelled2, queued, running } = jobs2.children(id);
    progress(done + failed2 + cancelled2, total);
    if (queued + running === 0 || signal.aborted) return { done, failed: failed2, cancelled: cancelled2 };
    await pause(POLL_INTERVAL_MS, signal);
  }
}
var sync = {
  summary: "Fetch what is missing, changed, or failed and due",
  needsRepository: true,
  options: options3,
  body: options3,
  async run(parts, job3, context) {
    const { settings, jobs: jobs2 } = parts;
    const isForced = fieldsOf(job3.payload).force === true;
    const before = Object.values(jobs2.children(job3.id)).reduce((sum2, count3) => sum2 + count3, 0);
    const sum = { seen: 0, unreadable: 0, queued: before };
    for (const kind of kindsIn(job3.payload, settings))
      for await (const batch of entityBatches(kind, settings)) {
        if (context.signal.aborted) return { state: "cancelled" };
        const found = await queueBatch(parts, kind, batch, isForced, job3);
        sum.seen += found.seen;
        sum.unreadable += found.unreadable;
        sum.queued += found.queued;
      }
    const outcome = await childrenEnded(jobs2, job3.id, sum.queued, context);
    if (context.signal.aborted) return { state: "cancelled" };
    const { unreadable, ...counts } = sum;
    const failed2 = jobs2.list({ parent: job3.id, state: "failed", limit: MAX_ERRORS });
    const errors2 = Object.fromEntries(failed2.map(({ key, reason }) => [key, reason ?? "unknown"]));
    const problems = { ...unreadable > 0 && { unreadable }, ...outcome.failed > 0 && { errors: errors2 } };
    return { state: "done", result: { ...counts, ...outcome, ...problems } };
  }
};

// src/jobs/kinds/validate.ts
import { z as z7 } from "zod";
var MAX_ENTITIES = 100;
var options4 = z7.strictObject({ kinds: entityKinds });
function readable(entity, kind, { kinds }) {
  try {
    return readSubject(entity, kind, kinds);
  } catch {
    return {};
  }
}
var validate2 = {
  summary: "Ask whether source URLs still answer",
  needsRepository: true,
  options: options4,
  body: options4,
  async run({ settings, images: images2 }, job3, { signal, progress }) {
    const count3 = { valid: 0, invalid: 0 };
    const entities = [];
    for (const kind of kindsIn(job3.payload, settings))
      for await (const batch of entityBatches(kind, settings))
        for (const entity of batch) {
          if (signal.aborted) return { state: "cancelled" };
          const { id, sourceUrl } = readable(entity, kind, settings);
          if (sourceUrl === void 0 || id === void 0) continue;
          const isValid = await images2.validateImage(sourceUrl);
          count3[isValid ? "valid" : "invalid"] += 1;
          if (!isValid && entities.length < MAX_ENTITIES) entities.push(`${kind}/${id}`);
          progress(count3.valid + count3.invalid, count3.valid + count3.invalid);
        }
    return { state: "done", result: { ...count3, entities } };
  }
};

// src/jobs/kinds/verify.ts
import { z as z8 } from "zod";
var options5 = z8.strictObject({});
var verify = {
  summary: "Read everything against its digest",
  options: options5,
  body: options5,
  async run({ maintenance, store }, _job, { signal, progress }) {
    const total = store.stats().names;
    const report = await maintenance.verify({
      signal,
      onProgress: ({ checked: checked2 }) => progress(Math.min(checked2, total), total)
    });
    return report.state === "stopped" ? { state: "cancelled" } : { state: "done", result: report };
  }
};

// src/jobs/kinds/warm.ts
import { setImmediate as yieldToEventLoop3 } from "node:timers/promises";
import { z as z9 } from "zod";
var MAX_ERRORS2 = 100;
var YIELD_EVERY = 50;
var options6 = z9.strictObject({
  addresses: z9.array(z9.string()).min(1).max(1e5).describe("Addresses; without their variant, where variants are named."),
  variants: z9.array(z9.string()).max(100).optional()
});
function* targetsOf(addresses, variants, resolveUrl) {
  for (const given of addresses) {
    const isUrl = isWebUrl(given);
    if (variants.length === 0) yield { name: given, address: () => isUrl ? resolveUrl(given) : given };
    for (const variant of variants) {
      const address = () => {
        const [kind = "", ...rest] = (isUrl ? resolveUrl(given) : given).split("/");
        return `${kind}/${variant}/${(isUrl ? rest.slice(1) : rest).join("/")}`;
      };
      yield { name: isUrl ? `${variant} of ${given}` : address(), address };
    }
  }
}
var warm = {
  summary: "Make variants before anybody asks",
  options: options6,
  body: options6,
  async run({ images: images2 }, job3, { signal, progress }) {
    const payload = fieldsOf(job3.payload);
    const addresses = textsOf(payload.addresses) ?? [];
    const variants = textsOf(payload.variants) ?? [];
    const total = addresses.length * Math.max(1, variants.length);
    const count3 = { made: 0, failed: 0 };
    const errors2 = {};
    const resolveUrl = (url) => images2.resolver.resolveUrl(url).text;
    for (const { name, address } of targetsOf(addresses, variants, resolveUrl)) {
      if (signal.aborted) return { state: "cancelled" };
      try {
        await images2.getImage(address(), { signal, isBackground: true });
        count3.made += 1;
      } catch (error) {
        count3.failed += 1;
        if (Object.keys(errors2).length < MAX_ERRORS2) errors2[name] = asArtworkError(error).reason;
      }
      progress(count3.made + count3.failed, total);
      if ((count3.made + count3.failed) % YIELD_EVERY === 0) await yieldToEventLoop3();
    }
    const result2 = { ...count3, errors: errors2 };
    return count3.made === 0 && count3.failed > 0 ? { state: "failed", error: "nothing could be made", result: result2 } : { state: "done", result: result2 };
  }
};

// src/jobs/kinds.ts
var definitions = {
  sync,
  refresh,
  validate: validate2,
  warm,
  cleanup,
  verify,
  export: exportFiles,
  import: importFiles
};
var JOBS = definitions;
var isJobKind = (name) => Object.hasOwn(JOBS, name);
var isHttpJobKind = (name) => isJobKind(name) && JOBS[name].body !== void 0;
var HTTP_JOB_KINDS = JOB_KINDS.filter(isHttpJobKind);
var httpJob = (kind) => definitions[kind];
var needsRepository = (kind) => JOBS[kind].needsRepository === true;
function jobHandlers(parts) {
  const isListed = parts.settings.repository?.list !== void 0;
  const kinds = JOB_KINDS.filter((kind) => isListed || !needsRepository(kind));
  return Object.fromEntries(
    kinds.map((kind) => [kind, (job3, context) => JOBS[kind].run(parts, job3, context)])
  );
}
function newJob(kind, payload) {
  const sorted = Object.entries(payload).sort(([a], [b]) => a < b ? -1 : 1);
  const digest = createHash4("sha256").update(JSON.stringify(sorted)).digest("hex").slice(0, 16);
  return { key: `job:${kind} ${digest}`, kind, lane: "job", priority: PRIORITIES.normal, payload };
}
var isText = (value) => typeof value === "string" && value !== "";
function ruleOf(schema) {
  const type = schema instanceof z10.ZodOptional ? schema.unwrap() : schema;
  if (type instanceof z10.ZodArray)
    return [(value) => Array.isArray(value) && value.every(isText), "a list of texts"];
  if (type instanceof z10.ZodBoolean) return [(value) => typeof value === "boolean", "true or false"];
  if (type instanceof z10.ZodNumber)
    return [(value) => typeof value === "number" && value > 0 && Number.isFinite(value), "a number over 0"];
  return [isText, "a text"];
}
function jobOptionProblem(kind, options7) {
  const { shape } = JOBS[kind].options;
  for (const [name, value] of Object.entries(options7)) {
    if (!Object.hasOwn(shape, name)) {
      const names = Object.keys(shape).join(", ") || "none";
      return { name, rule: `is no option of this job: there are ${names}` };
    }
    const [isValid, must] = ruleOf(shape[name]);
    if (value !== void 0 && !isValid(value)) return { name, rule: `must be ${must}` };
  }
  return void 0;
}

// src/jobs/intake.ts
var UNSUPPORTED = { reason: "unavailable", error: "the repository cannot list entities" };
var toEnqueued = (added) => "id" in added ? { ...added, id: String(added.id) } : { accepted: false, reason: added.reason };
function createIntake({ jobs: jobs2, processor, downloads, onFailed }) {
  let state = "open";
  const unsupported = (kind) => processor.isSupported(kind) ? void 0 : UNSUPPORTED;
  const add = (job3, why) => {
    const added = jobs2.add(job3, why);
    if (added.accepted && why !== void 0) onFailed();
    processor.notify();
    return toEnqueued(added);
  };
  return {
    state: () => state,
    setState: (next) => {
      if (state !== "closed") state = next;
    },
    /** Queues the download of an entity's picture. The same entity is queued once; a higher priority moves it up. */
    request: (wanted, priority = "normal") => {
      const url = wanted.sourceUrl ?? "";
      if (state !== "open") return { accepted: false, reason: state };
      if (url === "") return { accepted: false, reason: "no_url" };
      const job3 = downloads.prepare(wanted, priority);
      const isResting = !wanted.force && downloads.isResting(job3.key, url);
      return isResting ? { accepted: false, reason: "recently failed" } : add(job3);
    },
    /** Queues a long job. The same options of a kind are queued once. @throws TypeError for no kind of job */
    run: (kind, payload) => {
      if (state !== "open") return { accepted: false, reason: state };
      if (!isJobKind(kind))
        throw new TypeError(`kind must be one of ${JOB_KINDS.join(", ")}, got ${JSON.stringify(kind)}`);
      return add(newJob(kind, payload), unsupported(kind));
    },
    /** Queues a failed or cancelled job again. Returns whether it was one. */
    retry: (id) => {
      let isFailed = false;
      const isQueued = jobs2.retry(id, (kind) => {
        const why = unsupported(kind);
        isFailed = why !== void 0;
        return why;
      });
      if (isQueued && isFailed) onFailed();
      processor.notify();
      return isQueued;
    }
  };
}

// src/jobs/job-events.ts
import { setTimeout as sleep3 } from "node:timers/promises";
var MAX_FOLLOWED = 50;
var EVENT_INTERVAL_MS = 500;
var versionOf2 = ({ state, done, total, attempts }) => `${state} ${done} ${total} ${attempts}`;
async function* watchJob(jobs2, processor, id, signal) {
  let before = "";
  for (; ; ) {
    const job3 = jobs2.get(id);
    if (job3 === void 0 || signal?.aborted) return;
    const version = versionOf2(job3);
    if (version !== before) yield job3;
    before = version;
    if (job3.endedAt !== void 0) return;
    await processor.changed(signal);
  }
}
async function* queueEvents({ jobs: jobs2, processor, status, isClosed }, signal) {
  const versions = /* @__PURE__ */ new Map();
  let before = "";
  while (!isClosed() && signal?.aborted !== true) {
    const current = status();
    const text = JSON.stringify(current);
    if (text !== before) yield { type: "status", status: current };
    before = text;
    for (const job3 of [...jobs2.list({ lane: "job", limit: MAX_FOLLOWED })].reverse()) {
      const version = versionOf2(job3);
      if (versions.get(job3.id) !== version) yield { type: "job", job: job3 };
      versions.set(job3.id, version);
    }
    await sleep3(EVENT_INTERVAL_MS, void 0, { signal, ref: false }).catch(() => {
    });
    await processor.changed(signal);
  }
}

// src/jobs/schedules.ts
import { Cron } from "croner";
var MAX_POLL_INTERVAL_MS = 6e4;
function nextRuns({ cron }, at2) {
  const [next = Number.MAX_SAFE_INTEGER, second = next] = cron.nextRuns(2, new Date(at2)).map(Number);
  return [next, second];
}
var maxJitter = ({ rule: rule2 }, [first, second]) => Math.min(rule2.jitter, (second - first) / 10);
function nextDue(plan, at2) {
  const runs = nextRuns(plan, at2);
  return runs[0] + Math.random() * maxJitter(plan, runs);
}
function latestDue(plan, at2) {
  const runs = nextRuns(plan, at2);
  return runs[1] + maxJitter(plan, runs);
}
var scheduleOf = (plan, all) => all.find(({ kind, plan: text }) => kind === plan.kind && text === plan.text);
function statusOf2(plan, found, now) {
  const { cron, timezone } = plan.rule;
  return {
    kind: plan.kind,
    cron,
    ...timezone !== void 0 && { timezone },
    nextRun: found?.next ?? nextRuns(plan, now)[0],
    lastRun: found?.last,
    lastJob: found?.lastJob === void 0 ? void 0 : String(found.lastJob),
    refused: found?.refused ?? 0
  };
}
function createSchedules({ rules, table: table2, now }) {
  const plans = plansOf(rules);
  let soonest = Number.NEGATIVE_INFINITY;
  let polledAt = Number.NEGATIVE_INFINITY;
  return {
    /** Queues what is due. Queries nothing while nothing is. */
    tick: () => {
      const at2 = now();
      if (plans.length === 0 || at2 < soonest && Math.abs(at2 - polledAt) < MAX_POLL_INTERVAL_MS) return;
      polledAt = at2;
      for (const plan of plans) {
        const next = () => nextDue(plan, now());
        table2.run(plan.text, newJob(plan.kind, plan.rule.options), next, () => latestDue(plan, now()));
      }
      table2.forget();
      const all = table2.list();
      soonest = Math.min(...plans.map((plan) => scheduleOf(plan, all)?.next ?? at2));
    },
    status: () => {
      const all = table2.list();
      return plans.map((plan) => statusOf2(plan, scheduleOf(plan, all), now()));
    }
  };
}
var plansOf = (rules) => JOB_KINDS.flatMap((kind) => {
  const rule2 = rules[kind];
  return rule2 ? [planOf(kind, rule2)] : [];
});
function planOf(kind, rule2) {
  const { cron: expression, timezone } = rule2;
  try {
    const cron = new Cron(expression, { paused: true, ...timezone !== void 0 && { timezone } });
    if (cron.nextRun(/* @__PURE__ */ new Date()) === null) throw new Error("it never comes");
    return { kind, rule: rule2, text: timezone === void 0 ? expression : `${expression} ${timezone}`, cron };
  } catch (cause) {
    const given = timezone === void 0 ? expression : { cron: expression, timezone };
    throw new TypeError(
      `schedules.${kind} must be a cron expression that some time comes, and a known time zone, got ${JSON.stringify(given)}`,
      { cause }
    );
  }
}
function checkSchedules(rules, can) {
  for (const { kind, text, rule: rule2 } of plansOf(rules)) {
    const problem2 = jobOptionProblem(kind, rule2.options);
    if (problem2 !== void 0)
      throw new TypeError(
        `schedules.${kind}.options.${problem2.name} ${problem2.rule}, got ${JSON.stringify(rule2.options[problem2.name])}`
      );
    if (!can(kind))
      throw new TypeError(
        `schedules.${kind} needs a repository that lists entities, got ${JSON.stringify(text)} without one`
      );
  }
}

// src/jobs/refresher.ts
function createRefresher(work, options7) {
  const { now, logger, jobs: jobs2, concurrency, isSame = (url, other) => url === other } = options7;
  const { paramsOf: paramsOf2, retryDelays, handlers, schedules: rules = {} } = options7;
  const { backOffs } = jobs2;
  const counts = { done: 0, failed: 0, cancelled: 0 };
  const count3 = (state) => {
    counts[state] += 1;
  };
  const downloads = createDownloads({ ...work, backOffs, paramsOf: paramsOf2, retryDelays, isSame, now });
  const schedules = createSchedules({ rules, table: jobs2.schedules, now });
  const processor = jobs2.createProcessor(
    { download: downloads.handler, ...handlers?.(downloads) },
    {
      concurrency,
      now,
      logger,
      onPoll: () => void (intake.state() === "open" && schedules.tick()),
      onEnd: count3
    }
  );
  const intake = createIntake({ jobs: jobs2, processor, downloads, onFailed: () => count3("failed") });
  const background = createBackground({
    ...work,
    request: (wanted) => intake.request(wanted, "low"),
    concurrency,
    isSame,
    now,
    logger
  });
  const isWorking = () => processor.isStarted() && !jobs2.isPaused();
  const status = () => {
    const { queued, running } = jobs2.counts();
    const other = background.status();
    return {
      started: processor.isStarted(),
      paused: jobs2.isPaused(),
      draining: intake.state() === "draining",
      queued: queued + other.queued,
      running: running + other.running,
      done: counts.done + other.done,
      failed: counts.failed + other.failed,
      schedules: schedules.status()
    };
  };
  const isBusy = () => {
    const { queued, running } = background.status();
    if (queued + running > 0) return true;
    return isWorking() && (processor.isDue() || processor.running() > 0);
  };
  return {
    originalStale: background.originalStale,
    imageMissing: background.imageMissing,
    entityRequested: background.entityRequested,
    request: intake.request,
    run: intake.run,
    retry: intake.retry,
    cancel: (id) => {
      const isCancelled2 = jobs2.cancel(id);
      processor.notify();
      return isCancelled2;
    },
    /** Forgets what failed, so that it may be requested again at once. */
    forgetFailures: () => {
      backOffs.clearAll();
      background.forgetRequested();
    },
    /** Begins jobs. @param only the one long job that this process works on; left out: any */
    start: (only) => {
      if (intake.state() === "closed") return;
      processor.start(only);
      schedules.tick();
    },
    isStarted: processor.isStarted,
    /** Begins nothing new, in no process of the directory, until `resume`. Survives a restart. */
    pause: () => jobs2.setPaused(true),
    /** Takes and begins new work again. */
    resume: () => {
      intake.setState("open");
      jobs2.setPaused(false);
      processor.notify();
    },
    /**
     * Takes nothing new in this process, until `resume`, and waits for what is queued and may run here.
     * @returns how much is left
     */
    drain: async () => {
      intake.setState("draining");
      while (intake.state() === "draining" && isWorking() && processor.isPending()) await processor.changed();
      await background.idle();
      const { queued, running } = jobs2.counts();
      return queued + running;
    },
    get: jobs2.get,
    list: jobs2.list,
    children: jobs2.children,
    status,
    /** Follows a job until it has ended. */
    watch: (id, signal) => watchJob(jobs2, processor, id, signal),
    /** What happens in the queue. */
    events: (signal) => queueEvents({ jobs: jobs2, processor, status, isClosed: () => intake.state() === "closed" }, signal),
    /** Resolves when nothing that may run now is queued or running. */
    idle: async () => {
      while (isBusy()) {
        await background.idle();
        if (isBusy()) await processor.changed();
      }
    },
    /** Waits for what runs; what is queued is there at the next start. */
    close: async () => {
      intake.setState("closed");
      background.close();
      await processor.close();
      await background.idle();
      jobs2.close();
    }
  };
}

// src/jobs/sqlite/back-offs.ts
function createBackOffs({ query }) {
  return {
    get: (key) => query((sql) => sql.backOff.get(key), void 0),
    set: (key, backOff) => query((sql) => void sql.setBackOff.run({ key, ...backOff }), void 0),
    clear: (key) => query((sql) => void sql.clearBackOff.run(key), void 0),
    clearAll: () => query((sql) => void sql.clearBackOffs.run(), void 0),
    byKind: () => {
      const rows = query((sql) => sql.backOffsByKind.all(), []);
      return new Map(rows.map(({ kind, count: count3 }) => [kind, count3]));
    },
    list: (kind, after2, limit) => query((sql) => sql.backOffsAfter.all({ kind, after: after2, limit }), [])
  };
}

// src/jobs/sqlite/connection.ts
import { join as join2 } from "node:path";

// src/database/files.ts
import { chmodSync, existsSync, lstatSync, mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
var PRIVATE_FOLDER = 448;
var PRIVATE_FILE = 384;
var OPEN_FOLDER = 493;
var OPEN_FILE = 420;
function setMode(path, mode) {
  try {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats !== void 0 && !stats.isSymbolicLink() && (stats.mode & 511) !== mode) chmodSync(path, mode);
  } catch {
  }
}
function makeFolder(path, mode = PRIVATE_FOLDER) {
  if (existsSync(path)) {
    if (lstatSync(path).isDirectory() || existsSync(`${path}/.`)) return false;
    throw Object.assign(new Error(`${path} is no directory`), { code: "ENOTDIR" });
  }
  const parent = dirname(path);
  if (parent !== path) makeFolder(parent, mode);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    return false;
  }
  setMode(path, mode);
  return true;
}
function makeOwnFolder(path) {
  makeFolder(path);
  setMode(path, PRIVATE_FOLDER);
}
function clearOdd(path) {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats !== void 0 && !stats.isFile()) rmSync(path, { recursive: true, force: true });
}

// src/database/process-registry.ts
import { randomUUID } from "node:crypto";
import { existsSync as existsSync3, readdirSync, rmSync as rmSync3 } from "node:fs";
import { join } from "node:path";
import Sqlite2 from "better-sqlite3";

// src/database/sqlite.ts
import { closeSync, existsSync as existsSync2, openSync, renameSync, rmSync as rmSync2, statSync as statSync2 } from "node:fs";
import Sqlite from "better-sqlite3";
var kept = [];
var keep = (held) => {
  kept.push(held);
  return held;
};
var immediate = (db) => (work) => db.transaction(work).immediate;
var isCorrupt = (error) => ["SQLITE_CORRUPT", "SQLITE_NOTADB"].some((start) => codeOf(error).startsWith(start));
function removeDatabase(file) {
  for (const suffix of ["", "-wal", "-shm"]) rmSync2(file + suffix, { force: true });
}
var LOGGED_AFTER_MS = 2e3;
var WAITED_FOR = 8e3;
function secure(file) {
  for (const suffix of ["", "-wal", "-shm", "-journal"]) {
    clearOdd(file + suffix);
    setMode(file + suffix, PRIVATE_FILE);
  }
}
var PASSING = ["SQLITE_BUSY", "SQLITE_IOERR_DELETE_NOENT", "SQLITE_PROTOCOL", "SQLITE_LOCKED"];
var TRIES = 5;
var NewerSchema = class extends Error {
  constructor(file, found, known) {
    super(
      `${file} has schema ${found}, and this version knows ${known}: it is left as it is; use a version that knows it, or another directory`
    );
  }
};
var UnknownSchema = class extends Error {
  constructor(found) {
    super(`a database of schema ${found}`);
    this.found = found;
  }
  found;
};
var inodeOf = (file) => statSync2(file, { throwIfNoEntry: false })?.ino;
function alone(file, work, tell) {
  const path = `${file}.lock`;
  secure(path);
  const lock = keep(new Sqlite(path, { timeout: LOGGED_AFTER_MS }));
  setMode(path, PRIVATE_FILE);
  try {
    try {
      lock.exec("BEGIN EXCLUSIVE");
    } catch (error) {
      if (!codeOf(error).startsWith("SQLITE_BUSY")) throw error;
      tell(`${file} is being opened by another process, which is waited for`);
      lock.exec(`PRAGMA busy_timeout = ${WAITED_FOR}; BEGIN EXCLUSIVE`);
    }
    return work();
  } finally {
    lock.close();
  }
}
function migrate(db, file, shape) {
  const version = keep(db.prepare("PRAGMA user_version"));
  const bring = db.transaction(() => {
    let found = version.get()?.user_version ?? 0;
    if (found > shape.version) throw new NewerSchema(file, found, shape.version);
    if (found === 0) db.exec(shape.schema);
    for (; found > 0 && found < shape.version; found += 1) {
      const step = shape.migrations?.[found];
      if (step === void 0) throw new UnknownSchema(found);
      db.exec(`${step}; PRAGMA user_version = ${found + 1}`);
    }
    for (const { table: table2, column, type } of shape.additions?.columns ?? []) {
      const columns = keep(db.prepare("SELECT name FROM pragma_table_info(?)"));
      if (!columns.all(table2).some(({ name }) => name === column))
        db.exec(`ALTER TABLE ${table2} ADD COLUMN ${column} ${type}`);
    }
    db.exec(shape.additions?.tables ?? "");
  });
  bring.immediate();
}
function openOnce(file, shape) {
  secure(file);
  closeSync(openSync(file, "a", PRIVATE_FILE));
  setMode(file, PRIVATE_FILE);
  const db = keep(new Sqlite(file, { timeout: shape.timeout ?? 5e3 }));
  try {
    const found = keep(db.prepare("PRAGMA user_version")).get()?.user_version;
    if (found !== void 0 && found > shape.version) throw new NewerSchema(file, found, shape.version);
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${shape.synchronous}`);
    migrate(db, file, shape);
    for (const check2 of shape.checks) db.exec(check2);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}
function putAside(file, found) {
  const free = ["", ...Array.from({ length: 99 }, (_, index) => `.${index + 1}`)];
  const name = free.map((more) => `${file}.schema-${found}${more}`).find((one) => !existsSync2(one));
  if (name === void 0) throw new Error(`${file} has been put aside a hundred times`);
  for (const suffix of ["-wal", "-shm", ""])
    if (existsSync2(file + suffix)) renameSync(file + suffix, name + suffix);
  return name;
}
function openDatabase(file, damaged, shape, tell = () => {
}) {
  const opened = () => ({ db: openOnce(file, shape), inode: inodeOf(file) });
  return alone(
    file,
    () => {
      if (damaged !== void 0 && inodeOf(file) === damaged) removeDatabase(file);
      for (let attempt = 1; ; attempt += 1) {
        try {
          return opened();
        } catch (error) {
          const isPassing = PASSING.some((start) => codeOf(error).startsWith(start));
          const isUnknown = error instanceof UnknownSchema;
          if (attempt >= TRIES || !(isPassing || isUnknown || isCorrupt(error))) throw error;
          if (isUnknown)
            tell(
              `${file} has the unknown schema ${error.found}: it was put aside as ${putAside(file, error.found)}`
            );
          else if (!isPassing) removeDatabase(file);
        }
      }
    },
    tell
  );
}
function openInMemory({ schema }) {
  const db = keep(new Sqlite(":memory:"));
  db.exec(schema);
  return db;
}

// src/database/process-registry.ts
var isId = (text) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
var ALIVE_FOR = 500;
var connect = (path, fileMustExist) => keep(new Sqlite2(path, { timeout: 0, fileMustExist }));
function tryLock(db) {
  try {
    db.exec("BEGIN EXCLUSIVE");
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code.startsWith("SQLITE_BUSY")) return false;
    throw error;
  }
}
function registerProcess(folder) {
  const pathOf2 = (id) => join(folder, id);
  const holds = (db, path) => {
    try {
      return tryLock(db) && existsSync3(path);
    } catch (error) {
      if (existsSync3(path)) throw error;
      return false;
    }
  };
  const register = () => {
    for (; ; ) {
      makeOwnFolder(folder);
      const id = randomUUID();
      const db = connect(pathOf2(id), false);
      if (holds(db, pathOf2(id))) return { id, db };
      db.close();
    }
  };
  let self = register();
  const others = /* @__PURE__ */ new Map();
  const seenAlive = /* @__PURE__ */ new Map();
  const forget = (id) => {
    others.get(id)?.close();
    others.delete(id);
    seenAlive.delete(id);
    return false;
  };
  const isAlive = (id) => {
    if (id === self.id) return true;
    if (!isId(id) || !existsSync3(pathOf2(id))) return forget(id);
    if (performance.now() < (seenAlive.get(id) ?? 0)) return true;
    try {
      const db = others.get(id) ?? connect(pathOf2(id), true);
      others.set(id, db);
      if (!tryLock(db)) {
        seenAlive.set(id, performance.now() + ALIVE_FOR);
        return true;
      }
      rmSync3(pathOf2(id), { force: true });
      return forget(id);
    } catch {
      forget(id);
      return existsSync3(pathOf2(id));
    }
  };
  return {
    /** Who we are. Changes only when our file was taken away. */
    id: () => self.id,
    /** Whether a process is alive. The file of a dead one is removed. */
    isAlive,
    /** Removes the files of dead processes. Answers how many there were. */
    reap: () => readdirSync(folder).filter((id) => isId(id) && id !== self.id && !isAlive(id)).length,
    /** Registers again when our file is gone. Answers whether it was. */
    return: () => {
      if (existsSync3(pathOf2(self.id))) return false;
      self.db.close();
      self = register();
      return true;
    },
    leave: () => {
      for (const id of [...others.keys()]) forget(id);
      rmSync3(pathOf2(self.id), { force: true });
      self.db.close();
    }
  };
}

// src/jobs/sqlite/tables.ts
var SHAPE = {
  version: 2,
  synchronous: "NORMAL",
  timeout: 1e3,
  schema: `
    CREATE TABLE jobs (
      id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
      priority INTEGER NOT NULL,
      -- Where it stands among those of its priority.
      place INTEGER NOT NULL DEFAULT 0,
      payload TEXT NOT NULL, lane TEXT NOT NULL, host TEXT NOT NULL DEFAULT '', parent INTEGER, attempts INTEGER NOT NULL DEFAULT 0,
      notBefore INTEGER NOT NULL DEFAULT 0, done INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0,
      error TEXT, reason TEXT, result TEXT, owner TEXT, wish TEXT,
      -- Of this one run: who has another one may not end it.
      ticket TEXT,
      -- What is to be queued when this has ended: it was asked for anew while it ran.
      next TEXT,
      -- How often a process died at it.
      crashes INTEGER NOT NULL DEFAULT 0,
      -- What became of the pieces of work that this one asked for.
      ok INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, cancelled INTEGER NOT NULL DEFAULT 0,
      createdAt INTEGER NOT NULL, startedAt INTEGER, endedAt INTEGER,
      -- First and last reported progress of this run, for its rate.
      paceAt INTEGER, paceDone INTEGER, toldAt INTEGER
    ) STRICT;
    CREATE UNIQUE INDEX jobs_open ON jobs (key) WHERE state IN ('queued', 'running');
    CREATE INDEX jobs_next ON jobs (lane, priority DESC, place) WHERE state = 'queued';
    CREATE INDEX jobs_by_place ON jobs (place);
    CREATE INDEX jobs_running ON jobs (owner) WHERE state = 'running';
    CREATE INDEX jobs_by_host ON jobs (lane, host, priority DESC, place) WHERE state = 'queued';
    CREATE INDEX jobs_own ON jobs (id) WHERE state = 'queued' AND parent IS NULL;
    CREATE INDEX jobs_long ON jobs (id) WHERE lane = 'job';
    CREATE INDEX jobs_ended ON jobs (lane, state, endedAt) WHERE endedAt IS NOT NULL;
    CREATE INDEX jobs_by_parent ON jobs (parent, state) WHERE parent IS NOT NULL;
    CREATE INDEX jobs_family ON jobs (parent, id) WHERE parent IS NOT NULL;
    CREATE INDEX jobs_by_state ON jobs (state, id);
    -- Ids go on where a lost database ended, or later.
    INSERT INTO sqlite_sequence (name, seq) VALUES ('jobs', CAST(strftime('%s', 'now') AS INTEGER));
    -- What failed and is left alone for a while.
    CREATE TABLE rests (
      key TEXT PRIMARY KEY, url TEXT NOT NULL, until INTEGER NOT NULL, times INTEGER NOT NULL, reason TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX rests_by_end ON rests (until);
    -- Jobs that are begun by themselves, each once for all processes.
    CREATE TABLE schedules (
      kind TEXT NOT NULL, plan TEXT NOT NULL, next INTEGER NOT NULL, last INTEGER, lastJob INTEGER,
      refused INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (kind, plan)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE flags (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 2;
  `,
  checks: [
    "SELECT * FROM jobs LIMIT 1; SELECT * FROM rests LIMIT 1; SELECT * FROM schedules LIMIT 1; SELECT * FROM flags LIMIT 1; SELECT max(id) FROM jobs"
  ]
};
var MAX_LISTED_PAYLOAD = 4096;
var COLUMNS = "ticket, ok, failed, cancelled, id, key, kind, state, priority, payload, lane, host, parent, attempts, notBefore, done, total, error, reason, result, createdAt, startedAt, endedAt, paceAt, paceDone, toldAt";
var SUMMARY_COLUMNS = COLUMNS.replace(
  " payload,",
  ` CASE WHEN length(payload) > ${MAX_LISTED_PAYLOAD} THEN 'null' ELSE payload END AS payload,`
);
function rateOf({ done, paceAt, paceDone, toldAt }) {
  const ms2 = (toldAt ?? 0) - (paceAt ?? 0);
  const steps = done - (paceDone ?? done);
  return ms2 > 0 && steps > 0 ? steps * 1e3 / ms2 : void 0;
}
function toJob(row) {
  const { paceAt: _at, paceDone: _done, toldAt: _last, ...columns } = row;
  const rate = rateOf(row);
  const left = Math.max(0, row.total - row.done);
  return {
    ...columns,
    payload: JSON.parse(row.payload),
    result: row.result === null ? void 0 : JSON.parse(row.result),
    host: row.host === "" ? void 0 : row.host,
    ticket: row.ticket ?? "",
    parent: row.parent ?? void 0,
    error: row.error ?? void 0,
    reason: row.reason ?? void 0,
    startedAt: row.startedAt ?? void 0,
    endedAt: row.endedAt ?? void 0,
    rate,
    eta: rate === void 0 || row.state !== "running" ? void 0 : Math.round(left * 1e3 / rate)
  };
}

// src/jobs/sqlite/statements.ts
var MAX_CRASHES = 3;
var MAX_WAIT_MS = 864e5;
var MAX_BACK_OFFS = 2e5;
var prepareStatements = (db) => keep({
  db,
  ...queueStatements(db),
  ...runStatements(db),
  ...recoveryStatements(db),
  ...queryStatements(db),
  ...backOffStatements(db),
  ...scheduleStatements(db)
});
var queueStatements = (db) => ({
  insert: db.prepare(
    `INSERT INTO jobs (key, kind, state, priority, payload, lane, host, parent, createdAt, place)
     VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(place), 0) + 1 FROM jobs))`
  ),
  openByKey: db.prepare(
    "SELECT id, priority, state, payload FROM jobs WHERE key = ? AND state IN ('queued', 'running')"
  ),
  replacePayload: db.prepare(
    "UPDATE jobs SET payload = ?, host = ?, next = NULL, notBefore = 0, attempts = 0 WHERE id = ? AND state = 'queued'"
  ),
  setNext: db.prepare("UPDATE jobs SET next = ? WHERE id = ? AND state = 'running'"),
  raise: db.prepare(
    "UPDATE jobs SET priority = ?, place = (SELECT max(place) + 1 FROM jobs) WHERE id = ?"
  ),
  waiting: db.prepare(
    "SELECT count(*) AS count FROM jobs WHERE state = 'queued' AND parent IS NULL"
  ),
  fail: db.prepare(
    "UPDATE jobs SET state = 'failed', error = @error, reason = @reason, endedAt = @at WHERE id = @id AND state = 'queued'"
  ),
  cancelQueued: db.prepare(
    "UPDATE jobs SET state = 'cancelled', endedAt = ?, next = NULL WHERE id = ? AND state = 'queued'"
  ),
  cancelChildren: db.prepare(
    "UPDATE jobs SET state = 'cancelled', endedAt = ?, next = NULL WHERE parent = ? AND state = 'queued'"
  ),
  requestCancel: db.prepare("UPDATE jobs SET wish = 'cancel' WHERE id = ? AND state = 'running'"),
  retry: db.prepare(
    `UPDATE jobs SET state = 'queued', notBefore = 0, attempts = 0, endedAt = NULL, error = NULL, reason = NULL,
     result = NULL, done = 0, total = 0, ok = 0, failed = 0, cancelled = 0,
     crashes = 0, wish = NULL, place = (SELECT max(place) + 1 FROM jobs) WHERE id = ? AND state IN ('failed', 'cancelled')`
  ),
  /** The jobs of an earlier run are none of the next one's. */
  detachChildren: db.prepare(
    "UPDATE jobs SET parent = NULL WHERE parent = ? AND endedAt IS NOT NULL"
  ),
  countEnded: {
    done: db.prepare("UPDATE jobs SET ok = ok + 1 WHERE id = ?"),
    failed: db.prepare("UPDATE jobs SET failed = failed + 1 WHERE id = ?"),
    cancelled: db.prepare("UPDATE jobs SET cancelled = cancelled + 1 WHERE id = ?")
  },
  uncountEnded: {
    failed: db.prepare("UPDATE jobs SET failed = max(0, failed - 1) WHERE id = ?"),
    cancelled: db.prepare("UPDATE jobs SET cancelled = max(0, cancelled - 1) WHERE id = ?")
  },
  countCancelled: db.prepare("UPDATE jobs SET cancelled = cancelled + ? WHERE id = ?")
});
var runStatements = (db) => ({
  // The first job of each host that is not excluded: hosts are few, and many jobs may wait for one.
  next: db.prepare(
    `WITH RECURSIVE hosts (host) AS (
       SELECT min(host) FROM jobs WHERE state = 'queued' AND lane = @lane
       UNION ALL
       SELECT (SELECT min(host) FROM jobs WHERE state = 'queued' AND lane = @lane AND host > hosts.host)
       FROM hosts WHERE hosts.host IS NOT NULL)
     SELECT ${COLUMNS} FROM jobs WHERE id IN (
       SELECT (SELECT id FROM jobs WHERE state = 'queued' AND lane = @lane AND jobs.host = hosts.host
               AND (@only IS NULL OR id = @only) AND (@kinds IS NULL OR kind IN (SELECT value FROM json_each(@kinds)))
               AND (notBefore <= @at OR notBefore > @at + ${MAX_WAIT_MS}) ORDER BY priority DESC, place LIMIT 1)
       FROM hosts WHERE host IS NOT NULL AND (host = '' OR host NOT IN (SELECT value FROM json_each(@excluded))))
     ORDER BY priority DESC, place LIMIT 1`
  ),
  claim: db.prepare(
    `UPDATE jobs SET state = 'running', owner = ?, ticket = ?, startedAt = ?, attempts = attempts + 1,
     paceAt = NULL, paceDone = NULL, toldAt = NULL WHERE id = ? AND state = 'queued'`
  ),
  end: db.prepare(
    `UPDATE jobs SET state = ?, error = ?, reason = ?, result = ?, endedAt = ?, owner = NULL, wish = NULL, ticket = NULL,
     next = NULL WHERE id = ? AND state = 'running' AND ticket = ?`
  ),
  requeue: db.prepare(
    `UPDATE jobs SET state = 'queued', notBefore = ?, error = NULL, reason = ?, owner = NULL,
     ticket = NULL WHERE id = ? AND state = 'running' AND ticket = ?`
  ),
  progress: db.prepare(
    `UPDATE jobs SET done = @done, total = @total, toldAt = @at, paceAt = coalesce(paceAt, @at),
     paceDone = coalesce(paceDone, @done) WHERE id = @id AND ticket = @ticket`
  ),
  isDue: db.prepare(
    `SELECT EXISTS (SELECT 1 FROM jobs WHERE state = 'running') OR EXISTS (SELECT 1 FROM jobs WHERE state = 'queued'
     AND (@kinds IS NULL OR kind IN (SELECT value FROM json_each(@kinds))) AND (notBefore <= @at OR notBefore > @at + ${MAX_WAIT_MS})) AS due`
  ),
  cancelRequested: db.prepare(
    "SELECT id FROM jobs WHERE state = 'running' AND wish = 'cancel' AND owner = ?"
  ),
  trim: db.prepare(
    `DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE lane = ? AND state = ? AND endedAt IS NOT NULL
     ORDER BY endedAt DESC, id DESC LIMIT -1 OFFSET ?)`
  )
});
var recoveryStatements = (db) => ({
  owners: db.prepare("SELECT DISTINCT owner FROM jobs WHERE state = 'running'"),
  /** Those that will not be queued again. */
  abandoned: db.prepare(`SELECT id, parent, wish, next FROM jobs WHERE state = 'running' AND owner = @owner
     AND (wish = 'cancel' OR crashes + @crashed >= ${MAX_CRASHES})`),
  release: db.prepare(
    `UPDATE jobs SET crashes = crashes + @crashed,
     state = CASE WHEN wish = 'cancel' THEN 'cancelled' WHEN crashes + @crashed >= ${MAX_CRASHES} THEN 'failed'
       ELSE 'queued' END,
     endedAt = CASE WHEN wish = 'cancel' OR crashes + @crashed >= ${MAX_CRASHES} THEN @at END,
     reason = CASE WHEN wish IS NULL AND crashes + @crashed >= ${MAX_CRASHES} THEN 'processing' END,
     error = CASE WHEN wish IS NULL AND crashes + @crashed >= ${MAX_CRASHES}
       THEN 'the process ended each time it was at this' END,
     owner = NULL, ticket = NULL, next = CASE WHEN wish IS NULL AND crashes + @crashed < ${MAX_CRASHES} THEN next END,
     wish = NULL WHERE state = 'running' AND owner = @owner`
  ),
  changeOwner: db.prepare(
    "UPDATE jobs SET owner = ? WHERE state = 'running' AND owner = ?"
  )
});
var queryStatements = (db) => ({
  get: db.prepare(
    `SELECT ${COLUMNS}, wish, next FROM jobs WHERE id = ?`
  ),
  summary: db.prepare(`SELECT ${SUMMARY_COLUMNS} FROM jobs WHERE id = ?`),
  /** By their conditions: each combination is a statement of its own, so that its index is used. */
  lists: /* @__PURE__ */ new Map(),
  counts: db.prepare(
    "SELECT state, count(*) AS count FROM jobs GROUP BY state"
  ),
  children: db.prepare(
    "SELECT state, count(*) AS count FROM jobs WHERE parent = ? AND state IN ('queued', 'running') GROUP BY state"
  ),
  flag: db.prepare("SELECT value FROM flags WHERE key = ?"),
  setFlag: db.prepare("INSERT OR REPLACE INTO flags VALUES (?, ?)")
});
var backOffStatements = (db) => ({
  backOff: db.prepare("SELECT url, until, times, reason FROM rests WHERE key = ?"),
  setBackOff: db.prepare("INSERT OR REPLACE INTO rests VALUES (@key, @url, @until, @times, @reason)"),
  clearBackOff: db.prepare("DELETE FROM rests WHERE key = ?"),
  clearBackOffs: db.prepare("DELETE FROM rests"),
  backOffsByKind: db.prepare(
    "SELECT substr(key, 1, instr(key, ':') - 1) AS kind, count(*) AS count FROM rests GROUP BY kind"
  ),
  backOffsAfter: db.prepare(
    `SELECT key, url, until, times, reason FROM rests WHERE key > @after
     AND (@kind = '' OR substr(key, 1, length(@kind) + 1) = @kind || ':') ORDER BY key LIMIT @limit`
  ),
  trimBackOffs: db.prepare(`DELETE FROM rests WHERE until < ? OR key IN
    (SELECT key FROM rests ORDER BY until LIMIT max(0, (SELECT count(*) FROM rests) - ${MAX_BACK_OFFS}))`)
});
var scheduleStatements = (db) => ({
  schedule: db.prepare(
    "SELECT next FROM schedules WHERE kind = ? AND plan = ?"
  ),
  setSchedule: db.prepare(
    `INSERT INTO schedules (kind, plan, next) VALUES (?, ?, ?)
     ON CONFLICT (kind, plan) DO UPDATE SET next = excluded.next`
  ),
  setLastRun: db.prepare(
    "UPDATE schedules SET last = ?, lastJob = ? WHERE kind = ? AND plan = ?"
  ),
  countRefused: db.prepare(
    "UPDATE schedules SET refused = refused + 1 WHERE kind = ? AND plan = ?"
  ),
  schedules: db.prepare("SELECT * FROM schedules ORDER BY kind, plan"),
  trimSchedules: db.prepare("DELETE FROM schedules WHERE next < ?")
});

// src/jobs/sqlite/connection.ts
var REOPEN_AFTER_MS = 3e4;
var hasOpenJobs = (sql) => sql.counts.all().some(({ state, count: count3 }) => count3 > 0 && (state === "queued" || state === "running"));
function openConnection(directory, logger) {
  const file = directory === void 0 ? void 0 : join2(directory, "jobs.db");
  let registry;
  let inode;
  let triedAt = performance.now();
  let closed = false;
  const open6 = (damaged) => {
    if (directory === void 0 || file === void 0) return prepareStatements(openInMemory(SHAPE));
    try {
      makeFolder(directory);
      registry ??= registerProcess(join2(directory, "workers"));
      const opened = openDatabase(
        file,
        damaged,
        SHAPE,
        (message) => logger.warn({}, `artwork jobs: ${message}`)
      );
      inode = opened.inode;
      return prepareStatements(opened.db);
    } catch (error) {
      logger.warn({ err: error }, "artwork jobs: the database cannot be used, work is queued in memory");
      inode = void 0;
      return prepareStatements(openInMemory(SHAPE));
    }
  };
  let sql = open6();
  const reopen = (damaged) => {
    try {
      sql.db.close();
    } catch {
    }
    sql = open6(damaged);
  };
  const tryFile = () => {
    if (file === void 0 || inode !== void 0 || performance.now() - triedAt < REOPEN_AFTER_MS) return;
    triedAt = performance.now();
    if (!hasOpenJobs(sql)) reopen();
  };
  const query = (work, otherwise) => {
    if (closed) return otherwise;
    try {
      if (file !== void 0 && inode !== void 0 && inodeOf(file) !== inode) reopen();
      tryFile();
      return work(sql);
    } catch (error) {
      const level = codeOf(error).startsWith("SQLITE_BUSY") ? "debug" : "error";
      logger[level]({ err: error }, "artwork jobs: the database failed");
      if (isCorrupt(error)) reopen(inode);
      return otherwise;
    }
  };
  const transaction = (work, otherwise) => query((found) => found.db.transaction(() => work(found)).immediate(), otherwise);
  return {
    query,
    transaction,
    owner: () => registry?.id() ?? "memory",
    registry: () => registry,
    close: (last) => {
      if (closed) return;
      transaction(last, void 0);
      closed = true;
      try {
        sql.db.close();
        registry?.leave();
      } catch (error) {
        logger.warn({ err: error }, "artwork jobs: closing");
      }
    }
  };
}

// src/jobs/sqlite/job-rows.ts
var RETENTION = {
  task: { done: 2e3, cancelled: 1e3, failed: 5e3 },
  job: { done: 500, cancelled: 100, failed: 500 }
};
var BACK_OFF_RETENTION_MS = 864e5;
var TRIM_EVERY = 200;
var FULL_FOR_MS = 1e3;
var COUNT_EVERY = 500;
function insertJob(sql, job3, now) {
  const { key, kind, priority, payload, lane, host = "", parent = null } = job3;
  const text = JSON.stringify(payload);
  return Number(sql.insert.run(key, kind, priority, text, lane, host, parent, now).lastInsertRowid);
}
function cancelChildren(sql, id, now) {
  const count3 = sql.cancelChildren.run(now, id).changes;
  if (count3 > 0) sql.countCancelled.run(count3, id);
  return count3;
}
function createTrim(now) {
  let ended2 = 0;
  return (sql) => {
    ended2 += 1;
    if (ended2 % TRIM_EVERY !== 0) return;
    for (const lane of ["task", "job"])
      for (const state of ["done", "cancelled", "failed"])
        sql.trim.run(lane, state, RETENTION[lane][state]);
    sql.trimBackOffs.run(now() - BACK_OFF_RETENTION_MS);
  };
}
function mergeInto(sql, open6, job3) {
  if (open6.priority < job3.priority) sql.raise.run(job3.priority, open6.id);
  if (job3.replace === void 0) return;
  const payload = job3.replace(JSON.parse(open6.payload));
  if (open6.state !== "queued") {
    const next = payload === void 0 ? null : JSON.stringify({ ...job3, payload, replace: void 0 });
    sql.setNext.run(next, open6.id);
  } else if (payload !== void 0) sql.replacePayload.run(JSON.stringify(payload), job3.host ?? "", open6.id);
}
function createAddJob(capacity, now) {
  let added = 0;
  let counted = Number.NaN;
  let fullUntil = 0;
  const isFull = (sql) => {
    if (performance.now() < fullUntil) return true;
    if (!(counted + added < capacity) || added > COUNT_EVERY) {
      counted = sql.waiting.get()?.count ?? 0;
      added = 0;
    }
    if (counted + added < capacity) return false;
    fullUntil = performance.now() + FULL_FOR_MS;
    return true;
  };
  return (sql, job3, isBounded) => {
    const open6 = sql.openByKey.get(job3.key);
    if (open6 !== void 0) {
      mergeInto(sql, open6, job3);
      return { accepted: false, reason: "duplicate", id: open6.id };
    }
    if (isBounded && isFull(sql)) return { accepted: false, reason: "full" };
    added += 1;
    return { accepted: true, id: insertJob(sql, job3, now()) };
  };
}

// src/jobs/sqlite/processor.ts
var MAX_LONG_JOBS = 2;
var MAX_PER_HOST = 2;
var POLL_INTERVAL_MS2 = 250;
var RECOVER_EVERY = 8;
var PROGRESS_INTERVAL_MS = 200;
function busyHosts(running) {
  const counts = /* @__PURE__ */ new Map();
  for (const { host } of running.map(({ job: job3 }) => job3))
    if (host !== void 0) counts.set(host, (counts.get(host) ?? 0) + 1);
  return [...counts].flatMap(([host, count3]) => count3 >= MAX_PER_HOST ? [host] : []);
}
function createProgress(write2) {
  let writtenAt = 0;
  return (done, total) => {
    if (done < total && performance.now() - writtenAt < PROGRESS_INTERVAL_MS) return;
    writtenAt = performance.now();
    write2(done, total);
  };
}
function createPendingWrites() {
  const pending = /* @__PURE__ */ new Map();
  return {
    /** @param write returns whether it could be written */
    write: (ticket, write2) => {
      if (!write2()) pending.set(ticket, write2);
    },
    flush: () => {
      for (const [ticket, write2] of pending) if (write2()) pending.delete(ticket);
    }
  };
}
function createChangeSignal() {
  const waiting = /* @__PURE__ */ new Set();
  return {
    emit: () => {
      for (const resolve5 of [...waiting]) resolve5();
    },
    wait: (signal) => new Promise((resolve5) => {
      const timer = setTimeout(done, POLL_INTERVAL_MS2);
      function done() {
        clearTimeout(timer);
        waiting.delete(done);
        signal?.removeEventListener("abort", done);
        resolve5();
      }
      waiting.add(done);
      signal?.addEventListener("abort", done, { once: true });
    })
  };
}
async function runHandler(job3, handler, context, { isClosed, logger }) {
  try {
    if (handler === void 0) throw new Error(`there is no work of the kind ${job3.kind}`);
    const outcome = await handler(job3, context);
    return isClosed() && outcome.state === "cancelled" ? void 0 : outcome;
  } catch (error) {
    if (context.signal.aborted) return isClosed() ? void 0 : { state: "cancelled" };
    const failure2 = asArtworkError(error);
    if (failure2.code === "unknown") logger.error({ err: error, job: job3.key }, "artwork: a job failed");
    return { state: "failed", reason: failure2.reason, error: failure2.message };
  }
}
function writeOutcome(jobs2, job3, outcome, { now, onEnd }) {
  if (outcome === void 0) return jobs2.retryAt(job3, 0, {}) !== void 0;
  if (outcome.state === "again") return jobs2.retryAt(job3, now() + outcome.after, outcome) !== void 0;
  const ended2 = jobs2.end(job3, outcome);
  if (ended2) onEnd(ended2);
  return ended2 !== void 0;
}
function createJobProcessor(jobs2, handlers, options7) {
  const kinds = Object.keys(handlers);
  const limits = { task: options7.concurrency, job: MAX_LONG_JOBS };
  const running = /* @__PURE__ */ new Map();
  const writes = createPendingWrites();
  const changes = createChangeSignal();
  let started = false;
  let onlyJob;
  let closed = false;
  let polls = 0;
  let isNotified = false;
  const begin = (job3) => {
    const controller = new AbortController();
    const { signal } = controller;
    const progress = createProgress((done, total) => {
      jobs2.progress(job3, done, total);
      changes.emit();
    });
    const environment = { logger: options7.logger, isClosed: () => closed };
    const end = runHandler(job3, handlers[job3.kind], { signal, progress }, environment).then((outcome) => writes.write(job3.ticket, () => writeOutcome(jobs2, job3, outcome, options7))).finally(() => {
      running.delete(job3.ticket);
      changes.emit();
      notify();
    });
    running.set(job3.ticket, { job: job3, controller, end });
  };
  const fill2 = () => {
    isNotified = false;
    if (!started || closed || jobs2.isPaused()) return;
    for (const lane of ["job", "task"]) {
      const busy = [...running.values()].filter(({ job: job3 }) => job3.lane === lane).length;
      for (let free = limits[lane] - busy; free > 0; free -= 1) {
        const excludedHosts = busyHosts([...running.values()]);
        const only = lane === "job" ? onlyJob : void 0;
        const [job3] = jobs2.take(lane, 1, excludedHosts, { kinds, only });
        if (job3 === void 0) break;
        begin(job3);
      }
    }
  };
  const notify = () => {
    if (isNotified || closed) return;
    isNotified = true;
    setImmediate(fill2);
  };
  const poll = () => {
    if (!started || closed) return;
    polls += 1;
    const cancelled2 = new Set(jobs2.cancelRequested());
    for (const { job: job3, controller } of running.values()) if (cancelled2.has(job3.id)) controller.abort();
    writes.flush();
    if (polls % RECOVER_EVERY === 1) jobs2.recover();
    if (!jobs2.isPaused()) options7.onPoll?.();
    changes.emit();
    fill2();
  };
  const timer = setInterval(poll, POLL_INTERVAL_MS2).unref();
  return {
    start: (only) => {
      onlyJob = only;
      started = true;
      notify();
    },
    isStarted: () => started,
    isSupported: (kind) => Object.hasOwn(handlers, kind),
    isDue: () => jobs2.isDue(kinds),
    isPending: () => jobs2.isDue(kinds, Number.MAX_SAFE_INTEGER),
    running: () => running.size,
    notify,
    changed: changes.wait,
    close: async () => {
      closed = true;
      clearInterval(timer);
      for (const { job: job3, controller } of running.values()) if (job3.lane === "job") controller.abort();
      await Promise.all([...running.values()].map(({ end }) => end));
      writes.flush();
      changes.emit();
    }
  };
}

// src/jobs/sqlite/queries.ts
var byState = (rows) => Object.fromEntries(rows.map(({ state, count: count3 }) => [state, count3]));
function listStatement({ db, lists }, { state, kind, lane, parent, before }) {
  const isLong = lane === "job" || kind !== void 0 && kind !== "download";
  const conditions = [
    isLong ? "lane = 'job'" : lane === void 0 ? void 0 : "lane = @lane",
    state === void 0 ? void 0 : "state = @state",
    kind === void 0 ? void 0 : "kind = @kind",
    parent === void 0 ? void 0 : "parent = @parent",
    before === void 0 ? void 0 : "id < @before"
  ].filter((condition) => condition !== void 0);
  const where = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
  const statement = lists.get(where) ?? db.prepare(`SELECT ${SUMMARY_COLUMNS} FROM jobs ${where} ORDER BY id DESC LIMIT @limit`);
  lists.set(where, statement);
  return statement;
}
function createQueries({ query }) {
  const find4 = (id) => query((sql) => sql.summary.get(id), void 0);
  return {
    get: (id) => {
      const row = find4(id);
      return row && toJob(row);
    },
    list: (selection) => query((sql) => listStatement(sql, selection).all(selection).map(toJob), []),
    counts: () => {
      const counted = byState(query((sql) => sql.counts.all(), []));
      return { queued: 0, running: 0, done: 0, failed: 0, cancelled: 0, ...counted };
    },
    children: (id) => {
      const { ok: done = 0, failed: failed2 = 0, cancelled: cancelled2 = 0 } = find4(id) ?? {};
      const open6 = byState(query((sql) => sql.children.all(id), []));
      return { queued: 0, running: 0, done, failed: failed2, cancelled: cancelled2, ...open6 };
    },
    isPaused: () => query((sql) => sql.flag.get("paused")?.value === 1, false)
  };
}

// src/jobs/sqlite/runs.ts
import { randomUUID as randomUUID2 } from "node:crypto";
var kindsText = (kinds) => kinds === void 0 ? null : JSON.stringify(kinds);
function takeJobs(sql, limit, owner, chosen) {
  const taken = [];
  while (taken.length < limit) {
    const row = sql.next.get(chosen);
    if (row === void 0) break;
    const ticket = randomUUID2();
    const startedAt = chosen.at;
    sql.claim.run(owner, ticket, startedAt, row.id);
    taken.push(toJob({ ...row, ticket, state: "running", startedAt, attempts: row.attempts + 1 }));
  }
  return taken;
}
function afterEnd(sql, { id, parent, next }, ended2, now) {
  if (parent !== null) sql.countEnded[ended2].run(parent);
  if (ended2 === "cancelled") cancelChildren(sql, id, now);
  if (next !== null) insertJob(sql, JSON.parse(next), now);
}
function endRun(sql, { id, ticket }, { state, error, reason, result: result2 }, { now, onEnded }) {
  const row = sql.get.get(id);
  const isCancelled2 = row?.wish === "cancel" && row.lane === "job" && state === "done";
  const ended2 = isCancelled2 ? "cancelled" : state;
  const text = result2 === void 0 ? null : JSON.stringify(result2);
  const { changes } = sql.end.run(ended2, error ?? null, reason ?? null, text, now(), id, ticket);
  if (changes === 0 || row === void 0) return false;
  afterEnd(sql, row, ended2, now());
  onEnded(sql);
  return ended2;
}
function release(sql, owner, crashed, now) {
  const abandoned = sql.abandoned.all({ owner, crashed });
  sql.release.run({ owner, at: now, crashed });
  for (const row of abandoned) afterEnd(sql, row, row.wish === "cancel" ? "cancelled" : "failed", now);
}
function recover(sql, { owner, registry }, now) {
  const before = owner();
  if (registry()?.return()) sql.changeOwner.run(owner(), before);
  const dead = sql.owners.all().filter(({ owner: other }) => other !== owner() && registry()?.isAlive(other) !== true);
  for (const { owner: other } of dead) release(sql, other, 1, now);
  return dead.length;
}
function createRuns(parts) {
  const { connection, now } = parts;
  const { query, transaction, owner } = connection;
  return {
    /** Takes the next jobs, for this process alone. */
    take: (lane, limit, excludedHosts, { kinds, only } = {}) => transaction((sql) => {
      const excluded = JSON.stringify(excludedHosts);
      return takeJobs(sql, limit, owner(), {
        lane,
        excluded,
        kinds: kindsText(kinds),
        only: only ?? null,
        at: now()
      });
    }, []),
    /** Ends a run. See `endRun`; undefined where it could not be written. */
    end: (run, result2) => transaction((sql) => endRun(sql, run, result2, parts), void 0),
    /** Queues a run again, for later; one that was to be cancelled ends. Returns as `end` does. */
    retryAt: (run, notBefore, { reason }) => transaction((sql) => {
      if (sql.get.get(run.id)?.wish === "cancel")
        return endRun(sql, run, { state: "cancelled" }, parts) !== false;
      return sql.requeue.run(Math.ceil(notBefore), reason ?? null, run.id, run.ticket).changes > 0;
    }, void 0),
    progress: ({ id, ticket }, done, total) => {
      const steps = { done: Math.trunc(done), total: Math.trunc(total) };
      query((sql) => void sql.progress.run({ ...steps, at: now(), id, ticket }), void 0);
    },
    /** Whether something runs, or could be begun at this time by a process that has handlers for these kinds. */
    isDue: (kinds, at2 = now()) => query((sql) => sql.isDue.get({ at: at2, kinds: kindsText(kinds) })?.due === 1, false),
    /** Jobs that this process runs, and is to cancel. */
    cancelRequested: () => query((sql) => sql.cancelRequested.all(owner()).map(({ id }) => id), []),
    /** Queues again what dead processes were running. Returns how many processes there were. */
    recover: () => transaction((sql) => recover(sql, connection, now()), 0),
    /** Queues again what this process was running, and closes the database. */
    close: () => connection.close((sql) => release(sql, owner(), 0, now()))
  };
}

// src/jobs/sqlite/schedule-table.ts
var RETENTION_MS = 30 * 864e5;
function createScheduleTable({ query, transaction }, addJob, now) {
  return {
    run: (plan, job3, next, latest) => transaction((sql) => {
      const at2 = now();
      const due = sql.schedule.get(job3.kind, plan)?.next;
      if (due !== void 0 && due > at2 && due <= latest()) return void 0;
      sql.setSchedule.run(job3.kind, plan, Math.trunc(next()));
      if (due === void 0 || due > at2) return void 0;
      const added = addJob(sql, job3, false);
      if (added.accepted) sql.setLastRun.run(at2, added.id, job3.kind, plan);
      else sql.countRefused.run(job3.kind, plan);
      return added;
    }, void 0),
    forget: () => query((sql) => void sql.trimSchedules.run(now() - RETENTION_MS), void 0),
    list: () => query(
      (sql) => sql.schedules.all().map((row) => ({ ...row, last: row.last ?? void 0, lastJob: row.lastJob ?? void 0 })),
      []
    )
  };
}

// src/jobs/sqlite/queue.ts
function fail(sql, id, why, { now, onEnded }) {
  if (sql.fail.run({ ...why, at: now(), id }).changes > 0) onEnded(sql);
}
function cancel(sql, id, now) {
  const queued = sql.cancelQueued.run(now, id).changes;
  const parent = queued > 0 ? sql.get.get(id)?.parent : void 0;
  if (parent !== null && parent !== void 0) sql.countEnded.cancelled.run(parent);
  const running = sql.requestCancel.run(id).changes;
  return queued + running + cancelChildren(sql, id, now) > 0;
}
function retry2(sql, id, unsupported, parts) {
  const row = sql.get.get(id);
  if (row === void 0 || sql.openByKey.get(row.key) !== void 0) return false;
  const { key, kind, lane, parent, state } = row;
  sql.clearBackOff.run(key);
  if (sql.retry.run(id).changes === 0) return false;
  if (lane === "job") sql.detachChildren.run(id);
  if (parent !== null && (state === "failed" || state === "cancelled")) sql.uncountEnded[state].run(parent);
  const why = unsupported(kind);
  if (why !== void 0) fail(sql, id, why, parts);
  return true;
}
function createQueue({ query, transaction }, parts) {
  const { addJob, now } = parts;
  return {
    add: (job3, unsupported) => transaction(
      (sql) => {
        const added = addJob(sql, job3, true);
        if (added.accepted && unsupported !== void 0) fail(sql, added.id, unsupported, parts);
        return added;
      },
      { accepted: false, reason: "full" }
    ),
    addAll: (jobs2, isWanted = () => true) => transaction((sql) => {
      const parent = jobs2[0]?.parent;
      if (parent !== void 0 && sql.get.get(parent)?.wish === "cancel") return 0;
      return jobs2.filter(
        (job3) => (sql.openByKey.get(job3.key) !== void 0 || isWanted(job3)) && addJob(sql, job3, false).accepted
      ).length;
    }, void 0),
    cancel: (id) => transaction((sql) => cancel(sql, id, now()), false),
    retry: (id, unsupported = () => void 0) => transaction((sql) => retry2(sql, id, unsupported, parts), false),
    setPaused: (isPaused) => query((sql) => void sql.setFlag.run("paused", Number(isPaused)), void 0)
  };
}
function createJobQueue(options7) {
  const { directory, capacity = 1e4, logger } = options7;
  const now = () => Math.trunc(options7.now());
  const connection = openConnection(directory, logger);
  const onEnded = createTrim(now);
  const addJob = createAddJob(capacity, now);
  const queries = createQueries(connection);
  const runs = createRuns({ connection, now, onEnded });
  return {
    ...createQueue(connection, { addJob, now, onEnded }),
    ...queries,
    ...runs,
    backOffs: createBackOffs(connection),
    schedules: createScheduleTable(connection, addJob, now),
    createProcessor: (handlers, how) => createJobProcessor({ ...runs, isPaused: queries.isPaused }, handlers, how)
  };
}

// src/library/export.ts
import { dirname as dirname3, join as join6, resolve } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";

// src/library/export-files.ts
import { randomUUID as randomUUID3 } from "node:crypto";
import { link, lstat, open, readdir, readFile, rename, rmdir, unlink } from "node:fs/promises";
import { dirname as dirname2, join as join3, sep } from "node:path";
var HIDDEN = ".images";
var TEMPORARY_MAX_AGE = 36e5;
var TEMPORARY = /^\.artwork-[0-9a-f-]{36}\.tmp$/;
var NO_LINK = ["EXDEV", "EPERM", "EACCES", "EMLINK", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "ENOENT"];
var pathOf = ({ root, path }) => join3(root, HIDDEN, path);
var temporaryIn = (folder) => join3(folder, `.artwork-${randomUUID3()}.tmp`);
var statOf = (path) => lstat(path, { bigint: true }).catch((error) => {
  if (["ENOENT", "ENOTDIR"].includes(codeOf(error))) return void 0;
  throw error;
});
async function checkFolders(root, folder, isMade = false) {
  if (isMade) makeFolder(root, OPEN_FOLDER);
  let at2 = root;
  for (const part of folder.slice(root.length).split(sep).filter(Boolean)) {
    at2 = join3(at2, part);
    const stats = await statOf(at2);
    if (stats === void 0 && !isMade) return;
    if (stats === void 0) makeFolder(at2, OPEN_FOLDER);
    else if (!stats.isDirectory()) throw new Error(`${part} in the export is no directory`);
  }
}
async function removeFile(records, file) {
  const target = pathOf(file);
  const stats = await statOf(target);
  const isOurs = stats !== void 0 && records.find(file, stats) !== void 0;
  if (isOurs) await unlink(target);
  records.remove(file);
  if (!isOurs) return "absent";
  const top = join3(file.root, HIDDEN);
  let isEmpty = true;
  for (let folder = dirname2(target); isEmpty && folder !== top; folder = dirname2(folder))
    isEmpty = await rmdir(folder).then(
      () => true,
      () => false
    );
  return "removed";
}
async function placeFile(parts, file, entry, overwrite) {
  const target = pathOf(file);
  const existing = await statOf(target);
  const settled = existing && await checkExisting(parts, file, entry, existing, overwrite);
  if (settled !== void 0) return settled;
  const content = await parts.store.read(entry);
  if (content === void 0) return removeFile(parts.records, file);
  await checkFolders(file.root, dirname2(target), true);
  const temporary = temporaryIn(dirname2(target));
  try {
    const placed = await writeTemporary(parts, entry, content, temporary);
    return await publish(parts.records, file, entry, { temporary, placed, isNew: existing === void 0 });
  } finally {
    await unlink(temporary).catch(() => {
    });
  }
}
async function checkExisting({ store, records, mode }, file, entry, existing, overwrite) {
  const content = store.fileOf(entry);
  const source = content === void 0 ? void 0 : await statOf(content);
  const isLinked = source !== void 0 && source.ino === existing.ino && source.dev === existing.dev;
  if (isLinked && mode === void 0) {
    setMode(pathOf(file), OPEN_FILE);
    records.put(file, existing, entry.digest, true);
    return "current";
  }
  const row = records.find(file, existing);
  const hasMode = mode === void 0 || (existing.mode & 0o777n) === BigInt(mode);
  if (row?.digest === entry.digest && row.isLink === 0 && hasMode) return "current";
  return existing.isDirectory() || row === void 0 && !isLinked && !overwrite ? "foreign" : void 0;
}
async function writeTemporary({ store, mode }, entry, content, temporary) {
  const source = mode === void 0 ? store.fileOf(entry) : void 0;
  if (source !== void 0 && await tryLink(source, temporary)) {
    setMode(temporary, OPEN_FILE);
    if (content.from !== "memory" || digestOf(await readFile(temporary)) === entry.digest) return "linked";
    await unlink(temporary);
  }
  await copy(temporary, content.bytes, entry.storedAt, mode ?? OPEN_FILE);
  return "copied";
}
async function publish(records, file, { digest }, made) {
  const { temporary, placed, isNew } = made;
  const target = pathOf(file);
  const stats = await lstat(temporary, { bigint: true });
  records.put(file, stats, digest, placed === "linked");
  if (!isNew) await rename(temporary, target);
  else if (!await publishNew(temporary, target)) {
    const now = await statOf(target);
    const isOurs = now !== void 0 && (now.ino === stats.ino || records.find(file, now)?.digest === digest);
    if (!isOurs) records.removeOne(file, stats);
    return isOurs ? "current" : "foreign";
  }
  if ((await statOf(target))?.ino === stats.ino) {
    records.put(file, stats, digest, placed === "linked");
    records.removeOthers(file, stats);
  }
  return placed;
}
async function tryLink(content, to) {
  try {
    await link(content, to);
    return true;
  } catch (error) {
    if (NO_LINK.includes(codeOf(error))) return false;
    throw error;
  }
}
async function publishNew(temporary, target) {
  try {
    await link(temporary, target);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    if (!NO_LINK.includes(codeOf(error))) throw error;
    await rename(temporary, target);
    return true;
  }
}
async function copy(to, bytes3, at2, mode) {
  const file = await open(to, "wx", mode);
  try {
    await file.chmod(mode);
    await file.writeFile(bytes3);
    await file.utimes(at2 / 1e3, at2 / 1e3);
    await file.sync();
  } finally {
    await file.close();
  }
}
async function removeTemporary(folder) {
  const isOld = async (path) => Date.now() - Number((await statOf(path))?.ctimeMs ?? 0) > TEMPORARY_MAX_AGE;
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join3(folder, entry.name);
    if (entry.isDirectory()) await removeTemporary(path);
    else if (entry.isFile() && TEMPORARY.test(entry.name) && await isOld(path))
      await unlink(path).catch(() => {
      });
  }
}

// src/library/export-records.ts
import { join as join4 } from "node:path";
var SHAPE2 = {
  version: 1,
  synchronous: "NORMAL",
  schema: `
    -- A path has two rows while its file is being replaced.
    CREATE TABLE files (
      root TEXT NOT NULL, path TEXT NOT NULL, ino TEXT NOT NULL, digest TEXT NOT NULL, isLink INTEGER NOT NULL,
      size INTEGER NOT NULL, mtime INTEGER NOT NULL, PRIMARY KEY (root, path, ino)
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 1;
  `,
  checks: ["SELECT * FROM files LIMIT 1"]
};
var PAGE = 200;
function createExportRecords(directory, logger) {
  let opened;
  const open6 = () => {
    if (directory === void 0) return statements(openInMemory(SHAPE2), void 0);
    makeFolder(directory);
    const { db, inode } = openDatabase(
      join4(directory, "export.db"),
      void 0,
      SHAPE2,
      (message) => logger.warn({}, `artwork export: ${message}`)
    );
    return statements(db, inode);
  };
  const sql = () => {
    if (opened === void 0 || directory !== void 0 && inodeOf(join4(directory, "export.db")) !== opened.inode)
      opened = open6();
    return opened;
  };
  return {
    /** The row of a file that is ours and has not been changed by others since. */
    find: ({ root, path }, stats) => {
      const row = sql().get.get(root, path, String(stats.ino));
      return row !== void 0 && BigInt(row.size) === stats.size && BigInt(row.mtime) === stats.mtimeMs ? row : void 0;
    },
    put: ({ root, path }, stats, digest, isLink) => {
      const { ino, size, mtimeMs } = stats;
      const facts = { ino: String(ino), size: Number(size), mtime: Number(mtimeMs) };
      sql().put.run({ root, path, digest, isLink: Number(isLink), ...facts });
    },
    remove: ({ root, path }) => void sql().remove.run(root, path),
    /** Removes the row of one inode. */
    removeOne: ({ root, path }, { ino }) => void sql().removeOne.run(root, path, String(ino)),
    /** Removes the rows of all other inodes. */
    removeOthers: ({ root, path }, { ino }) => void sql().removeOthers.run(root, path, String(ino)),
    /** Paths that are recorded, in pages. */
    *pages(root) {
      for (let after2 = ""; after2 !== void 0; ) {
        const paths = sql().pathsAfter.all(root, after2, PAGE).map(({ path }) => path);
        yield paths;
        after2 = paths.length < PAGE ? void 0 : paths.at(-1);
      }
    },
    close: () => {
      opened?.db.close();
      opened = void 0;
    }
  };
}
function statements(db, inode) {
  return keep({
    db,
    inode,
    get: db.prepare(
      "SELECT digest, isLink, size, mtime FROM files WHERE root = ? AND path = ? AND ino = ?"
    ),
    put: db.prepare(
      "INSERT OR REPLACE INTO files VALUES (@root, @path, @ino, @digest, @isLink, @size, @mtime)"
    ),
    remove: db.prepare("DELETE FROM files WHERE root = ? AND path = ?"),
    removeOne: db.prepare(
      "DELETE FROM files WHERE root = ? AND path = ? AND ino = ?"
    ),
    removeOthers: db.prepare(
      "DELETE FROM files WHERE root = ? AND path = ? AND ino <> ?"
    ),
    pathsAfter: db.prepare(
      "SELECT DISTINCT path FROM files WHERE root = ? AND path > ? ORDER BY path LIMIT ?"
    )
  });
}

// src/library/manifest.ts
import { createReadStream } from "node:fs";
import { lstat as lstat2, open as open2, rename as rename2, unlink as unlink2 } from "node:fs/promises";
import { join as join5 } from "node:path";
import { createInterface } from "node:readline";
var MANIFEST = "manifest.jsonl";
var exportPath = ({ key }) => key.slice("local/".length);
async function openManifest(root) {
  const path = temporaryIn(join5(root, HIDDEN));
  const file = await open2(path, "wx", 384);
  let isOpen = true;
  const close2 = async () => {
    if (isOpen) await file.close();
    isOpen = false;
  };
  return {
    add: async (entries2) => {
      const lines = entries2.map((entry) => {
        const { digest, sourceUrl, ownerKind: kind, ownerId: id, storedAt } = entry;
        return `${JSON.stringify({ path: exportPath(entry), digest, kind, id, sourceUrl, storedAt })}
`;
      });
      if (lines.length > 0) await file.appendFile(lines.join(""));
    },
    /** Waits until it is on the disk. */
    sync: async () => {
      await file.sync();
      return lstat2(path, { bigint: true });
    },
    publish: async (target) => {
      await close2();
      await rename2(path, target);
    },
    discard: async () => {
      await close2();
      await unlink2(path).catch(() => {
      });
    }
  };
}
async function* readManifest(folder) {
  const file = join5(folder, MANIFEST);
  if (!(await lstat2(file).catch(() => void 0))?.isFile()) return;
  const input = createReadStream(file);
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    const read2 = readLine(line);
    if (read2 !== void 0) yield read2;
  }
}
function readLine(line) {
  try {
    const fields = JSON.parse(line);
    if (typeof fields !== "object" || fields === null) return void 0;
    const { path, kind, id, sourceUrl, digest } = fields;
    if (typeof path !== "string" || typeof kind !== "string" || typeof id !== "string") return void 0;
    return {
      path,
      kind,
      id,
      ...typeof sourceUrl === "string" && { sourceUrl },
      ...typeof digest === "string" && { digest }
    };
  } catch {
    return void 0;
  }
}

// src/library/export.ts
var PAGE2 = 200;
var MAX_WAITING3 = 1e4;
function createExporter({ store, directory, mode, logger }) {
  const records = createExportRecords(directory, logger);
  const parts = { store, records, mode, logger };
  const update = createUpdater(parts);
  const follower = createFollower(update, logger);
  return {
    /** Goes through everything. */
    run: (to, options7 = {}) => runExport(parts, update, resolve(to), options7),
    followTo: follower.followTo,
    changed: follower.changed,
    settled: follower.settled,
    close: async () => {
      await follower.close();
      records.close();
    }
  };
}
function createUpdater(parts) {
  const { store, records } = parts;
  const running = /* @__PURE__ */ new Map();
  const entryOf = ({ path }) => {
    const entry = store.find(entityImageKey(path));
    return entry?.role === "artwork" ? entry : void 0;
  };
  const update = async (file, overwrite) => {
    await checkFolders(file.root, dirname3(pathOf(file)));
    const entry = entryOf(file);
    if (!entry?.isStored) return removeFile(records, file);
    const placed = await placeFile(parts, file, entry, overwrite);
    const now = entryOf(file);
    return now?.digest === entry.digest || now === void 0 ? placed : placeFile(parts, file, now, overwrite);
  };
  return async (file, overwrite = false) => {
    const key = `${file.root}
${file.path}`;
    while (running.has(key)) await running.get(key);
    const work = update(file, overwrite).finally(() => running.delete(key));
    running.set(
      key,
      work.catch(() => {
      })
    );
    return work;
  };
}
var warnNotPlaced = (logger, path, error) => logger.warn({ err: error, image: path }, "artwork export: a file could not be placed");
function createFollower(update, logger) {
  const waiting = /* @__PURE__ */ new Set();
  let following;
  let busy;
  const follow = async (root) => {
    for (const path of waiting) {
      waiting.delete(path);
      await update({ root, path }).catch((error) => warnNotPlaced(logger, path, error));
    }
  };
  return {
    /**
     * From now on, follows the changes that `changed` announces.
     * @param onLost called when more has changed than can be followed: everything is to be gone through
     */
    followTo: (to, onLost) => {
      following = { root: resolve(to), onLost };
    },
    /** Keys have changed in the store. */
    changed: (keys) => {
      if (following === void 0) return;
      const { root, onLost } = following;
      if (keys === "all" || waiting.size > MAX_WAITING3) {
        waiting.clear();
        onLost();
        return;
      }
      for (const key of keys) {
        const path = key.startsWith("local/") ? readArtworkPath(exportPath({ key })) : void 0;
        if (path !== void 0) waiting.add(path);
      }
      if (waiting.size === 0) return;
      busy ??= follow(root).finally(() => {
        busy = void 0;
      });
    },
    /** Resolves when the changes so far have been followed. */
    settled: async () => {
      while (busy !== void 0) await busy;
    },
    close: async () => {
      following = void 0;
      waiting.clear();
      await busy;
    }
  };
}
async function runExport(parts, update, root, { overwrite = false, signal, onProgress }) {
  const { store, records, logger } = parts;
  const count3 = { linked: 0, copied: 0, current: 0, removed: 0, absent: 0, foreign: 0, failed: 0 };
  const total = store.stats().byRole.artwork;
  const hidden = join6(root, HIDDEN);
  await checkFolders(root, hidden, true);
  const updateOne = async (path) => {
    try {
      count3[await update({ root, path }, overwrite)] += 1;
    } catch (error) {
      count3.failed += 1;
      warnNotPlaced(logger, path, error);
    }
  };
  const report = (complete) => {
    const { absent: _absent, ...counts } = count3;
    return { ...counts, complete };
  };
  const manifest = await openManifest(root);
  try {
    let done = 0;
    for (const page3 of pagesOf(store)) {
      const stored = page3.filter((entry) => entry.isStored);
      for (const entry of stored) {
        if (signal?.aborted) return report(false);
        await updateOne(exportPath(entry));
      }
      await manifest.add(stored);
      done += page3.length;
      onProgress?.(Math.min(done, total), total);
      await nextTurn();
    }
    for (const paths of records.pages(root)) {
      for (const path of paths) {
        if (signal?.aborted) return report(false);
        if (path !== MANIFEST && !store.find(entityImageKey(path))?.isStored) await updateOne(path);
      }
      await nextTurn();
    }
    await removeTemporary(hidden);
    await publishManifest(parts, root, manifest, overwrite);
    return report(true);
  } finally {
    await manifest.discard();
  }
}
function* pagesOf(store) {
  for (let after2; ; ) {
    const page3 = store.select({ role: "artwork", limit: PAGE2, ...after2 !== void 0 && { after: after2 } });
    yield page3;
    const last = page3.at(-1);
    if (last === void 0 || page3.length < PAGE2) return;
    after2 = last.key;
  }
}
async function publishManifest({ records, logger }, root, manifest, overwrite) {
  const file = { root, path: MANIFEST };
  const existing = await statOf(pathOf(file));
  if (existing !== void 0 && !overwrite && records.find(file, existing) === void 0) {
    logger.warn({}, `artwork export: ${MANIFEST} is not ours and stays as it is`);
    return;
  }
  const stats = await manifest.sync();
  records.put(file, stats, "", false);
  await manifest.publish(pathOf(file));
  records.removeOthers(file, stats);
}

// src/jobs/cleanup.ts
import { setImmediate as yieldToEventLoop5 } from "node:timers/promises";

// src/jobs/orphans.ts
import { setImmediate as yieldToEventLoop4 } from "node:timers/promises";
var MAX_UNCONFIRMED = 20;
function byOwnerKind(batch) {
  const found = /* @__PURE__ */ new Map();
  for (const entry of batch)
    if (entry.role === "artwork" && entry.ownerKind !== void 0 && entry.ownerId !== void 0)
      found.set(entry.ownerKind, [...found.get(entry.ownerKind) ?? [], entry]);
  return found;
}
async function missingOf({ repository, logger }, kind, images2) {
  try {
    const ids = [...new Set(images2.map(({ ownerId = "" }) => ownerId))];
    const living = await repository?.exists?.(kind, ids);
    return living && images2.filter(({ ownerId = "" }) => !living.has(ownerId));
  } catch (error) {
    logger.warn({ err: error, kind }, "artwork: the repository could not be asked for orphans");
    return void 0;
  }
}
async function spareNamed({ repository, logger, kinds, urls }, kind, missing2, spared, signal) {
  try {
    for await (const batch of entitiesIn(repository, kind)) {
      for (const entity of batch) {
        const { localPath } = readSubject(entity, kind, kinds);
        const path = localPath === void 0 ? void 0 : artworkPathOf(urls, localPath);
        const entry = path === void 0 ? void 0 : missing2.get(entityImageKey(path));
        if (entry !== void 0 && missing2.delete(entry.key)) spared.push(entry);
      }
      if (signal?.aborted) return false;
      await yieldToEventLoop4();
    }
    return true;
  } catch (error) {
    logger.warn({ err: error, kind }, "artwork: the repository could not be asked whose pictures there are");
    return false;
  }
}
function createOrphans(settings, isConfirmed) {
  const { repository, logger } = settings;
  const owned = /* @__PURE__ */ new Map();
  const suspects = /* @__PURE__ */ new Map();
  const goneOf = async (kind, missing2, spared, signal) => {
    const isListed = repository?.list !== void 0;
    const isSure = !isListed || await spareNamed(settings, kind, missing2, spared, signal);
    for (const entry of missing2.values()) {
      const isGuess = entry.recipe === void 0 && entry.original === void 0;
      if (isSure && (isListed || !isGuess)) continue;
      missing2.delete(entry.key);
      spared.push(entry);
    }
    return [...missing2.values()];
  };
  return {
    /** The keys of a batch whose entities the repository does not report as existing. */
    suspect: async (batch) => {
      const found = /* @__PURE__ */ new Set();
      if (repository?.exists === void 0) return found;
      for (const [kind, images2] of byOwnerKind(batch)) {
        owned.set(kind, (owned.get(kind) ?? 0) + images2.length);
        const missing2 = await missingOf(settings, kind, images2);
        if (missing2 === void 0) continue;
        const known = suspects.get(kind) ?? /* @__PURE__ */ new Map();
        suspects.set(kind, known);
        for (const entry of missing2) {
          known.set(entry.key, entry);
          found.add(entry.key);
        }
      }
      return found;
    },
    /** Which suspects are gone, and which stay; how many stay of kinds that are reported as gone altogether. */
    decide: async (signal) => {
      const gone = [];
      const spared = [];
      const unconfirmed = {};
      for (const [kind, missing2] of suspects) {
        if (missing2.size === 0) continue;
        const found = await goneOf(kind, missing2, spared, signal);
        if (found.length <= MAX_UNCONFIRMED || found.length !== owned.get(kind) || isConfirmed) {
          gone.push(...found);
          continue;
        }
        unconfirmed[kind] = found.length;
        spared.push(...found);
        logger.warn(
          { kind, pictures: found.length },
          "artwork: by the repository, every entity of a kind is gone: their pictures stay until a run with force"
        );
      }
      return { gone, spared, unconfirmed };
    }
  };
}

// src/jobs/cleanup.ts
var DAY_MS = 864e5;
var BATCH3 = 200;
function createReport(onGoing) {
  const counts = { expired: 0, orphaned: 0, corrupt: 0, kept: 0 };
  const contents = /* @__PURE__ */ new Map();
  const toDelete = /* @__PURE__ */ new Set();
  return {
    toDelete,
    record: ({ key, digest, size }, verdict) => {
      counts[verdict] += 1;
      if (verdict !== "kept") onGoing?.(key, verdict);
      if (verdict === "expired" || verdict === "orphaned") toDelete.add(key);
      const isKept = verdict === "kept" || contents.get(digest)?.isKept === true;
      contents.set(digest, { size, isKept });
    },
    result: (unconfirmed) => ({
      removed: toDelete.size + counts.corrupt,
      freedBytes: [...contents.values()].reduce((sum, { size, isKept }) => sum + (isKept ? 0 : size), 0),
      ...counts,
      ...Object.keys(unconfirmed).length > 0 && { unconfirmed }
    })
  };
}
var isUnused = (store, entry, since) => (store.lastUsed(entry.key) ?? entry.storedAt) < since;
async function isNeeded(store, original, toDelete) {
  for await (const { key } of entries(store, { original })) if (!toDelete.has(key)) return true;
  return false;
}
async function* inBatches(store) {
  let batch = [];
  for await (const entry of entries(store, {}, BATCH3)) {
    batch.push(entry);
    if (batch.length < BATCH3) continue;
    yield batch;
    batch = [];
  }
  yield batch;
}
async function optimize({ settings, store }, { maxAgeDays = 90, dryRun = false, force = false } = {}, { signal, onProgress, onGoing } = {}) {
  const since = settings.now() - maxAgeDays * DAY_MS;
  const report = createReport(onGoing);
  const orphans = createOrphans(settings, force);
  const unusedOriginals = [];
  const classify = async (entry) => {
    if (entry.isStored && await store.check(entry, { isDryRun: dryRun }) === "damaged") return "corrupt";
    return isUnused(store, entry, since) ? "expired" : "kept";
  };
  const findDamagedAndUnused = async () => {
    const total = store.stats().names;
    let seen = 0;
    for await (const batch of inBatches(store)) {
      const suspected = await orphans.suspect(batch);
      for (const entry of batch) {
        if (suspected.has(entry.key)) continue;
        const verdict = await classify(entry);
        if (verdict === "expired" && entry.role === "original") unusedOriginals.push(entry);
        else report.record(entry, verdict);
      }
      seen += batch.length;
      onProgress?.(Math.min(seen, total), total);
      if (signal?.aborted) return;
    }
  };
  const findOrphaned = async () => {
    const { gone, spared, unconfirmed: unconfirmed2 } = await orphans.decide(signal);
    for (const entry of gone) report.record(entry, "orphaned");
    for (const entry of spared) report.record(entry, await classify(entry));
    return unconfirmed2;
  };
  const findUnusedOriginals = async () => {
    for (const [index, entry] of unusedOriginals.entries()) {
      if (signal?.aborted) return;
      report.record(entry, await isNeeded(store, entry.key, report.toDelete) ? "kept" : "expired");
      if (index % BATCH3 === BATCH3 - 1) await yieldToEventLoop5();
    }
  };
  await findDamagedAndUnused();
  const unconfirmed = await findOrphaned();
  await findUnusedOriginals();
  for (const key of dryRun ? [] : report.toDelete) {
    if (signal?.aborted) break;
    await store.delete(key);
  }
  return report.result(unconfirmed);
}
async function expire({ store, settings }, kinds, maxIdle) {
  const prefixes = kinds.map((kind) => imageKey(`${kind}/`));
  let deleted2 = 0;
  for (const role of ["rendition", "original"])
    for await (const entry of entries(store, { role })) {
      if (!prefixes.some((prefix) => entry.key.startsWith(prefix))) continue;
      if (!isUnused(store, entry, settings.now() - maxIdle)) continue;
      if (role === "original" && store.select({ original: entry.key, limit: 1 }).length > 0) continue;
      if (await store.delete(entry.key)) deleted2 += 1;
    }
  return deleted2;
}

// src/lifecycle.ts
var CLOSE_WITHIN_MS = 2e4;
var LONGEST_TIMER_MS = 2 ** 31 - 1;
function createLifecycle(settings, parts) {
  const sweeps = startSweeps(settings, parts.store);
  let closing;
  const close2 = async () => {
    for (const sweep of sweeps) clearInterval(sweep);
    await within(CLOSE_WITHIN_MS, inOrder2(parts.finish));
    await inOrder2(parts.close);
  };
  return {
    isClosing: () => closing !== void 0,
    close: () => {
      closing ??= close2();
      return closing;
    }
  };
}
function startSweeps(settings, store) {
  const sweep = (kinds, maxIdle) => {
    expire({ settings, store }, kinds, maxIdle).catch(
      (error) => settings.logger.error({ err: error }, "artwork: looking for what nobody uses failed")
    );
  };
  const idle = settings.sources.flatMap(
    (source) => source.idle === void 0 ? [] : [{ kinds: source.kinds, ...source.idle }]
  );
  return idle.filter(({ maxIdle, sweepEvery }) => maxIdle > 0 && sweepEvery > 0).map(
    ({ kinds, maxIdle, sweepEvery }) => setInterval(() => sweep(kinds, maxIdle), Math.min(sweepEvery, LONGEST_TIMER_MS)).unref()
  );
}
async function inOrder2(steps) {
  for (const step of steps) await step();
}
async function within(ms2, work) {
  let timer;
  const late2 = new Promise((resolve5) => {
    timer = setTimeout(resolve5, ms2);
  });
  await Promise.race([work, late2]).finally(() => clearTimeout(timer));
}

// src/management/explain.ts
var MAX_RENDITIONS = 200;
var ACCEPTED = ["image/avif,image/webp", "image/webp", void 0];
function explain(parts, target) {
  if ("url" in target && !isOwnUrl(parts.settings.urls, target.url))
    return explainOriginal(parts, parts.resolver.resolveUrl(target.url), void 0);
  const found = readTarget(parts, "url" in target ? target.url : target.address);
  const original = "local" in found ? found.local.original : void 0;
  if ("local" in found && original === void 0)
    throw new ArtworkError("unknown_image", "nothing is known of its original");
  const address = "address" in found ? found.address : addressOfKey(original ?? "") ?? "";
  const resolved2 = parts.resolver.resolve(toAddress(address), true);
  return explainOriginal(parts, resolved2.original, {
    resolved: resolved2,
    text: formatAddress(toAddress(address))
  });
}
function explainOriginal(parts, { text }, asked) {
  const { settings, store, run } = parts;
  const key = imageKey(text);
  const now = settings.now();
  const entry = store.find(key);
  const failure2 = store.negativeCache.get(key);
  const isFailing = failure2 !== void 0 && isOriginalFailureActive(failure2, now, run);
  const freshness2 = entry && freshnessOf(entry, settings.freshness, now);
  const answer2 = asked === void 0 ? entry : findCurrent(parts, asked.resolved, entry);
  const isCurrent = answer2?.isStored === true;
  const isUsable = entry !== void 0 && freshness2 !== "dead" && (isCurrent || entry.isStored);
  const layer = isCurrent ? store.inMemory(answer2.digest) ? "memory" : "disk" : "made";
  const describe = (one) => nameOf(one, store.lastUsed(one.key));
  return {
    address: asked?.text ?? text,
    original: entry && describe(entry),
    renditions: store.select({ original: key, limit: MAX_RENDITIONS }).map(describe),
    answer: isUsable ? freshness2 === "fresh" ? "held" : "stale" : isFailing ? "failure" : "fetched",
    layer: isUsable ? layer : isFailing ? "none" : "upstream",
    checkedAt: entry?.validatedAt,
    freshUntil: entry !== void 0 && canExpire(entry) ? freshUntil(entry, settings.freshness) : void 0,
    sourceUrl: entry?.sourceUrl,
    failure: failure2 && {
      code: failure2.code,
      message: failure2.message,
      at: failure2.at,
      nextTry: failure2.until,
      times: failure2.count
    }
  };
}
function findCurrent({ store, recipes, autoFormats }, resolved2, original) {
  const isNegotiated = resolved2.variant.format === "auto" && original !== void 0;
  const candidates = isNegotiated ? ACCEPTED.map((accept) => autoFormats.choose(resolved2, original, accept).resolved) : [resolved2];
  return candidates.map(({ address, recipe }) => {
    if (recipe === void 0) return original;
    const made = store.find(imageKey(formatAddress(address)));
    const isOld = original !== void 0 && made !== void 0 && !recipes.isCurrent(made, original, recipe);
    return isOld ? void 0 : made;
  }).find((one) => one?.isStored);
}
var nameOf = (entry, lastUsed) => ({
  name: entry.key,
  role: entry.role,
  type: entry.type,
  width: entry.width,
  height: entry.height,
  size: entry.size,
  digest: entry.digest,
  held: entry.isStored,
  storedAt: entry.storedAt,
  lastUsed
});

// src/management/image-details.ts
var MAX_MADE = 500;
var MAX_CHOICES = 1e3;
function createImageDetails(parts) {
  const { store } = parts;
  return {
    /** Why an image is answered as it is. @throws ArtworkError */
    explain: (target) => explain(parts, target),
    /** Everything that is known of an image, by its key; undefined where there is none. */
    details: (key) => details(parts, key),
    /** Looks through everything that is stored, uploads apart. */
    search: async (query) => {
      const { entries: entries2, total, next } = await store.search(query);
      return {
        images: entries2.map(({ lastUsed, ...entry }) => storedImage(parts, entry, lastUsed)),
        total,
        next
      };
    },
    /** The bytes of an image: of those made from it, the smallest that is at least so wide; itself else. */
    storedBytes: async (key, atLeast) => {
      const entry = store.find(key);
      if (entry === void 0) return void 0;
      const made = entry.role === "original" && entry.width > atLeast ? store.select({ original: key, limit: MAX_CHOICES }).filter((one) => one.isStored && one.width >= atLeast && one.size < entry.size).sort((a, b) => a.width - b.width) : [];
      for (const one of [...made.slice(0, 1), entry]) {
        const content = await store.read(one);
        if (content !== void 0) return { ...content, entry: one };
      }
      return void 0;
    }
  };
}
function storedImage({ settings, store }, entry, lastUsed) {
  const isOriginal = entry.role === "original";
  const freshness2 = freshnessOf(entry, settings.freshness, settings.now());
  return {
    ...entry,
    lastUsed: lastUsed ?? store.lastUsed(entry.key),
    url: entryUrl(settings.urls, entry),
    state: entry.isStored ? isOriginal ? freshness2 : "held" : "lost",
    freshUntil: isOriginal ? freshUntil(entry, settings.freshness) : void 0
  };
}
function details(parts, key) {
  const { store } = parts;
  const entry = store.find(key);
  if (entry === void 0) return void 0;
  const root = entry.role === "original" ? entry.key : entry.original;
  const original = root === void 0 ? void 0 : store.find(root);
  const made = root === void 0 ? [] : store.select({ original: root, limit: MAX_MADE });
  const keys = [.../* @__PURE__ */ new Set([entry.key, ...root === void 0 ? [] : [root]])];
  const history = keys.flatMap((one) => store.history(one).map((item) => ({ ...item, name: one }))).sort((a, b) => b.at - a.at);
  return {
    image: storedImage(parts, entry),
    original: original && storedImage(parts, original),
    made: made.filter((one) => one.key !== entry.key || entry.role !== "original").map((one) => storedImage(parts, one)),
    history,
    why: explainRoot(parts, root)
  };
}
function explainRoot(parts, root) {
  const address = root === void 0 ? void 0 : addressOfKey(root);
  if (address === void 0) return void 0;
  try {
    return explain(parts, { address });
  } catch {
    return void 0;
  }
}

// src/library/import.ts
import { constants } from "node:fs";
import { lstat as lstat3, open as open3, readdir as readdir2 } from "node:fs/promises";
import { join as join7, resolve as resolve2 } from "node:path";
import { setImmediate as nextTurn3 } from "node:timers/promises";

// src/library/import-owners.ts
import { setImmediate as nextTurn2 } from "node:timers/promises";
var MAX_ENTITIES2 = 1e6;
async function findOwners(settings, root, wanted, signal) {
  const { kinds, logger } = settings;
  const owners = /* @__PURE__ */ new Map();
  for (const path of wanted) {
    const owner = ownerByPath(path, kinds);
    if (owner !== void 0) owners.set(path, owner);
  }
  const listed3 = /* @__PURE__ */ new Set();
  try {
    for await (const { path, ...owner } of readManifest(root))
      if (wanted.has(path) && kinds.has(owner.kind)) {
        owners.set(path, owner);
        listed3.add(path);
      }
  } catch (error) {
    logger.warn({ err: error }, "artwork import: the list of the export could not be read");
  }
  try {
    for await (const [path, owner] of ownersInRepository(settings, signal))
      if (wanted.has(path) && !listed3.has(path)) owners.set(path, owner);
  } catch (error) {
    logger.warn({ err: error }, "artwork import: the repository could not be asked whose pictures there are");
  }
  return owners;
}
async function* ownersInRepository({ kinds, repository, urls }, signal) {
  if (repository?.list === void 0) return;
  let seen = 0;
  for (const kind of kinds.values())
    for await (const page3 of entitiesIn(repository, kind.kind)) {
      for (const entity of page3) {
        seen += 1;
        const { id, sourceUrl, params, localPath } = readSubject(entity, kind.kind, kinds);
        if (id === void 0) continue;
        const owner = { kind: kind.kind, id: String(id), sourceUrl };
        for (const path of pathsOf(kind, id, params)) yield [path, owner];
        const named = localPath === void 0 ? void 0 : artworkPathOf(urls, localPath);
        if (named !== void 0) yield [named, owner];
      }
      if (signal?.aborted || seen > MAX_ENTITIES2) return;
      await nextTurn2();
    }
}
var pathsOf = (...given) => {
  try {
    return artworkPaths(...given);
  } catch {
    return [];
  }
};
function ownerByPath(path, kinds) {
  for (const kind of kinds.values()) {
    const idName = ["id", "slug"].find((name) => kind.path.includes(`{${name}}`));
    if (idName === void 0) continue;
    const pattern = kind.path.replaceAll(/[.*+?^$()|[\]\\]/g, "\\$&").replaceAll("{plural}", kind.plural).replace(`{${idName}}`, "(?<id>[A-Za-z0-9_-]+)").replaceAll(/\{[a-z_]+\}/g, "[A-Za-z0-9_-]+");
    const id = new RegExp(`^${pattern}$`).exec(path)?.groups?.id;
    if (id !== void 0 && (!kind.path.includes("{shard}") || pathsOf(kind, id).includes(path)))
      return { kind: kind.kind, id };
  }
  return void 0;
}

// src/library/import.ts
var MAX_ERRORS3 = 100;
var BATCH4 = 50;
var isDirectory = async (path) => (await lstat3(path).catch(() => void 0))?.isDirectory() === true;
var isPicture = (name) => formatOfExtension(name.slice(name.lastIndexOf(".") + 1)) !== void 0;
async function* filesBelow(folder, onSkip, prefix = "") {
  let entries2;
  try {
    entries2 = await readdir2(folder, { withFileTypes: true });
  } catch (error) {
    onSkip(error);
    return;
  }
  for (const entry of entries2) {
    const path = prefix === "" ? entry.name : `${prefix}/${entry.name}`;
    if (readArtworkPath(path) === void 0) continue;
    if (entry.isDirectory()) yield* filesBelow(join7(folder, entry.name), onSkip, path);
    else if (entry.isFile() && isPicture(entry.name)) yield path;
  }
}
async function importFolder(parts, resolver, folder, options7 = {}) {
  const { settings } = parts;
  const { overwrite = false, signal, onProgress } = options7;
  const hidden = join7(resolve2(folder), HIDDEN);
  const root = await isDirectory(hidden) ? hidden : resolve2(folder);
  if (!await isDirectory(root)) throw new ArtworkError("invalid", "the folder to import is no directory");
  const count3 = { imported: 0, unchanged: 0, kept: 0, unknown: 0, refused: 0 };
  const errors2 = {};
  const wanted = /* @__PURE__ */ new Set();
  const onSkip = (error) => settings.logger.warn({ err: error }, "artwork import: a folder could not be read");
  for await (const path of filesBelow(root, onSkip)) wanted.add(path);
  const owners = await findOwners(settings, root, wanted, signal);
  let done = 0;
  for (const path of wanted) {
    if (signal?.aborted) break;
    const owner = owners.get(path);
    if (owner === void 0) count3.unknown += 1;
    else
      try {
        count3[await importFile(parts, resolver, { root, path, owner, overwrite })] += 1;
      } catch (error) {
        count3.refused += 1;
        if (Object.keys(errors2).length < MAX_ERRORS3) errors2[path] = asArtworkError(error).reason;
      }
    done += 1;
    onProgress?.(done, wanted.size);
    if (done % BATCH4 === 0) await nextTurn3();
  }
  return { ...count3, errors: errors2 };
}
async function importFile(parts, resolver, file) {
  const { settings, store } = parts;
  const { path, owner } = file;
  const key = entityImageKey(path);
  const bytes3 = await readBounded(join7(file.root, path), settings.fetch.maxBytes);
  const digest = digestOf(bytes3);
  const before = store.find(key);
  if (before?.isStored && before.digest === digest) return "unchanged";
  if (before?.isStored && !file.overwrite) return "kept";
  const { type, width, height } = await inspectGiven(parts, bytes3);
  const at2 = settings.now();
  const isSame = owner.digest === void 0 || owner.digest === digest;
  await store.write(
    {
      key,
      role: "artwork",
      type,
      width,
      height,
      storedAt: at2,
      validatedAt: at2,
      freshnessLifetime: settings.freshness.maxAge,
      ownerKind: owner.kind,
      ownerId: owner.id,
      ...isSame ? originOf(resolver, owner.sourceUrl) : {}
    },
    bytes3
  );
  return "imported";
}
async function readBounded(path, maxBytes) {
  const file = await open3(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  try {
    const { size } = await file.stat();
    if (size > maxBytes) throw new ArtworkError("too_large", "the image has too many bytes");
    return await file.readFile();
  } finally {
    await file.close();
  }
}
function originOf(resolver, sourceUrl) {
  if (sourceUrl === void 0) return {};
  try {
    return { sourceUrl, original: imageKey(resolver.resolveUrl(sourceUrl).text) };
  } catch {
    return {};
  }
}

// src/management/maintenance.ts
function createMaintenance(context, { resolver, idle }, events) {
  const { store } = context;
  return {
    /** Removes what was not used for long, orphans and damaged copies. */
    optimizeCache: (options7, watch) => optimize(context, options7, watch),
    /** Forgets everything that can be fetched again. */
    clearCache: async () => {
      await idle();
      await store.clear();
    },
    /** Imports pictures that are files already. @throws ArtworkError `invalid` (400) for a folder that is none */
    importFolder: (folder, options7) => importFolder(context, resolver, folder, options7),
    /**
     * Checks every stored byte against its digest, slowly, beside readers and writers; goes on where an interrupted run
     * stopped. What is damaged is deleted and fetched again, what is missing in the index is written anew, what has no key
     * goes.
     */
    verify: async (options7) => {
      const report = await store.verify(options7);
      for (const key of report.names) {
        const path = pathOfKey(key);
        if (path !== void 0) events.emit("image-missing", { path });
      }
      return report;
    }
  };
}

// src/management/management.ts
import { z as z11 } from "zod";

// src/store/ports.ts
var SORTS = ["name", "used", "stored", "size"];
var ROLES = ["original", "rendition", "artwork"];
var EVICT_TO = 0.9;
var LARGEST_SHARE = 0.1;

// src/management/entities.ts
var missing = (what) => {
  throw new ArtworkError("unknown_image", `there is no such ${what}`);
};
function createEntities({ kinds, repository, logger, urls }, images2, request) {
  const kindNamed = (name) => {
    const found = [...kinds.values()].find(({ kind, alias }) => kind === name || alias === name);
    return found ?? missing("kind of entity");
  };
  const find4 = async (kind, id) => {
    let record;
    let subject = readSubject({ id }, kind.kind, kinds);
    try {
      const found = await repository?.find?.(kind.kind, id);
      if (isRecord(found)) {
        record = found;
        subject = readSubject(found, kind.kind, kinds);
      }
    } catch (error) {
      logger.warn({ err: error }, "artwork: the repository could not be asked");
    }
    const { sourceUrl, params } = subject;
    const local = images2.entityImages.findEntity(kind, id, params);
    if (record === void 0 && local === void 0) return missing(kind.alias ?? kind.kind);
    return { record, sourceUrl, params, local };
  };
  return {
    kindNamed,
    entity: async (kind, id) => {
      const { record, sourceUrl, local } = await find4(kind, id);
      return {
        kind,
        id,
        name: nameIn(record),
        url: local === void 0 ? sourceUrl ?? null : entityImageUrl(urls, local.path, local.entry.digest),
        sourceUrl: sourceUrl ?? local?.entry.sourceUrl ?? null,
        isCached: local !== void 0
      };
    },
    /** Fetches an entity's picture anew, before everything else. */
    download: async (kind, id) => {
      const { sourceUrl, params, local } = await find4(kind, id);
      const url = sourceUrl ?? local?.entry.sourceUrl;
      if (url === void 0)
        throw new ArtworkError("invalid", `the ${kind.alias ?? kind.kind} has no image URL`);
      return request({ sourceUrl: url, entityType: kind.kind, entityId: id, params, force: true });
    }
  };
}
var isRecord = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
function nameIn(record) {
  for (const field of ["username", "name", "title", "display_name"]) {
    const value = record?.[field];
    if (typeof value === "string") return value;
  }
  return null;
}

// src/management/failures.ts
var MOST_COMPARED = 2e3;
function createFailureList({ images: images2, backOffs, store, kindNamed }) {
  const picturesOfEntities = () => {
    const names = /* @__PURE__ */ new Set();
    const add = (name) => {
      try {
        for (const one of [name()].flat()) names.add(one);
      } catch {
      }
    };
    for (const { key, url } of backOffs.list("", "", MOST_COMPARED)) {
      const [kind = "", ...id] = key.split(":");
      add(() => imageKey(images2.resolver.resolveUrl(url).text));
      add(() => artworkPaths(kindNamed(kind), id.join(":")).map(entityImageKey));
    }
    return names;
  };
  return (after2, limit, isMerged = false) => {
    const [part = "image", ...rest] = after2.split(" ");
    const from = rest.join(" ");
    const listed3 = part === "entity" ? [] : store.negativeCache.list(from, limit);
    const known = listed3.length === 0 || !isMerged ? /* @__PURE__ */ new Set() : picturesOfEntities();
    const ofImages = listed3.filter(({ name }) => !known.has(name)).map(
      ({ name, code, message, at: at2, until, count: count3 }) => ({
        of: "image",
        name,
        reason: reasonOf2(code),
        message,
        at: at2,
        nextTry: until,
        times: count3,
        url: void 0
      })
    );
    const lastListed = listed3.at(-1);
    if (lastListed !== void 0 && listed3.length === limit)
      return { failures: ofImages, next: `image ${lastListed.name}` };
    const left = limit - ofImages.length;
    const ofEntities = backOffs.list("", part === "entity" ? from : "", left).map(
      ({ key, url, until, times: times2, reason }) => ({
        of: "entity",
        name: key,
        reason,
        message: void 0,
        at: void 0,
        nextTry: until,
        times: times2,
        url
      })
    );
    const last = ofEntities.at(-1);
    return {
      failures: [...ofImages, ...ofEntities],
      next: ofEntities.length < left || last === void 0 ? void 0 : `entity ${last.name}`
    };
  };
}
var reasonOf2 = (code) => isErrorCode(code) ? new ArtworkError(code, "").reason : "unknown";

// src/management/management.ts
var searchQuery = z11.object({
  q: z11.string().max(1e3).optional().describe("Part of a name, a source URL or an entity\u2019s id."),
  role: z11.enum(ROLES).optional(),
  kind: z11.string().max(64).optional().describe("Kind of an address, or of an entity."),
  state: z11.enum(["held", "lost"]).optional().describe("Whether the bytes are held."),
  sort: z11.enum(SORTS).default("used"),
  after: z11.string().max(4e3).optional().describe("`next` of the page before."),
  limit: z11.coerce.number().int().min(1).max(500).default(50)
});
function createManagement(settings, managed) {
  const { images: images2, details: details2, stats, refresher, jobs: jobs2, store, meters } = managed;
  const { kinds } = settings;
  const accepted2 = (queued) => {
    const id = queued.id;
    const job3 = id === void 0 ? void 0 : refresher.get(Number(id));
    if (job3 !== void 0) return job3;
    const why = queued.accepted ? "the queue cannot be read" : queued.reason;
    throw new ArtworkError("unavailable", `nothing can be queued: ${why}`, { retryAfter: 5 });
  };
  const jobOf = (id) => refresher.get(/^\d{1,15}$/.test(id) ? Number(id) : -1) ?? missing("job");
  const entities = createEntities(settings, images2, (entity) => accepted2(refresher.request(entity, "high")));
  return {
    missing,
    ...entities,
    byKind: () => {
      const owned = new Map(store.countByKind().map((one) => [one.kind, one]));
      const failed2 = jobs2.backOffs.byKind();
      return [...kinds.keys()].map((kind) => ({
        kind,
        cached: owned.get(kind)?.count ?? 0,
        failed: failed2.get(kind) ?? 0,
        bytes: owned.get(kind)?.bytes ?? 0
      }));
    },
    stats: () => stats(),
    status: () => refresher.status(),
    meters,
    jobs: (selection) => refresher.list(selection),
    job: (id) => {
      const job3 = jobOf(id);
      return { job: job3, children: refresher.children(job3.id) };
    },
    /** Cancels, or queues once more. Answers the job, and whether there was something to do. */
    change: (id, verb) => {
      const before = jobOf(id);
      const isDone = refresher[verb](before.id);
      return { job: isDone ? jobOf(id) : before, isDone };
    },
    watch: (id, signal) => refresher.watch(jobOf(id).id, signal),
    events: refresher.events,
    /** Queues a long job. One of the same options that has not ended is not queued again. */
    start: (kind, payload) => accepted2(refresher.run(kind, payload)),
    setPaused: (isPaused) => isPaused ? refresher.pause() : refresher.resume(),
    purge: (target) => images2.purge(target),
    explain: details2.explain,
    search: (query) => details2.search({
      text: query.q,
      role: query.role,
      kind: query.kind === "" ? void 0 : query.kind,
      held: query.state === void 0 ? void 0 : query.state === "held",
      sort: query.sort,
      after: query.after,
      limit: query.limit
    }),
    /** Asks upstream about a kept picture's original now, whatever failed before. @throws ArtworkError */
    revalidateNow: async (name) => {
      const kept2 = details2.details(name);
      const root = kept2?.original?.key ?? name;
      if (!root.startsWith("images/")) return missing("image");
      store.negativeCache.clear(root);
      await images2.refresh(root.slice("images/".length));
    },
    image: (name) => details2.details(name) ?? missing("image"),
    /** The bytes of a kept picture: the smallest of those made from it that is at least so wide, itself else. */
    bytes: (name, atLeast) => details2.storedBytes(name, atLeast),
    failures: createFailureList({ images: images2, backOffs: jobs2.backOffs, store, kindNamed: entities.kindNamed })
  };
}
function serializeImage(image3) {
  const time2 = (at2) => at2 === void 0 || at2 > 864e13 ? void 0 : new Date(at2).toISOString();
  return {
    name: image3.key,
    role: image3.role,
    url: image3.url,
    state: image3.state,
    held: image3.isStored,
    type: image3.type,
    width: image3.width,
    height: image3.height,
    ...looksOf(image3.traits),
    bytes: image3.size,
    digest: image3.digest,
    ...image3.ownerKind !== void 0 && { entity: { kind: image3.ownerKind, id: image3.ownerId } },
    ...image3.sourceUrl !== void 0 && { source_url: image3.sourceUrl },
    ...image3.original !== void 0 && { original: image3.original },
    stored_at: time2(image3.storedAt),
    last_used: time2(image3.lastUsed),
    ...image3.role === "original" && {
      checked_at: time2(image3.validatedAt),
      fresh_until: time2(image3.freshUntil)
    }
  };
}

// src/management/readiness.ts
var PIXELS = {
  png: "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAMAAAAoyzS7AAAAA1BMVEX///+nxBvIAAAACXBIWXMAAAPoAAAD6AG1e1JrAAAACklEQVQImWNgAAAAAgAB9HFkpgAAAABJRU5ErkJggg==",
  gif: "R0lGODlhAQABAIAAAExpcf///yH5BAUAAAAALAAAAAABAAEAAAICTAEAOw==",
  webp: "UklGRiQAAABXRUJQVlA4IBgAAAAwAQCdASoBAAEADMDOJaQAA3AA/uuuAAA=",
  jpeg: "/9j/2wBDAP//////////////////////////////////////////////////////////////////////////////////////2wBDAf//////////////////////////////////////////////////////////////////////////////////////wAARCAABAAEDASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAAAAP/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/8QAFAEBAAAAAAAAAAAAAAAAAAAAAP/EABQRAQAAAAAAAAAAAAAAAAAAAAD/2gAMAwEAAhEDEQA/AKAA/9k=",
  avif: "AAAAHGZ0eXBhdmlmAAAAAG1pZjFhdmlmbWlhZgAAANZtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJpbG9jAAAAAERAAAEAAQAAAAAA+gABAAAAAAAAABwAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABhdjAxAAAAAA5waXRtAAAAAAABAAAAVmlwcnAAAAA4aXBjbwAAAAxhdjFDgSACAAAAABRpc3BlAAAAAAAAAAEAAAABAAAAEHBpeGkAAAAAAwgICAAAABZpcG1hAAAAAAAAAAEAAQOBAgMAAAAkbWRhdBIACgc4AAaQENBpMg8f8mKE4AAWAACQNY48fWQ="
};
var ORDER = ["png", "gif", "webp", "jpeg", "avif"];
var REUSED_FOR_MS = 2e3;
var DECODES_WITHIN_MS = 3e3;
function createReadiness(settings, parts) {
  const { store, transformer } = parts;
  let before;
  const probe2 = () => {
    const at2 = performance.now();
    if (before === void 0 || at2 - before.at >= REUSED_FOR_MS)
      before = { at: at2, probed: tryAll(settings, parts) };
    return before.probed;
  };
  const degradedReasons = () => {
    const { rebuilding, durable, paused } = store.stats();
    return [
      ...paused === void 0 ? [] : [`${paused}: nothing new is kept for a minute`],
      ...rebuilding ? ["the catalogue was lost and is being rebuilt"] : [],
      ...durable ? [] : ["the directory cannot be used: pictures are kept in memory only"]
    ];
  };
  if (settings.transform.isolate && settings.transform.sandbox.length > 0) void probe2();
  return {
    degradedReasons,
    readiness: async () => {
      if (parts.isClosing()) return { status: "closing", reasons: ["shutting down"] };
      const { paused } = store.stats();
      const degraded = degradedReasons();
      const { isWritable, areUploadsWritable, decodes } = await probe2();
      const cannotDecode = ["pictures cannot be decoded", transformer.trouble()].filter(Boolean).join(": ");
      const failing = [
        ...decodes ? [] : [cannotDecode],
        ...areUploadsWritable ? [] : ["uploads cannot be kept"]
      ];
      const reasons = [
        ...failing,
        ...isWritable || paused !== void 0 ? [] : ["nothing new can be kept"],
        ...degraded
      ];
      return {
        status: failing.length > 0 ? "failing" : reasons.length > 0 ? "degraded" : "ready",
        reasons
      };
    }
  };
}
async function tryAll(settings, { store, transformer, uploads }) {
  const [isWritable, areUploadsWritable, decodes] = await Promise.all([
    store.isWritable(),
    uploads?.isWritable() ?? true,
    tryDecoding(settings, transformer)
  ]);
  return { isWritable, areUploadsWritable, decodes };
}
async function tryDecoding(settings, transformer) {
  const format2 = ORDER.find((one) => settings.transform.formats.includes(one)) ?? "png";
  const decoded3 = transformer.inspect(Buffer.from(PIXELS[format2], "base64"), format2).then(
    () => true,
    // A decoder that has too much to do works.
    (error) => asArtworkError(error).code === "unavailable"
  );
  let timer;
  const late2 = new Promise((resolve5) => {
    timer = setTimeout(() => resolve5(transformer.load().running > 1), DECODES_WITHIN_MS);
  });
  return Promise.race([decoded3, late2]).finally(() => clearTimeout(timer));
}

// src/metrics/counters.ts
var COUNTED = { memory: "memoryHits", disk: "diskHits", upstream: "misses" };
function createCounters(events) {
  const counts = {
    memoryHits: 0,
    diskHits: 0,
    misses: 0,
    upstreamRequests: 0,
    encodes: 0,
    failures: 0
  };
  events.on("image-served", ({ from }) => {
    counts[COUNTED[from]] += 1;
  });
  events.on("upstream-request", () => {
    counts.upstreamRequests += 1;
  });
  events.on("image-encode", () => {
    counts.encodes += 1;
  });
  events.on("operation-failed", () => {
    counts.failures += 1;
  });
  return counts;
}

// src/metrics/observe-work.ts
async function measured(run, ended2) {
  const start = performance.now();
  const ms2 = () => performance.now() - start;
  try {
    const result2 = await run();
    ended2({ outcome: "ok", ms: ms2() }, result2);
    return result2;
  } catch (error) {
    ended2({ outcome: asArtworkError(error).reason, ms: ms2() });
    throw error;
  }
}
var observedFetcher = (fetcher, observers) => ({
  ...fetcher,
  fetch: (request, ...rest) => measured(
    () => fetcher.fetch(request, ...rest),
    (work, result2) => {
      const bytes3 = result2 !== void 0 && "bytes" in result2 ? result2.bytes.length : 0;
      for (const observer of observers) observer.fetched({ ...work, url: request.url, bytes: bytes3 });
    }
  )
});
var observedTransformer = (transformer, observers) => ({
  ...transformer,
  transform: (...args) => measured(
    () => transformer.transform(...args),
    (work) => {
      for (const observer of observers) observer.transformed(work);
    }
  )
});

// src/metrics/prometheus.ts
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
var FETCH_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
var ENCODE_SECONDS = [5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
function createCollectors(registers) {
  return {
    gauge: (name, help, look2) => void new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(look2());
      }
    }),
    counter: (name, help, look2) => {
      let before = 0;
      new Counter({
        name,
        help,
        registers,
        collect() {
          const now = look2();
          if (now > before) this.inc(now - before);
          before = Math.max(before, now);
        }
      });
    },
    labelled: (name, help, label, look2) => void new Gauge({
      name,
      help,
      labelNames: [label],
      registers,
      collect() {
        this.reset();
        for (const [value, number2] of look2()) this.set({ [label]: value }, number2);
      }
    })
  };
}
function collectAnswers(registers, { counter }, stats) {
  let layers = {};
  new Counter({
    name: "artwork_answers_total",
    help: "Pictures that were handed out, by where they came from.",
    labelNames: ["from"],
    registers,
    collect() {
      const { memoryHits, diskHits, misses } = stats().requests;
      for (const [from, now] of Object.entries({ memory: memoryHits, disk: diskHits, upstream: misses })) {
        this.inc({ from }, Math.max(0, now - (layers[from] ?? 0)));
        layers = { ...layers, [from]: now };
      }
    }
  });
  const requests = [
    ["artwork_upstream_requests_total", "Questions to upstreams.", "upstreamRequests"],
    ["artwork_encodes_total", "Pictures that were made.", "encodes"],
    ["artwork_failures_total", "Pictures that could not be fetched or made.", "failures"]
  ];
  for (const [name, help, field] of requests) counter(name, help, () => stats().requests[field]);
}
function collectStore({ gauge, counter, labelled }, stats) {
  counter("artwork_evictions_total", "Names given up to stay within the bounds.", () => stats().evictions);
  counter("artwork_write_failures_total", "Pictures that could not be kept.", () => stats().writeFailures);
  counter("artwork_bad_copies_total", "Copies that were damaged or gone.", () => stats().badCopies);
  labelled(
    "artwork_names",
    "Names that are kept, by what they are.",
    "role",
    () => Object.entries(stats().byRole)
  );
  labelled("artwork_bytes", "Bytes that are kept, by where.", "where", () => {
    const { bytes: bytes3, memory, catalogueBytes, indexBytes, uploads } = stats();
    return [
      ["disk", bytes3],
      ["memory", memory.bytes],
      ["catalogue", catalogueBytes],
      ["index", indexBytes],
      ...uploads === void 0 ? [] : [["uploads", uploads.bytes]]
    ];
  });
  gauge("artwork_uploads", "Uploads that are kept.", () => stats().uploads?.images ?? 0);
  gauge(
    "artwork_catalogue_rebuilding",
    "Whether a lost catalogue is being read back.",
    () => Number(stats().rebuilding)
  );
  gauge(
    "artwork_writing_paused",
    "Whether nothing new is kept at the moment.",
    () => Number(stats().paused !== void 0)
  );
}
function collectUpstreams(registers, { labelled }, stats) {
  labelled(
    "artwork_breaker_open",
    "Hosts that are not asked for a while, because they failed ten times in a row.",
    "host",
    () => stats().restingHosts.map((host) => [host, 1])
  );
  labelled(
    "artwork_proxy_up",
    "Proxies, 0 while one rests.",
    "proxy",
    () => stats().proxies.map(({ proxy, restingUntil }) => [proxy, Number(restingUntil === void 0)])
  );
  new Gauge({
    name: "artwork_proxy_requests",
    help: "What went through a proxy since start, by how it went.",
    labelNames: ["proxy", "outcome"],
    registers,
    collect() {
      this.reset();
      for (const { proxy, succeeded, failed: failed2 } of stats().proxies) {
        this.set({ proxy, outcome: "ok" }, succeeded);
        this.set({ proxy, outcome: "failed" }, failed2);
      }
    }
  });
}
function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  const histogram = (name, help, buckets) => new Histogram({ name, help, labelNames: ["outcome"], buckets, registers });
  const fetches = histogram(
    "artwork_fetch_seconds",
    "Time that fetching an original took, retries and all, by what became of it.",
    FETCH_SECONDS
  );
  const encodes = histogram(
    "artwork_encode_seconds",
    "Time that making a picture took, waiting and all, by what became of it.",
    ENCODE_SECONDS
  );
  let snapshot;
  let isProcessWatched = false;
  return {
    watch: (gauges) => {
      const collectors = createCollectors(registers);
      const stats = () => {
        snapshot ??= gauges.stats();
        return snapshot;
      };
      collectAnswers(registers, collectors, stats);
      collectStore(collectors, stats);
      collectUpstreams(registers, collectors, stats);
      collectors.labelled("artwork_queue_depth", "Work that waits, by for what.", "queue", () => [
        ["decode", gauges.decoding().waiting],
        ["refresh", gauges.refresher().queued]
      ]);
      collectors.gauge(
        "artwork_decoding",
        "Pictures that are being decoded or made now.",
        () => gauges.decoding().running
      );
    },
    fetched: ({ ms: ms2, outcome }) => fetches.observe({ outcome }, ms2 / 1e3),
    transformed: ({ ms: ms2, outcome }) => encodes.observe({ outcome }, ms2 / 1e3),
    contentType: registry.contentType,
    print: () => {
      if (!isProcessWatched) collectDefaultMetrics({ register: registry });
      isProcessWatched = true;
      snapshot = void 0;
      return registry.metrics();
    }
  };
}

// src/metrics/stats.ts
var createStats = (parts) => () => ({
  ...parts.store.stats(),
  requests: { ...parts.counts },
  restingHosts: parts.fetcher.resting(),
  proxies: parts.fetcher.proxies(),
  ...parts.uploads && { uploads: parts.uploads.stats() }
});

// src/metrics/time-series.ts
var SAMPLE_EVERY = 1e4;
var FINE = 360;
var COARSE = 288;
var COARSE_OF = 30;
var MAX_HOSTS2 = 500;
var BOUNDS = [5, 10, 25, 50, 100, 250, 500, 1e3, 2500, 5e3, 1e4];
function createHosts() {
  const hosts = /* @__PURE__ */ new Map();
  return {
    record: ({ url, ms: ms2, bytes: bytes3, outcome }) => {
      const host = hostOf(url);
      if (host === void 0 || host === "") return;
      const known = hosts.get(host);
      hosts.delete(host);
      const [oldest] = hosts.size >= MAX_HOSTS2 ? hosts.keys() : [];
      if (oldest !== void 0) hosts.delete(oldest);
      const isFailure = outcome !== "ok";
      hosts.set(host, {
        requests: (known?.requests ?? 0) + 1,
        failures: (known?.failures ?? 0) + Number(isFailure),
        bytes: (known?.bytes ?? 0) + bytes3,
        ms: (known?.ms ?? 0) + ms2,
        longest: Math.max(known?.longest ?? 0, ms2),
        lastReason: isFailure ? outcome : known?.lastReason
      });
    },
    /** The busiest first. */
    list: () => [...hosts].map(([host, { ms: ms2, ...one }]) => ({ host, ...one, mean: ms2 / one.requests })).sort((a, b) => b.requests - a.requests)
  };
}
function createLatencies() {
  const counts = new Array(BOUNDS.length + 1).fill(0);
  return {
    record: (ms2) => {
      const place = BOUNDS.findIndex((bound) => ms2 <= bound);
      const index = place < 0 ? BOUNDS.length : place;
      counts[index] = (counts[index] ?? 0) + 1;
    },
    read: () => ({ upTo: BOUNDS, counts: [...counts] })
  };
}
var sumOf = (samples) => samples.reduce(
  (sum, one) => sum === void 0 ? one : {
    ...one,
    memory: sum.memory + one.memory,
    disk: sum.disk + one.disk,
    upstream: sum.upstream + one.upstream,
    failures: sum.failures + one.failures,
    encodes: sum.encodes + one.encodes
  },
  void 0
);
function sampleOf({ requests, ...standing }, { requests: then }, at2) {
  return {
    at: at2,
    ...standing,
    memory: requests.memoryHits - then.memoryHits,
    disk: requests.diskHits - then.diskHits,
    upstream: requests.misses - then.misses,
    failures: requests.failures - then.failures,
    encodes: requests.encodes - then.encodes
  };
}
function createTimeSeries(now) {
  let read2;
  let before;
  let timer;
  const fine = [];
  const coarse = [];
  let pending = [];
  const hosts = createHosts();
  const fetching = createLatencies();
  const encoding = createLatencies();
  const take = () => {
    const snapshot = read2?.();
    if (snapshot === void 0) return;
    const sample = sampleOf(snapshot, before ?? snapshot, now());
    before = snapshot;
    fine.push(sample);
    if (fine.length > FINE) fine.shift();
    pending.push(sample);
    if (pending.length < COARSE_OF) return;
    const sum = sumOf(pending);
    pending = [];
    if (sum !== void 0) coarse.push(sum);
    if (coarse.length > COARSE) coarse.shift();
  };
  return {
    watch: (look2) => {
      read2 = look2;
      before = look2();
      timer = setInterval(take, SAMPLE_EVERY).unref();
    },
    close: () => clearInterval(timer),
    fetched: (work) => {
      fetching.record(work.ms);
      hosts.record(work);
    },
    transformed: ({ ms: ms2 }) => encoding.record(ms2),
    series: (span) => {
      const snapshot = read2?.();
      const current = snapshot === void 0 ? [] : [sampleOf(snapshot, before ?? snapshot, now())];
      if (span === "hour") return [...fine, ...current];
      const last = sumOf([...pending, ...current]);
      return [...coarse, ...last === void 0 ? [] : [last]];
    },
    hosts: hosts.list,
    latencies: () => ({ fetch: fetching.read(), encode: encoding.read() })
  };
}

// src/model/picture-style.ts
var ratioText = (ratio) => String(Number(ratio.toFixed(5)));
function styleText({ ratio, fit, color, backdrop, isRound }) {
  return [
    isRound ? "border-radius:50%" : void 0,
    ratio === void 0 ? void 0 : `aspect-ratio:${ratioText(ratio)}`,
    fit === void 0 ? void 0 : `object-fit:${fit}`,
    color === void 0 ? void 0 : `background-color:${color}`,
    backdrop === void 0 ? void 0 : `background-image:url(${backdrop});background-size:cover`
  ].filter((one) => one !== void 0).join(";");
}
var STEP = 0.02;
var MOST_STEPS = 104;
var LEVELS = 8;
var stepOf = (ratio) => Math.max(-MOST_STEPS, Math.min(MOST_STEPS, Math.round(Math.log(ratio) / STEP)));
var ratioClass = (step) => `artwork-ratio-${step < 0 ? "tall" : "wide"}-${Math.abs(step)}`;
function styleClasses({ ratio, fit, color, isRound }) {
  const levels = color === void 0 ? [] : color.match(/[0-9a-f]{2}/gi) ?? [];
  return [
    isRound ? "artwork-round" : void 0,
    ratio === void 0 ? void 0 : ratioClass(stepOf(ratio)),
    fit === void 0 ? void 0 : `artwork-${fit}`,
    levels.length < 3 ? void 0 : `artwork-color-${levels.slice(0, 3).map((level) => Math.round(Number.parseInt(level, 16) / 255 * (LEVELS - 1))).join("")}`
  ].filter((one) => one !== void 0);
}
function pictureStylesheet() {
  const rules = [
    ".artwork-round{border-radius:50%}",
    ".artwork-cover{object-fit:cover}",
    ".artwork-contain{object-fit:contain}"
  ];
  for (let step = -MOST_STEPS; step <= MOST_STEPS; step += 1)
    rules.push(`.${ratioClass(step)}{aspect-ratio:${ratioText(Math.exp(step * STEP))}}`);
  const level = (index) => Math.round(index * 255 / (LEVELS - 1)).toString(16).padStart(2, "0");
  for (let number2 = 0; number2 < LEVELS ** 3; number2 += 1) {
    const digits = number2.toString(LEVELS).padStart(3, "0");
    const color = [...digits].map((digit2) => level(Number(digit2))).join("");
    rules.push(`.artwork-color-${digits}{background-color:#${color}}`);
  }
  return `${rules.join("\n")}
`;
}
var PICTURE_STYLESHEET = "artwork.css";
var PICTURE_SCRIPT = "artwork.js";
var BROKEN_PATH = "broken";

// src/options/settings.ts
import { hostname } from "node:os";
import { resolve as resolve3 } from "node:path";
import { z as z14 } from "zod";

// src/model/via.ts
import { createHash as createHash5 } from "node:crypto";
function viaOf(place) {
  return `1.1 express-artwork (${createHash5("sha256").update(place).digest("hex").slice(0, 12)})`;
}
var isLoop = (header, via) => header?.includes(via) === true;

// src/model/units.ts
var DURATIONS = {
  ms: 1,
  s: 1e3,
  m: 6e4,
  min: 6e4,
  h: 36e5,
  d: 864e5
};
var SIZES = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4
};
var unitPattern = (units) => new RegExp(`^(\\d+(?:\\.\\d+)?) ?(${Object.keys(units).join("|")})$`);
function readMeasure(value, units) {
  if (typeof value === "number") return Number.isFinite(value) && value >= 0 ? value : void 0;
  if (typeof value !== "string") return void 0;
  const match = unitPattern(units).exec(value);
  if (match === null) return void 0;
  const [, amount = "0", unit = ""] = match;
  return Math.round(Number(amount) * (units[unit] ?? 1));
}

// src/sources/uploads.ts
var isUploadSource = (source) => "uploads" in source;
function outgoing(source, taken) {
  const { owns, uploads: rules } = source;
  return {
    ...source,
    owns: (kind) => !taken.has(kind) && owns?.(kind) === true,
    uploads: {
      ...rules,
      namespace: (name) => {
        if (taken.has(name)) throw new ArtworkError("invalid", "the namespace is not known");
        return rules.namespace(name);
      }
    }
  };
}

// src/options/option-types.ts
import { z as z12 } from "zod";
function measured2(units, example) {
  return z12.union([
    z12.number().finite().nonnegative(),
    z12.string().regex(unitPattern(units), `must be a number or text such as "${example}"`)
  ]).transform((value) => readMeasure(value, units) ?? 0);
}
var duration = measured2(DURATIONS, "30 s");
var bytes = measured2(SIZES, "64 MiB");
var count = z12.number().int().nonnegative();
var positive = z12.number().int().positive();
var format = z12.enum(["jpeg", "png", "gif", "webp", "avif"]);
var urlPath = z12.string().regex(/^\/[A-Za-z0-9/_.-]*[A-Za-z0-9_-]$/, "must be an absolute path without a slash at its end");
var shaped = (holds, rule2) => z12.custom(holds, rule2);
var isFunction = (value) => typeof value === "function";
var has = (value, ...names) => typeof value === "object" && value !== null && names.every((name) => isFunction(Reflect.get(value, name)));
var LOSSY = ["jpeg", "webp", "avif"];
var WITH_EFFORT = ["webp", "avif", "gif", "png"];
function perFormat(names, number2, rule2, settle) {
  const each = z12.strictObject(
    Object.fromEntries(names.map((name) => [name, rule2(name).optional()]))
  );
  return z12.union([number2, each]).transform((given) => settle(given)).prefault({});
}
var quality = perFormat(LOSSY, positive.max(100), () => positive.max(100), qualitiesOf);
var effort = perFormat(
  WITH_EFFORT,
  count.max(10),
  (name) => count.min(EFFORTS[name][0]).max(EFFORTS[name][1]),
  effortsOf
);
var preset = z12.strictObject({
  width: positive.max(MAX_SIDE).optional(),
  height: positive.max(MAX_SIDE).optional(),
  fit: z12.enum(["inside", "cover"]).optional(),
  enlarge: z12.boolean().optional(),
  format: format.optional(),
  quality: positive.max(100).optional()
});
var POOL = /^[A-Za-z0-9_-]{1,64}$/;
var entityKind = z12.strictObject({
  variant: z12.string().optional(),
  plural: z12.string().regex(/^[a-z0-9_-]+$/).optional(),
  path: z12.string().optional(),
  fields: z12.strictObject({ url: z12.string().optional(), path: z12.string().optional() }).optional(),
  placeholder: z12.enum(["", ...PLACEHOLDERS]).optional(),
  ratio: z12.union([z12.number().positive(), z12.string()]).optional(),
  alias: z12.string().regex(/^[a-z][a-z0-9_]*$/).optional(),
  providers: z12.array(z12.string().regex(/^[a-z][a-z0-9_]*$/)).optional()
});
var proxyList = z12.array(z12.string().min(1)).min(1);
var proxyOptions = z12.strictObject({
  pools: z12.record(z12.string().regex(POOL, "must be letters, digits, _ and -"), proxyList).default({}),
  files: z12.record(z12.string().regex(POOL, "must be letters, digits, _ and -"), z12.string().min(1)).default({}),
  strategy: z12.enum(["round-robin", "random"]).default("round-robin"),
  restAfter: positive.default(3),
  restFor: duration.default(3e5),
  direct: z12.boolean().default(false),
  resolve: z12.enum(["proxy", "here"]).default("proxy")
});
var proxies = z12.preprocess(
  (given) => typeof given === "object" && given !== null && Object.values(given).every(Array.isArray) ? { pools: given } : given,
  proxyOptions
);
var RULE_DEFAULTS = { jitter: 3e5, options: {} };
var rule = z12.strictObject({
  cron: z12.string().min(1),
  timezone: z12.string().min(1).optional(),
  jitter: duration.default(RULE_DEFAULTS.jitter),
  options: z12.record(z12.string(), z12.unknown()).default(RULE_DEFAULTS.options)
});
var schedule = z12.union([
  z12.string().min(1).transform((cron) => ({ ...RULE_DEFAULTS, cron })),
  rule,
  z12.literal(false)
]);

// src/options/schema.ts
import { availableParallelism } from "node:os";
import { z as z13 } from "zod";

// src/model/logger.ts
var nothing = () => {
};
var consoleLogger = {
  debug: nothing,
  info: nothing,
  warn: (fields, message) => console.warn(message, brief(fields)),
  error: (fields, message) => console.error(message, brief(fields))
};
function brief(fields) {
  const error = "err" in fields && fields.err instanceof Error ? fields.err.message : "";
  const image3 = "image" in fields ? String(fields.image) : "";
  return [image3, error].filter(Boolean).join(": ");
}

// src/options/schema.ts
var template = z13.string().min(1).optional();
var anySchedules = Object.fromEntries(SCHEDULED_KINDS.map((kind) => [kind, schedule.optional()]));
var optionsSchema = z13.strictObject({
  directory: z13.string().min(1).default("./data"),
  sources: z13.array(
    shaped(
      (value) => has(value, "check", "locate", "claim", "isNative"),
      "must be made by tmdb(), remote() \u2026"
    )
  ).default([]),
  entities: z13.record(z13.string(), entityKind).default({}),
  repository: shaped(
    (value) => typeof value === "object" && value !== null,
    "must be an object"
  ).optional(),
  clientOf: shaped(
    isFunction,
    "must be a function of a request"
  ).optional(),
  kindOf: shaped(
    isFunction,
    "must be a function of an entity"
  ).optional(),
  urls: z13.strictObject({
    base: z13.string().regex(
      /^(?:https?:\/\/[^\s/?#]+)?(?:\/[^\s?#/]+)*\/?$/,
      'must be an absolute http or https URL, or a path such as "/shop"'
    ).transform((text) => text.replace(/\/$/, "")).default(""),
    local: urlPath.default("/artwork/local"),
    images: urlPath.default("/images"),
    placeholders: urlPath.default("/static/images")
  }).prefault({}),
  private: z13.boolean().default(false),
  cacheStatus: z13.boolean().default(true),
  cdnCacheControl: z13.union([z13.boolean(), duration]).default(false),
  cacheTags: z13.union([z13.boolean(), z13.enum(["Cache-Tag", "Surrogate-Key", "xkey"])]).default(false),
  onPurge: shaped(
    isFunction,
    "must be a function"
  ).optional(),
  sendTimeout: duration.default(12e4),
  cors: z13.union([z13.string(), z13.literal(false)]).default("*"),
  memory: z13.strictObject({ maxBytes: bytes.default(64 * 1024 ** 2) }).prefault({}),
  disk: z13.strictObject({
    required: z13.boolean().default(false),
    maxBytes: bytes.default(10 * 1024 ** 3),
    maxNames: positive.default(5e5)
  }).prefault({}),
  freshness: z13.strictObject({
    maxAge: duration.default(7 * 864e5),
    staleWhileRevalidate: duration.default(864e5),
    staleIfError: duration.default(30 * 864e5),
    upstream: z13.enum(["bounded", "strict"]).default("bounded")
  }).prefault({}),
  fetch: z13.strictObject({
    maxBytes: bytes.default(10 * 1024 ** 2),
    connectTimeout: duration.default(3e3),
    firstByteTimeout: duration.default(5e3),
    idleTimeout: duration.default(5e3),
    minBytesPerSecond: count.default(1024),
    totalTimeout: duration.default(3e4),
    retries: count.default(3),
    maxRedirects: count.default(3),
    maxSockets: positive.default(10),
    perHost: positive.default(6),
    ports: z13.array(positive.max(65535)).default([80, 443]),
    allowIpLiterals: z13.boolean().default(false),
    allowPrivate: z13.array(
      z13.string().regex(/^(?:\[[0-9a-f:.]+\]|[a-z0-9_.-]+):\d{1,5}$/i, 'must be exact "host:port" texts').transform((text) => text.toLowerCase().replace(/\.(?=:\d+$)/, ""))
    ).default([]),
    publicOrigins: z13.array(z13.url({ protocol: /^https?$/ }).transform((text) => new URL(text).origin)).default([]),
    lookup: shaped(isFunction, "must be a function like dns.lookup").optional(),
    proxies: proxies.optional(),
    userAgent: z13.string().regex(/^[\x20-\x7e]+$/).default("express-artwork/0.1")
  }).prefault({}),
  transform: z13.strictObject({
    maxPixels: positive.default(5e7),
    maxAvifPixels: positive.default(16e6),
    maxFrames: positive.default(100),
    formats: z13.array(format).min(1).default(["jpeg", "png", "gif", "webp"]),
    quality,
    effort,
    concurrency: positive.default(Math.min(4, availableParallelism())),
    queue: count.default(64),
    timeout: duration.default(1e4),
    waitTimeout: duration.default(1e4),
    maxMemory: bytes.default(768 * 1024 ** 2),
    isolate: z13.boolean().default(true),
    sandbox: z13.array(z13.string().min(1)).default([])
  }).prefault({}),
  manage: z13.strictObject({
    authorize: shaped(isFunction, "must be a function of a request").optional(),
    cors: z13.array(
      z13.string().refine(
        isExactOrigin,
        'must be exact origins such as "https://app.example.com", without a path or a *'
      )
    ).default([]),
    templates: z13.strictObject({
      layout: template,
      overview: template,
      images: template,
      image: template,
      jobs: template,
      job: template,
      failures: template,
      problem: template
    }).prefault({})
  }).prefault({}),
  export: z13.strictObject({
    directory: z13.string().min(1).optional(),
    seenAs: z13.string().min(1).optional(),
    mode: z13.union([
      z13.number().int().min(0).max(511),
      z13.string().regex(/^0?[0-7]{3}$/, 'must be rights such as "640"')
    ]).transform((given) => typeof given === "string" ? Number.parseInt(given, 8) : given).optional()
  }).prefault({}),
  schedules: z13.strictObject({
    ...anySchedules,
    cleanup: schedule.default({ ...RULE_DEFAULTS, cron: "0 3 * * *" })
  }).prefault({}),
  presets: z13.record(z13.string(), preset).default({}),
  widths: z13.array(positive.max(MAX_SIDE)).default([320, 640, 960, 1280, 1920]),
  strict: z13.boolean().default(true),
  signing: z13.strictObject({ keys: z13.array(z13.string().min(16, "must be at least 16 characters each")).default([]) }).prefault({}),
  heal: z13.enum(["placeholder", "redirect"]).default("placeholder"),
  display: z13.strictObject({
    requireLocal: z13.boolean().default(false),
    styles: z13.enum(["attributes", "classes"]).default("attributes"),
    placeholder: z13.enum(["color", "thumbhash", "none"]).default("color"),
    beacon: z13.boolean().default(false)
  }).prefault({}),
  noPicture: z13.array(z13.string().regex(NO_PICTURE, "must be a SHA-256 in hex, or a ThumbHash in base64")).default([]),
  placeholderStatus: z13.enum(["auto", "ok", "error"]).default("auto"),
  logger: shaped(
    (value) => has(value, "debug", "info", "warn", "error"),
    "must be shaped like pino"
  ).default(consoleLogger),
  now: shaped(isFunction, "must be a function that answers milliseconds").default(
    () => Date.now
  )
});

// src/options/settings.ts
var ownVia = ({ directory }) => viaOf(`${hostname()} ${resolve3(directory)}`);
var REPOSITORY_TIMEOUT = 3e4;
function settleOptions(given = {}) {
  const parsed = optionsSchema.safeParse(given);
  if (!parsed.success)
    throw new TypeError(parsed.error.issues.map((issue) => explain2(issue, given)).join("; "));
  const { entities, ...rest } = parsed.data;
  const sources = separateKinds(rest.sources);
  const settings = { ...rest, sources, presets: { ...presetsOf(rest.sources), ...rest.presets } };
  for (const name of Object.keys(settings.presets)) {
    const problem2 = presetNameProblem(name);
    if (problem2 !== void 0) throw new TypeError(`presets.${name} ${problem2}`);
  }
  checkSources(settings.sources, settings.signing.keys);
  const kinds = settleKinds(entities);
  checkVariants(kinds, { presets: settings.presets, encoding: settings.transform });
  return Object.freeze({
    ...settings,
    repository: bounded3(settings.repository, REPOSITORY_TIMEOUT),
    kinds,
    areWidthsDefault: given.widths === void 0
  });
}
function checkVariants(kinds, rules) {
  for (const { kind, variant } of kinds.values())
    try {
      if (parseVariant(variant, rules).format !== void 0) throw new Error("has a format");
    } catch {
      throw new TypeError(
        `entities.${kind}.variant must be a variant without format and quality, such as "w300", "w300-h300", "w300-h300-cover", "original" or the name of a preset, got ${JSON.stringify(variant)}`
      );
    }
}
function separateKinds(sources) {
  return sources.map((source) => {
    if (!isUploadSource(source)) return source;
    const others = sources.filter((other) => other !== source);
    return outgoing(source, new Set(others.flatMap(({ kinds }) => kinds)));
  });
}
function presetsOf(sources) {
  const found = {};
  for (const source of sources) {
    const parsed = z14.record(z14.string(), preset).safeParse(source.presets ?? {});
    if (!parsed.success)
      throw new TypeError(
        parsed.error.issues.map((issue) => `${source.name}.presets.${explain2(issue, source.presets)}`).join("; ")
      );
    Object.assign(found, parsed.data);
  }
  return found;
}
function innermost(issue) {
  if (issue.code !== "invalid_union") return issue;
  const form = issue.errors.find(([first]) => first !== void 0 && first.code !== "invalid_type");
  const [inner] = form ?? [];
  return inner === void 0 ? issue : innermost({ ...inner, path: [...issue.path, ...inner.path] });
}
function explain2(outer, given) {
  const issue = innermost(outer);
  const name = issue.path.map(String).join(".");
  const value = issue.path.reduce(
    (inner, key) => typeof inner === "object" && inner !== null ? Reflect.get(inner, key) : void 0,
    given
  );
  const isSecret = /^(?:fetch\.proxies|signing)\b/.test(name);
  const shown2 = isSecret ? "a value that may hold secrets" : typeof value === "function" ? "a function" : JSON.stringify(value);
  if (issue.code === "unrecognized_keys")
    return `${[name, issue.keys.join(", ")].filter(Boolean).join(".")} is no option`;
  return `${name || "options"}: ${issue.message}, got ${shown2}`;
}
function checkSources(sources, keys) {
  const owners = /* @__PURE__ */ new Map();
  for (const source of sources) {
    if ("openToAll" in source && source.openToAll === true && keys.length === 0)
      throw new TypeError('remote.hosts "*" is only allowed with signing.keys: it would make an open proxy');
    for (const kind of source.kinds) {
      const other = owners.get(kind);
      if (other !== void 0)
        throw new TypeError(`sources: ${other} and ${source.name} both answer for ${kind}`);
      owners.set(kind, source.name);
    }
  }
}

// src/templates/preload.ts
var quoted = (text) => `"${text.replace(/[^\x20-\x7e]|["\\]/gu, "")}"`;
function preloadLink({ url, srcset, sizes, type }) {
  const target = url.replace(
    /[^\x21-\x7e]|[<>"]/gu,
    (sign) => encodeURIComponent(Buffer.from(sign).toString())
  );
  return [
    `<${target}>`,
    "rel=preload",
    "as=image",
    ...srcset === "" ? [] : [`imagesrcset=${quoted(srcset)}`],
    ...srcset === "" || sizes === void 0 ? [] : [`imagesizes=${quoted(sizes)}`],
    ...type === void 0 ? [] : [`type=${quoted(type)}`],
    "fetchpriority=high"
  ].join("; ");
}
function addLink(res, link3) {
  if (res.headersSent) return;
  if ([res.getHeader("Link") ?? []].flat().includes(link3)) return;
  res.appendHeader("Link", link3);
}
var MAX_LINKS = 2e3;
function createPagePreloads() {
  const responses = /* @__PURE__ */ new WeakMap();
  return {
    note: (res) => {
      if (typeof res.locals === "object" && res.locals !== null) responses.set(res.locals, res);
    },
    add: (context, preloaded2) => {
      const locals = context === void 0 ? void 0 : Reflect.get(context, "_locals");
      const res = typeof locals === "object" && locals !== null ? responses.get(locals) : void 0;
      const link3 = preloadLink(preloaded2);
      if (res === void 0) return;
      const before = [res.getHeader("Link") ?? []].flat().join();
      if (before.length + link3.length <= MAX_LINKS) addLink(res, link3);
    }
  };
}

// src/public-face.ts
var publicImages = (images2, verbs, helpers) => ({
  getImage: images2.getImage,
  getDisplayUrl: images2.getDisplayUrl,
  downloadAndCache: images2.downloadAndCache,
  validateImage: images2.validateImage,
  put: images2.put,
  refresh: images2.refresh,
  remove: images2.remove,
  purge: images2.purge,
  ...verbs,
  display: (subject, kind, options7) => helpers.shownOf(subject, kind, options7?.requireLocal).shown,
  imageUrl: (subject, variant, options7) => helpers.imageUrl(subject, variant, options7?.kind),
  srcset: (subject, widths, options7) => helpers.srcset(subject, { kind: options7?.kind, widths, format: options7?.format })
});
var publicUploads = (uploads) => ({
  save: uploads.save,
  remove: uploads.remove,
  removeAll: uploads.removeAll,
  list: uploads.list,
  fetch: (url, options7) => uploads.fetch(url, options7),
  proxy: (namespace, urls, options7) => uploads.proxy(namespace, urls, options7)
});
var publicRefresher = ({ kinds }, refresher, { failures: failures2 }) => ({
  enqueue: (kind, entity, { priority = "normal" } = {}) => {
    const { id, sourceUrl, params } = readSubject(entity, kind, kinds);
    if (id === void 0) throw new TypeError("refresher.enqueue needs an entity with an id");
    if (!kinds.has(kind)) throw new ArtworkError("invalid", "entity type is not known");
    return refresher.request(
      { sourceUrl, entityType: kind, entityId: id, ...params && { params } },
      priority
    );
  },
  run: (kind, options7 = {}) => refresher.run(kind, options7),
  job: (id) => refresher.get(Number(id)),
  jobs: (selection) => refresher.list({ limit: 50, ...selection }),
  events: refresher.events,
  drain: refresher.drain,
  watch: (id, signal) => refresher.watch(Number(id), signal),
  cancel: (id) => refresher.cancel(Number(id)),
  retry: (id) => refresher.retry(Number(id)),
  pause: refresher.pause,
  resume: refresher.resume,
  failures: ({ after: after2 = "", limit = 50 } = {}) => failures2(after2, limit),
  status: refresher.status,
  idle: refresher.idle
});
var publicPreload = (helpers) => (res, subject, { kind, widths, format: format2, sizes = "100vw", requireLocal } = {}) => {
  const asked = { kind, widths, format: format2, require_local: requireLocal };
  const { url, from, srcset } = helpers.imageData(subject, asked);
  if (from === "placeholder" && srcset === "") return;
  const type = format2 === void 0 || format2 === "auto" || srcset === "" ? void 0 : `image/${format2}`;
  addLink(res, preloadLink({ url, srcset, sizes, type }));
};
var publicStart = (settings, refresher, exporter) => ({ job: job3 } = {}) => {
  if (job3 !== void 0 && !/^\d{1,15}$/.test(job3))
    throw new TypeError(`start: job must be the id of a job, got ${JSON.stringify(job3)}`);
  refresher.start(job3 === void 0 ? void 0 : Number(job3));
  const { directory } = settings.export;
  if (directory === void 0) return;
  const exportAll = () => void refresher.run("export", {});
  exporter.followTo(directory, exportAll);
  exportAll();
};

// src/storage.ts
import { join as join16 } from "node:path";

// src/store/disk/store.ts
import { access, constants as constants3 } from "node:fs/promises";
import { join as join13 } from "node:path";

// src/store/disk/connection.ts
import { join as join8 } from "node:path";

// src/store/disk/catalogue.ts
import { statSync as statSync3 } from "node:fs";

// src/store/disk/coordination.ts
import { setTimeout as sleep4 } from "node:timers/promises";
var MAX_CHANGES = 2e4;
var TRIM_EVERY2 = 1e3;
function createChangeFeed(db) {
  const sql = keep({
    add: db.prepare("INSERT INTO changes (name) VALUES (?)"),
    trim: db.prepare("DELETE FROM changes WHERE seq <= ?"),
    last: db.prepare("SELECT max(seq) AS seq FROM changes"),
    first: db.prepare("SELECT min(seq) AS seq FROM changes"),
    since: db.prepare("SELECT DISTINCT name FROM changes WHERE seq > ?"),
    version: db.prepare("PRAGMA data_version")
  });
  let seen = sql.last.get()?.seq ?? 0;
  let version = sql.version.get()?.data_version;
  return {
    note: (name) => {
      const seq = Number(sql.add.run(name).lastInsertRowid);
      if (seq % TRIM_EVERY2 === 0) sql.trim.run(seq - MAX_CHANGES);
    },
    /** What other processes changed since the last call; nothing is read when nobody wrote. */
    changes: () => {
      const current = sql.version.get()?.data_version;
      if (current === version) return [];
      version = current;
      const from = seen;
      seen = sql.last.get()?.seq ?? from;
      const first = sql.first.get()?.seq ?? 0;
      return first > from + 1 ? "all" : sql.since.all(from).map((row) => row.name);
    }
  };
}
function createLeaseTable(db) {
  const sql = keep({
    get: db.prepare("SELECT owner FROM leases WHERE key = ?"),
    set: db.prepare("INSERT OR REPLACE INTO leases VALUES (?, ?)"),
    remove: db.prepare("DELETE FROM leases WHERE key = ? AND owner = ?"),
    removeAll: db.prepare("DELETE FROM leases WHERE owner = ?")
  });
  return {
    /** Takes a lease, also from an owner that has died. @returns undefined, or who has it */
    lease: immediate(db)((key, owner, from) => {
      const other = sql.get.get(key)?.owner;
      if (other !== void 0 && other !== from) return other;
      sql.set.run(key, owner);
      return void 0;
    }),
    unlease: (key, owner) => void sql.remove.run(key, owner),
    unleaseAll: (owner) => void sql.removeAll.run(owner)
  };
}
var SHORTEST_PAUSE = 10;
var LONGEST_PAUSE = 100;
var PROBE_EVERY = 10;
var PATIENCE = 6e4;
function createLeases({ processes, catalogue, isClosed, onError }) {
  const mine = /* @__PURE__ */ new Set();
  const unreleased = /* @__PURE__ */ new Set();
  const take = (key, mayProbe) => {
    const self = processes.id();
    const other = catalogue().lease(key, self);
    if (other === void 0) {
      mine.add(key);
      return void 0;
    }
    const isAbandoned = other === self ? !mine.has(key) : mayProbe && !processes.isAlive(other);
    if (!isAbandoned || catalogue().lease(key, self, other) !== void 0) return other;
    mine.add(key);
    return void 0;
  };
  const release3 = (key) => {
    mine.delete(key);
    try {
      catalogue().unlease(key, processes.id());
      unreleased.delete(key);
    } catch (error) {
      unreleased.add(key);
      onError("ending a turn", error);
    }
  };
  return {
    /** Takes the lease of a key, after whoever has it. Never throws: without a catalogue, each works for itself. */
    lease: async (key, signal) => {
      let waited = 0;
      try {
        for (let turn = 0; waited < PATIENCE && !isClosed() && !signal?.aborted; turn += 1) {
          if (take(key, turn % PROBE_EVERY === 0) === void 0)
            return { waited: waited > 0, release: () => release3(key) };
          const pause2 = Math.min(SHORTEST_PAUSE * (turn + 1), LONGEST_PAUSE);
          await sleep4(pause2);
          waited += pause2;
        }
      } catch (error) {
        onError("taking a turn", error);
      }
      return { waited: waited > 0, release: () => {
      } };
    },
    /** Takes a lease if it is free. */
    tryLease: (key) => take(key, true) === void 0,
    release: release3,
    /** Removes leases that could not be removed before. */
    retry: () => {
      for (const key of [...unreleased]) {
        if (mine.has(key)) unreleased.delete(key);
        else release3(key);
      }
    }
  };
}

// src/model/entry-facts.ts
var FACTS = "facts";
var DIGEST_START = 16;
function factsText({
  digest,
  traits,
  smallerThan,
  clientFreshnessLifetime: clientFreshFor
}) {
  if (traits === void 0 && smallerThan === void 0 && clientFreshFor === void 0) return void 0;
  return JSON.stringify({
    of: digest.slice(0, DIGEST_START),
    ...traits && {
      frames: traits.frames,
      alpha: traits.alpha,
      lossless: traits.lossless,
      revised: traits.isRevised,
      ...traits.preview && { color: traits.preview.color, thumbhash: traits.preview.thumbhash }
    },
    ...smallerThan !== void 0 && { smallerThan },
    ...clientFreshFor !== void 0 && { clientFreshFor }
  });
}
function readFacts(text, digest) {
  if (typeof text !== "string" || text === "") return {};
  let facts;
  try {
    facts = JSON.parse(text) ?? {};
  } catch {
    return {};
  }
  if (facts.of !== digest.slice(0, DIGEST_START)) return {};
  const { frames, alpha, lossless, revised, smallerThan, clientFreshFor } = facts;
  const preview = readPreview(facts);
  const traits = Number.isSafeInteger(frames) && typeof alpha === "boolean" && typeof lossless === "boolean" ? { frames: Number(frames), alpha, lossless, isRevised: revised === true, ...preview && { preview } } : void 0;
  return {
    ...traits && { traits },
    ...typeof smallerThan === "string" && { smallerThan },
    ...Number.isSafeInteger(clientFreshFor) && { clientFreshnessLifetime: Number(clientFreshFor) }
  };
}
function readPreview({ color, thumbhash }) {
  return typeof color === "string" && /^#[0-9a-f]{6}$/.test(color) && typeof thumbhash === "string" && /^[A-Za-z0-9+/]{4,64}={0,2}$/.test(thumbhash) ? { color, thumbhash } : void 0;
}

// src/store/disk/names.ts
var DISK_NAMES = {
  key: "name",
  role: "role",
  digest: "digest",
  size: "size",
  type: "type",
  width: "width",
  height: "height",
  storedAt: "storedAt",
  validatedAt: "checkedAt",
  freshnessLifetime: "freshFor",
  staleWhileRevalidate: "staleWhileRevalidate",
  staleIfError: "staleIfError",
  isStored: "held",
  etag: "etag",
  lastModified: "lastModified",
  sourceUrl: "sourceUrl",
  original: "original",
  madeFrom: "madeFrom",
  recipe: "recipe",
  ownerKind: "ownerKind",
  ownerId: "ownerId"
};
var PLACED = Object.keys(DISK_NAMES);
var ROLES2 = {
  original: "original",
  rendition: "rendition",
  artwork: "artwork"
};
var roleOf = (text) => Object.keys(ROLES2).find((role) => ROLES2[role] === text);
var isText2 = (value) => typeof value === "string" && value !== "";
var RULES = (() => {
  const number2 = (value) => Number.isSafeInteger(value);
  const optional = (rule2) => (value) => value === void 0 || rule2(value);
  const string = (value) => typeof value === "string";
  return {
    key: isText2,
    type: isText2,
    role: (value) => roleOf(value) !== void 0,
    digest: isDigest,
    size: number2,
    width: number2,
    height: number2,
    storedAt: number2,
    validatedAt: number2,
    freshnessLifetime: number2,
    isStored: () => true,
    staleWhileRevalidate: optional(number2),
    staleIfError: optional(number2),
    etag: optional(string),
    lastModified: optional(string),
    sourceUrl: optional(string),
    original: optional(string),
    recipe: optional(string),
    ownerKind: optional(string),
    ownerId: optional(string),
    madeFrom: optional(isDigest)
  };
})();
function toIndex(entry) {
  const facts = factsText(entry);
  return {
    ...Object.fromEntries(
      PLACED.map((fact) => [DISK_NAMES[fact], fact === "role" ? ROLES2[entry.role] : entry[fact]])
    ),
    ...facts !== void 0 && { [FACTS]: facts }
  };
}
function fromIndex(value) {
  if (typeof value !== "object" || value === null) return void 0;
  const found = new Map(Object.entries(value));
  const facts = new Map(PLACED.map((fact) => [fact, found.get(DISK_NAMES[fact])]));
  if (!PLACED.every((fact) => RULES[fact](facts.get(fact)))) return void 0;
  const digest = String(facts.get("digest"));
  const entry = { ...Object.fromEntries(facts), isStored: facts.get("isStored") !== false };
  return {
    ...entry,
    role: roleOf(facts.get("role")) ?? "original",
    ...readFacts(found.get(FACTS), digest)
  };
}

// src/store/disk/rows.ts
var WRITTEN = [
  ...PLACED.map((fact) => DISK_NAMES[fact]),
  FACTS,
  "generation",
  "slot",
  "indexBytes",
  "usedAt"
];
var toBlob = (digest) => Buffer.from(digest, "hex");
function toNamed(row) {
  const { generation, slot, indexBytes, usedAt, dependents, digest, madeFrom, held } = row;
  const entry = Object.freeze({
    key: row.name,
    role: row.role,
    digest: digest.toString("hex"),
    size: row.size,
    type: row.type,
    width: row.width,
    height: row.height,
    storedAt: row.storedAt,
    validatedAt: row.checkedAt,
    freshnessLifetime: row.freshFor,
    staleWhileRevalidate: row.staleWhileRevalidate ?? void 0,
    staleIfError: row.staleIfError ?? void 0,
    isStored: held === 1,
    etag: row.etag ?? void 0,
    lastModified: row.lastModified ?? void 0,
    sourceUrl: row.sourceUrl ?? void 0,
    original: row.original ?? void 0,
    madeFrom: madeFrom?.toString("hex"),
    recipe: row.recipe ?? void 0,
    ownerKind: row.ownerKind ?? void 0,
    ownerId: row.ownerId ?? void 0,
    ...row.facts === null ? {} : readFacts(row.facts, digest.toString("hex"))
  });
  return { entry, generation, slot, indexBytes, usedAt, dependents };
}
function toRow(entry, standing) {
  const placed = PLACED.map((fact) => {
    const value = entry[fact];
    if (typeof value === "boolean") return [DISK_NAMES[fact], Number(value)];
    const isBlob = fact === "digest" || fact === "madeFrom";
    return [
      DISK_NAMES[fact],
      isBlob && value !== void 0 ? toBlob(String(value)) : value ?? null
    ];
  });
  return {
    ...Object.fromEntries(placed),
    [FACTS]: factsText(entry) ?? null,
    generation: standing.generation,
    slot: standing.slot,
    indexBytes: standing.indexBytes,
    usedAt: standing.usedAt
  };
}

// src/store/disk/entries.ts
function createRows(db, { totals, history, noteChange }) {
  const sql = keep({
    get: db.prepare("SELECT * FROM names WHERE name = ?"),
    put: db.prepare(`INSERT INTO names (${WRITTEN.join(", ")}, dependents)
      VALUES (${WRITTEN.map((column) => `@${column}`).join(", ")},
        (SELECT count(*) FROM names WHERE original = @name))
      ON CONFLICT (name) DO UPDATE SET ${WRITTEN.map((column) => `${column} = excluded.${column}`).join(", ")}`),
    remove: db.prepare("DELETE FROM names WHERE name = ?"),
    unstore: db.prepare("UPDATE names SET held = 0, indexBytes = 0 WHERE name = ?"),
    depend: db.prepare("UPDATE names SET dependents = dependents + ? WHERE name = ?"),
    named: db.prepare(
      "SELECT 1 AS one FROM names WHERE digest = ? AND held = 1 LIMIT 1"
    ),
    sharing: db.prepare("SELECT * FROM names WHERE digest = ? AND held = 1")
  });
  const isNamed2 = (digest) => sql.named.get(digest) !== void 0;
  const unreferenced = (row) => {
    if (row.held !== 1 || isNamed2(row.digest)) return void 0;
    totals.add("bytes", -row.size);
    return row;
  };
  const remove = (row) => {
    sql.remove.run(row.name);
    totals.add("names", -1);
    totals.add(row.role, -1);
    totals.add("indexBytes", -row.indexBytes);
    if (row.original !== null && row.original !== void 0) sql.depend.run(-1, row.original);
    noteChange(row.name);
    if (history.covers(row.role)) history.add(row.name, "removed");
    return unreferenced(row);
  };
  return {
    get: (name) => sql.get.get(name),
    /** Whether a stored entry has a content. */
    isNamed: isNamed2,
    /** The rows of a content. */
    sharing: (digest) => sql.sharing.all(toBlob(digest)),
    /** Writes a row of a stored entry. Answers what was there before. */
    put: (entry, state) => {
      const before = sql.get.get(entry.key);
      if (!isNamed2(toBlob(entry.digest))) totals.add("bytes", entry.size);
      if (before === void 0) totals.add("names", 1);
      if (before?.role !== entry.role) {
        totals.add(entry.role, 1);
        if (before !== void 0) totals.add(before.role, -1);
      }
      totals.add("indexBytes", state.indexBytes - (before?.indexBytes ?? 0));
      sql.put.run(toRow(entry, state));
      const origin = before?.original ?? void 0;
      if (origin !== entry.original) {
        if (origin !== void 0) sql.depend.run(-1, origin);
        if (entry.original !== void 0) sql.depend.run(1, entry.original);
      }
      return before;
    },
    unreferenced,
    remove,
    /** Evicts bytes. An entity's image keeps its row, so that it can be repaired, and so does what others were made from. */
    evict: (row) => {
      if (row.role !== "artwork" && row.dependents === 0) return remove(row);
      if (row.held === 1) history.add(row.name, "evicted");
      sql.unstore.run(row.name);
      totals.add("indexBytes", -row.indexBytes);
      noteChange(row.name);
      return unreferenced(row);
    }
  };
}
function createEntries(db, rows, { totals, noteChange }) {
  const transaction = immediate(db);
  const sql = keep({
    update: db.prepare(`UPDATE names SET checkedAt = @checkedAt, freshFor = @freshFor, etag = @etag,
      lastModified = @lastModified, staleWhileRevalidate = @staleWhileRevalidate, staleIfError = @staleIfError, facts = @facts
      WHERE name = @name AND digest = @digest`),
    setIndexBytes: db.prepare("UPDATE names SET indexBytes = ? WHERE name = ?"),
    digestsAfter: db.prepare(`SELECT digest, size FROM names
      WHERE held = 1 AND digest > ? GROUP BY digest ORDER BY digest LIMIT ?`),
    use: db.prepare("UPDATE names SET usedAt = ? WHERE name = ? AND usedAt < ?"),
    countByKind: db.prepare(`SELECT ownerKind AS kind,
      count(*) AS count, sum(size) AS bytes FROM names WHERE ownerKind IS NOT NULL AND held = 1 GROUP BY ownerKind`),
    selections: /* @__PURE__ */ new Map()
  });
  return {
    get: (name) => {
      const row = rows.get(name);
      return row === void 0 ? void 0 : toNamed(row);
    },
    update: transaction((entry) => {
      const { key: name, validatedAt: checkedAt, freshnessLifetime: freshFor } = entry;
      const facts = {
        checkedAt,
        freshFor,
        etag: entry.etag ?? null,
        lastModified: entry.lastModified ?? null,
        staleWhileRevalidate: entry.staleWhileRevalidate ?? null,
        staleIfError: entry.staleIfError ?? null,
        facts: factsText(entry) ?? null
      };
      sql.update.run({ name, digest: toBlob(entry.digest), ...facts });
      noteChange(name);
    }),
    /** Writes last uses. */
    use: transaction((uses) => {
      for (const [name, at2] of uses) sql.use.run(at2, name, at2);
    }),
    select: (selection) => {
      const { role, original, ownerKind, after: after2, limit } = selection;
      const rules = [
        role === void 0 ? void 0 : "role = @role",
        role === "artwork" ? "ownerKind IS NOT NULL" : void 0,
        original === void 0 ? void 0 : "original = @original",
        ownerKind === void 0 ? void 0 : "ownerKind = @ownerKind",
        after2 === void 0 ? void 0 : "name > @after"
      ].filter((rule2) => rule2 !== void 0);
      const where = rules.length === 0 ? "" : `WHERE ${rules.join(" AND ")}`;
      const statement = sql.selections.get(where) ?? db.prepare(`SELECT * FROM names ${where} ORDER BY name LIMIT @limit`);
      sql.selections.set(where, statement);
      return statement.all({ role, original, ownerKind, after: after2, limit }).map((row) => toNamed(row).entry);
    },
    countByKind: () => sql.countByKind.all(),
    /** The entries of a content. */
    sharing: (digest) => rows.sharing(digest).map(toNamed),
    /** Stored contents after this digest ('' for the first), in their order. */
    digestsAfter: (digest, limit) => sql.digestsAfter.all(toBlob(digest), limit).map((row) => ({ digest: row.digest.toString("hex"), size: row.size })),
    /** Records what an index entry costs that was written anew. */
    setIndexBytes: transaction((name, indexBytes) => {
      const before = rows.get(name);
      if (before === void 0) return;
      totals.add("indexBytes", indexBytes - before.indexBytes);
      sql.setIndexBytes.run(indexBytes, name);
    })
  };
}

// src/store/disk/eviction.ts
import { setTimeout as sleep6 } from "node:timers/promises";

// src/store/disk/retry-busy.ts
import { setTimeout as sleep5 } from "node:timers/promises";
var LONGEST_PAUSE2 = 50;
var PATIENCE2 = 2e4;
async function retryBusy(what, attempt, patience = PATIENCE2) {
  let waited = 0;
  for (let turn = 0; waited < patience; turn += 1) {
    const answer2 = attempt(turn);
    if (answer2 !== void 0) return answer2;
    const pause2 = Math.min(2 + turn, LONGEST_PAUSE2);
    await sleep5(pause2);
    waited += pause2;
  }
  throw new Error(`${what}: waited too long`);
}

// src/store/disk/eviction.ts
var EVICTION_BATCH = 64;
var LONGEST_PAUSE3 = 50;
var MAX_PAUSE = 200;
function createEvictionTable(db, { totals, rows, locks }) {
  const transaction = immediate(db);
  const sql = keep({
    oldestStored: db.prepare(`SELECT * FROM names AS n WHERE held = 1
      AND NOT EXISTS (SELECT 1 FROM changing AS c WHERE c.name = n.name) ORDER BY usedAt LIMIT ?`),
    oldestFree: db.prepare(`SELECT * FROM names AS n WHERE dependents = 0
      AND NOT EXISTS (SELECT 1 FROM changing AS c WHERE c.name = n.name) ORDER BY usedAt LIMIT ?`),
    any: db.prepare(`SELECT * FROM names AS n
      WHERE NOT EXISTS (SELECT 1 FROM changing AS c WHERE c.name = n.name) LIMIT ?`)
  });
  return {
    /** Evicts a batch, down to 90 % of a bound that is exceeded. Answers the keys. */
    evict: transaction(
      (owner, bounds, over2, batch) => {
        const evicted = [];
        const reserved = locks.reserved();
        const evictWhile = (isOver, candidates, how) => {
          for (const { name } of candidates) {
            if (evicted.length >= batch || !isOver()) return;
            const row = rows.get(name);
            if (row === void 0 || locks.get(name) !== void 0) continue;
            if (how === rows.remove && row.dependents > 0) continue;
            locks.deferDelete(name, owner, how(row));
            evicted.push(name);
          }
        };
        const isOverBytes = () => totals.of("bytes") + totals.of("unread") + reserved.size > bounds.maxBytes * EVICT_TO;
        const isOverNames = () => totals.of("names") + reserved.adds > bounds.maxNames * EVICT_TO;
        if (over2.bytes) evictWhile(isOverBytes, sql.oldestStored.all(batch), rows.evict);
        if (over2.names) evictWhile(isOverNames, sql.oldestFree.all(batch), rows.remove);
        return evicted;
      }
    ),
    /** Deletes a batch of anything. Answers the keys. */
    evictAny: transaction((owner, batch) => {
      const candidates = sql.any.all(batch);
      for (const row of candidates) locks.deferDelete(row.name, owner, rows.remove(row));
      return candidates.map((row) => row.name);
    })
  };
}
function createEviction(parts, locks) {
  const { processes, catalogue, contents, bounds, counts } = parts;
  const evictBatches = async (choose2) => {
    let count3 = 0;
    for (let evicted = choose2(); evicted.length > 0 && !parts.isClosed(); evicted = choose2()) {
      count3 += evicted.length;
      parts.changed(evicted);
      await locks.releaseAll(evicted);
    }
    return count3;
  };
  const evictTo = async (target, over2) => {
    parts.flush();
    counts.evictions += await evictBatches(
      () => catalogue().evict(processes.id(), target, over2, EVICTION_BATCH)
    );
  };
  const trimFor = async (ticket) => {
    const over2 = catalogue().overBounds(ticket, bounds);
    if (!over2.bytes && !over2.names) return true;
    if (!await locks.releaseStuck()) return false;
    await evictTo(bounds, over2);
    const still = catalogue().overBounds(ticket, bounds);
    return !still.bytes && !still.names;
  };
  return {
    /**
     * Waits until the space that a change reserved is there, evicting what was used least recently. What was reserved
     * before it counts, so that the bound holds however many write at once.
     * @throws Error when there is none; while a lost catalogue is read back, nothing can be evicted
     */
    makeRoom: async ({ ticket }) => {
      await retryBusy("measuring", () => catalogue().isMeasured() || void 0);
      const isOver = ({ bytes: bytes3, names }) => bytes3 || names;
      if (!catalogue().isComplete() && isOver(catalogue().overBounds(ticket, bounds)))
        throw new Error("there is no room until the catalogue has been read back");
      for (let pause2 = 2; !await trimFor(ticket); pause2 += 2) {
        if (pause2 > MAX_PAUSE) throw new Error("there is no room");
        await sleep6(Math.min(pause2, LONGEST_PAUSE3));
      }
    },
    /** Brings a store that is over its bounds back within them. */
    trim: async () => {
      if (catalogue().isComplete()) await trimFor(0);
    },
    /** Evicts a tenth of the bytes, and removes empty folders. */
    shrink: async () => {
      const target = { maxBytes: catalogue().totals().bytes, maxNames: Number.MAX_SAFE_INTEGER };
      await evictTo(target, { bytes: true, names: false });
      await contents.prune();
    },
    /** Deletes every entry. */
    clear: async () => {
      await retryBusy("clearing", () => catalogue().isQuiet() || void 0).catch(() => {
      });
      await evictBatches(() => catalogue().evictAny(processes.id(), EVICTION_BATCH));
    }
  };
}

// src/store/disk/lock-table.ts
function createLockTable(db, { totals, rows, unlink: unlink6 }) {
  const transaction = immediate(db);
  const sql = keep({
    get: db.prepare(
      "SELECT owner, ticket, digest, size FROM changing WHERE name = ?"
    ),
    begin: db.prepare(
      "INSERT INTO changing VALUES (?, ?, ?, ?, ?, ?)"
    ),
    claim: db.prepare(
      "UPDATE changing SET owner = ?, ticket = 0, adds = 0 WHERE name = ? AND owner = ?"
    ),
    leave: db.prepare(
      "UPDATE changing SET ticket = 0, digest = ?, size = ?, adds = 0 WHERE name = ?"
    ),
    finish: db.prepare("DELETE FROM changing WHERE name = ? AND owner = ?"),
    others: db.prepare(
      "SELECT 1 AS one FROM changing WHERE digest = ? AND name <> ? LIMIT 1"
    ),
    of: db.prepare("SELECT name FROM changing WHERE owner = ?"),
    any: db.prepare("SELECT 1 AS one FROM changing LIMIT 1"),
    owners: db.prepare("SELECT owner FROM changing UNION SELECT owner FROM leases"),
    /** All that is there, with the reservations up to a ticket. */
    usedBefore: db.prepare(
      `SELECT coalesce(sum(size), 0) + (SELECT coalesce(sum(value), 0) FROM totals WHERE key IN ('bytes', 'unread')) AS bytes,
       coalesce(sum(adds), 0) + (SELECT coalesce(sum(value), 0) FROM totals WHERE key = 'names') AS names
       FROM changing WHERE ticket <= ?`
    ),
    reserved: db.prepare(
      "SELECT coalesce(sum(size), 0) AS size, coalesce(sum(adds), 0) AS adds FROM changing WHERE ticket > 0"
    )
  });
  return {
    /** For transactions of other tables. */
    rows: {
      get: (name) => sql.get.get(name),
      /** Whether a change of another key has this content. */
      isUsedByOthers: (digest, name) => sql.others.get(digest, name) !== void 0,
      /** From its commit on, a change stands for the content that it leaves to be deleted; its bytes still count. */
      leave: (name, content) => void sql.leave.run(content?.digest ?? null, content?.size ?? 0, name),
      /** Locks an evicted key until its files are deleted. */
      /** Ends a change that leaves nothing to be deleted. */
      end: (name, owner) => void sql.finish.run(name, owner),
      deferDelete: (name, owner, content) => void sql.begin.run(name, owner, 0, content?.digest ?? null, content?.size ?? 0, 0),
      /** All space that is reserved. */
      reserved: () => sql.reserved.get() ?? { size: 0, adds: 0 }
    },
    /**
     * Begins a change of a key: it is locked, and the space for it reserved.
     * @returns its lock, or the owner of the change that is under way
     */
    begin: transaction(
      (name, owner, digest, size) => {
        const other = sql.get.get(name);
        if (other !== void 0) return { busy: other.owner };
        const ticket = totals.nextTicket();
        const row = rows.get(name);
        const adds = digest === void 0 || row !== void 0 ? 0 : 1;
        const content = digest === void 0 ? null : toBlob(digest);
        sql.begin.run(name, owner, ticket, content, size, adds);
        return { name, owner, ticket, slot: row?.slot };
      }
    ),
    /** Takes over a change whose process has died (or that ended badly here). Answers its ticket. */
    claim: transaction((name, owner, from) => {
      const ticket = sql.get.get(name)?.ticket ?? 0;
      return sql.claim.run(owner, name, from).changes > 0 ? ticket : void 0;
    }),
    /** Which bounds the reservations up to this ticket would exceed, beside all that is there. */
    overBounds: (ticket, bounds) => {
      const { bytes: bytes3, names } = sql.usedBefore.get(ticket) ?? { bytes: 0, names: 0 };
      return { bytes: bytes3 > bounds.maxBytes, names: names > bounds.maxNames };
    },
    /**
     * Ends a change whose index entries are in order: content that no entry has any more is deleted, then the lock.
     * Until a lost catalogue has been read back, content stays: an entry that is not here yet may have it.
     */
    finish: transaction((name, owner) => {
      const mine = sql.get.get(name);
      if (mine?.owner !== owner) return;
      const { digest, size } = mine;
      if (digest !== null && !rows.isNamed(digest) && sql.others.get(digest, name) === void 0) {
        if (totals.isComplete()) unlink6(digest.toString("hex"));
        else if (totals.isMeasured()) totals.add("unread", size);
      }
      sql.finish.run(name, owner);
    }),
    /** Whether a key's change is this process's. */
    owns: (name, owner) => sql.get.get(name)?.owner === owner,
    /** Who has changes or leases under way. */
    owners: () => sql.owners.all().map((row) => row.owner),
    changingOf: (owner) => sql.of.all(owner).map((row) => row.name),
    /** Whether nothing is being changed by anybody. */
    isQuiet: () => sql.any.get() === void 0
  };
}

// src/store/disk/schema.ts
var SCHEMA_VERSION = 6;
var SCHEMA = `
  -- One row a name. Digests are blobs, and secondary indexes hold row ids: a name costs half as much then.
  CREATE TABLE names (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, role TEXT NOT NULL, digest BLOB NOT NULL,
    size INTEGER NOT NULL, type TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    storedAt INTEGER NOT NULL, checkedAt INTEGER NOT NULL, freshFor INTEGER NOT NULL,
    staleWhileRevalidate INTEGER, staleIfError INTEGER, held INTEGER NOT NULL,
    etag TEXT, lastModified TEXT, sourceUrl TEXT, original TEXT, madeFrom BLOB, recipe TEXT,
    ownerKind TEXT, ownerId TEXT,
    generation INTEGER NOT NULL, slot INTEGER NOT NULL, indexBytes INTEGER NOT NULL, usedAt INTEGER NOT NULL,
    -- How many rows were made from this one.
    dependents INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX names_by_digest ON names (digest) WHERE held = 1;
  CREATE INDEX names_held ON names (usedAt) WHERE held = 1;
  CREATE INDEX names_free ON names (usedAt) WHERE dependents = 0;
  CREATE INDEX names_by_original ON names (original) WHERE original IS NOT NULL;
  CREATE INDEX names_lost ON names (usedAt) WHERE held = 0;
  CREATE INDEX names_by_size ON names (size);
  CREATE INDEX names_by_age ON names (storedAt);
  CREATE INDEX names_by_owner ON names (ownerKind, name, held, size) WHERE ownerKind IS NOT NULL;
  CREATE TABLE totals (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  -- Every change under way, one a name: a lock, a reservation of space, and what to clean up if its process dies.
  CREATE TABLE changing (
    name TEXT PRIMARY KEY, owner TEXT NOT NULL, ticket INTEGER NOT NULL, digest BLOB, size INTEGER NOT NULL,
    adds INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  -- Work that one process does for all: a fetch, an encode, a rebuild.
  CREATE TABLE leases (key TEXT PRIMARY KEY, owner TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE failures (
    name TEXT PRIMARY KEY, code TEXT NOT NULL, message TEXT NOT NULL, at INTEGER NOT NULL,
    until INTEGER NOT NULL, count INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX failures_by_end ON failures (until);
  CREATE TABLE changes (seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL) STRICT;
  -- What sources remember: the PDS of an account.
  CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX notes_by_age ON notes (at);
  CREATE TABLE history (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, at INTEGER NOT NULL, what TEXT NOT NULL, note TEXT NOT NULL
  ) STRICT;
  CREATE INDEX history_by_name ON history (name, id);
  CREATE TABLE places (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${SCHEMA_VERSION};
`;
var TABLES = ["names", "totals", "changing", "leases", "failures", "changes", "notes", "places", "history"];
var CATALOGUE = {
  schema: SCHEMA,
  version: SCHEMA_VERSION,
  additions: {
    columns: [{ table: "names", column: FACTS, type: "TEXT" }],
    // What a recorded failure is about, where its key does not say so.
    tables: `CREATE TABLE IF NOT EXISTS failure_subjects (
      name TEXT PRIMARY KEY, about TEXT NOT NULL, at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`
  },
  checks: [
    ...TABLES.map((table2) => `SELECT * FROM ${table2} LIMIT 1`),
    "SELECT sum(value) FROM totals; SELECT min(seq), max(seq) FROM changes"
  ],
  synchronous: "NORMAL"
};

// src/store/disk/search.ts
import { setImmediate as yieldToEventLoop6 } from "node:timers/promises";
var PIECE = 2e4;
var COLUMN = { name: "name", used: "usedAt", stored: "storedAt", size: "size" };
function cursorOf(text) {
  try {
    const [value, id] = JSON.parse(Buffer.from(text ?? "", "base64url").toString("utf8"));
    return (typeof value === "string" || typeof value === "number") && typeof id === "number" ? { value, id } : void 0;
  } catch {
    return void 0;
  }
}
var FEW = 2e3;
var textRule = (text) => ["name", "sourceUrl", .../[^a-z0-9_./-]/.test(text) ? ["ownerId"] : []].map((column) => `${column} LIKE @like ESCAPE '\\'`).join(" OR ").replace(/^.*$/, "($&)");
function rulesOf({ text, role, kind, held }) {
  return [
    role === void 0 ? void 0 : "role = @role",
    kind === void 0 ? void 0 : "(name LIKE @prefix ESCAPE '\\' OR ownerKind = @kind)",
    held === void 0 ? void 0 : "held = @held",
    text === void 0 || text === "" ? void 0 : textRule(text)
  ].filter((rule2) => rule2 !== void 0);
}
function createSearch(db, total) {
  const sql = keep({
    after: db.prepare("SELECT id FROM names WHERE id > ? ORDER BY id LIMIT 1"),
    row: db.prepare("SELECT * FROM names WHERE id = ?"),
    hits: /* @__PURE__ */ new Map(),
    counts: /* @__PURE__ */ new Map()
  });
  const prepared = (known, text) => {
    const found = known.get(text) ?? db.prepare(text);
    known.set(text, found);
    return found;
  };
  return async (query, isCurrent) => {
    const { text, role, kind, held, sort, limit } = query;
    const after2 = cursorOf(query.after);
    const column = COLUMN[sort];
    const isUp = sort === "name";
    const rules = rulesOf(query);
    const beyond = after2 === void 0 ? "" : `(${column}, id) ${isUp ? ">" : "<"} (@afterValue, @afterId)`;
    const order = isUp ? `${column}, id` : `${column} DESC, id DESC`;
    const hitsOf = (where) => {
      const all = [...where, beyond].filter((rule2) => rule2 !== "").join(" AND ");
      return prepared(
        sql.hits,
        `SELECT id, ${column} AS value FROM names ${all && `WHERE ${all}`} ORDER BY ${order} LIMIT @limit`
      );
    };
    const plain2 = (given) => given.replace(/[\\%_]/g, "\\$&");
    const asked = {
      role,
      kind,
      held: held === void 0 ? void 0 : Number(held),
      prefix: `images/${plain2(kind ?? "")}/%`,
      like: `%${plain2(text ?? "")}%`,
      afterValue: after2?.value,
      afterId: after2?.id,
      limit: limit + 1
    };
    const isBefore = (a, b) => {
      const order2 = a.value < b.value ? -1 : a.value > b.value ? 1 : a.id - b.id;
      return isUp ? order2 : -order2;
    };
    const isBeyond = (hit) => after2 === void 0 || isBefore(after2, hit) < 0;
    const first = (hits) => [...hits].sort(isBefore).slice(0, limit + 1);
    const ordered = () => {
      const rule2 = role === void 0 ? [] : ["role = @role"];
      const parts = sort === "used" ? [["held = 1"], ["held = 0"]] : [[]];
      return {
        best: first(parts.flatMap((part) => hitsOf([...part, ...rule2]).all(asked))),
        count: total(role)
      };
    };
    const scanned = async () => {
      const where = ["id > @from", "id <= @to", ...rules];
      const some = prepared(
        sql.hits,
        `SELECT id, ${column} AS value FROM names WHERE ${where.join(" AND ")} LIMIT ${FEW + 1}`
      );
      const counts = prepared(sql.counts, `SELECT count(*) AS count FROM names WHERE ${where.join(" AND ")}`);
      let best2 = [];
      let count4 = 0;
      for (let from = sql.after.get(0)?.id; from !== void 0 && isCurrent(); await yieldToEventLoop6()) {
        const to = from + PIECE;
        const piece = { ...asked, from: from - 1, to };
        const few = some.all(piece);
        const isMany = few.length > FEW;
        count4 += isMany ? counts.get(piece)?.count ?? 0 : few.length;
        const found = isMany ? hitsOf(where).all(piece) : few.filter(isBeyond);
        if (found.length > 0) best2 = first([...best2, ...found]);
        from = sql.after.get(to)?.id;
      }
      return { best: best2, count: count4 };
    };
    const isPlain2 = rules.length === (role === void 0 ? 0 : 1);
    const { best, count: count3 } = isPlain2 ? ordered() : await scanned();
    const shown2 = best.slice(0, limit);
    const last = shown2.at(-1);
    const entries2 = shown2.flatMap(({ id }) => {
      const row = sql.row.get(id);
      return row === void 0 ? [] : [{ ...toNamed(row).entry, lastUsed: row.usedAt }];
    });
    const next = best.length > limit && last !== void 0 ? Buffer.from(JSON.stringify([last.value, last.id])).toString("base64url") : void 0;
    return { entries: entries2, total: count3, next };
  };
}

// src/store/disk/small-tables.ts
var MAX_HISTORY = 5e4;
var MAX_ITEMS = 50;
var TRIM_HISTORY_EVERY = 1e3;
var MAX_FAILURES = 1e4;
var TRIM_FAILURES_EVERY = 100;
var MAX_TEXTS = 1e4;
function createHistory(db, now) {
  const sql = keep({
    add: db.prepare(
      "INSERT INTO history (name, at, what, note) VALUES (?, ?, ?, ?)"
    ),
    trim: db.prepare("DELETE FROM history WHERE id <= ?"),
    of: db.prepare(
      `SELECT at, what, note FROM history WHERE name = ? ORDER BY id DESC LIMIT ${MAX_ITEMS}`
    )
  });
  return {
    add: (name, what, note = "") => {
      const id = Number(sql.add.run(name, Math.trunc(now()), what, note).lastInsertRowid);
      if (id % TRIM_HISTORY_EVERY === 0) sql.trim.run(id - MAX_HISTORY);
    },
    /** Whether entries of this role have a history. */
    covers: (role) => role !== "rendition",
    /** Latest first. */
    of: (name) => sql.of.all(name)
  };
}
var FAILURES = `SELECT f.name, code, message, f.at, until, count, about FROM failures AS f
  LEFT JOIN failure_subjects AS s ON s.name = f.name AND s.at = f.at`;
function toFailure({ about, name: _name, ...failure2 }) {
  if (!isErrorCode(failure2.code)) return void 0;
  return { ...failure2, ...about !== null && { about } };
}
var CODES_ON_DISK = {
  no_image: "unsupported",
  undialable: "refused"
};
function createFailures(db, { history, noteChange }) {
  const sql = keep({
    get: db.prepare(`${FAILURES} WHERE f.name = ?`),
    set: db.prepare("INSERT OR REPLACE INTO failures VALUES (@name, @code, @message, @at, @until, @count)"),
    trim: db.prepare(`DELETE FROM failures WHERE name IN
      (SELECT name FROM failures ORDER BY until LIMIT max(0, (SELECT count(*) FROM failures) - ${MAX_FAILURES}))`),
    list: db.prepare(`${FAILURES} WHERE f.name > ? ORDER BY f.name LIMIT ?`),
    setSubject: db.prepare(
      "INSERT OR REPLACE INTO failure_subjects VALUES (?, ?, ?)"
    ),
    trimSubjects: db.prepare("DELETE FROM failure_subjects WHERE name NOT IN (SELECT name FROM failures)"),
    clear: db.prepare("DELETE FROM failures WHERE name = ?")
  });
  let failuresSet = 0;
  return {
    get: (key) => {
      const row = sql.get.get(key);
      return row && toFailure(row);
    },
    set: immediate(db)((key, failure2) => {
      const { about, ...row } = failure2;
      sql.set.run({ name: key, ...row, code: CODES_ON_DISK[row.code] ?? row.code });
      if (about !== void 0) sql.setSubject.run(key, about, failure2.at);
      history.add(key, "failed", `${failure2.code}: ${failure2.message}`);
      failuresSet += 1;
      if (failuresSet % TRIM_FAILURES_EVERY === 1) {
        sql.trim.run();
        sql.trimSubjects.run();
      }
    }),
    clear: (key) => {
      if (sql.clear.run(key).changes > 0) noteChange(key);
    },
    /** In the order of their keys. @param after only keys after this one */
    list: (after2, limit) => sql.list.all(after2, limit).flatMap((row) => {
      const failure2 = toFailure(row);
      return failure2 === void 0 ? [] : [{ ...failure2, name: row.name }];
    }),
    clearAll: () => void db.exec("DELETE FROM failures")
  };
}
function createKeyValues(db) {
  const sql = keep({
    get: db.prepare("SELECT value, at FROM notes WHERE key = ?"),
    set: db.prepare("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)"),
    trim: db.prepare(`DELETE FROM notes WHERE key IN
      (SELECT key FROM notes ORDER BY at LIMIT max(0, (SELECT count(*) FROM notes) - ${MAX_TEXTS}))`)
  });
  return {
    get: (key) => sql.get.get(key),
    set: immediate(db)((key, value, at2) => {
      sql.set.run(key, value, at2);
      sql.trim.run();
    })
  };
}
function createCursors(db) {
  const sql = keep({
    get: db.prepare("SELECT value FROM places WHERE key = ?"),
    set: db.prepare("INSERT OR REPLACE INTO places VALUES (?, ?)")
  });
  return {
    get: (key) => sql.get.get(key)?.value,
    set: (key, value) => void sql.set.run(key, value)
  };
}

// src/store/disk/totals.ts
function createTotals(db) {
  const transaction = immediate(db);
  const sql = keep({
    get: db.prepare("SELECT value FROM totals WHERE key = ?"),
    add: db.prepare(`INSERT INTO totals VALUES (?, ?)
      ON CONFLICT (key) DO UPDATE SET value = value + excluded.value`),
    set: db.prepare("INSERT OR REPLACE INTO totals VALUES (?, ?)"),
    remove: db.prepare("DELETE FROM totals WHERE key = ?"),
    ticket: db.prepare(`INSERT INTO totals VALUES ('generation', ?)
      ON CONFLICT (key) DO UPDATE SET value = max(value + 1, excluded.value) RETURNING value`)
  });
  const onceTrue = (look2) => {
    let isTrue = false;
    return () => {
      isTrue ||= look2();
      return isTrue;
    };
  };
  const of = (key) => sql.get.get(key)?.value ?? 0;
  const add = (key, by) => void sql.add.run(key, by);
  const set = (key, value) => void sql.set.run(key, value);
  return {
    of,
    add,
    set,
    /** The number of the next change: follows the clock, so that it goes on rising when the catalogue starts anew. */
    nextTicket: () => sql.ticket.get(Date.now())?.value ?? 0,
    all: () => ({
      bytes: of("bytes"),
      names: of("names"),
      indexBytes: of("indexBytes"),
      byRole: {
        original: of("original"),
        rendition: of("rendition"),
        artwork: of("artwork")
      }
    }),
    /** Writes something, and takes it back: the log has to take it. @throws what SQLite throws when it cannot */
    probe: transaction(() => {
      set("probe", 1);
      sql.remove.run("probe");
    }),
    /** Whether the entries of a lost catalogue have all been read back. */
    isComplete: onceTrue(() => of("complete") === 1),
    /** From here on, bytes on disk that were not read back are none of ours. */
    setComplete: transaction(() => {
      set("unread", 0);
      set("complete", 1);
    }),
    /** Whether it is known how many bytes there are whose entries have not been read back yet. */
    isMeasured: onceTrue(() => sql.get.get("unread") !== void 0),
    setUnread: (bytes3) => set("unread", bytes3),
    /** How many purges there were, in all processes. */
    generation: () => of("purges"),
    advanceGeneration: transaction(() => add("purges", 1))
  };
}

// src/store/disk/transactions.ts
function createTransactions(db, parts) {
  const transaction = immediate(db);
  const { totals, rows, locks, failures: failures2, history, noteChange, unlink: unlink6 } = parts;
  return {
    /**
     * Names bytes that have been written.
     * @param inspect looks at the change's files, synchronously: bytes of its index entry on disk, undefined where a
     * file is missing
     */
    commit: transaction(
      (entry, change, inspect2) => {
        const mine = locks.get(entry.key);
        if (mine?.owner !== change.owner || mine.ticket !== change.ticket) return "lost";
        const indexBytes = inspect2();
        if (indexBytes === void 0) return "no-content";
        const { ticket: generation, slot, usedAt } = change;
        const before = rows.put(entry, { generation, slot, indexBytes, usedAt });
        const replaced = before === void 0 || before.digest.equals(toBlob(entry.digest)) ? void 0 : before;
        if (change.isNew && totals.isComplete()) locks.end(entry.key, change.owner);
        else locks.leave(entry.key, replaced && rows.unreferenced(replaced));
        failures2.clear(entry.key);
        noteChange(entry.key);
        if (history.covers(entry.role) && (before === void 0 || replaced !== void 0))
          history.add(entry.key, "stored", entry.digest);
        return "named";
      }
    ),
    /** Deletes an entry whose change has begun. Answers whether it was there. */
    drop: transaction((change) => {
      const mine = locks.get(change.name);
      const row = rows.get(change.name);
      if (mine?.owner !== change.owner || row === void 0) return false;
      locks.leave(change.name, rows.remove(row));
      return true;
    }),
    /**
     * Discards content that is damaged or has vanished, for every entry that has it.
     * @param isBad looks once more, inside the transaction: another process may have repaired it
     */
    discard: transaction((digest, owner, isBad) => {
      if (!isBad()) return { names: [], locked: [] };
      const sharing = rows.sharing(digest);
      const locked = [];
      for (const { name } of sharing) {
        const row = rows.get(name);
        if (row !== void 0) rows.evict(row);
        if (locks.get(name) !== void 0) continue;
        locks.deferDelete(name, owner, void 0);
        locked.push(name);
      }
      unlink6(digest);
      return { names: sharing.map((row) => row.name), locked };
    }),
    /**
     * Puts back entries that were found in the recovery index, unless they are known or being changed.
     * @param inspect as in `commit`
     * @param mine the lock, where the caller has it
     * @returns those that must be looked at one by one
     */
    restore: transaction(
      (found, inspect2, mine) => {
        const unsure = [];
        for (const one of found) {
          const { entry, generation, slot } = one;
          const before = rows.get(entry.key);
          const isChanging = mine === void 0 && locks.get(entry.key) !== void 0;
          const isKnown2 = before !== void 0 && (mine === void 0 || before.generation >= generation);
          if (before?.generation === generation && before.slot === slot && before.held === 1) continue;
          const indexBytes = isChanging || isKnown2 ? void 0 : inspect2(one);
          if (indexBytes === void 0) {
            unsure.push(one);
            continue;
          }
          if (generation > totals.of("generation")) totals.set("generation", generation);
          const isNew = !rows.isNamed(toBlob(entry.digest));
          const replaced = rows.put(entry, { generation, slot, indexBytes, usedAt: entry.storedAt });
          if (isNew && totals.isMeasured()) totals.setUnread(Math.max(0, totals.of("unread") - entry.size));
          if (replaced !== void 0 && !replaced.digest.equals(toBlob(entry.digest)))
            rows.unreferenced(replaced);
          noteChange(entry.key);
        }
        return unsure;
      }
    ),
    /**
     * Deletes those of the contents that no entry has and nobody is writing. Answers how many.
     * @param isReadBack the caller has just read every entry back
     */
    sweep: transaction((digests, isReadBack) => {
      if (!isReadBack && !totals.isComplete()) return 0;
      let count3 = 0;
      for (const digest of digests) {
        const blob = toBlob(digest);
        if (rows.isNamed(blob) || locks.isUsedByOthers(blob, "")) continue;
        if (unlink6(digest)) count3 += 1;
      }
      return count3;
    }),
    /** Whether an index entry is the one that its key has. */
    isListed: ({ entry, generation, slot }) => {
      const row = rows.get(entry.key);
      return row?.held === 1 && row.generation === generation && row.slot === slot;
    }
  };
}

// src/store/disk/catalogue.ts
function openCatalogue(file, { unlink: unlink6, now, tell }, damaged) {
  const { db, inode } = openDatabase(file, damaged, CATALOGUE, tell);
  const totals = createTotals(db);
  const feed = createChangeFeed(db);
  const history = createHistory(db, now);
  const basis = { totals, history, noteChange: feed.note };
  const failures2 = createFailures(db, basis);
  const rows = createRows(db, basis);
  const { rows: locks, ...lockTable } = createLockTable(db, { totals, rows, unlink: unlink6 });
  const { isComplete: isComplete3, setComplete, isMeasured, setUnread, generation, advanceGeneration, probe: probe2 } = totals;
  return {
    /** Which file this is. */
    inode,
    ...createEntries(db, rows, basis),
    ...lockTable,
    ...createTransactions(db, { ...basis, rows, locks, failures: failures2, unlink: unlink6 }),
    ...createEvictionTable(db, { totals, rows, locks }),
    ...createLeaseTable(db),
    changes: feed.changes,
    search: createSearch(db, (role) => totals.of(role ?? "names")),
    history: history.of,
    failures: failures2,
    keyValues: createKeyValues(db),
    cursors: createCursors(db),
    totals: totals.all,
    ...{ isComplete: isComplete3, setComplete, isMeasured, setUnread, generation, advanceGeneration, probe: probe2 },
    fileSize: () => ["", "-wal"].reduce(
      (sum, suffix) => sum + (statSync3(file + suffix, { throwIfNoEntry: false })?.size ?? 0),
      0
    ),
    close: () => void db.close()
  };
}

// src/store/disk/connection.ts
var REOPEN_EVERY = 1e3;
function createConnection(parts) {
  const { directory, layout, contentsFolder, contents, now, logger, onReopen } = parts;
  const file = join8(directory, `catalogue-${layout}.sqlite`);
  const tell = (message) => logger.warn({}, `artwork catalogue: ${message}`);
  const open6 = (damaged) => {
    makeOwnFolder(contentsFolder);
    const openOnce2 = (inode) => openCatalogue(file, { unlink: contents.unlink, now, tell }, inode);
    let opened;
    try {
      opened = openOnce2(damaged);
    } catch (error) {
      if (!isCorrupt(error)) throw error;
      opened = openOnce2(inodeOf(file));
    }
    if (!opened.isComplete() && contents.isEmpty()) opened.setComplete();
    return opened;
  };
  let current = open6();
  let closed = false;
  let reopenAfter = 0;
  const reopen = (isDamaged) => {
    if (performance.now() < reopenAfter) return;
    reopenAfter = performance.now() + REOPEN_EVERY;
    logger.error({}, `artwork catalogue: ${isDamaged ? "damaged" : "lost"}; it is rebuilt`);
    try {
      const next = open6(isDamaged ? current.inode : void 0);
      const before = current;
      current = next;
      before.close();
      onReopen();
    } catch (error) {
      logger.error({ err: error }, "artwork catalogue: it cannot be opened anew");
    }
  };
  const reopenDamaged = (error) => {
    if (isCorrupt(error) && !closed) reopen(true);
  };
  const onError = (what, error) => {
    if (closed) return;
    logger.error({ err: error }, `artwork store: ${what} failed`);
    reopenDamaged(error);
  };
  return {
    catalogue: () => current,
    isCurrent: (one) => one === current && inodeOf(file) === one.inode,
    /** Opens the file anew where it was lost. */
    reopenLost: () => {
      if (inodeOf(file) !== current.inode) reopen(false);
    },
    reopenDamaged,
    onError,
    /** Asks the catalogue; a failing database is a miss, never a crash. */
    orDefault: (what, ask, fallback) => {
      try {
        return ask(current);
      } catch (error) {
        onError(what, error);
        return fallback;
      }
    },
    isClosed: () => closed,
    /** From here on nothing is reported or opened anew. */
    markClosed: () => {
      closed = true;
    }
  };
}

// src/store/disk/contents.ts
import { randomUUID as randomUUID4 } from "node:crypto";
import { constants as constants2, existsSync as existsSync4, lstatSync as lstatSync3, readFileSync as readFileSync2, unlinkSync } from "node:fs";
import { open as open4, rename as rename3, unlink as unlink4, writeFile } from "node:fs/promises";
import { join as join11, sep as sep2 } from "node:path";
import cacache2 from "cacache";

// src/store/disk/files.ts
import { lstatSync as lstatSync2, statfsSync } from "node:fs";
import { opendir, readdir as readdir3, rmdir as rmdir2, unlink as unlink3 } from "node:fs/promises";
import { join as join9 } from "node:path";
var isCode = (error, ...codes) => codes.includes(codeOf(error));
function sizeOf(path) {
  try {
    const stats = lstatSync2(path, { throwIfNoEntry: false });
    return stats?.isFile() ? stats.size : void 0;
  } catch {
    return void 0;
  }
}
function blockSizeOf(directory) {
  let block = 0;
  return () => {
    block ||= statfsSync(directory).bsize || 4096;
    return block;
  };
}
async function discardFile(path) {
  try {
    clearOdd(path);
    await unlink3(path);
  } catch (error) {
    if (!isCode(error, "ENOENT", "ENOTDIR")) throw error;
  }
}
async function* filesBelow2(folder, depth, onSkip) {
  let entries2;
  try {
    entries2 = await opendir(folder);
  } catch (error) {
    if (!isCode(error, "ENOENT")) onSkip?.();
    return;
  }
  for await (const entry of entries2) {
    const path = join9(folder, entry.name);
    if (depth === 0 && entry.isFile()) yield path;
    else if (depth > 0 && entry.isDirectory()) yield* filesBelow2(path, depth - 1, onSkip);
  }
}
async function pruneFolders(root) {
  for (const first of await readdir3(root).catch(() => [])) {
    for (const second of await readdir3(join9(root, first)).catch(() => []))
      await rmdir2(join9(root, first, second)).catch(() => {
      });
    await rmdir2(join9(root, first)).catch(() => {
    });
  }
}

// src/store/disk/recovery-index.ts
import { createHash as createHash6 } from "node:crypto";
import { lstat as lstat4, readFile as readFile2 } from "node:fs/promises";
import { join as join10 } from "node:path";
import cacache from "cacache";
var SLOTS = [0, 1];
var MAX_BUCKET = 64 * 1024;
var indexFolder = (directory) => join10(directory, "index-v5");
var slotKey = (name, slot) => `${name}#${slot}`;
var integrityOf = (digest) => `sha256-${Buffer.from(digest, "hex").toString("base64")}`;
var indexOptions = (entry, generation) => ({
  size: entry.size,
  metadata: { entry: toIndex(entry), generation }
});
function readLine2(text) {
  try {
    const { key, metadata } = JSON.parse(text);
    const entry = fromIndex(metadata?.entry);
    const generation = metadata?.generation;
    if (entry === void 0 || typeof generation !== "number" || !Number.isSafeInteger(generation))
      return void 0;
    const slot = SLOTS.find((one) => key === slotKey(entry.key, one));
    return slot === void 0 ? void 0 : { entry, generation, slot };
  } catch {
    return void 0;
  }
}
async function readBucket(path) {
  const stats = await lstat4(path).catch(() => void 0);
  if (!stats?.isFile() || stats.size > MAX_BUCKET) return void 0;
  const lines = (await readFile2(path, "utf8")).split("\n");
  for (const line of lines.reverse()) {
    const [hash, text] = line.split("	");
    if (text === void 0 || createHash6("sha1").update(text).digest("hex") !== hash) continue;
    return readLine2(text);
  }
  return void 0;
}
function createRecoveryIndex(directory, contentSize) {
  const index = indexFolder(directory);
  const blockSize = blockSizeOf(directory);
  const bucketPath = (name, slot) => {
    const hash = createHash6("sha256").update(slotKey(name, slot)).digest("hex");
    return join10(index, hash.slice(0, 2), hash.slice(2, 4), hash.slice(4));
  };
  return {
    bucketPath,
    readBucket,
    /** The index entry of a slot. */
    find: async (name, slot) => {
      const found = await readBucket(bucketPath(name, slot));
      return found?.entry.key === name && found.slot === slot ? found : void 0;
    },
    /** Writes an index entry alone. @throws what the file system throws */
    list: async (entry, generation, slot) => {
      const path = bucketPath(entry.key, slot);
      await discardFile(path);
      await cacache.index.insert(
        directory,
        slotKey(entry.key, slot),
        integrityOf(entry.digest),
        indexOptions(entry, generation)
      );
      setMode(path, PRIVATE_FILE);
    },
    /** Deletes the index entry of a slot, file and all. */
    unlist: (name, slot) => discardFile(bucketPath(name, slot)),
    /** What an index entry costs on disk, bytes; undefined where entry or content is not there. */
    cost: ({ entry, slot }) => {
      if (contentSize(entry.digest) !== entry.size) return void 0;
      const size = sizeOf(bucketPath(entry.key, slot));
      return size === void 0 ? void 0 : Math.ceil(size / blockSize()) * blockSize();
    },
    /** Every bucket there is, with what it says, if anything. @param onSkip called for each that cannot be read */
    async *buckets(onSkip) {
      for await (const path of filesBelow2(index, 2, onSkip)) {
        const found = await readBucket(path).catch((error) => {
          if (!isCode(error, "ENOENT", "ENOTDIR")) onSkip?.();
          return "unreadable";
        });
        if (found !== "unreadable") yield { path, found };
      }
    }
  };
}

// src/store/disk/contents.ts
var BadContent = class extends Error {
};
var TEMPORARY2 = /^([0-9a-f-]{36})-[0-9a-f-]{36}$/;
async function readContent(path, digest, size) {
  const flags = constants2.O_RDONLY | (constants2.O_NOFOLLOW ?? 0) | (constants2.O_NONBLOCK ?? 0);
  const file = await open4(path, flags).catch((error) => {
    if (isCode(error, "ENOENT", "ENOTDIR", "ELOOP", "ENXIO", "EISDIR"))
      throw new BadContent("not there", { cause: error });
    throw error;
  });
  try {
    const stats = await file.stat();
    if (!stats.isFile() || stats.size !== size) throw new BadContent("of another size");
    const bytes3 = Buffer.allocUnsafeSlow(size);
    for (let at2 = 0; at2 < size; ) {
      const { bytesRead } = await file.read(bytes3, at2, size - at2, at2);
      if (bytesRead === 0) throw new BadContent("cut");
      at2 += bytesRead;
    }
    if (digestOf(bytes3) !== digest) throw new BadContent("of another digest");
    return bytes3;
  } finally {
    await file.close();
  }
}
function createContents(directory, owner) {
  const contents = join11(directory, "content-v2", "sha256");
  const temporary = join11(directory, "tmp");
  const contentPath = (digest) => join11(contents, digest.slice(0, 2), digest.slice(2, 4), digest.slice(4));
  const index = createRecoveryIndex(directory, (digest) => sizeOf(contentPath(digest)));
  return {
    ...index,
    contentPath,
    /** Puts content and index entry. @throws what the file system throws */
    put: async (entry, generation, slot, bytes3) => {
      const options7 = {
        ...indexOptions(entry, generation),
        algorithms: ["sha256"],
        integrity: integrityOf(entry.digest),
        tmpPrefix: owner()
      };
      const [content, bucket] = [contentPath(entry.digest), index.bucketPath(entry.key, slot)];
      for (const path of [content, bucket]) clearOdd(path);
      await cacache2.put(directory, slotKey(entry.key, slot), bytes3, options7);
      setMode(content, OPEN_FILE);
      setMode(bucket, PRIVATE_FILE);
    },
    read: (digest, size) => readContent(contentPath(digest), digest, size),
    /** Whether a content that is on disk is damaged, synchronously. One that is not there is not. */
    isDamaged: (digest) => {
      const path = contentPath(digest);
      const stats = lstatSync3(path, { throwIfNoEntry: false });
      return stats !== void 0 && !(stats.isFile() && digestOf(readFileSync2(path)) === digest);
    },
    has: (digest) => sizeOf(contentPath(digest)) !== void 0,
    sizeOf: (digest) => sizeOf(contentPath(digest)) ?? 0,
    /** Deletes a content. Answers whether it was there. */
    unlink: (digest) => {
      try {
        clearOdd(contentPath(digest));
        unlinkSync(contentPath(digest));
        return true;
      } catch (error) {
        if (!isCode(error, "ENOENT", "ENOTDIR")) throw error;
        return false;
      }
    },
    /** The digest of every content there is. @param onSkip called for each folder that cannot be read */
    async *digests(onSkip) {
      for await (const path of filesBelow2(contents, 2, onSkip)) {
        const digest = path.slice(contents.length).split(sep2).join("");
        if (isDigest(digest)) yield digest;
      }
    },
    /** Removes empty folders. */
    prune: async () => {
      for (const root of [contents, indexFolder(directory)]) await pruneFolders(root);
    },
    /** Whether nothing was ever stored here. */
    isEmpty: () => !existsSync4(indexFolder(directory)) && !existsSync4(contents),
    /** Temporary files of writers, each with who made it. Files that no writer of ours names are not among them. */
    async *temporary() {
      for await (const path of filesBelow2(temporary, 0)) {
        const [, by] = TEMPORARY2.exec(path.slice(temporary.length + 1)) ?? [];
        if (by !== void 0) yield { path, owner: by };
      }
    },
    /** Writes a file where contents are written, and deletes it. @throws what the file system throws */
    probe: async () => {
      makeFolder(contents);
      makeFolder(temporary);
      const name = `${owner()}-${randomUUID4()}`;
      const made = join11(temporary, name);
      const moved = join11(contents, `.${name}`);
      try {
        await writeFile(made, "x", { flag: "wx" });
        await rename3(made, moved);
      } finally {
        await unlink4(made).catch(() => {
        });
        await unlink4(moved).catch(() => {
        });
      }
    },
    discardFile
  };
}

// src/store/disk/entry-store.ts
var NAMING_TRIES = 5;
async function persist(parts, entry, bytes3) {
  const { contents, catalogue, locks, eviction, sweep, now } = parts;
  const isBad = () => contents.read(entry.digest, entry.size).then(
    () => false,
    (error) => error instanceof BadContent
  );
  for (let attempt = 0; attempt < NAMING_TRIES; attempt += 1) {
    const outcome = await locks.withLock(entry.key, entry, async (lock) => {
      await eviction.makeRoom(lock);
      if (contents.has(entry.digest) && await isBad()) await sweep.discard(entry.digest);
      const slot = 1 - (lock.slot ?? 1);
      await contents.put(entry, lock.ticket, slot, bytes3);
      const isNew = lock.slot === void 0;
      return catalogue().commit(
        entry,
        { ...lock, slot, usedAt: now(), isNew },
        () => contents.cost({ entry, slot })
      );
    });
    if (outcome === "named") return;
  }
  throw new Error("content vanished while it was named");
}
function createEntryStore(parts) {
  const { contents, catalogue, connection, locks, sweep, suspension, lastUse, logger, changed } = parts;
  const find4 = (name) => connection.orDefault("look-up", (current) => current.get(name)?.entry, void 0);
  let isWriteFailing = false;
  const read2 = async (entry) => {
    if (!entry.isStored) return void 0;
    try {
      return { bytes: await contents.read(entry.digest, entry.size), from: "disk" };
    } catch (error) {
      const isLost = error instanceof BadContent;
      const names = isLost ? await sweep.discard(entry.digest).catch(() => []) : [];
      if (!isLost || names.length > 0)
        logger.warn({ err: error, image: entry.key }, "artwork store: a copy could not be read");
      if (isLost) changed([entry.key]);
      return void 0;
    }
  };
  const check2 = async (entry, { isDryRun = false } = {}) => {
    if (!entry.isStored) return "absent";
    try {
      await contents.read(entry.digest, entry.size);
      return "whole";
    } catch (error) {
      const now = find4(entry.key);
      if (now?.digest !== entry.digest || !now.isStored) return "absent";
      if (!(error instanceof BadContent)) return "unreadable";
      if (isDryRun) return "damaged";
      const names = await sweep.discard(entry.digest).catch(() => []);
      if (names.length > 0) changed(names);
      return names.length > 0 ? "damaged" : "absent";
    }
  };
  const write2 = async (fresh, bytes3) => {
    const entry = Object.freeze({
      ...fresh,
      digest: digestOf(bytes3),
      size: bytes3.length,
      isStored: true
    });
    if (bytes3.length > parts.bounds.maxBytes * LARGEST_SHARE)
      throw new ArtworkError("disk_write", "the image is too large to be kept");
    if (suspension.reason() !== void 0)
      throw new ArtworkError("disk_write", "nothing is kept at the moment");
    try {
      await persist(parts, entry, bytes3);
      isWriteFailing = false;
      return entry;
    } catch (error) {
      isWriteFailing = true;
      suspension.onWriteError(error);
      parts.counts.writeFailures += 1;
      logger.error({ err: error, image: entry.key }, "artwork store: an image could not be kept");
      connection.reopenDamaged(error);
      throw new ArtworkError("disk_write", "the image could not be kept", { cause: error });
    }
  };
  return {
    find: find4,
    lookup: async (name) => {
      const known = find4(name);
      if (known !== void 0 || !parts.isRebuilding()) return known;
      await parts.restoreEntry(name).catch((error) => logger.warn({ err: error, image: name }, "artwork store: a look-up failed"));
      return find4(name);
    },
    read: read2,
    check: check2,
    inMemory: () => false,
    fileOf: ({ digest, isStored }) => isStored ? contents.contentPath(digest) : void 0,
    write: write2,
    update: (entry, changes) => {
      const updated = Object.freeze({ ...entry, ...changes });
      connection.orDefault("amending", (current) => current.update(updated), void 0);
      return updated;
    },
    delete: async (name) => {
      try {
        return await locks.withLock(name, void 0, async (lock) => {
          lastUse.forget(name);
          return catalogue().drop(lock);
        });
      } catch (error) {
        logger.error({ err: error, image: name }, "artwork store: an image could not be removed");
        connection.reopenDamaged(error);
        return false;
      }
    },
    touch: lastUse.touch,
    isWriteFailing: () => isWriteFailing
  };
}

// src/store/disk/key-locks.ts
var PROBE_EVERY2 = 20;
async function restoreEntry({ contents, catalogue }, lock, undone = 0) {
  if (catalogue().isComplete()) return lock;
  const found = [];
  for (const slot of SLOTS) {
    const one = await contents.find(lock.name, slot).catch(() => void 0);
    if (one === void 0 || undone > 0 && one.generation === undone) continue;
    if (contents.cost(one) !== void 0) found.push(one);
  }
  const [newest] = found.sort((a, b) => b.generation - a.generation);
  if (newest !== void 0) catalogue().restore([newest], contents.cost, lock);
  return { ...lock, slot: catalogue().get(lock.name)?.slot };
}
async function removeTemporary2({
  contents,
  processes
}) {
  const alive = /* @__PURE__ */ new Map();
  for await (const { path, owner } of contents.temporary()) {
    if (!alive.has(owner)) alive.set(owner, processes.isAlive(owner));
    if (alive.get(owner) !== true) await contents.discardFile(path);
  }
}
function createKeyLocks(parts) {
  const { contents, processes, catalogue, logger, counts } = parts;
  const active = /* @__PURE__ */ new Set();
  const release3 = async (name, owner) => {
    try {
      if (!catalogue().owns(name, owner)) return;
      const row = catalogue().get(name);
      const inUse = row?.entry.isStored ? row.slot : void 0;
      for (const slot of SLOTS) if (slot !== inUse) await contents.unlist(name, slot);
      catalogue().finish(name, owner);
    } catch (error) {
      logger.warn({ err: error, image: name }, "artwork store: files stay behind for now");
    } finally {
      active.delete(name);
    }
  };
  const adopt = async (name, from) => {
    const owner = processes.id();
    if (active.has(name)) return;
    const undone = catalogue().claim(name, owner, from);
    if (undone === void 0) return;
    active.add(name);
    counts.leftovers += 1;
    await restoreEntry(parts, { name, owner, ticket: 0 }, undone).catch(() => {
    });
    await release3(name, owner);
  };
  const stuck = () => catalogue().changingOf(processes.id()).filter((name) => !active.has(name));
  const releaseStuck = async () => {
    for (const name of stuck()) await adopt(name, processes.id());
    return stuck().length === 0;
  };
  const tryAcquire = (name, about, turn) => {
    if (active.has(name)) return void 0;
    const answer2 = catalogue().begin(name, processes.id(), about.digest, about.size);
    if (!("busy" in answer2)) {
      active.add(name);
      return answer2;
    }
    const { busy } = answer2;
    if (busy === processes.id()) return busy;
    return turn % PROBE_EVERY2 === 0 && !processes.isAlive(busy) ? busy : void 0;
  };
  const acquire = async (name, about) => {
    for (; ; ) {
      const answer2 = await retryBusy("another change of this name", (turn) => tryAcquire(name, about, turn));
      if (typeof answer2 !== "string") return answer2;
      await adopt(name, answer2);
    }
  };
  return {
    /**
     * Runs a change of a key, alone.
     * @param about the bytes it is going to write
     * @throws what `work` throws, and Error when the key is locked for too long
     */
    withLock: async (name, about, work) => {
      const lock = await acquire(name, about ?? { size: 0 });
      try {
        return await work(await restoreEntry(parts, lock));
      } finally {
        await release3(name, lock.owner);
      }
    },
    /** Ends changes that a transaction began for keys that it evicted. */
    releaseAll: async (names) => {
      const owner = processes.id();
      for (const name of names) active.add(name);
      for (const name of names) await release3(name, owner);
    },
    releaseStuck,
    /** Ends what dead processes left undone, and what ended badly here. Answers how many processes those were. */
    recover: async () => {
      await releaseStuck();
      const dead = catalogue().owners().filter((owner) => !processes.isAlive(owner));
      for (const owner of dead) {
        for (const name of catalogue().changingOf(owner)) {
          if (parts.isClosed()) return dead.length;
          await adopt(name, owner);
        }
        catalogue().unleaseAll(owner);
      }
      await removeTemporary2(parts);
      return dead.length;
    }
  };
}

// src/store/disk/last-use.ts
var FLUSH_AT = 2e3;
function createLastUse({ orDefault }, now) {
  const uses = /* @__PURE__ */ new Map();
  const flush = () => {
    if (uses.size === 0) return;
    const batch = [...uses];
    uses.clear();
    orDefault("noting last use", (catalogue) => catalogue.use(batch), void 0);
  };
  return {
    touch: (name) => {
      uses.set(name, now());
      if (uses.size >= FLUSH_AT) flush();
    },
    of: (name) => uses.get(name) ?? orDefault("look-up", (catalogue) => catalogue.get(name)?.usedAt, void 0),
    forget: (name) => void uses.delete(name),
    clear: () => uses.clear(),
    flush
  };
}

// src/store/disk/rebuild.ts
import { setTimeout as sleep7 } from "node:timers/promises";

// src/store/disk/sweep.ts
var BATCH5 = 64;
var QUIET_WITHIN = 500;
var yieldToEventLoop7 = () => new Promise((resolve5) => setImmediate(resolve5));
function createSweep(parts, locks) {
  const { contents, catalogue, processes } = parts;
  const discardBucket = async (path) => {
    const isQuiet = await retryBusy(
      "a quiet moment",
      () => catalogue().isQuiet() || void 0,
      QUIET_WITHIN
    ).catch(() => false);
    const now = isQuiet ? await contents.readBucket(path).catch(() => "unreadable") : "busy";
    if (now !== void 0 || !catalogue().isQuiet()) return false;
    await contents.discardFile(path);
    return true;
  };
  const sweepIndex = async (pause2) => {
    let count3 = 0;
    for await (const { path, found } of contents.buckets()) {
      if (parts.isClosed()) break;
      await pause2();
      if (found !== void 0 && catalogue().isListed(found)) continue;
      if (found !== void 0 && contents.bucketPath(found.entry.key, found.slot) === path) {
        await locks.withLock(found.entry.key, void 0, async () => {
          const now = await contents.readBucket(path).catch(() => void 0);
          if (now !== void 0 && !catalogue().isListed(now)) count3 += 1;
        });
      } else if (await discardBucket(path)) count3 += 1;
    }
    return count3;
  };
  const sweepContents = async (pause2, isReadBack) => {
    const mine = catalogue();
    let count3 = 0;
    let batch = [];
    const sweepBatch = () => {
      if (batch.length > 0 && parts.isCurrent(mine)) count3 += mine.sweep(batch, isReadBack);
      batch = [];
    };
    for await (const digest of contents.digests()) {
      if (parts.isClosed() || !parts.isCurrent(mine)) return count3;
      batch.push(digest);
      if (batch.length < BATCH5) continue;
      sweepBatch();
      await pause2();
    }
    sweepBatch();
    return count3;
  };
  return {
    sweepContents,
    /** @param isReadBack the caller has just read every entry back. Answers how many files were deleted. */
    sweep: async (pause2 = yieldToEventLoop7, isReadBack = false) => {
      const count3 = await sweepIndex(pause2) + await sweepContents(pause2, isReadBack);
      parts.counts.leftovers += count3;
      return count3;
    },
    /** Discards a content that is damaged or gone. Answers the keys that had it. */
    discard: async (digest) => {
      const isBad = () => !contents.has(digest) || contents.isDamaged(digest);
      const { names, locked } = catalogue().discard(digest, processes.id(), isBad);
      if (names.length === 0) return names;
      parts.counts.badCopies += 1;
      parts.changed(names);
      await locks.releaseAll(locked);
      return names;
    }
  };
}

// src/store/disk/rebuild.ts
var BATCH6 = 64;
var REBUILD = " rebuild";
function createRebuild(parts) {
  const { contents, catalogue, leases, locks, sweep } = parts;
  const restoreEntry2 = (name) => locks.withLock(name, void 0, async () => {
  });
  const readBack = async (mine, goesOn) => {
    let skipped = 0;
    const skip = () => {
      skipped += 1;
    };
    let batch = [];
    const restoreBatch = async () => {
      const names = batch.map(({ entry }) => entry.key);
      for (const { entry } of mine.restore(batch, contents.cost)) await restoreEntry2(entry.key);
      if (names.length > 0) parts.changed(names);
      batch = [];
    };
    try {
      let onDisk = 0;
      for await (const digest of contents.digests(skip)) onDisk += contents.sizeOf(digest);
      if (!goesOn()) return;
      mine.setUnread(Math.max(0, onDisk - mine.totals().bytes));
      for await (const { found } of contents.buckets(skip)) {
        if (!goesOn()) return;
        if (found !== void 0) batch.push(found);
        if (batch.length >= BATCH6) await restoreBatch();
      }
      if (!goesOn()) return;
      await restoreBatch();
      if (skipped === 0) await sweep.sweep(yieldToEventLoop7, true);
      if (!goesOn()) return;
      mine.setComplete();
      if (skipped === 0) parts.counts.leftovers += await sweep.sweepContents(yieldToEventLoop7, false);
      await parts.trim();
    } finally {
      if (skipped > 0) parts.logger.warn({ skipped }, "artwork store: files could not be read");
    }
  };
  return {
    restoreEntry: restoreEntry2,
    /**
     * Reads a lost catalogue back. One process does it; the others wait for it. Ends where the catalogue is lost once
     * more: whoever opens it anew begins again.
     */
    rebuild: async () => {
      const mine = catalogue();
      const goesOn = () => !parts.isClosed() && parts.isCurrent(mine);
      while (!mine.isComplete() && !leases.tryLease(REBUILD)) {
        if (!goesOn()) return;
        await sleep7(100);
      }
      try {
        if (!mine.isComplete()) await readBack(mine, goesOn);
      } finally {
        leases.release(REBUILD);
      }
    }
  };
}

// src/store/disk/recovery.ts
var FLUSH_EVERY = 3e4;
var POLL_EVERY = 500;
var RECOVER_EVERY2 = 10;
function createRecovery(parts) {
  const { processes, catalogue, connection, locks, leases, sweep, eviction, isClosed, onError } = parts;
  let wasLost = false;
  let isRunning = false;
  let done = Promise.resolve();
  let recovering;
  let polls = 0;
  const isRebuilding = () => connection.orDefault("look-up", (current) => !current.isComplete(), false);
  const recover2 = async () => {
    isRunning = true;
    try {
      const crashed = processes.reap();
      const undone = await locks.recover();
      if (!catalogue().isComplete()) await parts.rebuild();
      else if (crashed + undone > 0 || wasLost) await sweep.sweep();
      wasLost = false;
      if (!isClosed()) await eviction.trim();
    } catch (error) {
      onError("tidying up", error);
    } finally {
      isRunning = false;
    }
  };
  const start = () => {
    done = done.then(() => isClosed() ? void 0 : recover2());
  };
  const poll = () => {
    polls += 1;
    processes.return();
    connection.reopenLost();
    const changed = catalogue().changes();
    if (changed === "all" || changed.length > 0) parts.changed(changed);
    leases.retry();
    if (polls % RECOVER_EVERY2 !== 0 || isRunning) return;
    if (isRebuilding()) start();
    else {
      recovering ??= locks.recover().catch((error) => onError("recovering", error)).finally(() => {
        recovering = void 0;
      });
    }
  };
  start();
  const flushTimer = setInterval(parts.flush, FLUSH_EVERY).unref();
  const pollTimer = setInterval(() => connection.orDefault("polling", poll, void 0), POLL_EVERY).unref();
  return {
    isRebuilding,
    /** Begins again, since the catalogue was lost. */
    restart: () => {
      wasLost = true;
      start();
    },
    /** Resolves when what was begun is done. */
    ready: () => done,
    stop: async () => {
      clearInterval(flushTimer);
      clearInterval(pollTimer);
      await done;
      await recovering;
    }
  };
}

// src/store/disk/verify.ts
import { setTimeout as sleep8 } from "node:timers/promises";
var BATCH7 = 64;
var VERIFY = " verify";
var MAX_NAMES2 = 1e3;
var SWEPT_FILE = 4096;
function createPace(bytesPerSecond, signal) {
  let owed = 0;
  return async (bytesRead) => {
    owed += bytesRead * 1e3 / bytesPerSecond;
    if (owed < 10) return;
    const pause2 = owed;
    owed = 0;
    await sleep8(pause2, void 0, signal && { signal }).catch(() => {
    });
  };
}
function createVerify(parts) {
  const { contents, catalogue, leases, locks, sweep } = parts;
  const repairIndex = async (digest) => {
    let count3 = 0;
    for (const { entry } of catalogue().sharing(digest)) {
      const isListed = async () => {
        const row = catalogue().get(entry.key);
        if (!row?.entry.isStored) return true;
        const found = await contents.find(entry.key, row.slot).catch(() => void 0);
        return found?.generation === row.generation && found.entry.digest === row.entry.digest;
      };
      if (await isListed()) continue;
      await locks.withLock(entry.key, void 0, async () => {
        const row = catalogue().get(entry.key);
        if (row === void 0 || await isListed()) return;
        await contents.list(row.entry, row.generation, row.slot);
        catalogue().setIndexBytes(entry.key, contents.cost(row) ?? 0);
        count3 += 1;
      });
    }
    return count3;
  };
  const check2 = (digest, size) => contents.read(digest, size).then(
    () => "sound",
    (error) => error instanceof BadContent ? "bad" : "unreadable"
  );
  const verifyContent = async (digest, size, report) => {
    const state = await check2(digest, size);
    if (state === "unreadable") report.unreadable += 1;
    if (state === "bad") {
      const lost = await sweep.discard(digest);
      report.damaged += lost.length > 0 ? 1 : 0;
      report.names.push(...lost.slice(0, MAX_NAMES2 - report.names.length));
    } else if (state === "sound") {
      report.relisted += await repairIndex(digest).catch((error) => {
        parts.onError("listing anew", error);
        report.unreadable += 1;
        return 0;
      });
    }
    report.checked += 1;
    report.bytes += size;
  };
  const verifyAll = async (options7, report) => {
    const { bytesPerSecond = 32 * 1024 ** 2, restart = false, signal, onProgress } = options7;
    const pace = createPace(bytesPerSecond, signal);
    const mine = catalogue();
    const isOver = () => signal?.aborted === true || parts.isClosed() || !parts.isCurrent(mine);
    let after2 = restart ? "" : catalogue().cursors.get(VERIFY) ?? "";
    for (; ; ) {
      const batch = catalogue().digestsAfter(after2, BATCH7);
      for (const { digest, size } of batch) {
        if (isOver()) return false;
        await verifyContent(digest, size, report);
        after2 = digest;
        await pace(size);
      }
      catalogue().cursors.set(VERIFY, after2);
      const { names: _names, ...soFar } = report;
      onProgress?.(soFar);
      if (batch.length < BATCH7) break;
    }
    report.leftovers = await sweep.sweep(() => pace(SWEPT_FILE));
    if (isOver()) return false;
    catalogue().cursors.set(VERIFY, "");
    return true;
  };
  return async (options7 = {}) => {
    const report = {
      checked: 0,
      bytes: 0,
      damaged: 0,
      unreadable: 0,
      relisted: 0,
      leftovers: 0,
      names: []
    };
    if (!leases.tryLease(VERIFY)) return { ...report, state: "elsewhere" };
    try {
      const isDone = await verifyAll(options7, report);
      return { ...report, state: isDone ? "done" : "stopped" };
    } catch (error) {
      parts.onError("verifying", error);
      return { ...report, state: "stopped" };
    } finally {
      leases.release(VERIFY);
    }
  };
}

// src/store/disk/write-suspension.ts
import { rmSync as rmSync4, statfsSync as statfsSync2 } from "node:fs";
import { rm, writeFile as writeFile2 } from "node:fs/promises";
import { join as join12 } from "node:path";
var SUSPENDED_FOR = 6e4;
var RESERVE = 256 * 1024;
var LEAST_BYTES = 64 * 1024;
var LEAST_INODES = 16;
var FULL = ["ENOSPC", "EDQUOT", "SQLITE_FULL"];
var UNWRITABLE = ["EROFS", "EACCES", "EPERM", "EIO", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_CANTOPEN"];
var codesOf = (error) => error instanceof Error ? [
  ..."code" in error ? [String(error.code)] : [],
  ...error.cause === void 0 ? [] : codesOf(error.cause)
] : [];
var isOneOf = (error, codes) => codesOf(error).some((code) => codes.some((start) => code.startsWith(start)));
function isNearlyFull(directory) {
  try {
    const { bavail, bsize, files, ffree } = statfsSync2(directory);
    return bavail * bsize < LEAST_BYTES || files > 0 && ffree < LEAST_INODES;
  } catch {
    return false;
  }
}
var reserveOf = (directory) => join12(directory, "ballast");
function removeReserve(directory, isFull = isNearlyFull(directory)) {
  if (isFull) rmSync4(reserveOf(directory), { force: true });
}
function createWriteSuspension(directory, parts, shrink) {
  const reserve = reserveOf(directory);
  let until = 0;
  let why;
  const reserveSpace = async () => {
    try {
      await rm(reserve, { force: true });
      await writeFile2(reserve, Buffer.alloc(RESERVE), { flag: "wx", mode: PRIVATE_FILE });
    } catch {
    }
  };
  const makeRoom2 = async () => {
    try {
      await rm(reserve, { force: true });
      await shrink();
    } catch (error) {
      parts.onError("making room", error);
    }
  };
  let work = reserveSpace();
  return {
    /** Why nothing is stored now, undefined where it is. */
    reason: () => {
      if (why === void 0 || performance.now() < until) return why;
      why = void 0;
      work = work.then(reserveSpace);
      return void 0;
    },
    /** Called with the error of a failed write. */
    onWriteError: (error) => {
      const isFull = isOneOf(error, FULL) || isNearlyFull(directory);
      if (parts.isClosed() || !(isFull || isOneOf(error, UNWRITABLE))) return;
      const isNew = why === void 0;
      why = isFull ? "the disk is full" : "the disk cannot be written";
      until = performance.now() + SUSPENDED_FOR;
      if (!isNew) return;
      parts.logger.warn({ err: error }, `artwork store: ${why}; nothing new is kept for a minute`);
      if (isFull) work = work.then(makeRoom2);
    },
    /** Resolves when nothing is being reserved or evicted. */
    settled: () => work
  };
}

// src/store/disk/store.ts
var LAYOUT = "v2";
async function createDiskStore(options7) {
  const { directory, now, logger, onChange } = options7;
  const contentsFolder = join13(directory, `store-${LAYOUT}`);
  makeFolder(directory);
  await access(directory, constants3.W_OK);
  removeReserve(directory);
  makeOwnFolder(contentsFolder);
  const processes = registerProcess(join13(directory, `processes-${LAYOUT}`));
  const contents = createContents(contentsFolder, processes.id);
  const connection = createConnection({
    ...{ directory, layout: LAYOUT, contentsFolder, contents, now, logger },
    onReopen: () => {
      onChange?.("all");
      recovery.restart();
    }
  });
  const { catalogue, isCurrent, isClosed, onError } = connection;
  const lastUse = createLastUse(connection, now);
  const parts = {
    ...{ contents, processes, catalogue, isCurrent, isClosed, onError, logger },
    bounds: options7,
    changed: (names) => onChange?.(names),
    flush: lastUse.flush,
    counts: { evictions: 0, badCopies: 0, writeFailures: 0, leftovers: 0 }
  };
  const locks = createKeyLocks(parts);
  const leases = createLeases(parts);
  const eviction = createEviction(parts, locks);
  const sweep = createSweep(parts, locks);
  const { restoreEntry: restoreEntry2, rebuild } = createRebuild({ ...parts, locks, leases, sweep, trim: eviction.trim });
  const suspension = createWriteSuspension(directory, parts, eviction.shrink);
  const recovery = createRecovery({ ...parts, connection, locks, leases, sweep, eviction, rebuild });
  const { isRebuilding, ready } = recovery;
  const { isWriteFailing, ...entryStore } = createEntryStore({
    ...{ ...parts, connection, locks, eviction, sweep, suspension, lastUse, now, isRebuilding, restoreEntry: restoreEntry2 }
  });
  return {
    ...entryStore,
    ...createQueries2({
      connection,
      lastUse,
      counts: parts.counts,
      isRebuilding,
      suspendedFor: suspension.reason
    }),
    lease: leases.lease,
    generation: () => connection.orDefault("look-up", (current) => current.generation(), 0),
    advanceGeneration: () => connection.orDefault("purging", (current) => current.advanceGeneration(), void 0),
    negativeCache: createNegativeCache(connection),
    keyValue: createKeyValue(connection, now),
    verify: createVerify({ ...parts, locks, leases, sweep }),
    clear: createClear({ connection, lastUse, eviction, ready }),
    isWritable: async () => {
      try {
        await contents.probe();
        catalogue().probe();
        return suspension.reason() === void 0 && !isWriteFailing();
      } catch {
        return false;
      }
    },
    ready,
    close: async () => {
      if (isClosed()) return;
      connection.markClosed();
      await recovery.stop();
      await suspension.settled();
      lastUse.flush();
      release2(connection, processes, logger);
    }
  };
}
function createQueries2({
  connection,
  lastUse,
  counts,
  isRebuilding,
  suspendedFor
}) {
  const { catalogue, orDefault, isClosed, onError } = connection;
  return {
    select: (selection) => orDefault("listing", (current) => current.select(selection), []),
    search: async (query) => {
      const searched = catalogue();
      try {
        if (query.sort === "used") lastUse.flush();
        return await searched.search(query, () => !isClosed() && searched === catalogue());
      } catch (error) {
        onError("searching", error);
        return { entries: [], total: 0, next: void 0 };
      }
    },
    history: (name) => orDefault("look-up", (current) => current.history(name), []),
    lastUsed: lastUse.of,
    countByKind: () => orDefault("counting", (current) => current.countByKind(), []),
    stats: () => {
      const none = { bytes: 0, names: 0, indexBytes: 0, byRole: { original: 0, rendition: 0, artwork: 0 } };
      const totals = orDefault("counting", (current) => current.totals(), none);
      const catalogueBytes = orDefault("counting", (current) => current.fileSize(), 0);
      const cost = catalogueBytes + totals.indexBytes;
      return {
        ...totals,
        memory: { entries: 0, bytes: 0 },
        ...counts,
        catalogueBytes,
        bytesPerName: totals.names === 0 ? 0 : Math.round(cost / totals.names),
        durable: true,
        rebuilding: isRebuilding(),
        paused: suspendedFor()
      };
    }
  };
}
var createNegativeCache = ({ orDefault }) => ({
  get: (name) => orDefault("look-up", ({ failures: failures2 }) => failures2.get(name), void 0),
  set: (name, failure2) => orDefault("noting a failure", ({ failures: failures2 }) => failures2.set(name, failure2), void 0),
  clear: (name) => orDefault("clearing a failure", ({ failures: failures2 }) => failures2.clear(name), void 0),
  list: (after2, limit) => orDefault("listing", ({ failures: failures2 }) => failures2.list(after2, limit), [])
});
var createKeyValue = ({ orDefault }, now) => ({
  get: (key) => orDefault("look-up", ({ keyValues }) => keyValues.get(key), void 0),
  set: (key, value) => orDefault("noting", ({ keyValues }) => keyValues.set(key, value, now()), void 0)
});
var createClear = ({
  connection,
  lastUse,
  eviction,
  ready
}) => async () => {
  await ready();
  lastUse.clear();
  try {
    await eviction.clear();
    connection.catalogue().failures.clearAll();
  } catch (error) {
    connection.onError("clearing", error);
    throw new ArtworkError("disk_write", "the cache could not be cleared", { cause: error });
  }
};
function release2({ catalogue }, processes, logger) {
  for (const step of [
    () => catalogue().unleaseAll(processes.id()),
    () => catalogue().close(),
    () => processes.leave()
  ])
    try {
      step();
    } catch (error) {
      logger.warn({ err: error }, "artwork store: closing");
    }
}

// src/store/memory-cache.ts
import { LRUCache } from "lru-cache";
var ABSENT = /* @__PURE__ */ Symbol("absent");
var FACTS_SIZE = 600;
function createFailureMemory(max, tell) {
  const known = new LRUCache({ max });
  return {
    delete: (name) => void known.delete(name),
    clear: () => known.clear(),
    /** A negative cache over another. */
    over: (inner) => ({
      ...inner,
      get: (name, trust) => {
        const remembered = known.get(name);
        if (trust === "memory" && remembered !== void 0)
          return remembered === ABSENT ? void 0 : remembered;
        const failure2 = inner.get(name);
        if (failure2 !== void 0 && remembered !== ABSENT && remembered?.at === failure2.at) return remembered;
        known.set(name, failure2 ?? ABSENT);
        return failure2;
      },
      set: (name, failure2) => {
        inner.set(name, failure2);
        known.set(name, failure2);
        tell([name]);
      },
      clear: (name) => {
        inner.clear(name);
        known.set(name, ABSENT);
        tell([name]);
      }
    })
  };
}
function createMemoryCache(inner, options7) {
  const { maxBytes, maxEntryBytes = 1024 * 1024, maxNames = 2e4 } = options7;
  const facts = new LRUCache({
    max: maxNames,
    maxSize: maxNames * FACTS_SIZE,
    sizeCalculation: (value, name) => name.length + (value === ABSENT ? 100 : FACTS_SIZE / 2)
  });
  const watchers = [];
  const tell = (names) => {
    for (const { changed } of watchers) changed(names);
  };
  const failures2 = createFailureMemory(maxNames, tell);
  const contents = maxBytes > 0 ? new LRUCache({
    maxSize: maxBytes,
    maxEntrySize: maxEntryBytes,
    sizeCalculation: (bytes3) => Math.max(1, bytes3.length),
    dispose: (_bytes, digest, reason) => {
      if (reason !== "set") for (const { evicted } of watchers) evicted(digest);
    }
  }) : void 0;
  const look2 = (name) => {
    const entry = inner.find(name);
    facts.set(name, entry ?? ABSENT);
    return entry;
  };
  const store = {
    ...inner,
    find: (name, trust) => {
      const known = facts.get(name);
      if (known === void 0 || known === ABSENT && trust !== "memory") return look2(name);
      return known === ABSENT ? void 0 : known;
    },
    lookup: async (name) => {
      const entry = store.find(name) ?? await inner.lookup(name);
      if (entry !== void 0) facts.set(name, entry);
      return entry;
    },
    negativeCache: failures2.over(inner.negativeCache),
    inMemory: (digest) => contents?.has(digest) === true || inner.inMemory(digest),
    lease: async (key, signal) => {
      const turn = await inner.lease(key, signal);
      if (turn.waited) facts.delete(key);
      return turn;
    },
    read: async (entry) => {
      const hot = contents?.get(entry.digest);
      if (hot !== void 0) return { bytes: hot, from: "memory" };
      const held = await inner.read(entry);
      if (held === void 0) facts.delete(entry.key);
      else contents?.set(entry.digest, held.bytes);
      return held;
    },
    check: async (entry, options8) => {
      const state = await inner.check(entry, options8);
      if (state !== "whole" && options8?.isDryRun !== true) {
        facts.delete(entry.key);
        contents?.delete(entry.digest);
        tell([entry.key]);
      }
      return state;
    },
    write: async (entry, bytes3) => {
      facts.delete(entry.key);
      const written = await inner.write(entry, bytes3);
      failures2.delete(entry.key);
      look2(written.key);
      tell([written.key]);
      contents?.set(written.digest, bytes3);
      return written;
    },
    update: (entry, changes) => {
      const amended = inner.update(entry, changes);
      facts.delete(entry.key);
      tell([entry.key]);
      return amended;
    },
    delete: async (name) => {
      facts.delete(name);
      const removed = await inner.delete(name);
      facts.delete(name);
      tell([name]);
      return removed;
    },
    clear: async () => {
      facts.clear();
      contents?.clear();
      await inner.clear();
      facts.clear();
      failures2.clear();
      tell("all");
    },
    stats: () => ({
      ...inner.stats(),
      memory: { entries: contents?.size ?? 0, bytes: contents?.calculatedSize ?? 0 }
    })
  };
  return {
    store,
    forget: (changed) => {
      if (changed === "all") {
        facts.clear();
        failures2.clear();
      } else
        for (const name of changed) {
          facts.delete(name);
          failures2.delete(name);
        }
      tell(changed);
    },
    keepsBytes: (digest) => contents?.get(digest) !== void 0,
    watch: (watcher) => void watchers.push(watcher)
  };
}

// src/store/memory-store.ts
import { LRUCache as LRUCache2 } from "lru-cache";
var MAX_FAILURES2 = 1e4;
function createMemoryStore(options7) {
  const { maxBytes, maxNames, now } = options7;
  let evictions = 0;
  let purges = 0;
  const items = new LRUCache2({
    max: maxNames,
    maxSize: maxBytes,
    sizeCalculation: (item) => Math.max(1, item.bytes.length),
    dispose: (_item, _name, reason) => {
      if (reason === "evict") evictions += 1;
    }
  });
  const failures2 = new LRUCache2({ max: MAX_FAILURES2 });
  const notes = new LRUCache2({ max: 1e4 });
  return {
    find: (name) => items.peek(name)?.entry,
    lookup: async (name) => items.peek(name)?.entry,
    lease: async () => ({ waited: false, release: () => {
    } }),
    touch: (name) => {
      const item = items.get(name);
      if (item !== void 0) item.usedAt = now();
    },
    read: async (entry) => {
      const item = items.peek(entry.key);
      return item?.entry.digest === entry.digest ? { bytes: item.bytes, from: "memory" } : void 0;
    },
    check: async (entry) => items.peek(entry.key)?.entry.digest === entry.digest ? "whole" : "absent",
    inMemory: (digest) => [...items.values()].some(({ entry }) => entry.digest === digest),
    fileOf: () => void 0,
    write: async (fresh, bytes3) => {
      if (bytes3.length > maxBytes * LARGEST_SHARE)
        throw new ArtworkError("disk_write", "the image is too large to be kept");
      const entry = Object.freeze({ ...fresh, digest: digestOf(bytes3), size: bytes3.length, isStored: true });
      items.set(entry.key, { entry, bytes: bytes3, usedAt: now() });
      failures2.delete(entry.key);
      return entry;
    },
    update: (entry, changes) => {
      const item = items.peek(entry.key);
      const amended = Object.freeze({ ...entry, ...changes });
      if (item?.entry.digest === entry.digest) items.set(entry.key, { ...item, entry: amended });
      return amended;
    },
    delete: async (name) => items.delete(name),
    select: ({ role, original, ownerKind, after: after2, limit }) => [...items.values()].map((item) => item.entry).filter((entry) => role === void 0 || entry.role === role).filter((entry) => original === void 0 || entry.original === original).filter((entry) => ownerKind === void 0 || entry.ownerKind === ownerKind).filter((entry) => after2 === void 0 || entry.key > after2).sort((a, b) => a.key < b.key ? -1 : 1).slice(0, limit),
    lastUsed: (name) => items.peek(name)?.usedAt,
    negativeCache: {
      get: (name) => failures2.get(name),
      set: (name, failure2) => void failures2.set(name, failure2),
      clear: (name) => void failures2.delete(name),
      list: (after2, limit) => [...failures2.entries()].map(([name, failure2]) => ({ name, ...failure2 })).filter(({ name }) => name > after2).sort((a, b) => a.name < b.name ? -1 : 1).slice(0, limit)
    },
    search: async (query) => searchItems([...items.values()], query),
    history: () => [],
    clear: async () => {
      items.clear();
      failures2.clear();
    },
    countByKind: () => countByKind(items.values()),
    keyValue: {
      get: (key) => notes.get(key),
      set: (key, value) => void notes.set(key, { value, at: now() })
    },
    generation: () => purges,
    advanceGeneration: () => {
      purges += 1;
    },
    stats: () => ({
      ...sizesOf(items.values()),
      memory: { entries: items.size, bytes: items.calculatedSize },
      evictions
    }),
    verify: async () => ({
      state: "done",
      checked: 0,
      bytes: 0,
      damaged: 0,
      unreadable: 0,
      relisted: 0,
      leftovers: 0,
      names: []
    }),
    isWritable: () => Promise.resolve(true),
    ready: () => Promise.resolve(),
    close: () => Promise.resolve()
  };
}
function countByKind(all) {
  const found = /* @__PURE__ */ new Map();
  for (const { entry } of all) {
    const kind = entry.ownerKind;
    if (kind === void 0 || entry.role !== "artwork") continue;
    const one = found.get(kind) ?? { kind, count: 0, bytes: 0 };
    found.set(kind, { kind, count: one.count + 1, bytes: one.bytes + entry.size });
  }
  return [...found.values()];
}
function sizesOf(all) {
  const byRole = { original: 0, rendition: 0, artwork: 0 };
  const sizes = /* @__PURE__ */ new Map();
  let names = 0;
  for (const { entry } of all) {
    names += 1;
    byRole[entry.role] += 1;
    sizes.set(entry.digest, entry.size);
  }
  return {
    names,
    bytes: [...sizes.values()].reduce((sum, size) => sum + size, 0),
    byRole,
    badCopies: 0,
    writeFailures: 0,
    leftovers: 0,
    catalogueBytes: 0,
    indexBytes: 0,
    bytesPerName: 0,
    durable: false,
    rebuilding: false,
    paused: void 0
  };
}
function searchItems(all, query) {
  const { text = "", role, kind, held, sort, after: after2, limit } = query;
  const wanted = text.toLowerCase();
  const key = ({ entry, usedAt }) => sort === "name" ? entry.key : sort === "used" ? -usedAt : sort === "stored" ? -entry.storedAt : -entry.size;
  const found = all.filter(({ entry }) => role === void 0 || entry.role === role).filter(({ entry }) => held === void 0 || entry.isStored === held).filter(
    ({ entry }) => kind === void 0 || entry.ownerKind === kind || entry.key.startsWith(`images/${kind}/`)
  ).filter(
    ({ entry: { key: name, sourceUrl, ownerId } }) => [name, sourceUrl, ownerId].some((one) => one?.toLowerCase().includes(wanted))
  ).sort((a, b) => key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0);
  const from = Number(after2 ?? 0) || 0;
  return {
    entries: found.slice(from, from + limit).map(({ entry, usedAt }) => ({ ...entry, lastUsed: usedAt })),
    total: found.length,
    next: from + limit < found.length ? String(from + limit) : void 0
  };
}

// src/store/reopening-store.ts
function createReopeningStore({
  meanwhile,
  open: open6,
  logger,
  onOpen,
  every = 1e4
}) {
  let current = meanwhile;
  let closed = false;
  let trying;
  const tryAgain = async () => {
    try {
      const opened = await open6();
      if (closed) return await opened.close();
      current = opened;
      clearInterval(timer);
      logger.warn({}, "artwork: the directory can be used again");
      onOpen();
      await meanwhile.close();
    } catch {
    }
  };
  const timer = setInterval(() => {
    trying ??= tryAgain().finally(() => {
      trying = void 0;
    });
  }, every).unref();
  return {
    find: (name, trust) => current.find(name, trust),
    lookup: (name) => current.lookup(name),
    lease: (key, signal) => current.lease(key, signal),
    touch: (name) => current.touch(name),
    read: (entry) => current.read(entry),
    check: (entry, options7) => current.check(entry, options7),
    inMemory: (digest) => current.inMemory(digest),
    fileOf: (entry) => current.fileOf(entry),
    write: (entry, bytes3) => current.write(entry, bytes3),
    update: (entry, changes) => current.update(entry, changes),
    delete: (name) => current.delete(name),
    select: (selection) => current.select(selection),
    search: (query) => current.search(query),
    history: (name) => current.history(name),
    countByKind: () => current.countByKind(),
    lastUsed: (name) => current.lastUsed(name),
    negativeCache: {
      get: (name) => current.negativeCache.get(name),
      set: (name, failure2) => current.negativeCache.set(name, failure2),
      clear: (name) => current.negativeCache.clear(name),
      list: (after2, limit) => current.negativeCache.list(after2, limit)
    },
    keyValue: {
      get: (key) => current.keyValue.get(key),
      set: (key, value) => current.keyValue.set(key, value)
    },
    generation: () => current.generation(),
    advanceGeneration: () => current.advanceGeneration(),
    clear: () => current.clear(),
    stats: () => current.stats(),
    verify: (options7) => current.verify(options7),
    isWritable: () => current.isWritable(),
    ready: () => current.ready(),
    close: async () => {
      closed = true;
      clearInterval(timer);
      await trying;
      await current.close();
    }
  };
}

// src/uploads/upload-store.ts
import { createHmac as createHmac2 } from "node:crypto";

// src/uploads/upload-connection.ts
import { existsSync as existsSync5 } from "node:fs";
import { join as join14 } from "node:path";

// src/uploads/upload-index.ts
import { setImmediate as yieldToEventLoop8 } from "node:timers/promises";

// src/uploads/upload-entries.ts
var KEY = /^images\/([^/]+)\/original\/([^/]+)$/;
var uploadKey = (namespace, id) => imageKey(`${namespace}/original/${id}`);
function readUploadKey(key) {
  const [, namespace = "", id = ""] = KEY.exec(key) ?? [];
  return { namespace, id };
}
var factsOf = ({
  key,
  digest,
  type,
  width,
  height
}) => ({
  ...readUploadKey(key),
  digest,
  type,
  width,
  height
});
var toEntry = (upload) => Object.freeze({
  key: uploadKey(upload.namespace, upload.id),
  role: "original",
  digest: upload.digest,
  size: upload.size,
  type: upload.type,
  width: upload.width,
  height: upload.height,
  storedAt: upload.storedAt,
  validatedAt: upload.storedAt,
  freshnessLifetime: NEVER_STALE,
  isStored: true,
  ...upload.traits && { traits: upload.traits }
});

// src/uploads/upload-index.ts
var SHAPE3 = {
  version: 1,
  synchronous: "FULL",
  schema: `
    CREATE TABLE uploads (
      namespace TEXT NOT NULL, id TEXT NOT NULL, digest BLOB NOT NULL, size INTEGER NOT NULL, type TEXT NOT NULL,
      width INTEGER NOT NULL, height INTEGER NOT NULL, storedAt INTEGER NOT NULL,
      -- Removed: the file is being taken away.
      going INTEGER NOT NULL DEFAULT 0,
      PRIMARY KEY (namespace, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX uploads_going ON uploads (namespace, id) WHERE going = 1;
    CREATE TABLE removals (seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL) STRICT;
    CREATE TABLE facts (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO facts VALUES ('incomplete', 1);
    PRAGMA user_version = 1;
  `,
  additions: { columns: [{ table: "uploads", column: FACTS, type: "TEXT" }], tables: "" },
  checks: ["SELECT * FROM uploads LIMIT 1; SELECT max(seq) FROM removals; SELECT * FROM facts"]
};
var MAX_REMOVALS = 1e4;
var BATCH8 = 200;
var COLUMNS2 = "namespace, id, digest, size, type, width, height, storedAt";
var toBlob2 = (digest) => Buffer.from(digest, "hex");
var toUpload = ({ facts, ...row }) => {
  const digest = row.digest.toString("hex");
  const { traits } = readFacts(facts, digest);
  return { ...row, digest, ...traits && { traits } };
};
var toValues = ({ namespace, id, digest, size, type, width, height, storedAt }) => [namespace, id, toBlob2(digest), size, type, width, height, storedAt];
var prepareStatements2 = (db) => keep({
  get: db.prepare(
    `SELECT ${COLUMNS2}, facts FROM uploads WHERE namespace = ? AND id = ? AND going = 0`
  ),
  list: db.prepare(
    `SELECT ${COLUMNS2}, facts FROM uploads WHERE namespace = ? AND id > ? AND going = 0 ORDER BY id LIMIT ?`
  ),
  // What was removed comes back when it is uploaded again, and what was lost is replaced, however it is encoded now.
  insert: db.prepare(
    `INSERT INTO uploads (${COLUMNS2}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET going = 0,
       digest = excluded.digest, size = excluded.size, type = excluded.type, width = excluded.width,
       height = excluded.height, storedAt = excluded.storedAt`
  ),
  adopt: db.prepare(`INSERT OR IGNORE INTO uploads (${COLUMNS2}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`),
  mark: db.prepare("UPDATE uploads SET going = 1 WHERE namespace = ? AND id = ? AND going = 0"),
  deleting: db.prepare(`SELECT ${COLUMNS2}, facts FROM uploads WHERE going = 1 LIMIT ?`),
  any: db.prepare(
    `SELECT ${COLUMNS2}, facts FROM uploads WHERE namespace = ? AND id = ?`
  ),
  update: db.prepare(
    "UPDATE uploads SET facts = ? WHERE namespace = ? AND id = ? AND digest = ?"
  ),
  drop: db.prepare("DELETE FROM uploads WHERE namespace = ? AND id = ? AND digest = ? AND going = 1"),
  note: db.prepare("INSERT INTO removals (name) VALUES (?)"),
  forget: db.prepare("DELETE FROM removals WHERE seq <= (SELECT max(seq) FROM removals) - ?"),
  last: db.prepare("SELECT max(seq) AS seq FROM removals"),
  since: db.prepare(
    "SELECT seq, name FROM removals WHERE seq > ?"
  ),
  totals: db.prepare(
    "SELECT count(*) AS images, sum(size) AS bytes FROM uploads WHERE going = 0"
  ),
  incomplete: db.prepare("SELECT value FROM facts WHERE key = 'incomplete'"),
  complete: db.prepare("DELETE FROM facts WHERE key = 'incomplete'")
});
function openUploadIndex(file, files, tell, damaged) {
  const { db, inode } = openDatabase(file, damaged, SHAPE3, tell);
  const transaction = immediate(db);
  const sql = prepareStatements2(db);
  let seen = sql.last.get()?.seq ?? 0;
  const isIncomplete = () => sql.incomplete.get() !== void 0;
  const erase = transaction((upload) => {
    const { changes } = sql.drop.run(upload.namespace, upload.id, toBlob2(upload.digest));
    if (changes > 0) files.unlink(upload);
  });
  const unname = transaction((facts) => {
    const row = sql.any.get(facts.namespace, facts.id);
    if (row === void 0 || toUpload(row).digest !== facts.digest) files.unlink(facts);
  });
  const adopt = db.transaction((batch) => {
    for (const upload of batch) sql.adopt.run(...toValues(upload));
  });
  const readBack = async (isClosed) => {
    const batch = [];
    for await (const upload of files.walk()) {
      if (isClosed()) return false;
      batch.push(upload);
      if (batch.length >= BATCH8) adopt(batch.splice(0));
    }
    adopt(batch);
    sql.complete.run();
    return true;
  };
  const eraseRemoved = async (isClosed) => {
    for (; ; ) {
      const batch = isClosed() ? [] : sql.deleting.all(BATCH8).map(toUpload);
      for (const upload of batch) {
        erase(upload);
        await yieldToEventLoop8();
      }
      if (batch.length < BATCH8) return;
    }
  };
  return {
    inode,
    get: (namespace, id) => {
      const row = sql.get.get(namespace, id);
      return row === void 0 ? void 0 : toUpload(row);
    },
    /** Uploads of a namespace in the order of their ids. @param after only those after this id */
    list: (namespace, after2, limit) => sql.list.all(namespace, after2, limit).map(toUpload),
    /** Names a file, if it is there. Files are deleted under the same lock, so that what is named here is there. */
    name: transaction((upload) => {
      if (!files.exists(upload)) return false;
      const before = sql.any.get(upload.namespace, upload.id);
      if (before !== void 0 && toUpload(before).digest !== upload.digest) files.unlink(toUpload(before));
      sql.insert.run(...toValues(upload));
      return true;
    }),
    /** Writes what became known of an upload. */
    update: (entry) => {
      const { namespace, id } = readUploadKey(entry.key);
      sql.update.run(factsText(entry) ?? null, namespace, id, toBlob2(entry.digest));
    },
    /** Removes an upload; its file is deleted by `erase`. Answers whether it was there. */
    remove: transaction((namespace, id) => {
      if (sql.mark.run(namespace, id).changes === 0) return false;
      sql.note.run(uploadKey(namespace, id));
      sql.forget.run(MAX_REMOVALS);
      return true;
    }),
    erase,
    /** Keys that were removed since the last call. */
    removed: () => {
      const removals = sql.since.all(seen);
      seen = removals.at(-1)?.seq ?? seen;
      return removals.map(({ name }) => name);
    },
    totals: () => sql.totals.get(),
    /** Whether not every file has been read back yet. */
    isIncomplete,
    /** Finishes what was begun: a lost index is read back, files of removed uploads and unfinished ones are deleted. */
    recover: async (isClosed) => {
      if (isIncomplete() && !await readBack(isClosed)) return;
      await eraseRemoved(isClosed);
      await files.removeUnfinished(unname);
    },
    close: () => void db.close()
  };
}

// src/uploads/upload-connection.ts
var POLL_EVERY2 = 500;
function createUploadConnection(parts) {
  const { directory, isOwn, files, logger, onChange } = parts;
  const file = join14(directory, "uploads.db");
  let index;
  let closed = false;
  let key;
  let recovered = Promise.resolve();
  const start = (damaged) => {
    if (isOwn) makeOwnFolder(directory);
    else makeFolder(directory);
    const opened = openUploadIndex(
      file,
      files,
      (message) => logger.warn({}, `artwork uploads: ${message}`),
      damaged
    );
    index = opened;
    recovered = recovered.then(() => closed ? void 0 : index?.recover(() => closed)).catch((error) => {
      if (!closed) logger.error({ err: error }, "artwork uploads: tidying up failed");
    });
  };
  const reopen = (damaged) => {
    try {
      index?.close();
      index = void 0;
      key = void 0;
      start(damaged);
    } catch (error) {
      logger.error({ err: error }, "artwork uploads: the index cannot be opened anew");
    }
    onChange("all");
  };
  const onError = (error) => {
    logger.error({ err: error }, "artwork uploads: the index failed");
    if (isCorrupt(error) && index !== void 0) reopen(index.inode);
  };
  const orDefault = (ask, fallback) => {
    if (index === void 0) return fallback;
    try {
      return ask(index);
    } catch (error) {
      onError(error);
      return fallback;
    }
  };
  const inodeNow = () => {
    try {
      return inodeOf(file);
    } catch {
      return void 0;
    }
  };
  const poll = () => {
    if (index === void 0) {
      if (existsSync5(file)) start();
    } else if (inodeNow() !== index.inode) reopen();
    else {
      const removed = orDefault((current) => current.removed(), []);
      if (removed.length > 0) onChange(removed);
    }
  };
  const timer = setInterval(() => {
    try {
      poll();
    } catch (error) {
      logger.warn({ err: error }, "artwork uploads: looking for changes failed");
    }
  }, POLL_EVERY2).unref();
  return {
    /** Opens the directory. @throws Error where it cannot be used. @returns the key that ids are made with */
    ready: async () => {
      key ??= files.key().catch((error) => {
        key = void 0;
        throw error;
      });
      const secret = await key;
      if (index === void 0 && !closed) start();
      return secret;
    },
    index: () => index,
    onError,
    /** Asks the index; one that fails or is not open is a miss. */
    orDefault,
    /** Resolves when what an earlier process left undone is finished. */
    recovered: () => recovered,
    close: async () => {
      if (closed) return;
      closed = true;
      clearInterval(timer);
      await recovered;
      index?.close();
      index = void 0;
    }
  };
}

// src/uploads/upload-files.ts
import { randomBytes } from "node:crypto";
import { constants as constants4, existsSync as existsSync6, unlinkSync as unlinkSync2 } from "node:fs";
import {
  link as link2,
  lstat as lstat5,
  open as open5,
  opendir as opendir2,
  readdir as readdir4,
  readFile as readFile3,
  rename as rename4,
  rm as rm2,
  unlink as unlink5,
  writeFile as writeFile3
} from "node:fs/promises";
import { dirname as dirname4, join as join15 } from "node:path";

// src/uploads/upload-names.ts
var FILE = /^([0-9a-f]{32})\.([0-9a-f]{64})\.(\d{1,9})x(\d{1,9})\.([a-z]{3,5})$/;
var PLAIN2 = /^[a-z][a-z0-9_-]{0,63}$/;
var DEVICE = /^(?:con|prn|aux|nul|com\d|lpt\d)$/;
var MARK = "=";
function folderOf(namespace) {
  if (PLAIN2.test(namespace) && !(process.platform === "win32" && DEVICE.test(namespace))) return namespace;
  const written = namespace.replace(/[A-Z.]/g, (sign) => MARK + (sign === "." ? "0" : sign.toLowerCase()));
  return MARK + written;
}
function namespaceOf(folder) {
  const namespace = folder.startsWith(MARK) ? folder.slice(1).replace(/=([a-z0])/g, (_all, sign) => sign === "0" ? "." : sign.toUpperCase()) : folder;
  return folderOf(namespace) === folder ? namespace : void 0;
}
var shortNamespace = (namespace) => PLAIN2.test(namespace) ? namespace : MARK + digestOf(Buffer.from(namespace)).slice(0, 16);
var fileName = (facts) => {
  const kind = kindOfType(facts.type);
  const extension = kind === void 0 ? "bin" : extensionOf(kind);
  return `${facts.id}.${facts.digest}.${facts.width}x${facts.height}.${extension}`;
};
function readFileName(namespace, name) {
  const [, id, digest, width, height, extension] = FILE.exec(name) ?? [];
  const format2 = formatOfExtension(extension ?? "");
  if (id === void 0 || digest === void 0 || format2 === void 0) return void 0;
  return { namespace, id, digest, type: typeOf(format2), width: Number(width), height: Number(height) };
}

// src/uploads/upload-files.ts
var ABANDONED_AFTER = 36e5;
var KEY_BYTES = 32;
var isMissing = (error) => codeOf(error) === "ENOENT";
var randomName = () => randomBytes(8).toString("hex");
async function syncFolder(folder) {
  const handle = await open5(folder, "r").catch(() => void 0);
  try {
    await handle?.sync().catch(() => {
    });
  } finally {
    await handle?.close();
  }
}
async function makeDurableFolder(folder) {
  const made = [];
  for (let at2 = folder; !existsSync6(at2) && dirname4(at2) !== at2; at2 = dirname4(at2)) made.push(at2);
  if (!makeFolder(folder)) return;
  for (const at2 of made) await syncFolder(dirname4(at2));
}
async function writeDurably(path, bytes3) {
  const handle = await open5(path, "wx", 384);
  try {
    await handle.writeFile(bytes3);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
async function readRegular(path) {
  const file = await open5(path, constants4.O_RDONLY | (constants4.O_NONBLOCK ?? 0));
  try {
    if (!(await file.stat()).isFile()) throw new Error(`${path} is no file`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}
async function readOrMakeKey(directory) {
  const file = join15(directory, "key");
  await makeDurableFolder(directory);
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const found = await readRegular(file).catch((error) => {
      if (isMissing(error)) return void 0;
      throw error;
    });
    if (found?.length === KEY_BYTES) return found;
    if (found !== void 0) throw new Error("the key of uploads is damaged");
    const fresh = `${file}.${randomName()}`;
    await writeDurably(fresh, randomBytes(KEY_BYTES));
    await link2(fresh, file).catch((error) => {
      if (codeOf(error) !== "EEXIST") throw error;
    });
    await unlink5(fresh);
    await syncFolder(directory);
  }
  return readRegular(file);
}
function createUploadFiles(directory) {
  const root = join15(directory, "files");
  const unfinished = join15(directory, "coming");
  const shardOf = (namespace, id) => join15(root, folderOf(namespace), id.slice(0, 2));
  const pathOf2 = (facts) => join15(shardOf(facts.namespace, facts.id), fileName(facts));
  const namespaces = async () => (await readdir4(root).catch(() => [])).flatMap((folder) => namespaceOf(folder) ?? []);
  return {
    /** The key that ids are made with: 32 bytes, made at the first start, the same for all processes. */
    key: () => readOrMakeKey(directory),
    /**
     * Writes a file and waits until it is on disk.
     * @returns to be called once the index names it; until then a start takes the file for abandoned
     */
    write: async (facts, bytes3) => {
      const target = pathOf2(facts);
      await makeDurableFolder(unfinished);
      await makeDurableFolder(dirname4(target));
      const first = join15(unfinished, `${shortNamespace(facts.namespace)}~${fileName(facts)}~${randomName()}`);
      const second = `${first}.link`;
      try {
        await writeDurably(first, bytes3);
        await link2(first, second);
        clearOdd(target);
        await rename4(second, target);
        await syncFolder(dirname4(target));
      } catch (error) {
        for (const path of [first, second]) await rm2(path, { force: true }).catch(() => {
        });
        throw error;
      }
      return () => unlink5(first).catch(() => {
      });
    },
    /** The bytes of a file, or undefined where they are gone or are not those. @throws what reading throws */
    read: async (facts) => {
      const path = pathOf2(facts);
      try {
        if (!(await lstat5(path)).isFile()) return void 0;
        const bytes3 = await readFile3(path);
        return digestOf(bytes3) === facts.digest ? bytes3 : void 0;
      } catch (error) {
        if (isMissing(error)) return void 0;
        throw error;
      }
    },
    /** Whether the file is there. Synchronous, as deleting it is: both happen inside a transaction of the index. */
    exists: (facts) => existsSync6(pathOf2(facts)),
    /** Deletes a file. @throws what unlinking throws */
    unlink: (facts) => {
      try {
        unlinkSync2(pathOf2(facts));
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    },
    /** What is there of an id, by the names of files alone. */
    find: async (namespace, id) => {
      const names = await readdir4(shardOf(namespace, id)).catch(() => []);
      return names.map((name) => readFileName(namespace, name)).find((facts) => facts?.id === id);
    },
    /** Everything that is there, by the names of files, with its size and when it came. */
    walk: async function* () {
      for (const namespace of await namespaces()) {
        const folder = join15(root, folderOf(namespace));
        for (const shard of await readdir4(folder).catch(() => []))
          for (const name of await readdir4(join15(folder, shard)).catch(() => [])) {
            const facts = readFileName(namespace, name);
            const stats = facts && await lstat5(pathOf2(facts)).catch(() => void 0);
            if (facts && stats?.isFile())
              yield { ...facts, size: stats.size, storedAt: Math.round(stats.mtimeMs) };
          }
      }
    },
    /**
     * Removes what processes left that died while they wrote.
     * @param unname deletes a file, unless the index names it
     */
    removeUnfinished: async (unname) => {
      const folder = await opendir2(unfinished).catch(() => void 0);
      let known;
      for await (const { name } of folder ?? []) {
        const path = join15(unfinished, name);
        const stats = await lstat5(path).catch(() => void 0);
        if (stats === void 0 || Date.now() - stats.mtimeMs < ABANDONED_AFTER) continue;
        const [short = "", file = ""] = name.split("~");
        known ??= await namespaces();
        const namespace = known.find((one) => shortNamespace(one) === short);
        const facts = namespace === void 0 ? void 0 : readFileName(namespace, file);
        if (facts !== void 0) unname(facts);
        await unlink5(path).catch(() => {
        });
      }
    },
    /** Writes a file where uploads are written, and deletes it. @throws what writing throws */
    probe: async () => {
      await makeDurableFolder(unfinished);
      const file = join15(unfinished, `.probe-${randomName()}`);
      try {
        await writeFile3(file, "x", { flag: "wx" });
      } finally {
        await unlink5(file).catch(() => {
        });
      }
    }
  };
}

// src/uploads/upload-store.ts
var NAMING_TRIES2 = 5;
async function persist2(connection, files, upload, bytes3) {
  await connection.ready();
  for (let attempt = 0; attempt < NAMING_TRIES2; attempt += 1) {
    const finish = await files.write(upload, bytes3);
    const index = connection.index();
    if (index === void 0) throw new Error("the uploads are closed");
    const isNamed2 = index.name(upload);
    await finish();
    if (isNamed2) return;
  }
  throw new Error("the file vanished while it was named");
}
var refusal = (logger) => (cause) => {
  logger.error({ err: cause }, "artwork uploads: an image could not be kept");
  throw new ArtworkError("disk_write", "the image could not be kept", { cause });
};
function createWriter({ now, logger }, connection, files) {
  let isFailing = false;
  return {
    /** Shown until a write succeeds. */
    isFailing: () => isFailing,
    write: async (fresh, bytes3) => {
      const facts = factsOf({ ...fresh, digest: digestOf(bytes3) });
      const upload = { ...facts, size: bytes3.length, storedAt: now() };
      try {
        await persist2(connection, files, upload, bytes3);
        isFailing = false;
      } catch (error) {
        isFailing = true;
        if (isCorrupt(error)) connection.onError(error);
        refusal(logger)(error);
      }
      return toEntry(upload);
    }
  };
}
function createUploadStore(options7) {
  const { directory, isOwn = false, owns, logger, now, onChange } = options7;
  const files = createUploadFiles(directory);
  const connection = createUploadConnection({ directory, isOwn, files, logger, onChange });
  const { orDefault } = connection;
  const writer = createWriter(options7, connection, files);
  let badCopies = 0;
  const get = (key) => {
    const { namespace, id } = readUploadKey(key);
    return orDefault((index) => index.get(namespace, id), void 0);
  };
  const isIncomplete = () => orDefault((index) => index.isIncomplete(), false);
  const refuse4 = refusal(logger);
  const lookup = async (key) => {
    const known = get(key);
    if (known !== void 0 || !isIncomplete()) return known && toEntry(known);
    const { namespace, id } = readUploadKey(key);
    const found = await files.find(namespace, id);
    const bytes3 = found && await files.read(found).catch(() => void 0);
    return found && bytes3 && toEntry({ ...found, size: bytes3.length, storedAt: now() });
  };
  const read2 = async (entry) => {
    try {
      const bytes3 = await files.read(factsOf(entry));
      if (bytes3 !== void 0) return { bytes: bytes3, from: "disk" };
      if (get(entry.key) === void 0) return void 0;
    } catch (error) {
      logger.error({ err: error, image: entry.key }, "artwork uploads: a copy could not be read");
      return void 0;
    }
    badCopies += 1;
    logger.error({ image: entry.key }, "artwork uploads: a copy is gone or damaged");
    return void 0;
  };
  const remove = async (key) => {
    await connection.ready().catch(refuse4);
    const upload = get(key);
    const index = connection.index();
    if (upload === void 0 || index === void 0) return false;
    try {
      if (!index.remove(upload.namespace, upload.id)) return false;
      index.erase(upload);
    } catch (error) {
      refuse4(error);
    }
    return true;
  };
  return {
    /** Whether a key of the store is that of an upload. */
    isUpload: (key) => {
      const { namespace } = readUploadKey(key);
      return namespace !== "" && owns(namespace);
    },
    /**
     * The id that bytes have in a namespace, for all who know the key and for nobody else: 32 hex digits.
     * @param how what is done to the bytes; the same bytes processed otherwise are another image
     * @throws ArtworkError `disk_write` (503) when the directory cannot be used
     */
    idOf: async (namespace, how, bytes3) => {
      const secret = await connection.ready().catch(refuse4);
      const mac2 = createHmac2("sha256", secret).update(`${namespace}\0${how}\0`).update(bytes3);
      return mac2.digest("hex").slice(0, 32);
    },
    find: (key) => {
      const upload = get(key);
      return upload && toEntry(upload);
    },
    /** As `find`, also while a lost index is read back. */
    lookup,
    /** The bytes of an upload, verified; undefined where they are gone or damaged. */
    read: read2,
    /**
     * Stores an upload. When this resolves it is on disk, and stays until it is removed.
     * @throws ArtworkError `disk_write` (503); nothing is changed then
     */
    write: writer.write,
    /** Writes what became known of an upload. */
    update: (entry) => orDefault((index) => index.update(entry), void 0),
    /** Removes an upload. Answers whether it was there. @throws ArtworkError `disk_write` (503) */
    delete: remove,
    /** Uploads of a namespace in the order of their ids. @param after only those after this id */
    list: (namespace, after2, limit) => orDefault((index) => index.list(namespace, after2, limit), []),
    stats: () => {
      const totals = orDefault((index) => index.totals(), void 0);
      return { images: totals?.images ?? 0, bytes: totals?.bytes ?? 0, badCopies };
    },
    /** Opens the directory. @throws Error where it cannot be used */
    ready: async () => void await connection.ready(),
    /** Whether the index can be read: what it does not have is not there then. */
    isOpen: () => connection.index() !== void 0,
    /** Resolves when the index has every file. @throws ArtworkError `disk_write` (503) when it cannot be read */
    complete: async () => {
      await connection.ready().catch(refuse4);
      if (isIncomplete()) await connection.recovered();
      if (connection.index() === void 0) refuse4(new Error("the index cannot be asked"));
    },
    /** Whether something can be stored now. */
    canWrite: async () => {
      try {
        await connection.ready();
        await files.probe();
        return !writer.isFailing();
      } catch {
        return false;
      }
    },
    close: connection.close
  };
}

// src/uploads/with-uploads.ts
function withUploads(cache, uploads) {
  const { isUpload: isUpload2 } = uploads;
  return {
    ...cache,
    find: (key, trust) => isUpload2(key) ? uploads.find(key) : cache.find(key, trust),
    lookup: (key) => (isUpload2(key) ? uploads : cache).lookup(key),
    touch: (key) => {
      if (!isUpload2(key)) cache.touch(key);
    },
    read: (entry) => (isUpload2(entry.key) ? uploads : cache).read(entry),
    check: async (entry, options7) => {
      if (!isUpload2(entry.key)) return cache.check(entry, options7);
      return await uploads.read(entry) === void 0 ? "unreadable" : "whole";
    },
    fileOf: (entry) => isUpload2(entry.key) ? void 0 : cache.fileOf(entry),
    write: (entry, bytes3) => (isUpload2(entry.key) ? uploads : cache).write(entry, bytes3),
    update: (entry, changes) => {
      if (!isUpload2(entry.key)) return cache.update(entry, changes);
      const updated = Object.freeze({ ...entry, traits: changes.traits ?? entry.traits });
      uploads.update(updated);
      return updated;
    },
    delete: (key) => (isUpload2(key) ? uploads : cache).delete(key),
    close: async () => {
      await uploads.close();
      await cache.close();
    }
  };
}

// src/storage.ts
var SLOW_OPEN_MS = 5e3;
async function openStorage(settings, source) {
  const { directory, disk, memory, now, logger } = settings;
  let cache;
  const onChange = (changed) => cache?.forget(changed);
  const slow = setTimeout(
    () => logger.warn({}, `artwork: ${directory} is being opened, which takes long`),
    SLOW_OPEN_MS
  ).unref();
  const uploadStore = source && await openUploads(settings, source, onChange);
  const beside = (store) => uploadStore === void 0 ? store : withUploads(store, uploadStore);
  const open6 = () => createDiskStore({ directory, ...disk, now, logger, onChange });
  try {
    cache = createMemoryCache(beside(await open6()), memory);
  } catch (error) {
    if (disk.required) {
      await uploadStore?.close();
      throw new Error(`disk.required is set and ${directory} cannot be used`, { cause: error });
    }
    logger.warn({ err: error }, `artwork: ${directory} cannot be used, pictures are kept in memory only`);
    const bounds = { maxBytes: Math.max(memory.maxBytes, 1), maxNames: disk.maxNames };
    const meanwhile = createMemoryStore({ ...bounds, now });
    const store = createReopeningStore({ meanwhile, open: open6, logger, onOpen: () => onChange("all") });
    cache = createMemoryCache(beside(store), memory);
  } finally {
    clearTimeout(slow);
  }
  return { cache, uploadStore };
}
async function openUploads({ directory, now, logger }, source, onChange) {
  const uploadStore = createUploadStore({
    directory: source.uploads.directory ?? join16(directory, "uploads"),
    isOwn: source.uploads.directory === void 0,
    owns: (kind) => source.kinds.includes(kind) || source.owns?.(kind) === true,
    logger,
    now,
    onChange
  });
  await uploadStore.ready().catch((error) => {
    logger.error(
      { err: error },
      "artwork: the directory of uploads cannot be used, it is tried again at each upload"
    );
  });
  return uploadStore;
}

// src/store/key-value-cache.ts
var MAX_CACHED = 2e3;
var REUSED_FOR_MS2 = 1e3;
function createKeyValueCache(inner) {
  const cached = /* @__PURE__ */ new Map();
  return {
    get: (key) => {
      const known = cached.get(key);
      if (known !== void 0 && performance.now() - known.at < REUSED_FOR_MS2) return known.value;
      const value = inner.get(key);
      if (cached.size >= MAX_CACHED) cached.clear();
      cached.set(key, { value, at: performance.now() });
      return value;
    },
    set: (key, value) => {
      cached.delete(key);
      inner.set(key, value);
    }
  };
}

// src/templates/dashboard-renderer.ts
function createRenderer(views, own, install) {
  let made;
  const make2 = async (from) => {
    const { default: nunjucks2 } = await import("nunjucks");
    const { loaders = [], filters = {}, asyncFilters = [], globals = {} } = from ?? {};
    const ours = new nunjucks2.FileSystemLoader(views);
    const environment = new nunjucks2.Environment([...loaders.map(isolate), ours], { autoescape: true });
    const { filters: builtIn = {}, globals: builtInGlobals = {} } = environment;
    for (const [name, filter] of Object.entries(filters))
      if (!Object.hasOwn(builtIn, name)) environment.addFilter(name, filter, asyncFilters.includes(name));
    for (const [name, value] of Object.entries(globals))
      if (!Object.hasOwn(builtInGlobals, name)) environment.addGlobal(name, value);
    install(environment);
    return environment;
  };
  return async (template2, context) => {
    const from = own();
    if (made?.from !== from || made === void 0) made = { from, environment: make2(from) };
    const environment = await made.environment;
    return new Promise((resolve5, reject) => {
      environment.render(
        template2,
        context,
        (error, text) => typeof text === "string" ? resolve5(text) : reject(error)
      );
    });
  };
}
var isolate = (loader) => ({
  async: loader.async,
  getSource: (...args) => loader.getSource(...args),
  on: (...args) => loader.on?.(...args),
  ...loader.isRelative && { isRelative: (...args) => loader.isRelative?.(...args) },
  ...loader.resolve && { resolve: (...args) => loader.resolve?.(...args) }
});

// src/library/nfo.ts
import { posix, resolve as resolve4 } from "node:path";
var ASPECTS = { poster: "poster", backdrop: "fanart", logo: "clearlogo" };
var xml = (text) => text.replace(/[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu, "").replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
function nfoElement(settings, display2, question, { aspect, from, requireLocal = false }) {
  const local = display2.local(question);
  const { directory, seenAs } = settings.export;
  const file = local === void 0 || directory === void 0 ? void 0 : posix.join((seenAs ?? resolve4(directory)).replaceAll("\\", "/"), HIDDEN, local.path);
  const own = local !== void 0 && settings.urls.base !== "" ? `${settings.urls.base}${settings.urls.local}/${local.path}` : void 0;
  const source = !requireLocal && !settings.display.requireLocal && question.sourceUrl !== void 0 && /^https?:\/\//i.test(question.sourceUrl) ? question.sourceUrl : void 0;
  const where = file === void 0 ? own ?? source : from === void 0 ? file : posix.relative(from, file);
  if (where === void 0) return "";
  const shape = aspect ?? ASPECTS[question.kind?.placeholder ?? ""] ?? "";
  if (shape === "fanart") return `<fanart><thumb>${xml(where)}</thumb></fanart>`;
  return `<thumb${shape === "" ? "" : ` aspect="${xml(shape)}"`}>${xml(where)}</thumb>`;
}

// src/templates/picture-data.ts
var MODERN = ["avif", "webp"];
function pictureData({ images: images2, settings }, { show, nameOfSubject }, subject, requireLocal) {
  const { display: display2 } = images2;
  const { shown: shown2, local, source } = show(subject, requireLocal);
  const about = { subject, shown: shown2, placeholder: display2.placeholder(subject.kind), isWhole: false };
  if (local !== void 0) {
    const own = localData(display2, local);
    return {
      ...about,
      ...own,
      ...boxOf2(settings, subject, shown2, own.original, void 0),
      modern: modernOf(settings, own.original, local.entry.type)
    };
  }
  const isHidden = shown2.from === "placeholder" && (requireLocal || settings.display.requireLocal);
  const name = isHidden ? void 0 : nameOfSubject(subject);
  const image3 = name === void 0 ? void 0 : name.text === source?.text ? source.image : display2.image(name.text, name.kinds);
  const original = image3?.original();
  const isWhole2 = image3?.kind === "logo" || original !== void 0 && kindOfType(original.type) === "svg";
  return {
    ...about,
    original,
    isWhole: isWhole2,
    ...boxOf2(settings, subject, shown2, original, image3),
    candidates: (format2, widths) => image3?.candidates(format2, widths) ?? [],
    modern: modernOf(settings, original, original?.type)
  };
}
function localData({ entity }, local) {
  return {
    original: entity.originalOf(local.entry) ?? local.entry,
    candidates: (format2, widths) => entity.candidates(
      local,
      format2 === "auto" ? void 0 : format2,
      widths === void 0 ? void 0 : inOrder(widths)
    )
  };
}
function modernOf({ transform: transform2 }, original, ownType) {
  const isMoving = (original?.traits?.frames ?? 1) > 1;
  const own = ownType === void 0 ? void 0 : kindOfType(ownType);
  const better = MODERN.filter(
    (format2) => transform2.formats.includes(format2) && (!isMoving || isMovingFormat(format2))
  );
  const end = own === void 0 ? -1 : better.map(String).indexOf(own);
  return end < 0 ? better : better.slice(0, end);
}
function boxOf2({ urls }, subject, shown2, original, image3) {
  if (shown2.width !== void 0 && shown2.height !== void 0)
    return { box: { width: shown2.width, height: shown2.height }, isShapeKnown: true };
  if (shown2.from !== "placeholder" && original !== void 0 && original.width > 0) {
    const isOwn = shown2.from === "local" || isOwnUrl(urls, shown2.url);
    const { width, height } = (isOwn ? image3?.size() : void 0) ?? original;
    return { box: { width, height }, isShapeKnown: true };
  }
  return { box: heldBox(subject, image3), isShapeKnown: false };
}
function heldBox(subject, image3) {
  if (subject.kind !== void 0) return subject.kind.box;
  const usual = image3?.usualSize;
  if (usual !== void 0) return usual;
  const [named] = sourceKindsOf(subject);
  return PLACEHOLDER_BOXES[named] ?? PLACEHOLDER_BOXES[""];
}

// src/templates/helpers.ts
function createHelpers(parts, kept2) {
  const { images: images2, settings, events } = parts;
  const { display: display2 } = images2;
  const { kinds, kindOf: kindOf3 } = settings;
  const warnOnce = createKindWarning(settings);
  const read2 = (given, kind) => {
    const subject = readSubject(given, textOf(kind), kinds, kindOf3);
    warnOnce(given, subject, kind);
    return subject;
  };
  const show = (subject, requireLocal) => ({
    subject,
    ...display2.show({ ...subject, requireLocal })
  });
  const requested = ({ subject, shown: shown2 }) => {
    const { id, kind, sourceUrl, params } = subject;
    if (!shown2.wanted || id === void 0 || kind === void 0) return void 0;
    return () => events.emit("entity-requested", { kind: kind.kind, id, sourceUrl, params });
  };
  const shownOf = (given, kind, requireLocal) => {
    const found = show(read2(given, kind), requireLocal === true);
    requested(found)?.();
    return found;
  };
  const displayUrl = (given, kind, requireLocal) => {
    const subject = read2(given, kind);
    const isLocal = requireLocal === true;
    const { url, emit } = kept2.get(
      `url
${isLocal}
${subjectText(subject)}`,
      () => {
        const shown2 = display2.display({ ...subject, requireLocal: isLocal });
        return { url: shown2.url, emit: requested({ subject, shown: shown2 }) };
      },
      (answer2) => answer2.url.length
    );
    emit?.();
    return url;
  };
  const nameOfSubject = (subject) => {
    const { sourceUrl, localPath } = subject;
    const text = display2.ownUrl(subject) ?? sourceUrl ?? localPath;
    return text === void 0 ? void 0 : { text, kinds: sourceKindsOf(subject) };
  };
  const srcsetIn = (data, widths, format2) => {
    const token = textOf(format2) ?? "auto";
    const list = Array.isArray(widths) ? widths : void 0;
    return isFormat(token) || token === "auto" ? srcsetOf(data.candidates(token, list)) : "";
  };
  const srcset = (given, asked) => srcsetIn(
    pictureData(parts, { show, nameOfSubject }, read2(given, asked.kind), false),
    asked.widths,
    asked.format
  );
  const imageUrl2 = (given, variant, kind) => {
    const name = nameOfSubject(read2(given, kind));
    const own = name === void 0 ? void 0 : display2.imageUrl(name.text, textOf(variant), name.kinds);
    return own ?? displayUrl(given, kind, false);
  };
  const imageData = (given, { kind, requireLocal, widths, format: format2 }) => {
    const data = pictureData(parts, { show, nameOfSubject }, read2(given, kind), requireLocal === true);
    requested(data)?.();
    const isAsked = widths !== void 0 && widths !== "";
    return {
      ...data.shown,
      ...data.isShapeKnown && data.box,
      placeholder: data.placeholder,
      srcset: isAsked ? srcsetIn(data, widths, format2) : "",
      ...looksOf(data.original?.traits)
    };
  };
  const nfo = (given, options7) => nfoElement(settings, display2, read2(given, options7.kind), options7);
  return {
    nfo,
    display: display2,
    read: read2,
    show,
    shownOf,
    displayUrl,
    requested,
    nameOfSubject,
    srcset,
    imageData,
    imageUrl: imageUrl2
  };
}
function subjectText({
  kind,
  kindName,
  id,
  sourceUrl,
  localPath,
  providerIds,
  params
}) {
  let text = `${kindName ?? ""}
${kind?.kind ?? ""}
${typeof id}${id ?? ""}
${sourceUrl ?? ""}
${localPath ?? ""}`;
  for (const providerId of providerIds) text += `
${providerId}`;
  for (const name in params) text += `
${name}=${params[name]}`;
  return text;
}
function createKindWarning({ logger }) {
  let isLogged = false;
  return (given, { kind, sourceUrl, id }, kindName) => {
    if (isLogged || kind !== void 0 || id === void 0 || sourceUrl === void 0) return;
    if (typeof given !== "object" || given === null) return;
    isLogged = true;
    const name = textOf(kindName);
    const what = name === void 0 ? "an entity without a kind" : `the kind ${JSON.stringify(name)}, which is not known`;
    logger.warn(
      { fields: Object.keys(given).slice(0, 20) },
      `artwork: a template shows ${what}: its picture is never kept. Name its kind in the filter or macro, give it an entity_type, or set the option kindOf; kinds of your own are declared in entities`
    );
  };
}

// src/templates/kept.ts
var MAX_KEPT = 8e6;
var MAX_AGE = 5e3;
var LONGEST2 = 3e4;
var OVERHEAD = 300;
var MAX_CHANGES2 = 5e4;
function createKept(trace, now) {
  const printed = /* @__PURE__ */ new Map();
  const changes = /* @__PURE__ */ new Map();
  let count3 = 0;
  let total = 0;
  const drop = (question) => {
    total -= printed.get(question)?.size ?? 0;
    printed.delete(question);
  };
  const keep2 = (question, answer2) => {
    printed.set(question, answer2);
    total += answer2.size;
    for (const [oldest, { at: at2 }] of printed) {
      if (total <= MAX_KEPT && Math.abs(answer2.at - at2) < MAX_AGE) break;
      drop(oldest);
    }
  };
  const isCurrent = ({ keys, at: at2, after: after2 }) => Math.abs(now() - at2) < MAX_AGE && (after2 === count3 || keys.every((key) => (changes.get(key) ?? 0) <= after2));
  const forget = () => {
    printed.clear();
    changes.clear();
    total = 0;
  };
  return {
    /**
     * The answer to a question, made where it is not kept.
     * @param lengthOf characters of an answer
     */
    get: (question, make2, lengthOf) => {
      const known = printed.get(question);
      if (known !== void 0 && isCurrent(known)) return known.value;
      const after2 = count3;
      const { value, keys } = trace.run(make2);
      drop(question);
      const size = question.length + lengthOf(value) + OVERHEAD;
      if (keys !== void 0 && size <= LONGEST2) keep2(question, { value, keys, at: now(), after: after2, size });
      return value;
    },
    /** Hears what has changed in the store. */
    watcher: {
      changed: (keys) => {
        if (keys === "all" || changes.size + keys.length > MAX_CHANGES2) forget();
        else if (printed.size > 0) {
          count3 += 1;
          for (const key of keys) changes.set(key, count3);
        }
      },
      evicted: () => {
      }
    }
  };
}

// src/templates/html.ts
var ENTITIES = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
};
var escapeHtml = (text) => /[&<>"']/.test(text) ? text.replace(/[&<>"']/g, (sign) => ENTITIES[sign] ?? "") : text;
var escapeSafe = (text) => text.replace(/[<>"']/g, (sign) => ENTITIES[sign] ?? "");
function attributesText(attributes) {
  let text = "";
  for (const name in attributes) {
    const value = attributes[name];
    if (value === void 0 || value === null || value === false) continue;
    text += value === true ? ` ${name}` : ` ${name}="${escapeHtml(String(value))}"`;
  }
  return text;
}
var voidElement = (name, attributes) => `<${name}${attributesText(attributes)}>`;

// src/templates/picture-arguments.ts
var POSITIONS = {
  img: ["alt", "kind", "sizes", "widths", "class", "loading", "require_local"],
  picture: ["alt", "kind", "sizes", "widths", "class", "loading", "require_local"],
  avatar: ["alt", "kind", "size", "class", "require_local"],
  background: ["kind", "width", "require_local"],
  preload: ["kind", "sizes", "widths", "require_local"]
};
var OF_ALL = ["kind", "widths", "format", "require_local", "placeholder"];
var OF_BOXES = ["width", "height", "ratio", "fit", "densities"];
var OF_ELEMENTS = ["alt", "class", "style", "attrs", "loading", "decoding", "fetchpriority", "priority"];
var KNOWN = {
  img: /* @__PURE__ */ new Set([...OF_ALL, ...OF_BOXES, ...OF_ELEMENTS, "sizes"]),
  picture: /* @__PURE__ */ new Set([...OF_ALL, ...OF_BOXES, ...OF_ELEMENTS, "sizes", "sources"]),
  avatar: /* @__PURE__ */ new Set([...OF_ALL, ...OF_ELEMENTS, "size", "fit", "densities"]),
  background: /* @__PURE__ */ new Set([...OF_ALL, "width", "densities"]),
  preload: /* @__PURE__ */ new Set([...OF_ALL, ...OF_BOXES, "sizes", "media", "picture"])
};
var OF_SOURCES = /* @__PURE__ */ new Set(["media", "subject", "kind", "widths", "sizes", "width", "height", "ratio"]);
var OWN_ATTRIBUTES = /* @__PURE__ */ new Set([
  "src",
  "srcset",
  "sizes",
  "alt",
  "width",
  "height",
  "loading",
  "decoding",
  "fetchpriority"
]);
var ATTRIBUTE = /^[a-z][a-z0-9-]{0,63}$/;
function side(name, given, tell) {
  if (given === void 0 || given === null || given === "") return void 0;
  const text = typeof given === "number" ? String(given) : textOf(given) ?? "";
  const number2 = /^\d{1,5}(?:px)?$/.test(text) ? Number.parseInt(text, 10) : Math.round(Number(text));
  if (Number.isFinite(number2) && number2 > 0 && number2 < 1e5) return number2;
  tell(`${name} must be a number of pixels, got ${shown(given)}`);
  return void 0;
}
function oneOf(name, given, choices, tell) {
  if (given === void 0 || given === null || given === "") return void 0;
  const found = choices.find((choice) => choice === textOf(given));
  if (found === void 0) tell(`${name} must be one of ${choices.join(", ")}, got ${shown(given)}`);
  return found;
}
var shown = (given) => {
  try {
    return (JSON.stringify(given) ?? String(given)).slice(0, 80);
  } catch {
    return typeof given;
  }
};
function readWidths(given, tell) {
  if (given === void 0 || given === null || given === "" || given === true) return void 0;
  if (given === false) return [];
  if (Array.isArray(given)) return given;
  tell(`widths must be a list of numbers, such as [320, 640], got ${shown(given)}`);
  return void 0;
}
function readRatioOf(given, tell) {
  if (given === void 0 || given === null || given === "") return void 0;
  const ratio = readRatio(given);
  if (ratio === void 0) tell(`ratio must be width by height, such as "16/9", got ${shown(given)}`);
  return ratio;
}
function readDensities(given, tell) {
  if (given === void 0 || given === null || given === "") return [1, 2];
  const densities = (Array.isArray(given) ? given : [given]).map(Number);
  if (densities.every((density) => density > 0 && density <= 10)) return densities;
  tell(`densities must be a list of numbers up to 10, such as [1, 2], got ${shown(given)}`);
  return [1, 2];
}
function readAttributes(given, tell) {
  if (given === void 0 || given === null || given === "") return {};
  if (typeof given !== "object" || Array.isArray(given)) {
    tell(`attrs must be attributes by name, such as { id: "cover" }, got ${shown(given)}`);
    return {};
  }
  const attributes = {};
  for (const written of Object.keys(given)) {
    if (written === "__keywords") continue;
    const name = written.toLowerCase();
    const value = fieldOf(given, written);
    if (OWN_ATTRIBUTES.has(name)) tell(`attrs must not hold ${name}, which is an argument of its own`);
    else if (!ATTRIBUTE.test(name) || name.startsWith("on"))
      tell(`attrs must not hold ${shown(written)}: it is no attribute, or one that runs a script`);
    else if (value === true) attributes[name] = true;
    else if (value !== void 0 && value !== null && value !== false) {
      const text = typeof value === "object" ? textOf(value) : String(value);
      if (text === void 0) tell(`attrs.${name} must be a text, got ${shown(value)}`);
      else attributes[name] = text;
    }
  }
  return attributes;
}
function readSources(given, tell) {
  if (given === void 0 || given === null || given === "") return [];
  if (!Array.isArray(given)) {
    tell('sources must be a list, such as [{ media: "(width < 600px)", subject: portrait }]');
    return [];
  }
  return given.flatMap((one) => {
    const source = typeof one === "object" && one !== null ? one : {};
    const media = textOf(fieldOf(source, "media"));
    if (media === void 0) {
      tell('each of sources needs media, such as "(width < 600px)"');
      return [];
    }
    for (const name of Object.keys(source))
      if (!OF_SOURCES.has(name) && name !== "__keywords")
        tell(`sources know no ${name}: there are ${[...OF_SOURCES].join(", ")}`);
    return [
      {
        media,
        subject: hasField(source, "subject") ? fieldOf(source, "subject") : void 0,
        kind: fieldOf(source, "kind"),
        widths: readWidths(fieldOf(source, "widths"), tell),
        sizes: textOf(fieldOf(source, "sizes")),
        width: side("width", fieldOf(source, "width"), tell),
        height: side("height", fieldOf(source, "height"), tell),
        ratio: readRatioOf(fieldOf(source, "ratio"), tell)
      }
    ];
  });
}
function readPictureArguments(macro, given, tell) {
  for (const name of Object.keys(given))
    if (!KNOWN[macro].has(name) && name !== "__keywords" && name !== "caller")
      tell(
        name.startsWith("_") ? "there are more arguments than it takes" : `knows no ${name}: there are ${[...KNOWN[macro]].join(", ")}`
      );
  const isPriority = given.priority === true;
  const format2 = textOf(given.format);
  if (format2 !== void 0 && format2 !== "auto" && !isFormat(format2))
    tell(`format must be auto, jpeg, png, webp, avif or gif, got ${shown(format2)}`);
  const size = macro === "avatar" ? side("size", given.size, tell) ?? 48 : void 0;
  return {
    kind: given.kind,
    widths: readWidths(given.widths, tell),
    sizes: textOf(given.sizes),
    format: format2 === void 0 || format2 === "auto" || isFormat(format2) ? format2 : void 0,
    width: size ?? side("width", given.width, tell),
    height: size ?? side("height", given.height, tell),
    ratio: readRatioOf(given.ratio, tell),
    fit: oneOf("fit", given.fit, ["cover", "contain"], tell),
    densities: readDensities(given.densities, tell),
    loading: oneOf("loading", given.loading, ["lazy", "eager"], tell) ?? (isPriority ? "eager" : "lazy"),
    decoding: oneOf("decoding", given.decoding, ["async", "sync", "auto"], tell) ?? "async",
    fetchpriority: oneOf("fetchpriority", given.fetchpriority, ["high", "low", "auto"], tell) ?? (isPriority ? "high" : void 0),
    isPriority,
    requireLocal: given.require_local === true,
    placeholder: oneOf("placeholder", given.placeholder, ["color", "thumbhash", "none"], tell),
    class: textOf(given.class),
    style: textOf(given.style),
    attrs: readAttributes(given.attrs, tell),
    sources: readSources(given.sources, tell)
  };
}

// src/templates/picture-layout.ts
var NO_CANDIDATES = { srcset: "", sizes: void 0 };
function layoutOf({ box, isShapeKnown }, asked) {
  const own = box.width / box.height;
  const { width, height } = asked;
  const given = asked.ratio ?? (width !== void 0 && height !== void 0 ? width / height : void 0);
  const ratio = given ?? own;
  const wide2 = width ?? (height === void 0 ? box.width : height * ratio);
  const high = height ?? wide2 / ratio;
  const isHeld = given === void 0 ? !isShapeKnown : !isShapeKnown || Math.abs(given / own - 1) > 0.01;
  return {
    width: Math.max(1, Math.round(wide2)),
    height: Math.max(1, Math.round(high)),
    ratio: isHeld ? ratio : void 0,
    fixedWidth: width === void 0 && height === void 0 ? void 0 : Math.max(
      1,
      Math.round(isShapeKnown && asked.fit !== "contain" ? Math.max(wide2, high * own) : wide2)
    )
  };
}
function byDensity(candidates, width, densities) {
  const chosen = [];
  for (const density of [...densities].sort((a, b) => a - b)) {
    const enough = candidates.find((one) => one.width >= width * density) ?? candidates.at(-1);
    if (enough !== void 0 && enough.url !== chosen.at(-1)?.url) chosen.push({ url: enough.url, density });
  }
  return chosen;
}
function candidateText(data, format2, asked, { fixedWidth }) {
  const candidates = data.candidates(format2, asked.widths);
  if (candidates.length === 0) return NO_CANDIDATES;
  if (fixedWidth !== void 0 && asked.sizes === void 0)
    return {
      srcset: byDensity(candidates, fixedWidth, asked.densities).map(({ url, density }) => `${url} ${density}x`).join(", "),
      sizes: void 0
    };
  return {
    srcset: srcsetOf(candidates),
    sizes: asked.sizes ?? (asked.loading === "lazy" ? "auto, 100vw" : "100vw")
  };
}

// src/templates/picture-markup.ts
function behind({ original, shown: shown2, subject, isWhole: isWhole2 }, wanted, thumbhashUrl) {
  if (wanted === "none" || isWhole2 || shown2.from === "placeholder") return {};
  const { traits } = original ?? {};
  if (traits?.alpha === true) return {};
  const { color, thumbhash } = traits?.preview ?? {};
  const backdrop = wanted === "thumbhash" && thumbhash !== void 0 ? thumbhashUrl(thumbhash) : void 0;
  if (color !== void 0) return { color, ...backdrop !== void 0 && { backdrop } };
  return original === void 0 && subject.kind !== void 0 ? { color: UNKNOWN } : {};
}
var UNKNOWN = "#8a909c";
function look(settings, style, given, own = []) {
  const isInline = settings.display.styles === "attributes";
  const classes = [...own, given.class, given.attrs.class, ...isInline ? [] : styleClasses(style)];
  const styles = [isInline ? styleText(style) : "", given.style, given.attrs.style];
  const joined = (texts2, between) => texts2.filter((text) => typeof text === "string" && text !== "").join(between) || void 0;
  return { class: joined(classes, " "), style: joined(styles, ";") };
}
function imageTag2({ settings, thumbhashUrl }, data, asked, {
  alt,
  text,
  isRound = false
}) {
  const layout = layoutOf(data, asked);
  const { ratio } = layout;
  const style = {
    // Of other cuts each source says its own.
    ratio: isRound || asked.sources.length > 0 ? void 0 : ratio,
    fit: isRound ? "cover" : asked.fit ?? (ratio === void 0 ? void 0 : data.isWhole ? "contain" : "cover"),
    isRound,
    ...behind(data, asked.placeholder ?? settings.display.placeholder, thumbhashUrl)
  };
  const { class: _class, style: _style, ...others } = asked.attrs;
  return `<img${attributesText({ src: data.shown.url, srcset: text.srcset || void 0, sizes: text.sizes })} alt="${alt}"${attributesText(
    {
      width: layout.width,
      height: layout.height,
      ...look(settings, style, asked, isRound ? ["artwork-avatar"] : []),
      loading: asked.loading,
      decoding: asked.decoding,
      fetchpriority: asked.fetchpriority,
      ...others,
      "data-image-from": data.shown.from,
      // For the script that shows it where a source's own URL does not answer.
      "data-image-placeholder": data.shown.from === "source" ? data.placeholder : void 0
    }
  )}>`;
}
var typeOfFormat = (format2) => format2 === void 0 || format2 === "auto" ? void 0 : typeOf(format2);
var preloaded = (data, { srcset, sizes }, format2) => data.shown.from === "placeholder" && srcset === "" ? void 0 : { url: data.shown.url, srcset, sizes, type: srcset === "" ? void 0 : typeOfFormat(format2) };
function printImage(parts, data, asked, alt, isRound = false) {
  const format2 = asked.format ?? "auto";
  const text = candidateText(data, format2, asked, layoutOf(data, asked));
  const html3 = imageTag2(parts, data, asked, { alt, text, isRound });
  return { html: html3, preload: asked.isPriority ? preloaded(data, text, format2) : void 0 };
}
function printPicture(parts, data, asked, alt) {
  const layout = layoutOf(data, asked);
  const directed = asked.sources.map((source) => {
    const other = source.subject === void 0 && source.kind === void 0 ? data : parts.lookUp(source.subject ?? void 0, source.kind ?? asked.kind);
    return sourceTags(other, { ...asked, ...withoutGaps2(source) }, source.media);
  });
  const formats = asked.format === void 0 ? data.modern : [];
  const sources = formats.map((format2) => ({
    format: format2,
    text: candidateText(data, format2, asked, layout)
  }));
  const own = candidateText(data, asked.format, asked, layout);
  const tag = imageTag2(parts, data, asked, { alt, text: own });
  const best = sources.find(({ text }) => text.srcset !== "");
  const html3 = `<picture>${directed.join("")}${sources.filter(({ text }) => text.srcset !== "").map(({ format: format2, text }) => voidElement("source", { type: typeOf(format2), ...text })).join("")}${tag}</picture>`;
  if (!asked.isPriority || directed.length > 0) return { html: html3, preload: void 0 };
  return { html: html3, preload: best ? preloaded(data, best.text, best.format) : preloaded(data, own, void 0) };
}
function sourceTags(data, asked, media) {
  const layout = layoutOf(data, asked);
  const formats = asked.format === void 0 ? [...data.modern, void 0] : [asked.format];
  const tags = formats.map((format2) => {
    const text = candidateText(data, format2, asked, layout);
    if (text.srcset === "") return "";
    const { width, height } = layout;
    return voidElement("source", { media, type: typeOfFormat(format2), ...text, width, height });
  });
  if (tags.join("") !== "") return tags.join("");
  return voidElement("source", {
    media,
    srcset: srcsetUrl(data.shown.url),
    width: layout.width,
    height: layout.height
  });
}
var srcsetUrl = (url) => url.replace(/\s/g, encodeURIComponent).replace(/^,|,$/g, "%2C");
var withoutGaps2 = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== void 0));
var cssUrl = (url) => `url('${url.replace(/[\\'"<>&\s]/g, (sign) => `\\${sign.charCodeAt(0).toString(16)} `)}')`;
function printBackground(data, asked) {
  const width = asked.width ?? Math.min(data.box.width, 1280);
  const formats = asked.format === void 0 ? [...data.modern, void 0] : [asked.format];
  const options7 = formats.flatMap((format2) => {
    const type = typeOfFormat(format2);
    return byDensity(data.candidates(format2, asked.widths), width, asked.densities).map(
      ({ url, density }) => `${cssUrl(url)}${type === void 0 ? "" : ` type('${type}')`} ${density}x`
    );
  });
  const plain2 = `background-image:${cssUrl(data.shown.url)}`;
  return escapeHtml(
    options7.length === 0 ? plain2 : `${plain2};background-image:image-set(${options7.join(",")})`
  );
}
function printPreload(data, asked, { media, isPicture: isPicture2 }) {
  const layout = layoutOf(data, asked);
  const eager = { ...asked, loading: "eager" };
  const format2 = asked.format ?? (isPicture2 ? data.modern[0] : "auto");
  const text = candidateText(data, format2, eager, layout);
  const early = preloaded(data, text, format2);
  if (early === void 0) return "";
  return voidElement("link", {
    rel: "preload",
    as: "image",
    href: early.url,
    imagesrcset: early.srcset || void 0,
    imagesizes: early.sizes,
    type: early.type,
    media,
    fetchpriority: "high"
  });
}

// src/templates/macros.ts
var MAX_READ = 500;
var LONGEST_ARGUMENTS = 1e3;
var MAX_LOGGED = 500;
function createMacros(parts, helpers, kept2) {
  const { settings } = parts;
  const logged = /* @__PURE__ */ new Set();
  const tell = (macro) => (message) => {
    const text = `artwork: the macro ${macro}: ${message}`;
    if (logged.has(text) || logged.size >= MAX_LOGGED) return;
    logged.add(text);
    settings.logger.warn({}, text);
  };
  const read2 = createRecent(MAX_READ);
  const argumentsOf = (macro, keywords, text) => {
    const known = text === void 0 ? void 0 : read2.get(text);
    if (known !== void 0) return known;
    const asked = readPictureArguments(macro, keywords, tell(macro));
    if (text !== void 0 && text.length < LONGEST_ARGUMENTS) read2.set(text, asked);
    return asked;
  };
  const print = (macro, given, keywords, text) => {
    const asked = argumentsOf(macro, keywords, text);
    const picture = pictureData(parts, helpers, given.subject, asked.requireLocal);
    const markup = {
      settings,
      thumbhashUrl: parts.thumbhashUrl,
      lookUp: (other, kind) => pictureData(parts, helpers, helpers.read(other ?? given.raw, kind), asked.requireLocal)
    };
    const requested = helpers.requested(picture);
    const plain2 = (html3) => ({ html: html3, preload: void 0, requested });
    switch (macro) {
      case "img":
        return { ...printImage(markup, picture, asked, altText(keywords.alt)), requested };
      case "avatar":
        return { ...printImage(markup, picture, asked, altText(keywords.alt), true), requested };
      case "picture":
        return { ...printPicture(markup, picture, asked, altText(keywords.alt)), requested };
      case "background":
        return plain2(printBackground(picture, asked));
      case "preload":
        return plain2(
          printPreload(picture, asked, {
            media: keywords.media === void 0 ? void 0 : String(keywords.media),
            isPicture: keywords.picture === true
          })
        );
    }
  };
  return (macro, given, keywords) => {
    if (macro !== "background" && macro !== "preload") checkAlt(keywords.alt);
    const text = textOfArguments(macro, keywords);
    const subject = helpers.read(given, keywords.kind);
    const make2 = () => print(macro, { raw: given, subject }, keywords, text);
    const { alt } = keywords;
    const printed = text === void 0 ? make2() : kept2.get(
      `${text}
${alt instanceof String ? "safe" : ""}${alt}
${subjectText(subject)}`,
      make2,
      ({ html: html3 }) => html3.length
    );
    printed.requested?.();
    return printed;
  };
}
function textOfArguments(macro, keywords) {
  let text = macro;
  for (const name in keywords) {
    const value = keywords[name];
    if (value === void 0 || name === "__keywords" || name === "alt") continue;
    if (typeof value === "string") text += `
${name}="${value.length}:${value}`;
    else if (typeof value === "number" || typeof value === "boolean" || value === null)
      text += `
${name}=${value}`;
    else if (name === "sources" || typeof value !== "object") return void 0;
    else {
      const json = jsonOf(value);
      if (json === void 0) return void 0;
      text += `
${name}:${json}`;
    }
  }
  return text;
}
function jsonOf(value) {
  try {
    return JSON.stringify(value);
  } catch {
    return void 0;
  }
}
function checkAlt(alt) {
  if (typeof alt === "string" || alt instanceof String || typeof alt === "number") return;
  throw new TypeError(
    'artwork macros need an alt text: describe the picture, or pass "" for one that only decorates'
  );
}
var altText = (alt) => alt instanceof String ? escapeSafe(String(alt)) : escapeHtml(String(alt));

// src/templates/nunjucks.ts
function readArguments(given, names) {
  const last = given.at(-1);
  const isKeywords = typeof last === "object" && last !== null && hasField(last, "__keywords");
  const count3 = isKeywords ? given.length - 1 : given.length;
  const named = isKeywords ? { ...last } : {};
  for (let index = 0; index < count3; index += 1) named[names[index] ?? `_${index}`] = given[index];
  return named;
}
function installTemplates(environment, parts) {
  installFilters(environment, parts);
  installGlobals(environment, parts);
}
function installFilters(environment, { helpers, settings }) {
  const { kinds } = settings;
  const { nfo, display: display2, read: read2, displayUrl, srcset, imageData, imageUrl: imageUrl2 } = helpers;
  environment.addFilter("image_display_url", (given, ...rest) => {
    const { kind, require_local } = readArguments(rest, ["kind", "require_local"]);
    return displayUrl(given, kind, require_local);
  });
  environment.addFilter("image_url", (given, ...rest) => {
    const { variant, kind } = readArguments(rest, ["variant", "kind"]);
    return imageUrl2(given, variant, kind);
  });
  environment.addFilter("image_srcset", (given, ...rest) => {
    const { widths, kind, format: format2 } = readArguments(rest, ["widths", "kind", "format"]);
    return srcset(given, { kind, widths, format: format2 });
  });
  environment.addFilter("image_placeholder", (given, ...rest) => {
    const { kind } = readArguments(rest, ["kind"]);
    const named = kinds.get(textOf(given) ?? "");
    return display2.placeholder(named ?? read2(given, kind).kind);
  });
  environment.addFilter("image_data", (given, ...rest) => {
    const { require_local: requireLocal, ...others } = readArguments(rest, [
      "kind",
      "require_local",
      "widths",
      "format"
    ]);
    return imageData(given, { ...others, requireLocal });
  });
  environment.addFilter("image_nfo", (given, ...rest) => {
    const named = readArguments(rest, ["aspect", "from", "kind", "require_local"]);
    const [aspect, from, kind] = [named.aspect, named.from, named.kind].map(textOf);
    const requireLocal = named.require_local === true;
    return environment.getFilter("safe")(nfo(given, { aspect, from, kind, requireLocal }));
  });
}
function installGlobals(environment, { macros, preloads, files }) {
  const safe2 = environment.getFilter("safe");
  for (const macro of Object.keys(POSITIONS))
    environment.addGlobal(
      `artwork_${macro}`,
      function printMacro(given, ...rest) {
        const { html: html3, preload } = macros(macro, given, readArguments(rest, POSITIONS[macro]));
        if (preload !== void 0) preloads.add(contextOf(this), preload);
        return safe2(html3);
      }
    );
  for (const [name, url] of Object.entries(files)) environment.addGlobal(name, url);
}
function contextOf(caller) {
  const ctx = typeof caller === "object" && caller !== null ? Reflect.get(caller, "ctx") : void 0;
  return typeof ctx === "object" && ctx !== null ? ctx : void 0;
}

// src/transform/job-queue.ts
var overloaded = () => new ArtworkError("unavailable", "too many images are being made", { retryAfter: 2 });
var cancelled = () => new ArtworkError("cancelled", "nobody waits for this image any more");
function watchWait({ signal, isBackground = false }, waitTimeout, cancel2) {
  const onAbort = () => cancel2(cancelled());
  const timer = isBackground ? void 0 : setTimeout(() => cancel2(overloaded()), waitTimeout).unref();
  signal?.addEventListener("abort", onAbort, { once: true });
  return () => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  };
}
function makeRoom(queue, client) {
  const other = queue.crowdOut(client);
  if (other === void 0) throw overloaded();
  other.reject(overloaded());
}
function createJobQueue2() {
  const foreground = /* @__PURE__ */ new Map();
  const background = /* @__PURE__ */ new Map();
  const counts = /* @__PURE__ */ new Map();
  let size = 0;
  const count3 = (client, by) => {
    size += by;
    const waiting = (counts.get(client) ?? 0) + by;
    if (waiting === 0) counts.delete(client);
    else counts.set(client, waiting);
  };
  const clientsOf = ({ isBackground }) => isBackground ? background : foreground;
  const takeOut = (job3) => {
    const clients = clientsOf(job3);
    const hosts = clients.get(job3.client);
    const jobs2 = hosts?.get(job3.host);
    const place = jobs2?.indexOf(job3) ?? -1;
    if (hosts === void 0 || jobs2 === void 0 || place < 0) return false;
    jobs2.splice(place, 1);
    if (jobs2.length === 0) hosts.delete(job3.host);
    if (hosts.size === 0) clients.delete(job3.client);
    count3(job3.client, -1);
    return true;
  };
  const rotate = (job3) => {
    const clients = clientsOf(job3);
    const hosts = clients.get(job3.client);
    if (hosts === void 0) return;
    clients.delete(job3.client);
    clients.set(job3.client, hosts);
    const jobs2 = hosts.get(job3.host);
    if (jobs2 === void 0) return;
    hosts.delete(job3.host);
    hosts.set(job3.host, jobs2);
  };
  const first = (clients, may) => {
    for (const hosts of clients.values())
      for (const jobs2 of hosts.values()) {
        const job3 = jobs2.find(may);
        if (job3 !== void 0) return job3;
      }
    return void 0;
  };
  return {
    /** @param isAgain it was taken before, and becomes the first of its host again */
    add: (job3, isAgain = false) => {
      const clients = clientsOf(job3);
      const hosts = clients.get(job3.client) ?? /* @__PURE__ */ new Map();
      clients.set(job3.client, hosts);
      const jobs2 = hosts.get(job3.host) ?? [];
      hosts.set(job3.host, jobs2);
      if (isAgain) jobs2.unshift(job3);
      else jobs2.push(job3);
      count3(job3.client, 1);
    },
    /** Removes a job. Answers whether it was waiting. */
    remove: takeOut,
    /** Takes the next job that may begin now. */
    next: (may = () => true) => {
      const job3 = first(foreground, may) ?? first(background, may);
      if (job3 === void 0) return void 0;
      rotate(job3);
      takeOut(job3);
      return job3;
    },
    /**
     * Makes room for a client: takes the last job of the client that has most waiting, where that has more than this one
     * would have.
     */
    crowdOut: (client) => {
      const [most = "", waiting = 0] = [...counts].sort(([, a], [, b]) => b - a)[0] ?? [];
      if (waiting <= (counts.get(client) ?? 0) + 1) return void 0;
      const last = [background, foreground].flatMap((clients) => [...clients.get(most)?.values() ?? []].map((jobs2) => jobs2.at(-1))).find((job3) => job3 !== void 0);
      if (last !== void 0) takeOut(last);
      return last;
    },
    /** Everything that waits, taken out. */
    drain: () => {
      const all = [foreground, background].flatMap(
        (clients) => [...clients.values()].flatMap((hosts) => [...hosts.values()].flat())
      );
      for (const job3 of all) takeOut(job3);
      return all;
    },
    size: () => size
  };
}

// src/transform/sharp.ts
import sharp2 from "sharp";

// src/transform/colour/transfer.ts
var srgbToLinear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
var linearToSrgb = (v) => v <= 31308e-7 ? v * 12.92 : 1.055 * v ** (1 / 2.4) - 0.055;
var power = (exponent) => (v) => v ** exponent;
var bt1886 = power(2.4);
var smpte240 = (v) => v < 0.0913 ? v / 4 : ((v + 0.1115) / 1.1115) ** (1 / 0.45);
var WHITE = 203;
var pq = (v) => {
  const [m1, m2, c1, c2, c3] = [0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875];
  const p = v ** (1 / m2);
  return (Math.max(p - c1, 0) / (c2 - c3 * p)) ** (1 / m1) * 1e4 / WHITE;
};
var hlg = (v) => {
  const [a, b, c] = [0.17883277, 0.28466892, 0.55991073];
  return v <= 0.5 ? v * v / 3 : (Math.exp((v - c) / a) + b) / 12;
};
var HLG_PEAK = 1e3;
var HLG_GAMMA = 1.2;
var SRGB_TRANSFER = 13;
var PQ_TRANSFER = 16;
var HLG_TRANSFER = 18;
var TRANSFERS = {
  1: bt1886,
  4: power(2.2),
  5: power(2.8),
  6: bt1886,
  7: smpte240,
  8: (v) => v,
  11: bt1886,
  [SRGB_TRANSFER]: srgbToLinear,
  14: bt1886,
  15: bt1886,
  [PQ_TRANSFER]: pq,
  17: (v) => v ** 2.6 * 52.37 / 48,
  [HLG_TRANSFER]: hlg
};
var CAMERA_TRANSFERS = /* @__PURE__ */ new Set([1, 6, 11, 14, 15]);

// src/transform/colour/to-srgb.ts
var STEPS = 16384;
function toSrgb({ data, channels, isWide, most }, colour) {
  const size = isWide ? 65536 : 256;
  const linear = Float32Array.from({ length: size }, (_, value) => colour.toLinear(Math.min(1, value / most)));
  const encoded = Uint8Array.from(
    { length: STEPS + 1 },
    (_, step) => Math.round(linearToSrgb(step / STEPS) * 255)
  );
  const code = (light) => encoded[light <= 0 ? 0 : light >= 1 ? STEPS : light * STEPS + 0.5 | 0] ?? 0;
  const input = isWide ? wide(data) : data;
  const output = Buffer.from(data.buffer, data.byteOffset, input.length);
  const divisor = isWide ? most / 255 : 1;
  const alphaOf = (sample) => Math.min(255, Math.round(sample / divisor));
  const { matrix, luminance } = colour;
  const hasAlpha = channels === 4;
  if (matrix === void 0 && luminance === void 0) {
    const table2 = Uint8Array.from(linear, code);
    for (let at2 = 0; at2 < input.length; at2 += 1) {
      const sample = input[at2] ?? 0;
      output[at2] = hasAlpha && at2 % 4 === 3 ? alphaOf(sample) : table2[sample] ?? 0;
    }
    return output;
  }
  const [m0 = 1, m1 = 0, m2 = 0, m3 = 0, m4 = 1, m5 = 0, m6 = 0, m7 = 0, m8 = 1] = matrix ?? [];
  const gainOf = luminance === void 0 ? void 0 : systemGamma(luminance);
  for (let at2 = 0; at2 + 2 < input.length; at2 += channels) {
    const red = input[at2] ?? 0;
    const green = input[at2 + 1] ?? 0;
    const blue = input[at2 + 2] ?? 0;
    const alpha = hasAlpha ? alphaOf(input[at2 + 3] ?? 0) : 0;
    const r = linear[red] ?? 0;
    const g = linear[green] ?? 0;
    const b = linear[blue] ?? 0;
    const gain = gainOf === void 0 ? 1 : gainOf(r, g, b);
    output[at2] = code((m0 * r + m1 * g + m2 * b) * gain);
    output[at2 + 1] = code((m3 * r + m4 * g + m5 * b) * gain);
    output[at2 + 2] = code((m6 * r + m7 * g + m8 * b) * gain);
    if (hasAlpha) output[at2 + 3] = alpha;
  }
  return output;
}
var wide = (data) => {
  const whole = data.byteOffset % 2 === 0 ? data : Buffer.from(data);
  return new Uint16Array(whole.buffer, whole.byteOffset, Math.floor(whole.length / 2));
};
var systemGamma = ([red, green, blue]) => {
  const gains = Float32Array.from(
    { length: STEPS + 1 },
    (_, step) => step === 0 ? 0 : (step / STEPS) ** (HLG_GAMMA - 1) * HLG_PEAK / WHITE
  );
  return (r, g, b) => gains[Math.min(STEPS, Math.round((red * r + green * g + blue * b) * STEPS))] ?? 0;
};

// src/transform/formats/avif.ts
function* boxesOf(bytes3, from, to) {
  for (let at2 = from; at2 + 8 <= to; ) {
    const size = bytes3.readUInt32BE(at2);
    const type = bytes3.toString("latin1", at2 + 4, at2 + 8);
    const isLarge = size === 1 && at2 + 16 <= to;
    const length = isLarge ? Number(bytes3.readBigUInt64BE(at2 + 8)) : size === 0 ? to - at2 : size;
    const content = at2 + (isLarge ? 16 : 8);
    if (length < content - at2) return;
    const end = Math.min(to, at2 + length);
    yield { type, start: at2, content, end };
    at2 = end;
  }
}
var find3 = (bytes3, type, from, to) => {
  for (const box of boxesOf(bytes3, from, to)) if (box.type === type) return box;
  return void 0;
};
var FULL2 = 4;
var MOST_ENTRIES = 4096;
function propertiesIn(bytes3, meta) {
  const found = /* @__PURE__ */ new Map();
  const iprp = find3(bytes3, "iprp", meta.content + FULL2, meta.end);
  const ipco = iprp && find3(bytes3, "ipco", iprp.content, iprp.end);
  if (iprp === void 0 || ipco === void 0) return found;
  const properties = [...boxesOf(bytes3, ipco.content, ipco.end)];
  for (const ipma of boxesOf(bytes3, iprp.content, iprp.end)) {
    if (ipma.type !== "ipma") continue;
    const version = bytes3[ipma.content] ?? 0;
    const isWide = ((bytes3[ipma.content + 3] ?? 0) & 1) === 1;
    let at2 = ipma.content + FULL2;
    const count3 = Math.min(bytes3.readUInt32BE(at2), MOST_ENTRIES);
    at2 += 4;
    for (let entry = 0; entry < count3 && at2 + 5 <= ipma.end; entry += 1) {
      const id = version < 1 ? bytes3.readUInt16BE(at2) : bytes3.readUInt32BE(at2);
      at2 += version < 1 ? 2 : 4;
      const associations = bytes3[at2] ?? 0;
      at2 += 1;
      const own = found.get(id) ?? [];
      found.set(id, own);
      for (let index = 0; index < associations && at2 < ipma.end; index += 1) {
        const place = isWide ? bytes3.readUInt16BE(at2) & 32767 : (bytes3[at2] ?? 0) & 127;
        at2 += isWide ? 2 : 1;
        const property = properties[place - 1];
        if (property !== void 0) own.push(property);
      }
    }
  }
  return found;
}
function primaryOf(bytes3, meta) {
  const pitm = find3(bytes3, "pitm", meta.content + FULL2, meta.end);
  if (pitm === void 0) return 0;
  const version = bytes3[pitm.content] ?? 0;
  return version === 0 ? bytes3.readUInt16BE(pitm.content + FULL2) : bytes3.readUInt32BE(pitm.content + FULL2);
}
function hasAlphaOf(bytes3, meta, item, properties) {
  const iref = find3(bytes3, "iref", meta.content + FULL2, meta.end);
  if (iref === void 0) return false;
  const idSize = (bytes3[iref.content] ?? 0) === 0 ? 2 : 4;
  const readId2 = (at2) => idSize === 2 ? bytes3.readUInt16BE(at2) : bytes3.readUInt32BE(at2);
  let left = MOST_ENTRIES;
  for (const reference of boxesOf(bytes3, iref.content + FULL2, iref.end)) {
    if (reference.type !== "auxl") continue;
    const count3 = Math.min(bytes3.readUInt16BE(reference.content + idSize), left);
    left -= count3 + 1;
    if (left <= 0) return false;
    const isOurs = Array.from(
      { length: count3 },
      (_, index) => readId2(reference.content + idSize + 2 + index * idSize)
    ).includes(item);
    if (!isOurs) continue;
    const own = properties.get(readId2(reference.content)) ?? [];
    const isAlpha = own.some(
      ({ type, content, end }) => type === "auxC" && bytes3.toString("latin1", content, end).includes(":alpha")
    );
    if (isAlpha) return true;
  }
  return false;
}
var CONTAINERS = /* @__PURE__ */ new Set(["trak", "mdia", "minf", "stbl"]);
function samplesIn(bytes3, from, to) {
  let most = 0;
  for (const { type, content, end } of boxesOf(bytes3, from, to)) {
    if (CONTAINERS.has(type)) most = Math.max(most, samplesIn(bytes3, content, end));
    if (type === "stsz" && content + 12 <= end) most = Math.max(most, bytes3.readUInt32BE(content + 8));
  }
  return most;
}
var isSequence = (bytes3) => {
  const ftyp = find3(bytes3, "ftyp", 0, bytes3.length);
  return ftyp !== void 0 && bytes3.subarray(ftyp.content, ftyp.end).includes("avis");
};
var UNKNOWN2 = {
  depth: void 0,
  hasAlpha: false,
  frames: 1,
  nclx: void 0,
  profile: void 0,
  hasMetadata: true
};
var METADATA_ITEMS = ["Exif", "mime", "uri "];
var MAJOR_BRAND = 8;
var FIRST_COMPATIBLE_BRAND = 16;
var SEQUENCE_BRANDS = /* @__PURE__ */ new Set(["avis", "msf1", "iso8"]);
function asStill(bytes3) {
  if (!isSequence(bytes3)) return bytes3;
  const changed = Buffer.from(bytes3);
  const ftyp = find3(bytes3, "ftyp", 0, bytes3.length);
  for (const at2 of brandsOf(ftyp)) {
    const brand = bytes3.toString("latin1", at2, at2 + 4);
    if (SEQUENCE_BRANDS.has(brand)) changed.write("avif", at2, "latin1");
  }
  const moov = find3(bytes3, "moov", 0, bytes3.length);
  if (moov !== void 0) changed.write("free", moov.start + 4, "latin1");
  return changed;
}
function* brandsOf(ftyp) {
  if (ftyp === void 0) return;
  yield MAJOR_BRAND;
  for (let at2 = FIRST_COMPATIBLE_BRAND; at2 + 4 <= ftyp.end; at2 += 4) yield at2;
}
function readAvif(bytes3) {
  try {
    return read(bytes3);
  } catch {
    return UNKNOWN2;
  }
}
function read(bytes3) {
  const moov = isSequence(bytes3) ? find3(bytes3, "moov", 0, bytes3.length) : void 0;
  const frames = Math.max(1, moov === void 0 ? 1 : samplesIn(bytes3, moov.content, moov.end));
  const meta = find3(bytes3, "meta", 0, bytes3.length);
  if (meta === void 0) return { ...UNKNOWN2, frames };
  const item = primaryOf(bytes3, meta);
  let depth;
  let nclx;
  let profile;
  const properties = propertiesIn(bytes3, meta);
  for (const { type, content, end } of properties.get(item) ?? []) {
    const flags = bytes3[content + 2] ?? 0;
    if (type === "av1C") depth = (flags & 64) === 0 ? 8 : (flags & 32) === 0 ? 10 : 12;
    if (type === "pixi") depth ??= bytes3[content + 5];
    if (type !== "colr") continue;
    const kind = bytes3.toString("latin1", content, content + 4);
    if (kind === "nclx")
      nclx = { primaries: bytes3.readUInt16BE(content + 4), transfer: bytes3.readUInt16BE(content + 6) };
    if (kind === "prof" || kind === "rICC") profile = bytes3.subarray(content + 4, end);
  }
  const items = find3(bytes3, "iinf", meta.content + FULL2, meta.end);
  const hasMetadata = items === void 0 || METADATA_ITEMS.some((type) => bytes3.subarray(items.content, items.end).includes(type));
  return { depth, hasAlpha: hasAlphaOf(bytes3, meta, item, properties), frames, nclx, profile, hasMetadata };
}

// src/transform/formats/gif.ts
var EXTENSION = 33;
var IMAGE = 44;
var CONTROL = 249;
var APPLICATION = 255;
var LOOP_LENGTH = 19;
var tableSize = (packed) => (packed & 128) === 0 ? 0 : 3 * 2 ** ((packed & 7) + 1);
function afterSubBlocks(bytes3, from) {
  for (let at2 = from; at2 < bytes3.length; ) {
    const size = bytes3[at2] ?? 0;
    at2 += size + 1;
    if (size === 0) return at2;
  }
  return void 0;
}
function parseGif(bytes3) {
  const width = bytes3.length >= 13 ? bytes3.readUInt16LE(6) : 0;
  const height = bytes3.length >= 13 ? bytes3.readUInt16LE(8) : 0;
  const blocks = 13 + tableSize(bytes3[10] ?? 0);
  const frames = [];
  const metadata = [];
  let control;
  let at2 = blocks;
  while (at2 < bytes3.length) {
    const start = at2;
    if (bytes3[at2] === EXTENSION) {
      const end2 = afterSubBlocks(bytes3, at2 + 2);
      if (end2 === void 0) break;
      const label = bytes3[at2 + 1];
      const isLoop2 = label === APPLICATION && end2 - start === LOOP_LENGTH && /^(?:NETSCAPE|ANIMEXTS)/.test(bytes3.toString("latin1", at2 + 3, at2 + 11));
      if (label === CONTROL) control = start;
      else if (!isLoop2) metadata.push({ start, end: end2 });
      at2 = end2;
      continue;
    }
    if (bytes3[at2] !== IMAGE || at2 + 10 > bytes3.length) break;
    const end = afterSubBlocks(bytes3, at2 + 11 + tableSize(bytes3[at2 + 9] ?? 0));
    const packed = control === void 0 ? 0 : bytes3[control + 3] ?? 0;
    frames.push({
      left: bytes3.readUInt16LE(at2 + 1),
      top: bytes3.readUInt16LE(at2 + 3),
      width: bytes3.readUInt16LE(at2 + 5),
      height: bytes3.readUInt16LE(at2 + 7),
      disposal: packed >> 2 & 7,
      isTransparent: (packed & 1) === 1,
      start: control ?? start,
      end: end ?? bytes3.length,
      control,
      colours: (tableSize(bytes3[at2 + 9] ?? 0) || tableSize(bytes3[10] ?? 0)) / 3,
      data: at2 + 10 + tableSize(bytes3[at2 + 9] ?? 0)
    });
    control = void 0;
    at2 = end ?? bytes3.length;
  }
  return { width, height, blocks, frames, metadata, end: at2 };
}
var covers = (frame, { width, height }) => frame.left === 0 && frame.top === 0 && frame.width >= width && frame.height >= height;
function showsClear(gif) {
  let isFilled = false;
  for (const frame of gif.frames) {
    if (!isFilled && !covers(frame, gif)) return true;
    if (frame.disposal === 2) isFilled = false;
    else if (frame.disposal < 2) isFilled = true;
  }
  return false;
}
function readGif(bytes3) {
  const gif = parseGif(bytes3);
  const { width, height, frames } = gif;
  const [first] = frames;
  const isOpen = showsClear(gif);
  return {
    width: width || (first?.width ?? 0),
    height: height || (first?.height ?? 0),
    frames: Math.max(1, frames.length),
    hasAlpha: isOpen || frames.some((frame) => frame.isTransparent),
    needsCanvas: width > 0 && height > 0 && isOpen
  };
}
function stripGif(bytes3) {
  const { metadata, end } = parseGif(bytes3);
  const pieces = [];
  let from = 0;
  for (const one of metadata) {
    pieces.push(bytes3.subarray(from, one.start));
    from = one.end;
  }
  pieces.push(bytes3.subarray(from, end), Buffer.from([59]));
  return Buffer.concat(pieces);
}

// src/transform/formats/jpeg.ts
var SOI = 216;
var EOI = 217;
var SOS = 218;
var DQT = 219;
var isFrame = (marker) => marker >= 192 && marker <= 207 && marker !== 196 && marker !== 200 && marker !== 204;
var hasNoLength = (marker) => marker === 1 || marker >= 208 && marker <= 215 || marker === SOI || marker === EOI;
var UNSUPPORTED2 = /* @__PURE__ */ new Set([3, 5, 6, 7, 11, 13, 14, 15]);
var isShowable = ({ process: process2 }) => !UNSUPPORTED2.has(process2);
function* segmentsOf(bytes3) {
  for (let at2 = 0; at2 + 2 <= bytes3.length; ) {
    if (bytes3[at2] !== 255) return;
    const marker = bytes3[at2 + 1] ?? 0;
    if (marker === 255) {
      at2 += 1;
      continue;
    }
    if (hasNoLength(marker)) {
      yield { marker, start: at2, data: bytes3.subarray(at2 + 2, at2 + 2), end: at2 + 2 };
      if (marker === EOI) return;
      at2 += 2;
      continue;
    }
    if (at2 + 4 > bytes3.length) return;
    const end = at2 + 2 + bytes3.readUInt16BE(at2 + 2);
    if (end > bytes3.length) return;
    yield { marker, start: at2, data: bytes3.subarray(at2 + 4, end), end };
    at2 = marker === SOS ? afterScan(bytes3, end) : end;
  }
}
function afterScan(bytes3, from) {
  for (let at2 = bytes3.indexOf(255, from); at2 >= 0 && at2 + 1 < bytes3.length; at2 = bytes3.indexOf(255, at2 + 1)) {
    const next = bytes3[at2 + 1] ?? 0;
    if (next !== 0 && next !== 255 && !(next >= 208 && next <= 215)) return at2;
  }
  return bytes3.length;
}
var STANDARD_SUM = 3691;
function qualityOf(table2, isWide) {
  let sum = 0;
  for (let index = 0; index < 64; index += 1)
    sum += (isWide ? table2.readUInt16BE(index * 2) : table2[index]) ?? 0;
  const scale = sum * 100 / STANDARD_SUM;
  const quality2 = scale <= 100 ? (200 - scale) / 2 : 5e3 / scale;
  return Math.min(100, Math.max(1, Math.round(quality2)));
}
function readJpeg(bytes3) {
  const endsWell = bytes3.length > 1 && bytes3[bytes3.length - 2] === 255 && bytes3[bytes3.length - 1] === EOI;
  let process2 = 0;
  let quality2;
  let hasEnd = false;
  const scans = /* @__PURE__ */ new Set();
  const components = /* @__PURE__ */ new Set();
  for (const { marker, data } of segmentsOf(bytes3)) {
    if (isFrame(marker)) {
      process2 = marker & 15;
      for (let index = 0; index < (data[5] ?? 0); index += 1) components.add(data[6 + index * 3] ?? 0);
    }
    if (marker === DQT) {
      const isWide = ((data[0] ?? 0) & 240) !== 0;
      const isFirst = ((data[0] ?? 0) & 15) === 0;
      if (isFirst && data.length >= (isWide ? 129 : 65)) quality2 = qualityOf(data.subarray(1), isWide);
    }
    if (marker === EOI) hasEnd = true;
    if (marker !== SOS) continue;
    if (endsWell) return { process: process2, quality: quality2, lacksOnlyItsEnd: false };
    recordScan(data, scans);
  }
  const isWhole2 = scans.size > 0 && [...components].every((one) => isComplete2(one, process2, scans));
  return { process: process2, quality: quality2, lacksOnlyItsEnd: !hasEnd && isWhole2 };
}
var COEFFICIENTS = 64;
var placeOf = (component, coefficient) => component * COEFFICIENTS + coefficient;
function recordScan(data, scans) {
  const count3 = data[0] ?? 0;
  if (count3 > 4 || data.length !== 1 + count3 * 2 + 3) return;
  const [first = 0, last = 63, approximation = 0] = data.subarray(1 + count3 * 2);
  if ((approximation & 15) !== 0) return;
  for (let index = 0; index < count3; index += 1)
    for (let coefficient = first; coefficient <= Math.min(last, 63); coefficient += 1)
      scans.add(placeOf(data[1 + index * 2] ?? 0, coefficient));
}
function isComplete2(component, process2, scans) {
  const isProgressive = (process2 & 3) === 2;
  if (!isProgressive) return scans.has(placeOf(component, 0));
  for (let coefficient = 0; coefficient < COEFFICIENTS; coefficient += 1)
    if (!scans.has(placeOf(component, coefficient))) return false;
  return true;
}
var PADDING = /* @__PURE__ */ new Set([0, 10, 13, 32]);
function withoutPadding(bytes3) {
  let end = bytes3.length;
  while (end > 0 && PADDING.has(bytes3[end - 1] ?? 1)) end -= 1;
  return bytes3.subarray(0, end);
}
function withEnd(bytes3) {
  const whole = bytes3[bytes3.length - 1] === 255 ? bytes3.subarray(0, -1) : bytes3;
  return Buffer.concat([whole, Buffer.from([255, EOI])]);
}
var APP0 = 224;
var APP2 = 226;
var APP14 = 238;
var COMMENT = 254;
var JFIF_LENGTH = 14;
var ADOBE_LENGTH = 12;
var isMetadata = ({ marker, data }) => {
  const begins = (text) => data.toString("latin1", 0, text.length) === text;
  if (marker === COMMENT || marker >= 240 && marker <= 253) return true;
  if (marker < APP0 || marker > 239) return false;
  if (marker === APP0) return !(begins("JFIF") && data.length === JFIF_LENGTH);
  if (marker === APP2) return !begins("ICC_PROFILE");
  return !(marker === APP14 && begins("Adobe") && data.length === ADOBE_LENGTH);
};
function stripJpeg(bytes3) {
  const pieces = [];
  let from = 0;
  for (const segment of segmentsOf(bytes3)) {
    if (segment.marker === APP14 && segment.data.length > ADOBE_LENGTH) return void 0;
    if (isMetadata(segment)) {
      pieces.push(bytes3.subarray(from, segment.start));
      from = segment.end;
    }
    if (segment.marker === EOI) {
      pieces.push(bytes3.subarray(from, segment.end));
      return Buffer.concat(pieces);
    }
  }
  return void 0;
}

// src/transform/formats/png.ts
var SIGNATURE_LENGTH = 8;
function* chunksOf(bytes3) {
  for (let at2 = SIGNATURE_LENGTH; at2 + 12 <= bytes3.length; ) {
    const length = bytes3.readUInt32BE(at2);
    const end = at2 + 12 + length;
    if (end > bytes3.length) return;
    const type = bytes3.toString("latin1", at2 + 4, at2 + 8);
    yield { type, start: at2, data: bytes3.subarray(at2 + 8, at2 + 8 + length), end };
    at2 = end;
  }
}
var GREY = /* @__PURE__ */ new Set([0, 4]);
var WITH_ALPHA = /* @__PURE__ */ new Set([4, 6]);
var PALETTE = 3;
function readPng(bytes3) {
  let header;
  let isAnimated = false;
  let hasTransparency = false;
  const colour = { isSrgb: false };
  let isBefore = true;
  let controls = 0;
  for (const { type, data } of chunksOf(bytes3)) {
    if (type === "fcTL") controls += 1;
    if (type === "IDAT") isBefore = false;
    if (!isBefore && !isAnimated) break;
    if (!isBefore) continue;
    if (type === "IHDR" && data.length >= 13) header = { depth: data[8] ?? 8, colourType: data[9] ?? 2 };
    if (type === "acTL" && data.length >= 8) isAnimated = data.readUInt32BE(0) > 1;
    if (type === "tRNS") hasTransparency = true;
    if (type === "cICP" && data.length === 4 && data[2] === 0)
      colour.cicp = { primaries: data[0] ?? 2, transfer: data[1] ?? 2 };
    if (type === "iCCP") {
      const name = data.indexOf(0);
      if (name > 0 && data[name + 1] === 0) colour.compressedProfile = data.subarray(name + 2);
    }
    if (type === "sRGB") colour.isSrgb = true;
    if (type === "gAMA" && data.length === 4) colour.gamma ??= data.readUInt32BE(0) / 1e5;
    if (type === "cHRM" && data.length === 32)
      colour.chromaticities = Array.from({ length: 8 }, (_, index) => data.readUInt32BE(index * 4) / 1e5);
  }
  if (header === void 0) return void 0;
  const { depth, colourType } = header;
  return {
    depth,
    isGrey: GREY.has(colourType),
    isPalette: colourType === PALETTE,
    hasAlpha: WITH_ALPHA.has(colourType) || hasTransparency,
    // The count in acTL may be wrong.
    frames: isAnimated ? Math.max(1, controls) : 1,
    colour
  };
}
var PICTURE = new Set(
  "IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD pHYs acTL fcTL fdAT".split(" ")
);
function stripPng(bytes3) {
  const pieces = [bytes3.subarray(0, SIGNATURE_LENGTH)];
  for (const { type, start, end } of chunksOf(bytes3)) {
    if (PICTURE.has(type)) pieces.push(bytes3.subarray(start, end));
    if (type === "IEND") break;
  }
  return Buffer.concat(pieces);
}

// src/transform/formats/webp.ts
var HEADER = 12;
var FLAG = { alpha: 16, exif: 8, xmp: 4 };
var FRAME_HEADER = 16;
function* chunksOf2(bytes3, from, to) {
  for (let at2 = from; at2 + 8 <= to; ) {
    const size = bytes3.readUInt32LE(at2 + 4);
    const end = Math.min(to, at2 + 8 + size + (size & 1));
    yield { type: bytes3.toString("latin1", at2, at2 + 4), start: at2, content: at2 + 8, end };
    at2 = end;
  }
}
var endOf = (bytes3) => Math.min(bytes3.length, bytes3.readUInt32LE(4) + 8);
function readWebp(bytes3) {
  let hasAlpha = false;
  let frames = 0;
  let isLossless = true;
  let images2 = 0;
  const readChunk = ({ type, content }) => {
    if (type === "ALPH") hasAlpha = true;
    if (type === "VP8 " || type === "VP8L") images2 += 1;
    if (type === "VP8 ") isLossless = false;
    if (type === "VP8L" && content + 5 <= bytes3.length)
      hasAlpha ||= (bytes3.readUInt32LE(content + 1) >>> 28 & 1) === 1;
  };
  for (const chunk2 of chunksOf2(bytes3, HEADER, endOf(bytes3))) {
    if (chunk2.type === "VP8X") hasAlpha ||= ((bytes3[chunk2.content] ?? 0) & FLAG.alpha) !== 0;
    if (chunk2.type === "ANMF") {
      frames += 1;
      for (const inner of chunksOf2(bytes3, chunk2.content + FRAME_HEADER, chunk2.end)) readChunk(inner);
    } else readChunk(chunk2);
  }
  return { hasAlpha, isLossless: isLossless && images2 > 0, frames: Math.max(1, frames) };
}
var PICTURE2 = /* @__PURE__ */ new Set(["VP8X", "ICCP", "ANIM", "ANMF", "ALPH", "VP8 ", "VP8L"]);
function stripWebp(bytes3) {
  const pieces = [];
  for (const { type, start, end } of chunksOf2(bytes3, HEADER, endOf(bytes3))) {
    if (!PICTURE2.has(type)) continue;
    const chunk2 = Buffer.from(bytes3.subarray(start, end));
    if (type === "VP8X") chunk2[8] = (chunk2[8] ?? 0) & ~(FLAG.exif | FLAG.xmp);
    pieces.push(chunk2);
  }
  const body2 = Buffer.concat(pieces);
  const head = Buffer.from(bytes3.subarray(0, HEADER));
  head.writeUInt32LE(body2.length + 4, 4);
  return Buffer.concat([head, body2]);
}

// src/transform/source.ts
import sharp from "sharp";

// src/transform/colour/icc-profile.ts
import { inflateSync } from "node:zlib";
var MAX_PROFILE = 4 * 1024 * 1024;
function greyCurve(profile) {
  if (profile.length < 132 || profile.toString("latin1", 16, 20) !== "GRAY") return void 0;
  const count3 = Math.min(profile.readUInt32BE(128), 100);
  for (let index = 0; index < count3; index += 1) {
    const at2 = 132 + index * 12;
    if (at2 + 12 > profile.length) return void 0;
    if (profile.toString("latin1", at2, at2 + 4) !== "kTRC") continue;
    const start = profile.readUInt32BE(at2 + 4);
    return readCurve(profile.subarray(start, start + profile.readUInt32BE(at2 + 8)));
  }
  return void 0;
}
function readCurve(tag) {
  const type = tag.toString("latin1", 0, 4);
  if (type === "curv" && tag.length >= 12) {
    const count3 = tag.readUInt32BE(8);
    if (count3 === 0) return (v) => v;
    if (tag.length < 12 + count3 * 2) return void 0;
    if (count3 === 1) return power(tag.readUInt16BE(12) / 256);
    return (v) => {
      const place = v * (count3 - 1);
      const low = Math.min(Math.floor(place), count3 - 2);
      const from = tag.readUInt16BE(12 + low * 2);
      const to = tag.readUInt16BE(14 + low * 2);
      return (from + (to - from) * (place - low)) / 65535;
    };
  }
  if (type !== "para" || tag.length < 16) return void 0;
  const kind = tag.readUInt16BE(8);
  const numbers = [1, 3, 4, 5, 7][kind];
  if (numbers === void 0 || tag.length < 12 + numbers * 4) return void 0;
  const [g = 1, a = 1, b = 0, c = 0, d = 0, e = 0, f = 0] = Array.from(
    { length: numbers },
    (_, index) => tag.readInt32BE(12 + index * 4) / 65536
  );
  const steep = (v) => Math.max(a * v + b, 0) ** g;
  if (kind === 0) return power(g);
  if (kind === 1) return (v) => v >= -b / a ? steep(v) : 0;
  if (kind === 2) return (v) => v >= -b / a ? steep(v) + c : c;
  if (kind === 3) return (v) => v >= d ? steep(v) : c * v;
  return (v) => v >= d ? steep(v) + e : c * v + f;
}
function inflateProfile(compressed) {
  try {
    return inflateSync(compressed, { maxOutputLength: MAX_PROFILE });
  } catch {
    return void 0;
  }
}
var isProfileOf = (profile, space) => profile.length >= 132 && profile.readUInt32BE(0) <= profile.length && profile.toString("latin1", 36, 40) === "acsp" && profile.toString("latin1", 16, 20) === space;

// src/transform/colour/primaries.ts
var D65 = [0.3127, 0.329];
var C = [0.31, 0.316];
var SRGB = [D65, [0.64, 0.33], [0.3, 0.6], [0.15, 0.06]];
var SMPTE_170M = [D65, [0.63, 0.34], [0.31, 0.595], [0.155, 0.07]];
var PRIMARIES = {
  1: SRGB,
  4: [C, [0.67, 0.33], [0.21, 0.71], [0.14, 0.08]],
  5: [D65, [0.64, 0.33], [0.29, 0.6], [0.15, 0.06]],
  6: SMPTE_170M,
  7: SMPTE_170M,
  8: [C, [0.681, 0.319], [0.243, 0.692], [0.145, 0.049]],
  9: [D65, [0.708, 0.292], [0.17, 0.797], [0.131, 0.046]],
  10: [
    [1 / 3, 1 / 3],
    [1, 0],
    [0, 1],
    [0, 0]
  ],
  11: [
    [0.314, 0.351],
    [0.68, 0.32],
    [0.265, 0.69],
    [0.15, 0.06]
  ],
  12: [D65, [0.68, 0.32], [0.265, 0.69], [0.15, 0.06]],
  22: [D65, [0.63, 0.34], [0.295, 0.605], [0.155, 0.077]]
};
var times = (a, b) => Array.from({ length: 9 }, (_, index) => {
  const row = Math.floor(index / 3) * 3;
  const column = index % 3;
  return (a[row] ?? 0) * (b[column] ?? 0) + (a[row + 1] ?? 0) * (b[column + 3] ?? 0) + (a[row + 2] ?? 0) * (b[column + 6] ?? 0);
});
var apply = (m, [x, y, z17]) => [
  (m[0] ?? 0) * x + (m[1] ?? 0) * y + (m[2] ?? 0) * z17,
  (m[3] ?? 0) * x + (m[4] ?? 0) * y + (m[5] ?? 0) * z17,
  (m[6] ?? 0) * x + (m[7] ?? 0) * y + (m[8] ?? 0) * z17
];
function invert(m) {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0, i = 0] = m;
  const determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  if (!(Math.abs(determinant) > 1e-9)) return void 0;
  const adjugate = [
    e * i - f * h,
    c * h - b * i,
    b * f - c * e,
    f * g - d * i,
    a * i - c * g,
    c * d - a * f,
    d * h - e * g,
    b * g - a * h,
    a * e - b * d
  ];
  return adjugate.map((value) => value / determinant);
}
var BRADFORD = [0.8951, 0.2664, -0.1614, -0.7502, 1.7135, 0.0367, 0.0389, -0.0685, 1.0296];
var xyz = ([x, y]) => [x / y, 1, (1 - x - y) / y];
function toXyz([white, red, green, blue]) {
  if (!(white[1] > 0)) return void 0;
  const column = ([x, y]) => [x, y, 1 - x - y];
  const [r, g, b] = [column(red), column(green), column(blue)];
  const base = [r[0], g[0], b[0], r[1], g[1], b[1], r[2], g[2], b[2]];
  const inverse = invert(base);
  const toCone = invert(BRADFORD);
  if (inverse === void 0 || toCone === void 0) return void 0;
  const scale = apply(inverse, xyz(white));
  const own = base.map((value, index) => value * (scale[index % 3] ?? 0));
  const from = apply(BRADFORD, xyz(white));
  const to = apply(BRADFORD, xyz(D65));
  const ratios = [to[0] / from[0], to[1] / from[1], to[2] / from[2]];
  const adapted = BRADFORD.map((value, index) => value * (ratios[Math.floor(index / 3)] ?? 1));
  return times(times(toCone, adapted), own);
}
function matrixFrom(primaries) {
  const isSame = primaries.every(
    (xy, index) => xy.every((value, axis) => Math.abs(value - (SRGB[index]?.[axis] ?? 0)) < 5e-4)
  );
  if (isSame) return "same";
  const from = toXyz(primaries);
  const srgb = toXyz(SRGB);
  const to = srgb && invert(srgb);
  return from === void 0 || to === void 0 ? void 0 : times(to, from);
}

// src/transform/colour/colour.ts
var NONE = { by: "none" };
var PROFILE = { by: "profile" };
function byCodePoints({ primaries, transfer }, isVideo) {
  const known = PRIMARIES[primaries] ?? SRGB;
  const matrix = matrixFrom(known);
  const code = isVideo && CAMERA_TRANSFERS.has(transfer) ? SRGB_TRANSFER : transfer;
  const toLinear = TRANSFERS[code] ?? srgbToLinear;
  if (matrix === "same" && toLinear === srgbToLinear) return NONE;
  const shares = code === HLG_TRANSFER ? toXyz(known)?.slice(3, 6) : void 0;
  const [red, green, blue] = shares ?? [];
  return {
    by: "own",
    toLinear,
    matrix: matrix === "same" ? void 0 : matrix,
    ...red !== void 0 && green !== void 0 && blue !== void 0 && { luminance: [red, green, blue] }
  };
}
var GAMMA_SLACK = 0.05;
function byGamma(gamma, chromaticities) {
  if (!(gamma > 0)) return NONE;
  if (chromaticities === void 0)
    return Math.abs(gamma * 2.2 - 1) < GAMMA_SLACK ? NONE : { by: "own", toLinear: power(1 / gamma), matrix: void 0 };
  if (chromaticities.some((value) => value > 1)) return NONE;
  const at2 = (index) => [chromaticities[index] ?? 0, chromaticities[index + 1] ?? 0];
  const matrix = matrixFrom([at2(0), at2(2), at2(4), at2(6)]);
  if (matrix === void 0) return NONE;
  return { by: "own", toLinear: power(1 / gamma), matrix: matrix === "same" ? void 0 : matrix };
}
function byGreyProfile(profile) {
  const toLinear = greyCurve(profile);
  return toLinear && { by: "own", toLinear, matrix: void 0 };
}
var isKnown = ({ primaries, transfer }) => Object.hasOwn(PRIMARIES, primaries) && Object.hasOwn(TRANSFERS, transfer);
function colourOfPng({ colour, isGrey, depth }) {
  if (colour.cicp !== void 0 && isKnown(colour.cicp)) return byCodePoints(colour.cicp, false);
  const profile = colour.compressedProfile && inflateProfile(colour.compressedProfile);
  if (profile !== void 0 && isProfileOf(profile, isGrey ? "GRAY" : "RGB "))
    return (isGrey && depth === 16 ? byGreyProfile(profile) : void 0) ?? PROFILE;
  if (colour.isSrgb || colour.gamma === void 0) return NONE;
  return byGamma(colour.gamma, colour.chromaticities);
}
function colourOfAvif({ nclx, profile }) {
  if (profile !== void 0 && isProfileOf(profile, "RGB ")) return PROFILE;
  const grey = profile === void 0 ? void 0 : byGreyProfile(profile);
  return grey ?? (nclx === void 0 ? NONE : byCodePoints(nclx, true));
}

// src/transform/formats/gif-canvas.ts
function corner(width, height) {
  const control = Buffer.from([EXTENSION, CONTROL, 4, 1, 0, 0, 0, 0]);
  const image3 = Buffer.from([IMAGE, 0, 0, 0, 0, 1, 0, 1, 0, 128, 0, 0, 0, 255, 255, 255, 2, 2, 68, 1, 0]);
  image3.writeUInt16LE(width - 1, 1);
  image3.writeUInt16LE(height - 1, 3);
  return Buffer.concat([control, image3]);
}
var MOST_CODES = 4096;
function usedColours(bytes3, { data, end }) {
  const used = /* @__PURE__ */ new Set();
  const clear = 1 << (bytes3[data] ?? 8);
  let width = (bytes3[data] ?? 8) + 1;
  let next = clear + 2;
  let isFirst = true;
  let bits = 0;
  let buffer = 0;
  for (let block = data + 1; block < end && (bytes3[block] ?? 0) > 0; block += (bytes3[block] ?? 0) + 1) {
    const stop = Math.min(end, block + 1 + (bytes3[block] ?? 0));
    for (let at2 = block + 1; at2 < stop; at2 += 1) {
      buffer |= (bytes3[at2] ?? 0) << bits;
      bits += 8;
      while (bits >= width) {
        const code = buffer & (1 << width) - 1;
        buffer >>>= width;
        bits -= width;
        if (code === clear + 1) return used;
        if (code === clear) {
          width = (bytes3[data] ?? 8) + 1;
          next = clear + 2;
          isFirst = true;
          continue;
        }
        if (code < clear) used.add(code);
        if (!isFirst && next < MOST_CODES) {
          next += 1;
          if (next === 1 << width && width < 12) width += 1;
        }
        isFirst = false;
      }
    }
  }
  return used;
}
function unusedColour(bytes3, frame) {
  if (frame.colours < 256) return frame.colours;
  const used = usedColours(bytes3, frame);
  for (let index = 0; index < 256; index += 1) if (!used.has(index)) return index;
  return void 0;
}
function blank(pixels) {
  const CODE_SIZE = 2;
  const clear = 1 << CODE_SIZE;
  const bytes3 = [];
  let bits = 0;
  let buffer = 0;
  let width = CODE_SIZE + 1;
  const emit = (code) => {
    buffer |= code << bits;
    for (bits += width; bits >= 8; bits -= 8) {
      bytes3.push(buffer & 255);
      buffer >>>= 8;
    }
  };
  let left = pixels;
  while (left > 0) {
    emit(clear);
    width = CODE_SIZE + 1;
    for (let run = 1, next = clear + 2; left > 0 && next < MOST_CODES; run += 1) {
      const length = Math.min(run, left);
      emit(length === 1 ? 0 : clear + length);
      left -= length;
      if (run > 1) next += 1;
      if (next === 1 << width && width < 12) width += 1;
    }
  }
  emit(clear + 1);
  bytes3.push(buffer & 255);
  const blocks = [Buffer.from([CODE_SIZE])];
  for (let at2 = 0; at2 < bytes3.length; at2 += 255) {
    const part = bytes3.slice(at2, at2 + 255);
    blocks.push(Buffer.from([part.length, ...part]));
  }
  return Buffer.concat([...blocks, Buffer.from([0])]);
}
function cleaner({ left, top, width, height }) {
  const head = Buffer.from([
    EXTENSION,
    CONTROL,
    4,
    2 << 2 | 1,
    0,
    0,
    0,
    0,
    IMAGE,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0
  ]);
  for (const [index, value] of [left, top, width, height].entries()) head.writeUInt16LE(value, 9 + index * 2);
  return Buffer.concat([head, blank(width * height)]);
}
function clearing(bytes3, gif) {
  const changed = Buffer.from(bytes3);
  const pieces = [];
  const doubled = /* @__PURE__ */ new Set();
  let isClearBelow = true;
  let from = gif.blocks;
  for (const [index, frame] of gif.frames.entries()) {
    const { control, disposal, isTransparent } = frame;
    if (disposal === 2 && !isTransparent && control !== void 0) {
      const packed = changed[control + 3] ?? 0;
      const unused = isClearBelow ? void 0 : unusedColour(bytes3, frame);
      if (isClearBelow) {
        changed[control + 3] = packed & ~28 | 3 << 2;
      } else if (unused !== void 0) {
        changed[control + 3] = packed | 1;
        changed[control + 6] = unused;
      } else {
        changed[control + 3] = packed & ~28 | 1 << 2;
        doubled.add(index);
        pieces.push(changed.subarray(from, frame.end), cleaner(frame));
        from = frame.end;
      }
    }
    if (disposal < 2) isClearBelow = false;
    else if (disposal === 2 && covers(frame, gif)) isClearBelow = true;
  }
  return { bytes: Buffer.concat([...pieces, changed.subarray(from)]), doubled };
}
function withCanvas(bytes3) {
  const gif = parseGif(bytes3);
  const { bytes: changed, doubled } = clearing(bytes3, gif);
  const head = bytes3.subarray(0, gif.blocks);
  return { bytes: Buffer.concat([head, corner(gif.width, gif.height), changed]), doubled };
}

// src/transform/source.ts
var MAX_SOURCE_SIDE = 2e5;
var READERS = {
  jpeg: (bytes3) => {
    const header = readJpeg(bytes3);
    if (!isShowable(header))
      throw new ArtworkError("unsupported", "this kind of JPEG is not shown by browsers");
    const { quality: quality2, lacksOnlyItsEnd } = header;
    return { frames: 1, hasAlpha: false, isLossless: false, quality: quality2, isEnded: lacksOnlyItsEnd };
  },
  png: (bytes3) => {
    const header = readPng(bytes3);
    if (header === void 0) return { frames: 1, isLossless: true };
    const { frames, hasAlpha, isPalette, depth } = header;
    return { frames, hasAlpha, isLossless: true, isPalette, depth, colour: colourOfPng(header) };
  },
  gif: (bytes3) => {
    const { frames, hasAlpha, needsCanvas } = readGif(bytes3);
    const canvas = needsCanvas ? { ...withCanvas(bytes3), skipped: 1 } : {};
    return { frames, hasAlpha, isLossless: true, isPalette: true, ...canvas };
  },
  webp: (bytes3) => {
    const { frames, hasAlpha, isLossless } = readWebp(bytes3);
    return { frames, hasAlpha, isLossless };
  },
  avif: (bytes3) => {
    const header = readAvif(bytes3);
    const { frames, hasAlpha, depth } = header;
    return { bytes: asStill(bytes3), frames, hasAlpha, isLossless: false, depth, colour: colourOfAvif(header) };
  }
};
var ORIENTED = /* @__PURE__ */ new Set(["jpeg", "png"]);
async function readSource(original, kind, limits) {
  if (!isFormat(kind) || !limits.formats.includes(kind))
    throw new ArtworkError("unsupported", "this image format is not allowed");
  const facts = READERS[kind](original);
  const { frames, skipped = 0, doubled = NONE2 } = facts;
  const metadata = await metadataOf(facts.bytes ?? original, kind, skipped);
  const isTagged = kind === "webp" && (metadata.orientation ?? 1) > 1;
  const own = isTagged ? stripWebp(original) : facts.bytes ?? original;
  const autoOrient = ORIENTED.has(kind);
  const { width, height } = autoOrient ? metadata.autoOrient : { width: metadata.width, height: metadata.pageHeight ?? metadata.height };
  if (Math.max(width, height) > MAX_SOURCE_SIDE)
    throw new ArtworkError("too_large", "the image has a side that is too long");
  if (width * height > limits.maxPixels || kind === "avif" && width * height > limits.maxAvifPixels)
    throw new ArtworkError("too_large", "the image has too many pixels");
  const bytes3 = facts.isEnded ? await ended(own, metadata) : own;
  const canMove = isMovingFormat(kind) && frames > 1;
  const page3 = kind === "avif" ? metadata.pagePrimary ?? 0 : skipped;
  return {
    format: kind,
    original,
    bytes: bytes3,
    width,
    height,
    frames,
    traits: {
      frames,
      alpha: facts.hasAlpha ?? metadata.hasAlpha,
      lossless: facts.isLossless,
      isRevised: isRevised(kind, facts, metadata)
    },
    canMove,
    isTurned: autoOrient && (metadata.orientation ?? 1) > 1,
    isPalette: facts.isPalette ?? false,
    colour: facts.colour ?? { by: "profile" },
    depth: facts.depth ?? metadata.bitsPerSample ?? 8,
    quality: facts.quality,
    timing: canMove ? { delay: delaysOf(metadata, skipped, doubled), loop: metadata.loop ?? 0 } : void 0,
    options: (isMoving) => ({
      failOn: "error",
      limitInputPixels: limits.maxPixels,
      autoOrient,
      page: page3,
      pages: isMoving ? frames + doubled.size : 1
    })
  };
}
var NONE2 = /* @__PURE__ */ new Set();
function delaysOf({ delay = [] }, skipped, doubled) {
  const shown2 = delay.slice(skipped);
  let at2 = 0;
  for (let index = 0; at2 < shown2.length; index += 1, at2 += 1) {
    if (!doubled.has(index)) continue;
    const half = Math.round((shown2[at2] ?? 0) / 2);
    shown2[at2] = (shown2[at2] ?? 0) - half;
    at2 += 1;
    shown2[at2] = half;
  }
  return shown2;
}
function isRevised(format2, facts, metadata) {
  const { colour, depth = metadata.bitsPerSample ?? 8, skipped = 0 } = facts;
  if (format2 === "webp") return (metadata.orientation ?? 1) > 1;
  if (format2 === "avif" && (metadata.pages ?? 1) > 1) return true;
  const isIgnored = colour?.by === "none" && metadata.hasProfile;
  const isWide = colour?.by === "profile" && metadata.hasProfile && depth > 8;
  return colour?.by === "own" || isIgnored || isWide || skipped > 0;
}
async function ended(bytes3, metadata) {
  const whole = withEnd(bytes3);
  try {
    await readWhole(whole, metadata);
    return whole;
  } catch (error) {
    const bare = withoutPadding(bytes3);
    if (bare.length === bytes3.length) throw error;
    await readWhole(withEnd(bare), metadata);
    return withEnd(bare);
  }
}
var readWhole = (bytes3, { height, width }) => decoding(
  () => sharp(bytes3, { failOn: "warning", limitInputPixels: false }).extract({ left: 0, top: height - 1, width, height: 1 }).raw().toBuffer()
);
async function metadataOf(bytes3, format2, page3) {
  const open6 = (at2) => decoding(() => sharp(bytes3, { limitInputPixels: false, page: at2 }).metadata());
  const metadata = await open6(page3);
  const primary = metadata.pagePrimary ?? 0;
  return format2 === "avif" && primary > 0 ? open6(primary) : metadata;
}
async function decoding(work) {
  try {
    return await work();
  } catch (error) {
    const text = error instanceof Error ? error.message : "";
    if (/exceeds pixel limit/i.test(text))
      throw new ArtworkError("too_large", "the image has too many pixels", { cause: error });
    if (/save(?:_buffer)?:|\bencod/i.test(text))
      throw new ArtworkError("processing", "the image could not be encoded", { cause: error });
    throw new ArtworkError("invalid_image", "the image cannot be decoded", { cause: error });
  }
}

// src/transform/encode.ts
var LARGE = 16e6;
var tooLargeForFormat = () => new ArtworkError("too_large", "the image has too many pixels for this format");
async function encode(ready, recipe) {
  const { source, isUnchanged } = ready;
  const { format: format2 } = recipe;
  const first = await encodeAs(ready, recipe, { quality: recipe.quality });
  const isLarger = first.data.length > source.original.length;
  if (!isLarger || ready.pixels > source.width * source.height * source.frames) return first;
  const made = [first];
  const other = otherChoice(ready, recipe);
  if (other !== void 0) made.push(await encodeAs(ready, recipe, other));
  const stripped = isUnchanged && format2 === source.format ? STRIPPERS[format2](source) : void 0;
  if (stripped !== void 0) made.push({ ...first, data: stripped });
  return made.reduce((best, one) => one.data.length < best.data.length ? one : best);
}
function otherChoice({ source, pixels, isMoving }, recipe) {
  const { format: format2, quality: quality2, effort: effort2 = 0 } = recipe;
  const frames = isMoving ? source.frames : 1;
  const isLossless = format2 === "webp" && source.traits.lossless;
  if (format2 !== "webp" && format2 !== "jpeg") return void 0;
  const first = { format: format2, pixels, frames };
  const second = { ...first, isLossless };
  const spent = workOf(first, effortFor(first, effort2) ?? 0);
  const wanted = workOf(second, effortFor(second, effort2) ?? 0);
  if (spent + wanted > MOST_WORK) return void 0;
  if (isLossless) return { quality: quality2, isLossless };
  const lower = source.quality ?? (source.format === "webp" ? quality2 - 15 : quality2);
  return lower < quality2 ? { quality: Math.max(lower, 1) } : void 0;
}
async function encodeAs(ready, recipe, choice) {
  const { source, isMoving, pixels } = ready;
  const { format: format2 } = recipe;
  const { isLossless = false } = choice;
  const job3 = { format: format2, pixels, frames: isMoving ? source.frames : 1, isLossless };
  const isPalette = format2 === "png" && source.isPalette && isAffordable({ ...job3, isPalette: true });
  const effort2 = effortFor({ ...job3, isPalette }, recipe.effort ?? 0);
  if (effort2 === void 0) throw tooLargeForFormat();
  const timing = isMoving && source.timing !== void 0 ? source.timing : {};
  const image3 = ready.open();
  const write2 = () => {
    switch (format2) {
      case "jpeg":
        return image3.flatten({ background: "#ffffff" }).jpeg({ quality: choice.quality, progressive: true });
      case "png":
        return image3.png(
          isPalette ? { palette: true, effort: effort2, compressionLevel: 9 } : { compressionLevel: pixels > LARGE ? 4 : 9 }
        );
      case "gif":
        return image3.gif({ effort: effort2, ...timing });
      case "webp":
        return isLossless ? image3.webp({ lossless: true, effort: effort2, ...timing }) : image3.webp({ quality: choice.quality, effort: effort2, ...timing });
      case "avif":
        return image3.avif({ quality: choice.quality, effort: effort2 });
    }
  };
  const { data, info } = await decoding(() => write2().toBuffer({ resolveWithObject: true }));
  return { data, width: info.width, height: info.pageHeight ?? info.height };
}
var STRIPPERS = {
  // With the end that it may have lacked.
  jpeg: ({ bytes: bytes3 }) => stripJpeg(bytes3),
  png: ({ original }) => stripPng(original),
  gif: ({ original }) => stripGif(original),
  webp: ({ original }) => stripWebp(original),
  // Its boxes point into each other: what has metadata is encoded anew.
  avif: ({ original }) => readAvif(original).hasMetadata ? void 0 : original
};

// src/transform/preview.ts
import { rgbaToThumbHash } from "thumbhash";
var BITS = 3;
function dominantColor({ rgba }) {
  const bins = /* @__PURE__ */ new Map();
  for (let at2 = 0; at2 + 3 < rgba.length; at2 += 4) {
    const [r = 0, g = 0, b = 0, alpha = 0] = rgba.subarray(at2, at2 + 4);
    if (alpha === 0) continue;
    const key = r >> 8 - BITS << 2 * BITS | g >> 8 - BITS << BITS | b >> 8 - BITS;
    const bin = bins.get(key) ?? { weight: 0, r: 0, g: 0, b: 0 };
    bin.weight += alpha;
    bin.r += r * alpha;
    bin.g += g * alpha;
    bin.b += b * alpha;
    bins.set(key, bin);
  }
  let most;
  for (const bin of bins.values()) if (most === void 0 || bin.weight > most.weight) most = bin;
  if (most === void 0) return void 0;
  const { weight } = most;
  const hex = (sum) => Math.round(sum / weight).toString(16).padStart(2, "0");
  return `#${hex(most.r)}${hex(most.g)}${hex(most.b)}`;
}
function previewOf(copy2) {
  const color = dominantColor(copy2);
  if (color === void 0) return void 0;
  const hash = rgbaToThumbHash(copy2.width, copy2.height, copy2.rgba);
  return { color, thumbhash: Buffer.from(hash).toString("base64") };
}

// src/transform/transformer.ts
var SVG_INSPECTED = {
  width: 0,
  height: 0,
  traits: { frames: 1, alpha: true, lossless: true, isRevised: false }
};

// src/transform/sharp.ts
var LOADERS = {
  jpeg: ["VipsForeignLoadJpegBuffer"],
  png: ["VipsForeignLoadPngBuffer"],
  gif: ["VipsForeignLoadNsgifBuffer"],
  webp: ["VipsForeignLoadWebpBuffer"],
  avif: ["VipsForeignLoadHeifBuffer"]
};
function hardenSharp(formats) {
  sharp2.cache(false);
  sharp2.concurrency(1);
  sharp2.block({ operation: ["VipsForeignLoad"] });
  sharp2.unblock({ operation: formats.flatMap((format2) => LOADERS[format2]) });
}
var PROBE_SIDE = 32;
async function inspect(bytes3, kind, limits) {
  if (kind === "svg") return SVG_INSPECTED;
  const source = await readSource(bytes3, kind, limits);
  const probe2 = sharp2(source.bytes, source.options(staysMoving(source, limits)));
  const { data, info } = await decoding(
    () => probe2.resize({ width: PROBE_SIDE, height: PROBE_SIDE, fit: "inside", withoutEnlargement: true }).toColourspace("srgb").ensureAlpha().raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true })
  );
  const { width } = info;
  const height = info.pageHeight ?? info.height;
  const isWhole2 = info.channels === 4 && data.length >= width * height * 4;
  const preview = isWhole2 ? previewOf({ width, height, rgba: data.subarray(0, width * height * 4) }) : void 0;
  const traits = preview === void 0 ? source.traits : { ...source.traits, preview };
  return { width: source.width, height: source.height, traits };
}
async function transform(bytes3, kind, recipe, limits) {
  if (kind === "svg") throw new ArtworkError("unsupported", "an SVG image is only given as it is");
  const { format: format2 } = recipe;
  if (!limits.formats.includes(format2))
    throw new ArtworkError("unsupported", "this image format is not allowed");
  const source = await readSource(bytes3, kind, limits);
  if (isMovingFormat(format2) && source.canMove && source.frames > limits.maxFrames)
    throw new ArtworkError("too_large", "the image has too many frames");
  const isMoving = isMovingFormat(format2) && staysMoving(source, limits);
  const size = outputSize(source, recipe);
  const pixels = size.width * size.height * (isMoving ? source.frames : 1);
  if (format2 === "avif" && pixels > limits.maxAvifPixels) throw tooLargeForFormat();
  const pixelsOf2 = await decoder(source, isMoving);
  const isWhole2 = source.frames === 1 || isMoving;
  const { data, width, height } = await encode(
    {
      open: () => fitInto(pixelsOf2(), source, recipe),
      source,
      isMoving,
      pixels,
      isUnchanged: isWhole2 && !source.isTurned && source.colour.by !== "own" && size.width === source.width && size.height === source.height
    },
    recipe
  );
  return { bytes: data, format: format2, width, height };
}
var staysMoving = (source, limits) => source.canMove && movesWithin(source.frames, source, limits);
async function decoder(source, isMoving) {
  const options7 = source.options(isMoving);
  const { colour, depth } = source;
  if (colour.by === "own") {
    const raw = await inSrgb(source, colour);
    return () => sharp2(raw.data, { raw: raw.info, limitInputPixels: false });
  }
  if (colour.by === "none") return () => sharp2(source.bytes, { ...options7, ignoreIcc: true });
  const open6 = () => sharp2(source.bytes, options7);
  return depth > 8 ? () => open6().withIccProfile("srgb", { attach: false }) : open6;
}
var mostOf = (depth) => depth > 8 && depth < 16 ? (1 << depth) - 1 << 16 - depth : 65535;
async function inSrgb(source, colour) {
  const isWide = source.depth > 8;
  const image3 = sharp2(source.bytes, { ...source.options(false), ignoreIcc: true });
  const samples = isWide ? image3.toColourspace("rgb16").raw({ depth: "ushort" }) : image3.toColourspace("srgb").raw();
  const { data, info } = await decoding(() => samples.toBuffer({ resolveWithObject: true }));
  const { width, height, channels } = info;
  const most = isWide ? mostOf(source.depth) : 255;
  return { data: toSrgb({ data, channels, isWide, most }, colour), info: { width, height, channels } };
}
function fitInto(image3, source, recipe) {
  const size = outputSize(source, recipe);
  if (recipe.fit === "cover" && recipe.width !== void 0 && recipe.height !== void 0)
    return image3.resize({ ...size, fit: "cover" });
  const isSame = size.width === source.width && size.height === source.height;
  return isSame ? image3 : image3.resize({ ...size, fit: "fill" });
}

// src/transform/in-process.ts
function createInProcess(limits) {
  const queue = createJobQueue2();
  let running = 0;
  let hardened = false;
  const wait = (about) => {
    const { client = "", host = "", isBackground = false } = about;
    if (queue.size() >= limits.queue) makeRoom(queue, client);
    let stopWatching = () => {
    };
    return new Promise((go, reject) => {
      const one = { go, reject, client, host, isBackground, isHeavy: false, isAlone: false };
      stopWatching = watchWait(about, limits.waitTimeout, (error) => {
        if (queue.remove(one)) reject(error);
      });
      queue.add(one);
    }).finally(() => stopWatching());
  };
  const inTurn = async (about = {}, work) => {
    if (!hardened) hardenSharp(limits.formats);
    hardened = true;
    if (running >= limits.concurrency) await wait(about);
    else running += 1;
    try {
      return await work();
    } finally {
      const next = queue.next();
      if (next === void 0) running -= 1;
      else next.go();
    }
  };
  return {
    inspect: (bytes3, kind, about) => inTurn(about, () => inspect(bytes3, kind, limits)),
    transform: (bytes3, kind, recipe, about) => inTurn(about, () => transform(bytes3, kind, recipe, limits)),
    trouble: () => void 0,
    load: () => ({ running, waiting: queue.size() }),
    close: async () => {
    }
  };
}

// src/transform/thumbhash-image.ts
import { crc32, deflateSync } from "node:zlib";
import { thumbHashToRGBA } from "thumbhash";
var MAX_KNOWN3 = 2e3;
var SIGNATURE2 = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
function chunk(type, data) {
  const body2 = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(data.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body2));
  return Buffer.concat([head, body2, sum]);
}
function png(width, height, rgba) {
  const row = width * 3 + 1;
  const raw = Buffer.alloc(row * height);
  for (let y = 0; y < height; y += 1) {
    raw[y * row] = 1;
    for (let x = 0; x < width; x += 1)
      for (let channel = 0; channel < 3; channel += 1) {
        const at2 = (y * width + x) * 4 + channel;
        const before = x === 0 ? 0 : rgba[at2 - 4] ?? 0;
        raw[y * row + 1 + x * 3 + channel] = (rgba[at2] ?? 0) - before;
      }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    SIGNATURE2,
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(raw, { level: 9 })),
    chunk("IEND", Buffer.alloc(0))
  ]);
}
function createThumbhashImages() {
  const known = createRecent(MAX_KNOWN3);
  return (thumbhash) => {
    const before = known.get(thumbhash);
    if (before !== void 0) return before;
    try {
      const { w, h, rgba } = thumbHashToRGBA(Buffer.from(thumbhash, "base64"));
      const url = `data:image/png;base64,${png(w, h, rgba).toString("base64")}`;
      known.set(thumbhash, url);
      return url;
    } catch {
      return void 0;
    }
  };
}

// src/transform/child-command.ts
import { fork } from "node:child_process";
import {
  existsSync as existsSync7,
  mkdirSync as mkdirSync2,
  mkdtempSync,
  readFileSync as readFileSync3,
  realpathSync,
  renameSync as renameSync2,
  rmdirSync,
  writeFileSync
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, delimiter, dirname as dirname5, join as join17 } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

// src/transform/kill-worker.ts
function killWorker(child, { sandbox }) {
  try {
    if (sandbox.length > 0 && child.pid !== void 0) process.kill(-child.pid, "SIGKILL");
  } catch {
  }
  child.kill("SIGKILL");
}
function createTimeLimit(onTimeout) {
  let timer;
  const clear = () => clearTimeout(timer);
  return {
    set: (ms2) => {
      clear();
      timer = setTimeout(onTimeout, ms2);
    },
    clear
  };
}

// src/transform/child-command.ts
var ENVIRONMENT = Object.fromEntries(
  ["SystemRoot", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "FONTCONFIG_PATH", "TZ"].map((name) => [name, process.env[name]]).filter(([, value]) => value !== void 0)
);
var NEEDED = ["sharp", "mime-types", "thumbhash"];
var MAX_OUTPUT = 4e3;
var DIAGNOSE_FOR = 15e3;
function findScript(url = import.meta.url) {
  if (url === void 0 || !url.startsWith("file:")) return void 0;
  const own = fileURLToPath(url);
  if (!/^child-command\.[jt]s$/.test(basename(own)) || basename(dirname5(own)) !== "transform")
    return void 0;
  const isBuilt = own.endsWith(".js");
  const path = join17(dirname5(own), isBuilt ? "worker.js" : "worker.ts");
  if (!existsSync7(path)) return void 0;
  if (isBuilt) return { path, execArgv: [], isConfinable: true };
  const made = fromSources(path);
  if (made !== void 0) return { path: made, execArgv: [], isConfinable: true };
  const loader = pathToFileURL(createRequire(url).resolve("tsx")).href;
  return { path, execArgv: ["--import", loader], isConfinable: false };
}
function fromSources(path) {
  try {
    const require2 = createRequire(path);
    const { buildSync } = require2("esbuild");
    const { outputFiles } = buildSync({
      entryPoints: [path],
      bundle: true,
      write: false,
      platform: "node",
      format: "esm",
      packages: "external"
    });
    const text = outputFiles[0]?.contents ?? new Uint8Array();
    const hash = digestOf(text).slice(0, 16);
    const packages = join17(placesOf("esbuild", path).at(-1) ?? "", "..");
    const folder = join17(packages, ".cache", "express-artwork", "transform");
    const file = join17(folder, `worker-${hash}.mjs`);
    if (existsSync7(file)) return file;
    mkdirSync2(folder, { recursive: true });
    writeFileSync(`${file}.${process.pid}`, text);
    renameSync2(`${file}.${process.pid}`, file);
    return file;
  } catch {
    return void 0;
  }
}
function placesOf(name, from) {
  const places = [];
  for (let folder = dirname5(from); ; folder = dirname5(folder)) {
    const place = join17(folder, "node_modules", name);
    places.push(place);
    if (existsSync7(join17(place, "package.json"))) return places;
    if (folder === dirname5(folder)) return [];
  }
}
function foldersOf(names, from, found = /* @__PURE__ */ new Set()) {
  for (const name of names) {
    const places = placesOf(name, from);
    const folder = places.at(-1);
    if (folder === void 0) continue;
    const isNew = !found.has(folder);
    for (const place of places) found.add(place);
    if (!isNew) continue;
    const real = realpathSync(folder);
    found.add(real);
    const manifest = join17(real, "package.json");
    const { dependencies = {}, optionalDependencies = {} } = JSON.parse(readFileSync3(manifest, "utf8"));
    foldersOf([...Object.keys(dependencies), ...Object.keys(optionalDependencies)], manifest, found);
  }
  return found;
}
function confinement(script, isBroad = false) {
  const flag2 = process.allowedNodeEnvironmentFlags.has("--permission") ? "--permission" : "--experimental-permission";
  const own = dirname5(dirname5(script.path));
  const needed = [...foldersOf(NEEDED, script.path)];
  const beside = isBroad ? needed.map((path) => path.replace(/([\\/]node_modules)[\\/].*$/, "$1")) : [];
  const folders = [own, realpathSync(own), ...needed, ...beside];
  const sorted = [...new Set(folders)].sort((a, b) => a.length - b.length);
  const least = sorted.filter(
    (path, index) => !sorted.slice(0, index).some((other) => path.startsWith(other))
  );
  return [flag2, "--allow-addons", "--no-warnings", ...least.map((path) => `--allow-fs-read=${path}*`)];
}
var IS_BROAD = /^20\.1\d\./.test(process.versions.node);
function makeEmptyFolder(script) {
  let folder;
  try {
    folder = mkdtempSync(join17(tmpdir(), "artwork-decoder-"));
  } catch {
    return dirname5(script.path);
  }
  process.once("exit", () => {
    try {
      rmdirSync(folder);
    } catch {
    }
  });
  return folder;
}
var emptyFolder;
function commandOf(name) {
  if (name.includes("/")) return name;
  const places = (process.env.PATH ?? "").split(delimiter).map((place) => join17(place, name));
  return places.find((place) => existsSync7(place)) ?? name;
}
function startChild(script, { sandbox, maxMemory }, flags, isHeard = false) {
  if (emptyFolder === void 0 || !existsSync7(emptyFolder)) emptyFolder = makeEmptyFolder(script);
  const [name, ...args] = sandbox;
  const command = name === void 0 ? void 0 : commandOf(name);
  return fork(script.path, [String(maxMemory)], {
    ...command !== void 0 && { execPath: command, detached: true },
    execArgv: [...command === void 0 ? [] : [...args, process.execPath], ...flags, ...script.execArgv],
    env: ENVIRONMENT,
    // Relative paths lead to nothing.
    cwd: emptyFolder,
    serialization: "advanced",
    stdio: ["ignore", "ignore", isHeard ? "pipe" : "ignore", "ipc"]
  });
}
function tryStart(script, options7, flags) {
  return new Promise((resolve5) => {
    const child = startChild(script, options7, flags, true);
    let said = "";
    const settle = (outcome) => {
      clearTimeout(timer);
      killWorker(child, options7);
      resolve5(outcome);
    };
    const timer = setTimeout(() => settle({ ended: "it did not say that it is there", said }), DIAGNOSE_FOR);
    child.stderr?.on("data", (piece) => {
      said = `${said}${piece}`.slice(0, MAX_OUTPUT);
    });
    child.on("message", (message) => message === "ready" && settle("ready"));
    child.on("error", (error) => settle({ ended: error.message, said }));
    child.on("close", (code, signal) => settle({ ended: `exit code ${code ?? signal}`, said: said.trim() }));
  });
}

// src/transform/weight.ts
var HEAVY_PIXELS = 6e6;
var HEAVY_BYTES = 3 * 1024 ** 2;
var HEAVY_AVIF = 256 * 1024;
var MOST_SEGMENTS = 200;
function isHeavyJob(bytes3, kind, made) {
  if (made === "avif" || bytes3.length > HEAVY_BYTES) return true;
  if (kind === "avif") return bytes3.length > HEAVY_AVIF;
  const pixels = pixelsOf(Buffer.from(bytes3.buffer, bytes3.byteOffset, bytes3.byteLength), kind);
  return pixels === void 0 || pixels > HEAVY_PIXELS;
}
function pixelsOf(bytes3, kind) {
  if (bytes3.length < 30) return void 0;
  switch (kind) {
    case "png":
      return bytes3.readUInt32BE(16) * bytes3.readUInt32BE(20);
    case "gif":
      return bytes3.readUInt16LE(6) * bytes3.readUInt16LE(8);
    case "webp":
      return pixelsOfWebp(bytes3);
    case "jpeg":
      return pixelsOfJpeg(bytes3);
    default:
      return void 0;
  }
}
function pixelsOfWebp(bytes3) {
  const chunk2 = bytes3.toString("latin1", 12, 16);
  if (chunk2 === "VP8X") return (bytes3.readUIntLE(24, 3) + 1) * (bytes3.readUIntLE(27, 3) + 1);
  if (chunk2 === "VP8L") {
    const bits = bytes3.readUInt32LE(21);
    return ((bits & 16383) + 1) * ((bits >>> 14 & 16383) + 1);
  }
  return chunk2 === "VP8 " ? (bytes3.readUInt16LE(26) & 16383) * (bytes3.readUInt16LE(28) & 16383) : void 0;
}
function pixelsOfJpeg(bytes3) {
  let at2 = 2;
  for (let segment = 0; segment < MOST_SEGMENTS && at2 + 9 <= bytes3.length; segment += 1) {
    if (bytes3[at2] !== 255) return void 0;
    const marker = bytes3[at2 + 1] ?? 0;
    const isFrame2 = marker >= 192 && marker <= 207 && ![196, 200, 204].includes(marker);
    if (isFrame2) return bytes3.readUInt16BE(at2 + 5) * bytes3.readUInt16BE(at2 + 7);
    at2 += marker === 255 ? 1 : 2 + bytes3.readUInt16BE(at2 + 2);
  }
  return void 0;
}

// src/transform/messages.ts
var GROWN = 86;

// src/transform/worker-process.ts
var START_TIMEOUT = 15e3;
var JOBS_PER_CHILD = 5e3;
var processingFailed = (cause) => new ArtworkError("processing", "the image could not be processed", { cause });
function createWorkerProcess(child, first, options7, events) {
  let job3;
  let isReady = false;
  let isEnded = false;
  let done = 0;
  const setBusy = (isBusy) => {
    for (const handle of [child, child.channel])
      if (isBusy) handle?.ref();
      else handle?.unref();
  };
  const release3 = () => {
    const released = job3;
    timeLimit.clear();
    job3 = void 0;
    return released;
  };
  const end = (error) => {
    isEnded = true;
    const released = release3();
    events.onEnd(worker);
    killWorker(child, options7);
    setBusy(false);
    if (error !== void 0) released?.reject(error);
  };
  const timeLimit = createTimeLimit(() => {
    end(new ArtworkError("decode_timeout", "the image took too long to decode"));
    events.onFree();
  });
  const lost = (error) => {
    if (isEnded) return;
    const unstarted = isReady ? void 0 : release3();
    end(error);
    if (unstarted !== void 0) events.onFailedStart(unstarted, error);
    else events.onFree();
  };
  const run = (next) => {
    job3 = next;
    setBusy(true);
    timeLimit.set(isReady ? options7.timeout : START_TIMEOUT);
    child.send(next.message, (error) => {
      if (error !== null && job3 === next) lost(processingFailed(error));
    });
  };
  const answered2 = (answer2) => {
    if (job3?.message.id !== answer2.id) return;
    done += 1;
    release3()?.resolve(answer2);
    setBusy(false);
    if (answer2.isFull || done >= JOBS_PER_CHILD) end();
    events.onFree();
  };
  const worker = {
    job: () => job3,
    run,
    close: (error) => new Promise((resolve5) => {
      child.once("exit", () => resolve5());
      if (child.exitCode !== null || child.signalCode !== null) resolve5();
      end(error);
      child.ref();
    })
  };
  child.on("error", (error) => lost(processingFailed(error)));
  child.on("exit", (code, signal) => {
    const cause = new Error(`the decoder ended: ${code ?? signal}`);
    lost(
      code === GROWN ? new ArtworkError("too_large", "the image needs too much memory", { cause }) : processingFailed(cause)
    );
  });
  child.on("message", (message) => {
    if (message !== "ready") return answered2(message);
    isReady = true;
    events.onReady();
    if (job3 !== void 0) timeLimit.set(options7.timeout);
  });
  run(first);
  return worker;
}

// src/transform/worker-starter.ts
var BURST = 24;
var STARTS_PER_SECOND = 4;
var DIAGNOSE_EVERY = 3e4;
var UNCONFINED = "artwork: decoders run without the permission model of Node, which does not know this layout of packages";
function createAllowance() {
  let left = BURST;
  let at2 = performance.now();
  return {
    /** Takes one. @returns ms until there is one, 0 where it was taken */
    take: () => {
      const now = performance.now();
      left = Math.min(BURST, left + (now - at2) / 1e3 * STARTS_PER_SECOND);
      at2 = now;
      if (left < 1) return Math.ceil((1 - left) / STARTS_PER_SECOND * 1e3);
      left -= 1;
      return 0;
    }
  };
}
function createWorkerStarter(script, options7, logger) {
  let flags = [];
  let hasWorked = false;
  let trouble;
  let isClosed = false;
  let diagnosing;
  let diagnoseAfter = 0;
  try {
    if (script.isConfinable) flags = confinement(script, IS_BROAD);
  } catch (error) {
    logger.warn({ err: error }, UNCONFINED);
  }
  const diagnose = async () => {
    if (performance.now() < diagnoseAfter) return;
    diagnoseAfter = performance.now() + DIAGNOSE_EVERY;
    const outcome = await tryStart(script, options7, flags);
    if (outcome === "ready" || isClosed) return;
    const withSandbox = options7.sandbox.length > 0;
    if (flags.length > 0)
      for (const other of withSandbox ? [confinement(script, true)] : [confinement(script, true), []]) {
        if (await tryStart(script, options7, other) !== "ready") continue;
        if (other.length === 0) logger.warn(outcome, UNCONFINED);
        flags = other;
        return;
      }
    const what = withSandbox ? "transform.sandbox does not work" : "decoders do not start";
    if (trouble === void 0) logger.error(outcome, `artwork: ${what}: ${outcome.ended}: ${outcome.said}`);
    trouble = what;
  };
  return {
    /** Ms until the next start is allowed; 0: it is taken. */
    takeStart: createAllowance().take,
    /** Starts a child. */
    start: () => {
      try {
        return startChild(script, options7, flags);
      } catch (error) {
        if (trouble === void 0) logger.error({ err: error }, "artwork: decoders do not start");
        trouble = "decoders do not start";
        return processingFailed(error);
      }
    },
    /** A child has started and said so. */
    worked: () => {
      hasWorked = true;
      trouble = void 0;
    },
    /** Whether any child has started so far. */
    hasWorked: () => hasWorked,
    /** Diagnoses failing starts, once for all that wait. Answers whether another start may succeed. */
    diagnose: async () => {
      diagnosing ??= diagnose().finally(() => {
        diagnosing = void 0;
      });
      await diagnosing;
      return trouble === void 0 && !isClosed;
    },
    trouble: () => trouble,
    close: () => {
      isClosed = true;
    }
  };
}

// src/transform/worker-pool.ts
var MISSING = "the script of the decoder is missing";
var shuttingDown = () => new ArtworkError("unavailable", "shutting down");
function createWorkerPool(options7) {
  const { maxPixels, maxAvifPixels, maxFrames, formats, logger } = options7;
  const script = "script" in options7 ? options7.script : findScript();
  if (script === void 0)
    logger.error(
      {},
      `artwork: ${MISSING}, so that no picture can be decoded: leave express-artwork out of the bundle (esbuild: --external:express-artwork), or set transform.isolate to false`
    );
  const scheduler = script && createScheduler(script, options7);
  const limits = { maxPixels, maxAvifPixels, maxFrames, formats };
  let isClosed = false;
  let ids = 0;
  const run = async (job3, args, about = {}) => {
    if (isClosed) throw shuttingDown();
    if (scheduler === void 0) throw processingFailed();
    if (about.signal?.aborted) throw cancelled();
    ids += 1;
    const { isBackground = false, isAlone = false, client = "", host = "" } = about;
    const isHeavy = isHeavyJob(args[0], args[1], args[2]?.format);
    const message = { id: ids, job: job3, args: [...args, limits] };
    const answer2 = await scheduler.run({ message, isBackground, isHeavy, isAlone, client, host }, about);
    if (!answer2.ok) throw errorFromCode(answer2.code, answer2.message);
    return answer2.value;
  };
  return {
    inspect: (bytes3, kind, about) => kind === "svg" ? Promise.resolve(SVG_INSPECTED) : run("inspect", [bytes3, kind], about),
    transform: async (bytes3, kind, recipe, about) => {
      const made = await run("transform", [bytes3, kind, recipe], about);
      return { ...made, bytes: Buffer.from(made.bytes.buffer, made.bytes.byteOffset, made.bytes.byteLength) };
    },
    load: () => scheduler?.load() ?? { running: 0, waiting: 0 },
    trouble: () => scheduler === void 0 ? MISSING : scheduler.trouble(),
    close: async () => {
      isClosed = true;
      await scheduler?.close();
    }
  };
}
function createScheduler(script, options7) {
  const { concurrency } = options7;
  const workers = /* @__PURE__ */ new Set();
  const queue = createJobQueue2();
  const starter = createWorkerStarter(script, options7, options7.logger);
  const secondTries = /* @__PURE__ */ new WeakSet();
  let isClosed = false;
  let later;
  const running = () => [...workers].flatMap((worker) => worker.job() ?? []);
  const onFailedStart = async (job3, error) => {
    const mayTryAgain = !starter.hasWorked() && await starter.diagnose() && !secondTries.has(job3);
    if (mayTryAgain) {
      secondTries.add(job3);
      queue.add(job3, true);
    } else job3.reject(error);
    dispatch();
  };
  const start = (job3) => {
    const child = starter.start();
    if (child instanceof ArtworkError) job3.reject(child);
    else workers.add(createWorkerProcess(child, job3, options7, events));
  };
  const dispatch = () => {
    while (queue.size() > 0 && !isClosed) {
      const idle = [...workers].find((worker) => worker.job() === void 0);
      if (idle === void 0 && workers.size >= concurrency) return;
      const job3 = queue.next((next) => mayBegin(next, running(), concurrency));
      if (job3 === void 0) return;
      const wait = idle === void 0 ? starter.takeStart() : 0;
      if (wait > 0) {
        queue.add(job3, true);
        later ??= setTimeout(() => {
          later = void 0;
          dispatch();
        }, wait);
        return;
      }
      if (idle === void 0) start(job3);
      else idle.run(job3);
    }
  };
  const events = {
    onReady: starter.worked,
    onEnd: (worker) => void workers.delete(worker),
    onFree: dispatch,
    onFailedStart
  };
  return {
    /** A job that waits ends when it is cancelled; one that runs is finished, since the next request may ask for it. */
    run: async (job3, about) => {
      const free = Math.max(0, concurrency - running().length);
      if (queue.size() - free >= options7.queue) makeRoom(queue, job3.client);
      let stopWatching = () => {
      };
      return new Promise((resolve5, reject) => {
        const waiting = { ...job3, resolve: resolve5, reject };
        stopWatching = watchWait(about, options7.waitTimeout, (error) => {
          if (queue.remove(waiting)) reject(error);
        });
        queue.add(waiting);
        dispatch();
      }).finally(() => stopWatching());
    },
    load: () => ({ running: running().length, waiting: queue.size() }),
    trouble: starter.trouble,
    close: async () => {
      isClosed = true;
      starter.close();
      clearTimeout(later);
      for (const job3 of queue.drain()) job3.reject(shuttingDown());
      await Promise.all([...workers].map((worker) => worker.close(shuttingDown())));
    }
  };
}
function mayBegin(job3, running, concurrency) {
  const heavy = running.filter(({ isHeavy }) => isHeavy).length;
  const hasRoom = heavy < Math.max(1, concurrency - 1);
  return (!job3.isHeavy || hasRoom) && !(job3.isAlone && running.some(({ isAlone }) => isAlone));
}

// src/uploads/own-url.ts
function ownAddress(url, origins, imagesPath) {
  const prefix = ["", ...origins.filter((origin) => origin !== "")].map((origin) => `${origin}${imagesPath}/`).find((start) => url.startsWith(start));
  if (prefix === void 0) return void 0;
  const segments = pathSegments(url.slice(prefix.length).replace(/[?#].*$/, ""));
  const [kind = "", second = "", ...rest] = segments ?? [];
  if (segments === void 0 || segments.length < 2) throw new ArtworkError("invalid", "the URL is not valid");
  return rest.length === 0 ? makeAddress(kind, "original", second) : makeAddress(kind, second, rest.join("/"));
}

// src/uploads/process-upload.ts
var fitInto2 = (box) => ({ width: box, height: box, fit: "inside", enlarge: false });
function formatOf(bytes3, allowed) {
  const kind = sniff(bytes3);
  if (kind === void 0) throw new ArtworkError("unsupported", "this is not an image of a known format");
  if (!isFormat(kind) || !allowed.includes(kind))
    throw new ArtworkError("unsupported", "this image format is not allowed");
  return kind;
}
var processingText = (namespace, box, settings) => namespace.keepOriginal ? "1:as it is" : recipeText(fitInto2(box), { kind: "jpeg", isRevised: false }, settings);
var fitAndEncode = ({ settings, transformer, limit }, bytes3, format2, box, signal) => limit.run(
  () => transformer.transform(bytes3, format2, completeRecipe(fitInto2(box), format2, settings), { signal })
);
var processUpload = ({ settings, transformer, limit }, namespace, bytes3, format2, box) => limit.run(async () => {
  const { width, height, traits } = await transformer.inspect(bytes3, format2);
  if (namespace.keepOriginal || wouldStop(format2, traits)) return { bytes: bytes3, format: format2, width, height, traits };
  const made = await transformer.transform(bytes3, format2, completeRecipe(fitInto2(box), format2, settings));
  return traits.frames > 1 ? made : { ...made, traits: traitsAfter(traits, format2) };
});
var traitsAfter = ({ alpha, preview }, format2) => ({
  frames: 1,
  alpha: format2 !== "jpeg" && alpha,
  lossless: format2 === "png" || format2 === "gif",
  isRevised: false,
  ...preview && { preview }
});

// src/uploads/fetch-images.ts
var CONCURRENCY = 5;
var MAX_FETCHING = 16;
var MAX_WAITING4 = 2e3;
function createImageFetch(parts) {
  const { settings, source, fetcher, processing, events, serve: serve2 } = parts;
  const { urls } = settings;
  const fetching = createLimiter({ capacity: MAX_FETCHING, maxWaiting: MAX_WAITING4 });
  const checkPool = (pool2) => {
    if (pool2 !== void 0 && !fetcher.pools().includes(pool2))
      throw new ArtworkError("invalid", "there is no proxy pool of this name");
  };
  const addressOf = (url, origins) => ownAddress(url, [urls.base, ...settings.fetch.publicOrigins, ...origins], urls.images);
  const fetchOnce2 = async (url, { pool: pool2 = source.uploads.pool ?? ANY_POOL, signal }, maxBytes = settings.fetch.maxBytes) => {
    events.emit("upstream-request", {});
    try {
      const fetched2 = await fetcher.fetch(
        { url, admits: () => true, pool: pool2, maxBytes: Math.min(maxBytes, settings.fetch.maxBytes) },
        {},
        signal
      );
      if (fetched2.outcome === "image") return fetched2.bytes;
      throw new ArtworkError("bad_answer", "the source answered a question that was not asked");
    } catch (error) {
      events.emit("operation-failed", {});
      throw error;
    }
  };
  const pathOf2 = (address) => address.variant === "original" && parts.isNamespace(address.kind) ? `${address.kind}/${address.id}` : formatAddress(address);
  return {
    /**
     * Fetches an image from any public host, through proxies where there are some, fitted into the box of fetched images.
     * One of our own URLs is answered from what is stored. The image is not stored.
     * @param own origins that are ours beside those of the options, `https://img.example.com`
     * @throws ArtworkError any code of an upstream; `invalid` (400) for an unknown pool
     */
    fetch: async (url, options7 = {}, own = []) => {
      checkPool(options7.pool);
      const address = addressOf(url, own);
      if (address !== void 0) {
        const { bytes: bytes3, entry } = await serve2(address, false);
        return { bytes: bytes3, contentType: entry.type };
      }
      const made = await fetching.run(async () => {
        const bytes3 = await fetchOnce2(url, options7);
        const format2 = formatOf(bytes3, settings.transform.formats);
        return fitAndEncode(processing, bytes3, format2, source.uploads.fetchFit, options7.signal);
      });
      return { bytes: made.bytes, contentType: typeOf(made.format) };
    },
    /**
     * Fetches images and stores them in a namespace, five at a time, each URL once.
     * @throws ArtworkError `invalid` (400) for no namespace or an unknown pool
     */
    proxy: async (namespace, wanted, options7 = {}, own = []) => {
      const rules = source.uploads.namespace(namespace);
      checkPool(options7.pool);
      const found = /* @__PURE__ */ new Map();
      const images2 = /* @__PURE__ */ new Map();
      const failed2 = /* @__PURE__ */ new Map();
      const storeOne = async (url) => {
        const address = addressOf(url, own);
        if (address !== void 0) {
          await serve2(address, false);
          return `${urls.base}${urls.images}/${pathOf2(address)}`;
        }
        const stored = await fetching.run(
          async () => parts.store(rules, await fetchOnce2(url, options7, rules.maxBytes), rules.fetchFit)
        );
        images2.set(url, stored);
        return stored.url;
      };
      const tryOne = async (url) => {
        try {
          found.set(url, await storeOne(url));
        } catch (error) {
          const failure2 = asArtworkError(error);
          if (failure2.code === "unknown")
            settings.logger.error({ err: error }, "artwork: fetching an image failed");
          failed2.set(url, failure2.reason);
        }
      };
      const limit = createLimiter({ capacity: CONCURRENCY });
      await Promise.all([...new Set(wanted)].map((url) => limit.run(() => tryOne(url))));
      return {
        urls: Object.fromEntries(found),
        images: Object.fromEntries(images2),
        errors: Object.fromEntries(failed2)
      };
    }
  };
}

// src/uploads/uploads.ts
var PAGE_SIZE2 = 200;
var MAX_WAITING5 = 2e3;
function* idsOf(uploadStore, namespace) {
  for (let after2 = ""; ; ) {
    const page3 = uploadStore.list(namespace, after2, PAGE_SIZE2);
    yield* page3.map(({ id }) => id);
    const last = page3.at(-1);
    if (last === void 0 || page3.length < PAGE_SIZE2) return;
    after2 = last.id;
  }
}
function createUploads({ settings, store, fetcher, transformer, flights, events }, { sourceOf }, source, uploadStore, { removeTree: removeTree2, serve: serve2 }) {
  const { urls } = settings;
  const processing = {
    settings: settings.transform,
    transformer,
    limit: createLimiter({ capacity: settings.transform.concurrency, maxWaiting: MAX_WAITING5 })
  };
  const toStored = ({
    namespace,
    id,
    type,
    width,
    height,
    size,
    storedAt,
    traits
  }) => ({
    imageId: id,
    namespace,
    url: `${urls.base}${urls.images}/${namespace}/${id}`,
    contentType: type,
    width,
    height,
    bytes: size,
    storedAt,
    ...looksOf(traits)
  });
  const storeUpload = async (namespace, bytes3, box) => {
    const format2 = formatOf(bytes3, settings.transform.formats);
    const how = processingText(namespace, box, settings.transform);
    const id = await uploadStore.idOf(namespace.name, how, bytes3);
    const key = uploadKey(namespace.name, id);
    return flights.run(`upload ${key}`, async () => {
      const before = await uploadStore.lookup(key);
      if (before !== void 0 && await uploadStore.read(before) !== void 0)
        return toStored({ ...before, namespace: namespace.name, id });
      const made = await processUpload(processing, namespace, bytes3, format2, box);
      const at2 = settings.now();
      const { width, height } = made;
      const facts = { type: typeOf(made.format), width, height, storedAt: at2, validatedAt: at2 };
      const written = await store.write(
        { key, role: "original", ...facts, freshnessLifetime: NEVER_STALE },
        made.bytes
      );
      const entry = made.traits === void 0 ? written : store.update(written, { traits: made.traits });
      return toStored({ ...entry, namespace: namespace.name, id });
    });
  };
  const removeOne = async (key) => (await removeTree2(key)).some((entry) => entry.key === key);
  let requests = 0;
  return {
    /** Runs work that closing waits for, from its beginning: a request whose body is still being received. */
    during: (work) => {
      requests += 1;
      return flights.run(`request ${requests}`, work);
    },
    /** The rules of a namespace. @throws ArtworkError `invalid` (400) */
    namespace: source.uploads.namespace,
    /**
     * Stores an image in a namespace. When it resolves the image is on disk, and stays until it is removed. The same bytes
     * are the same image.
     * @throws ArtworkError `invalid` (400) for no namespace, `too_large` (413), `unsupported` (415),
     * `invalid_image` (422), `disk_write` (503)
     */
    save: async (namespace, bytes3) => {
      const rules = source.uploads.namespace(namespace);
      if (bytes3.length > rules.maxBytes) throw new ArtworkError("too_large", "the image has too many bytes");
      return storeUpload(rules, Buffer.from(bytes3), rules.fit);
    },
    /** Removes an image and what was made from it. Answers whether it was there. @throws ArtworkError */
    remove: async (namespace, imageId) => {
      source.uploads.namespace(namespace);
      await uploadStore.complete();
      return removeOne(uploadKey(namespace, imageId));
    },
    /** Removes every image of a namespace. Answers how many there were. @throws ArtworkError */
    removeAll: async (namespace) => {
      source.uploads.namespace(namespace);
      await uploadStore.complete();
      let count3 = 0;
      for (const id of idsOf(uploadStore, namespace))
        if (await removeOne(uploadKey(namespace, id))) count3 += 1;
      return count3;
    },
    /** Images of a namespace, in the order of their ids. @param page.limit 1 to 1,000; 100 where it is left out */
    list: async (namespace, page3 = {}) => {
      source.uploads.namespace(namespace);
      await uploadStore.complete();
      const limit = Math.min(Math.max(Math.trunc(page3.limit ?? 100), 1), 1e3);
      const found = uploadStore.list(namespace, page3.after ?? "", limit + 1);
      const images2 = found.slice(0, limit).map(toStored);
      return { images: images2, next: found.length > limit ? images2.at(-1)?.imageId : void 0 };
    },
    ...createImageFetch({
      ...{ settings, source, fetcher, processing, events, serve: serve2 },
      isNamespace: (kind) => sourceOf(kind).isHosted === true,
      store: storeUpload
    }),
    stats: () => uploadStore.stats(),
    /** Whether an upload could be stored now. */
    isWritable: uploadStore.canWrite
  };
}

// src/views-path.ts
import { fileURLToPath as fileURLToPath2 } from "node:url";
function ownUrl(url) {
  if (url !== void 0) return url;
  throw new Error(
    "express-artwork cannot be part of a CommonJS bundle: leave it out (esbuild: --external:express-artwork)"
  );
}
var viewsPath = fileURLToPath2(new URL("../views", ownUrl(import.meta.url)));

// src/web/csp.ts
function imagePolicy({
  sources,
  urls,
  display: display2,
  fetch: fetch2
}) {
  const base = isWebUrl(urls.base) ? [new URL(urls.base).origin] : [];
  const hosts = display2.requireLocal ? [] : sources.flatMap(({ origins = [] }) => origins);
  const ports = fetch2.allowPrivate.filter((hostAndPort2) => hosts.includes(hostAndPort2.replace(/:\d+$/, "")));
  return {
    "img-src": [.../* @__PURE__ */ new Set(["'self'", "data:", ...base, ...hosts, ...ports])],
    // The macros hold boxes by a style of their own, unless they are told to do so by classes.
    "style-src-attr": [display2.styles === "attributes" ? "'unsafe-inline'" : "'none'"]
  };
}

// src/http/caching.ts
var FOREVER = { kind: "immutable", maxAge: 31536e3 };
var DEFAULT_POLICY = { kind: "revisited", maxAge: 3600, swr: 86400, sie: 604800 };
var VERSION_MISMATCH_POLICY = { kind: "brief", maxAge: 60 };
var PROVISIONAL_POLICY = { kind: "brief", maxAge: 30 };
function cacheControl(policy, isPrivate) {
  const scope = isPrivate ? "private" : "public";
  switch (policy.kind) {
    case "immutable":
      return `${scope}, max-age=${policy.maxAge}, immutable`;
    case "revisited":
      return `${scope}, max-age=${policy.maxAge}, stale-while-revalidate=${policy.swr}, stale-if-error=${policy.sie}`;
    case "brief":
      return `${scope}, max-age=${policy.maxAge}`;
    case "passed-on": {
      const { maxAge, sharedMaxAge, swr, sie } = policy;
      return [
        `${scope}, max-age=${maxAge}`,
        sharedMaxAge === void 0 || isPrivate ? "" : `, s-maxage=${sharedMaxAge}`,
        swr > 0 ? `, stale-while-revalidate=${swr}` : "",
        sie > 0 ? `, stale-if-error=${sie}` : "",
        swr > 0 || sie > 0 ? "" : ", must-revalidate"
      ].join("");
    }
    case "none":
      return "no-store";
  }
}
function cdnCacheControl({ cache, isPrivate, cdn = false }) {
  if (cdn === false || isPrivate || cache.kind === "none") return void 0;
  const isForUs = cache.kind === "revisited" && typeof cdn === "number";
  if (cache.kind === "passed-on")
    return cacheControl(
      { ...cache, maxAge: cache.sharedMaxAge ?? cache.maxAge, sharedMaxAge: void 0 },
      false
    );
  return cacheControl(isForUs ? { ...cache, maxAge: cdn } : cache, false);
}
function ageField(policy, age, cdn = false) {
  const isWhole2 = policy.kind === "immutable" || policy.kind === "passed-on" || policy.kind === "none";
  const least = typeof cdn === "number" && policy.kind === "revisited" ? cdn : Number.POSITIVE_INFINITY;
  return Math.max(0, isWhole2 ? age : Math.min(age, Math.floor(Math.min(policy.maxAge, least) / 2)));
}
function expireBy(policy, left, age) {
  if (policy.kind === "none") return policy;
  const rest = Math.max(0, left);
  return { kind: "brief", maxAge: Math.min(policy.maxAge, age <= rest ? rest + age : 2 * rest) };
}
function cacheStatus(forward, isStored, ttl) {
  const left = ttl === void 0 ? "" : `; ttl=${ttl}`;
  if (forward === void 0) return `express-artwork; hit${left}`;
  const { why, status, collapsed } = forward;
  if (collapsed) return `express-artwork; fwd=${why}; collapsed`;
  const fwdStatus = status === void 0 ? "" : `; fwd-status=${status}`;
  return `express-artwork; fwd=${why}${fwdStatus}${isStored && status === 200 ? "; stored" : ""}${left}`;
}
function volatileHeaders(rules) {
  const cdn = cdnCacheControl(rules);
  return {
    "Cache-Control": cacheControl(rules.cache, rules.isPrivate),
    ...cdn === void 0 ? {} : { "CDN-Cache-Control": cdn },
    ...rules.age === void 0 ? {} : { Age: String(ageField(rules.cache, rules.age, rules.cdn)) },
    ...rules.cacheStatus === void 0 ? {} : { "Cache-Status": rules.cacheStatus }
  };
}

// src/http/response.ts
var PLAIN_POLICY = "default-src 'none'; sandbox";
function commonHeaders(cors) {
  return {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "cross-origin",
    ...cors === "" ? {} : { "Access-Control-Allow-Origin": cors },
    ...cors === "" || cors === "*" ? {} : { Vary: "Origin" }
  };
}
function textResponse(status, text, cors, extra = {}) {
  return {
    status,
    headers: {
      ...commonHeaders(cors),
      "Content-Type": "text/plain; charset=utf-8",
      "Content-Length": String(Buffer.byteLength(text)),
      "Content-Security-Policy": PLAIN_POLICY,
      "Cache-Control": "no-store",
      ...extra
    },
    body: text
  };
}
function jsonResponse(status, value) {
  const text = `${JSON.stringify(value)}
`;
  const type = {
    "Content-Type": "application/json; charset=utf-8",
    "Cross-Origin-Resource-Policy": "same-origin"
  };
  return textResponse(status, text, "", status === 503 ? { ...type, "Retry-After": "1" } : type);
}
function errorResponse(thrown, cors) {
  const error = asArtworkError(thrown);
  const waits = error.status === 503 || error.status > 500 && error.retryAfter !== void 0;
  return textResponse(
    error.status,
    error.message,
    cors,
    waits ? { "Retry-After": String(error.retryAfter ?? 1) } : {}
  );
}
function methodResponse(method, cors) {
  const allow = { Allow: "GET, HEAD, OPTIONS" };
  if (method !== "OPTIONS") return textResponse(405, "method not allowed", cors, allow);
  const preflight = cors === "" ? {} : { "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS", "Access-Control-Max-Age": "86400" };
  return { status: 204, headers: { ...commonHeaders(cors), ...allow, ...preflight }, body: void 0 };
}
function redirectResponse(location, cors) {
  return {
    status: 302,
    headers: {
      ...commonHeaders(cors),
      Location: location,
      "Cache-Control": "no-store",
      "Content-Length": "0"
    },
    body: void 0
  };
}

// src/http/image-fields.ts
var SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox";
var escaped = (text) => encodeURIComponent(text).replace(/['()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
function disposition({ type, fileName: fileName2, isOurs = false }) {
  const how = type === "image/svg+xml" && !isOurs ? "attachment" : "inline";
  const ascii = fileName2.replace(/[^A-Za-z0-9._-]/g, "_");
  return `${how}; filename="${ascii}"; filename*=UTF-8''${escaped(Buffer.from(fileName2).toString())}`;
}
function imageHeaders(picture, rules) {
  const common = commonHeaders(rules.cors);
  const vary = [rules.vary, common.Vary].filter(Boolean).join(", ");
  return {
    ...common,
    ...vary === "" ? {} : { Vary: vary },
    "Content-Type": picture.type,
    "Content-Length": String(picture.bytes.length),
    "Content-Security-Policy": picture.type === "image/svg+xml" ? SVG_POLICY : PLAIN_POLICY,
    "Content-Disposition": disposition(picture),
    "Cache-Control": cacheControl(rules.cache, rules.isPrivate),
    "Accept-Ranges": "bytes",
    ETag: picture.etag,
    "Last-Modified": new Date(Math.min(picture.storedAt, rules.now)).toUTCString(),
    ...rules.extra
  };
}

// src/http/conditional.ts
function respond(picture, asked, rules) {
  return respondWithHeaders(picture, asked, rules, {
    ...imageHeaders(picture, rules),
    ...volatileHeaders(rules)
  });
}
function respondWithHeaders(picture, asked, rules, fields) {
  const wantsDigest = /(?:^|[\s,])sha-256\s*=\s*(?!0\s*(?:,|$))\d+/i.test(asked.wantReprDigest ?? "");
  const headers = wantsDigest ? { ...fields, "Repr-Digest": `sha-256=:${Buffer.from(picture.digest, "hex").toString("base64")}:` } : fields;
  const failed2 = preconditionFails(picture, asked);
  if (failed2 === 412) return textResponse(412, "precondition failed", rules.cors);
  if (failed2 === 304) {
    const { "Content-Length": _length, "Content-Type": _type, ...kept2 } = headers;
    return { status: 304, headers: kept2, body: void 0 };
  }
  const size = picture.bytes.length;
  const range = asked.method === "GET" && rangeApplies(picture, asked, rules.now) ? parseRange(asked.range, size) : void 0;
  if (range === "unsatisfiable") {
    const { headers: plain2, ...rest } = textResponse(416, "range not satisfiable", rules.cors);
    return { ...rest, headers: { ...plain2, "Content-Range": `bytes */${size}` } };
  }
  const body2 = asked.method === "HEAD" ? void 0 : picture.bytes;
  if (range === void 0) return { status: 200, headers, body: body2 };
  const [first, last] = range;
  return {
    status: 206,
    headers: {
      ...headers,
      // A part that was encoded on its way would be no part of the whole any more.
      ...picture.type === "image/svg+xml" && {
        "Cache-Control": `${headers["Cache-Control"]}, no-transform`
      },
      "Content-Length": String(last - first + 1),
      "Content-Range": `bytes ${first}-${last}/${size}`
    },
    body: picture.bytes.subarray(first, last + 1)
  };
}
var opaque = (tag) => tag.replace(/^W\//, "");
var tagsOf2 = (header) => header.match(/(?:W\/)?"[^"]*"/g) ?? [];
var listed = (header, etag, strong) => header.trim() === "*" || tagsOf2(header).some((tag) => strong ? tag === etag : opaque(tag) === etag);
var seconds = (ms2) => Math.floor(ms2 / 1e3);
var dateSeconds = (text) => {
  const ms2 = httpDate(text);
  return ms2 === void 0 ? void 0 : seconds(ms2);
};
function preconditionFails(picture, asked) {
  const modified = seconds(picture.storedAt);
  if (asked.ifMatch !== void 0) {
    if (!listed(asked.ifMatch, picture.etag, true)) return 412;
  } else if (asked.ifUnmodifiedSince !== void 0) {
    const since2 = dateSeconds(asked.ifUnmodifiedSince);
    if (since2 !== void 0 && modified > since2) return 412;
  }
  if (asked.ifNoneMatch !== void 0) return listed(asked.ifNoneMatch, picture.etag, false) ? 304 : void 0;
  if (asked.ifModifiedSince === void 0) return void 0;
  const since = dateSeconds(asked.ifModifiedSince);
  return since !== void 0 && modified <= since ? 304 : void 0;
}
function rangeApplies(picture, asked, now) {
  const { ifRange } = asked;
  if (ifRange === void 0) return true;
  if (ifRange.includes('"')) return ifRange === picture.etag;
  return dateSeconds(ifRange) === seconds(picture.storedAt) && seconds(now) > seconds(picture.storedAt);
}
function parseRange(header, size) {
  const match = /^bytes=\s*(\d{0,15})-(\d{0,15})\s*$/i.exec(header ?? "");
  if (match === null) return void 0;
  const [, from = "", to = ""] = match;
  if (from === "" && to === "") return void 0;
  if (from === "") return Number(to) === 0 ? "unsatisfiable" : [Math.max(0, size - Number(to)), size - 1];
  if (to !== "" && Number(to) < Number(from)) return void 0;
  if (Number(from) >= size) return "unsatisfiable";
  return [Number(from), to === "" ? size - 1 : Math.min(Number(to), size - 1)];
}

// src/web/shared/send.ts
var CONDITIONS = [
  "if-none-match",
  "if-modified-since",
  "if-match",
  "if-unmodified-since",
  "range",
  "want-repr-digest"
];
function isPlain({ headers }) {
  for (const name of CONDITIONS) if (headers[name] !== void 0) return false;
  return true;
}
function requestFields(req) {
  const { headers } = req;
  const one = (value) => Array.isArray(value) ? value.join(", ") : value;
  return {
    method: req.method ?? "GET",
    ifNoneMatch: headers["if-none-match"],
    ifModifiedSince: headers["if-modified-since"],
    ifMatch: headers["if-match"],
    ifUnmodifiedSince: headers["if-unmodified-since"],
    range: headers.range,
    ifRange: one(headers["if-range"]),
    wantReprDigest: one(headers["want-repr-digest"])
  };
}
var isWrapped = (res) => Object.hasOwn(res, "writeHead");
function writeOk(res, fields, flat) {
  withoutCookies(res);
  if (isWrapped(res)) res.writeHead(200, { ...fields });
  else res.writeHead(200, flat);
}
function withoutCookies(res) {
  res.removeHeader("Set-Cookie");
  const writer = res;
  const store = writer._storeHeader;
  if (!isWrapped(res)) return;
  if (store === void 0) {
    const { setHeader, appendHeader } = res;
    const isCookie = (name) => name.toLowerCase() === "set-cookie";
    res.setHeader = (name, value) => isCookie(name) ? res : setHeader.call(res, name, value);
    if (appendHeader !== void 0)
      res.appendHeader = (name, value) => isCookie(name) ? res : appendHeader.call(res, name, value);
    return;
  }
  writer._storeHeader = (...args) => {
    res.removeHeader("Set-Cookie");
    return store.apply(res, args);
  };
}
var SMALL2 = 64 * 1024;
function send(req, res, reply, { sendTimeout = 0 } = {}) {
  if (res.headersSent || res.destroyed) return;
  const body2 = req.method === "HEAD" ? void 0 : reply.body;
  if (reply.headers["Cache-Control"]?.startsWith("public") === true) withoutCookies(res);
  res.writeHead(reply.status, { ...reply.headers });
  res.end(body2);
  enforceSendTimeout(res, body2?.length ?? 0, sendTimeout);
}
function enforceSendTimeout(res, length, sendTimeout) {
  const isTaken = length <= SMALL2 && !((res.socket?.writableLength ?? 0) > 0);
  if (isTaken || sendTimeout === 0) return;
  const timer = setTimeout(() => res.destroy(), sendTimeout).unref();
  res.once("close", () => clearTimeout(timer));
}
function disconnectSignal(res) {
  const controller = new AbortController();
  if (res.destroyed || res.closed) controller.abort();
  res.once("close", () => {
    if (!res.writableFinished) controller.abort();
  });
  return controller.signal;
}

// src/web/images/image-response.ts
var seconds2 = (ms2) => Math.floor(ms2 / 1e3);
function cacheAt(shown2, now, age) {
  const { rules, entries: entries2, signedUntil, isTransient: isTransient2 = false } = shown2;
  const strict = entries2.find((entry) => entry.staleIfError !== void 0);
  if (isTransient2) return { kind: "none" };
  const lifetime = strict === void 0 ? 0 : seconds2(strict.clientFreshnessLifetime ?? strict.freshnessLifetime);
  const policy = strict === void 0 ? rules.cache : rules.cache.kind === "brief" ? (
    // No longer than upstream lets anybody.
    { kind: "passed-on", maxAge: Math.min(rules.cache.maxAge, lifetime), swr: 0, sie: 0 }
  ) : {
    kind: "passed-on",
    maxAge: seconds2(strict.clientFreshnessLifetime ?? strict.freshnessLifetime),
    sharedMaxAge: strict.clientFreshnessLifetime === void 0 ? void 0 : seconds2(strict.freshnessLifetime),
    swr: seconds2(strict.staleWhileRevalidate ?? 0),
    sie: seconds2(strict.staleIfError ?? 0)
  };
  return signedUntil === void 0 ? policy : expireBy(policy, seconds2(signedUntil - now), age);
}
var cdnOf = ({ cdnCacheControl: cdnCacheControl2 }) => typeof cdnCacheControl2 === "number" ? seconds2(cdnCacheControl2) : cdnCacheControl2;
function passingRules(shown2, settings, now) {
  const { forward, checkedAt, freshUntil: freshUntil2, entries: entries2, rules, isTransient: isTransient2 = false } = shown2;
  const isNew = forward?.status === 200 || forward?.collapsed === true;
  const ttl = freshUntil2 === void 0 ? void 0 : seconds2(freshUntil2 - now);
  const age = checkedAt === void 0 ? 0 : Math.max(0, seconds2(now - checkedAt));
  return {
    cache: cacheAt(shown2, now, age),
    isPrivate: rules.isPrivate,
    cdn: cdnOf(settings),
    age: checkedAt === void 0 || isTransient2 || isNew && age === 0 ? void 0 : age,
    cacheStatus: settings.cacheStatus ? cacheStatus(forward, entries2[0]?.isStored === true, ttl) : void 0
  };
}
function replyOf(shown2, asked, settings) {
  const now = settings.now();
  return respond(shown2.representation, asked, { ...shown2.rules, ...passingRules(shown2, settings, now), now });
}
var varyOf = (negotiation) => negotiation === void 0 ? void 0 : "Accept";
function tagFields(settings, entry, original) {
  const { cacheTags } = settings;
  if (cacheTags === false) return {};
  const name = cacheTags === true ? "Cache-Tag" : cacheTags;
  return { [name]: tagsOf(entry, original).join(name === "Cache-Tag" ? "," : " ") };
}

// src/web/images/response-cache.ts
var MAX_ANSWERS = 8192;
var MAX_SHARE = 0.25;
var LEAST_BYTES2 = 256 * 1024;
var OVERHEAD2 = 500;
var MAX_ACCEPTS = 256;
var LONGEST_QUESTION = 512;
var sizeOf2 = (key, fields) => OVERHEAD2 + 2 * (key.length * 2 + Object.entries(fields).flat().join().length);
var groundsOf = ({ entries: entries2, representation }) => [
  ...entries2.map((entry) => entry.key),
  representation.digest
];
function createFormatChoice() {
  const choices = /* @__PURE__ */ new Map();
  return (accept, negotiation, text) => {
    const question = `${text} ${accept ?? ""}`;
    const known = choices.get(question);
    if (known !== void 0) return known;
    const format2 = negotiate(accept, negotiation);
    const type = format2 === void 0 ? negotiation.plainType : typeOf(format2);
    if (choices.size >= MAX_ACCEPTS) choices.clear();
    if (question.length < LONGEST_QUESTION) choices.set(question, type);
    return type;
  };
}
function createResponseCache(settings, grounds) {
  const answers = /* @__PURE__ */ new Map();
  const negotiations = /* @__PURE__ */ new Map();
  const resting = /* @__PURE__ */ new Map();
  const choose2 = createFormatChoice();
  const maxBytes = Math.max(LEAST_BYTES2, settings.memory.maxBytes * MAX_SHARE);
  let bytes3 = 0;
  const drop = (key) => {
    const hot = answers.get(key);
    if (hot === void 0) return;
    answers.delete(key);
    bytes3 -= hot.size;
    for (const ground of groundsOf(hot.shown)) {
      const keys = resting.get(ground);
      keys?.delete(key);
      if (keys?.size === 0) resting.delete(ground);
    }
  };
  const dropAll = () => {
    answers.clear();
    bytes3 = 0;
    negotiations.clear();
    resting.clear();
  };
  const dropOn = (ground) => {
    for (const key of resting.get(ground) ?? []) drop(key);
  };
  const renew = (key, hot, now) => {
    const { shown: shown2 } = hot;
    if (!grounds.keepsBytes(shown2.representation.digest)) return false;
    const [shownEntry] = shown2.entries;
    if (shownEntry !== void 0) grounds.use(shownEntry.key);
    Object.assign(hot.fields, volatileHeaders({ ...shown2.rules, ...passingRules(shown2, settings, now) }));
    hot.flat = Object.entries(hot.fields).flat();
    hot.second = Math.floor(now / 1e3);
    answers.delete(key);
    answers.set(key, hot);
    return true;
  };
  const find4 = (url, req) => {
    const known = negotiations.get(url);
    const key = known === void 0 ? url : `${url} ${choose2(req.headers.accept, known.negotiation, known.text)}`;
    const hot = answers.get(key);
    return hot === void 0 ? void 0 : [key, hot];
  };
  return {
    /** Answers a request whose answer is here. @param url as the client sent it @returns whether it did */
    answer: (url, req, res) => {
      const { method } = req;
      if (method !== "GET" && method !== "HEAD") return false;
      const found = find4(url, req);
      if (found === void 0) return false;
      const [key, hot] = found;
      const now = settings.now();
      if (now >= hot.until || Math.floor(now / 1e3) !== hot.second && !renew(key, hot, now)) {
        drop(key);
        return false;
      }
      grounds.count();
      const { representation: picture, rules } = hot.shown;
      if (method === "GET" && isPlain(req)) {
        writeOk(res, hot.fields, hot.flat);
        res.end(picture.bytes);
        enforceSendTimeout(res, picture.bytes.length, settings.sendTimeout);
      } else
        send(
          req,
          res,
          respondWithHeaders(picture, requestFields(req), { ...rules, now }, hot.fields),
          settings
        );
      return true;
    },
    /** Keeps an answer that was given for a URL, where it may be given again. */
    offer: (url, shown2) => {
      const { representation: picture, rules, entries: entries2, negotiated, freshUntil: freshUntil2, signedUntil } = shown2;
      if (!shown2.isHot || shown2.forward !== void 0 || rules.isPrivate || settings.private) return;
      if (!entries2.every(grounds.isCurrent) || !grounds.keepsBytes(picture.digest)) return;
      const now = settings.now();
      const until = Math.min(freshUntil2 ?? Number.POSITIVE_INFINITY, signedUntil ?? Number.POSITIVE_INFINITY);
      if (until <= now) return;
      const key = negotiated === void 0 ? url : `${url} ${negotiated.type}`;
      drop(key);
      if (negotiated !== void 0) {
        if (negotiations.size >= MAX_ANSWERS) dropAll();
        const { negotiation } = negotiated;
        const { plainType, modern, fallback } = negotiation;
        negotiations.set(url, { negotiation, text: `${plainType} ${modern} ${fallback}` });
      }
      const fields = imageHeaders(picture, { ...rules, now });
      const hot = { shown: shown2, fields, flat: [], second: 0, until, size: sizeOf2(key, fields) };
      for (const oldest of answers.keys()) {
        if (answers.size < MAX_ANSWERS && bytes3 + hot.size <= maxBytes) break;
        drop(oldest);
      }
      if (!renew(key, hot, now)) return;
      bytes3 += hot.size;
      for (const ground of groundsOf(shown2)) {
        const keys = resting.get(ground) ?? /* @__PURE__ */ new Set();
        resting.set(ground, keys.add(key));
      }
    },
    /** Hears what is no longer in memory as it was. */
    watcher: {
      changed: (names) => {
        if (names === "all") dropAll();
        else for (const name of names) dropOn(name);
      },
      evicted: dropOn
    },
    /** How many answers are here. */
    size: () => answers.size
  };
}

// src/web/routers.ts
import express8 from "express";

// src/web/dashboard/dashboard-router.ts
import express2 from "express";

// src/web/management/serialize.ts
var isoTime = (at2) => at2 === void 0 || Math.abs(at2) > 864e13 ? void 0 : new Date(at2).toISOString();
function serializeJob(job3) {
  return {
    id: String(job3.id),
    kind: job3.kind,
    ...job3.lane === "task" && { key: job3.key },
    state: job3.state,
    done: job3.done,
    total: job3.total,
    ...job3.rate !== void 0 && { rate_per_second: Number(job3.rate.toFixed(2)) },
    ...job3.eta !== void 0 && { eta_seconds: Math.ceil(job3.eta / 1e3) },
    ...job3.error !== void 0 && { error: job3.error },
    ...job3.reason !== void 0 && { reason: job3.reason },
    ...job3.result !== void 0 && { result: job3.result },
    ...job3.parent !== void 0 && { parent: String(job3.parent) },
    attempts: job3.attempts,
    created_at: isoTime(job3.createdAt),
    started_at: isoTime(job3.startedAt),
    ended_at: isoTime(job3.endedAt),
    ...job3.state === "queued" && job3.notBefore > 0 && { not_before: isoTime(job3.notBefore) }
  };
}
var serializeStatus = ({ schedules, ...status }) => ({
  ...status,
  schedules: schedules.map(({ kind, cron, timezone, nextRun, lastRun, lastJob, refused }) => ({
    kind,
    cron,
    ...timezone !== void 0 && { timezone },
    next_run: isoTime(nextRun) ?? null,
    last_run: isoTime(lastRun) ?? null,
    last_job: lastJob ?? null,
    refused
  }))
});
var jobEvent = (job3) => ({ event: "job", id: String(job3.id), data: serializeJob(job3) });
async function* jobEvents(jobs2) {
  for await (const job3 of jobs2) yield jobEvent(job3);
}
async function* queueEvents2(events) {
  for await (const one of events)
    yield one.type === "job" ? jobEvent(one.job) : { event: "status", data: serializeStatus(one.status) };
}

// src/web/shared/cors.ts
var EXPOSED = "Location, Retry-After, WWW-Authenticate, X-Request-Id";
var SENT = "Authorization, Content-Type, X-Request-Id";
var MAX_AGE2 = "600";
function createCors(origins) {
  const allowed = new Set(origins);
  const isAllowed = ({ headers: { origin } }) => origin !== void 0 && allowed.has(origin);
  const fields = (req) => {
    if (allowed.size === 0) return {};
    if (!isAllowed(req)) return { Vary: "Origin" };
    return {
      Vary: "Origin",
      "Access-Control-Allow-Origin": req.headers.origin ?? "",
      "Access-Control-Allow-Credentials": "true",
      "Access-Control-Expose-Headers": EXPOSED,
      "Cross-Origin-Resource-Policy": "cross-origin"
    };
  };
  return {
    isAllowed,
    fields,
    preflight: (req, methods) => {
      const isPreflight = req.method === "OPTIONS" && req.headers["access-control-request-method"] !== void 0;
      if (!isPreflight || !isAllowed(req)) return void 0;
      const { "Access-Control-Expose-Headers": _exposed, ...shared } = fields(req);
      return {
        status: 204,
        headers: {
          ...shared,
          "Access-Control-Allow-Methods": methods,
          "Access-Control-Allow-Headers": SENT,
          "Access-Control-Max-Age": MAX_AGE2,
          "Cache-Control": "no-store"
        },
        body: void 0
      };
    }
  };
}

// src/web/shared/authorize.ts
var MANAGEMENT_CLOSED = "the management API is closed: give createArtwork({ manage: { authorize } }) a function that says who may use it, or set ARTWORK_MANAGE_TOKEN for the service";
var UPLOADS_CLOSED = "uploads are closed: give uploads({ authorize }) a function that says who may do this, or set ARTWORK_UPLOAD_TOKEN for the service";
async function authorizeManagement(req, { manage, logger, urls }) {
  const { authorize } = manage;
  if (authorize === void 0) throw new ArtworkError("refused", MANAGEMENT_CLOSED);
  await check(() => authorize(req), "manage.authorize", logger);
  if (req.method !== "GET" && req.method !== "HEAD" && isCrossSite(req, true, urls.base))
    refuseCrossSite(req, createCors(manage.cors));
}
async function authorizeUpload(req, action, { authorize, cors }, logger) {
  if (action !== "list" && isCrossSite(req)) refuseCrossSite(req, createCors(cors));
  if (authorize === void 0) throw new ArtworkError("refused", UPLOADS_CLOSED);
  await check(() => authorize(req, action), "uploads.authorize", logger);
}
async function check(authorize, name, logger) {
  let answer2 = false;
  try {
    answer2 = await authorize();
  } catch (error) {
    logger.error({ err: error }, `artwork: ${name} failed`);
  }
  if (answer2 === true) return;
  if (answer2 === "unauthenticated") throw new ArtworkError("unauthenticated", "say who you are");
  throw new ArtworkError("refused", "not authorised");
}
function refuseCrossSite(req, cors) {
  if (cors.isAllowed(req)) return;
  const { origin = "another site", host = "this host" } = req.headers;
  const shown2 = (text) => text.replace(/[^\x20-\x7e]/g, "").slice(0, 200);
  throw new ArtworkError(
    "refused",
    `requests of other sites are not taken: this one is from ${shown2(origin)}, and went to ${shown2(host)}`
  );
}
function isCrossSite(req, isStrict2 = false, base = "") {
  const { origin, host, authorization } = req.headers;
  const site = req.headers["sec-fetch-site"];
  if (!isStrict2 && authorization !== void 0 && /^Bearer /i.test(authorization)) return false;
  if (site !== void 0) return site !== "same-origin" && site !== "none";
  if (origin === void 0) return false;
  if (!URL.canParse(origin)) return true;
  return new URL(origin).host !== host && !(isWebUrl(base) && new URL(base).origin === origin);
}

// src/web/shared/body.ts
var tooLarge2 = () => new ArtworkError("too_large", "the body has too many bytes");
var announcedLength2 = (req) => {
  const text = req.headers["content-length"];
  return text === void 0 ? void 0 : Number(text);
};
function readBody2(req, { maxBytes, timeout }) {
  const coding = req.headers["content-encoding"];
  if (coding !== void 0 && coding.trim().toLowerCase() !== "identity")
    return Promise.reject(new ArtworkError("unsupported", "the body must not be encoded"));
  if ((announcedLength2(req) ?? 0) > maxBytes) return Promise.reject(tooLarge2());
  if (req.readableEnded)
    return Promise.reject(
      new ArtworkError("invalid", "the body was read before: mount the router before body parsers")
    );
  if (req.destroyed) return Promise.reject(new ArtworkError("cancelled", "the client has gone"));
  return new Promise((resolve5, reject) => {
    const chunks = [];
    let received = 0;
    const end = (settle) => {
      clearTimeout(timer);
      req.off("data", onData).off("end", onEnd).off("close", onClose).off("error", onClose);
      req.on("error", () => {
      });
      settle();
    };
    const refuse4 = (error) => end(() => {
      req.pause();
      chunks.length = 0;
      reject(error);
    });
    const onData = (chunk2) => {
      received += chunk2.length;
      if (received > maxBytes) refuse4(tooLarge2());
      else chunks.push(chunk2);
    };
    const onEnd = () => end(() => resolve5(Buffer.concat(chunks, received)));
    const onClose = () => refuse4(new ArtworkError("cancelled", "the client has gone"));
    const timer = setTimeout(
      () => refuse4(new ArtworkError("slow_request", "the body did not come in time")),
      timeout
    );
    req.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onClose);
  });
}
var LINGER_BYTES = 1024 * 1024;
var LINGER_FOR = 2e3;
function sendAndClose(req, res, reply) {
  if (res.headersSent || res.destroyed) return;
  res.writeHead(reply.status, { ...reply.headers, Connection: "close" });
  if (reply.body !== void 0 && req.method !== "HEAD") res.write(reply.body);
  let left = LINGER_BYTES;
  const timer = setTimeout(() => {
    res.end();
    req.destroy();
  }, LINGER_FOR).unref();
  res.once("close", () => clearTimeout(timer));
  req.on("data", (chunk2) => {
    left -= chunk2.length;
    if (left < 0) req.pause();
  });
  req.once("end", () => {
    clearTimeout(timer);
    res.end();
  });
  req.on("error", () => {
  });
  req.resume();
}

// src/web/shared/respond.ts
import express from "express";
var NO_QUERY = { get: () => null, [Symbol.iterator]: () => [][Symbol.iterator]() };
function readUrl(rawUrl) {
  const url = rawUrl.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, "");
  const mark = url.indexOf("?");
  return {
    path: mark < 0 ? url : url.slice(0, mark),
    query: mark < 0 ? NO_QUERY : new URLSearchParams(url.slice(mark + 1))
  };
}
function policyFor(version, digest, otherwise) {
  if (version === null) return otherwise;
  return version === versionOf(digest) ? FOREVER : VERSION_MISMATCH_POLICY;
}
var corsOf = (settings) => settings.cors === false ? "" : settings.cors;
function formOf(url) {
  const { path } = readUrl(url);
  const form = pathForm(path);
  if (form === "alias") throw new ArtworkError("invalid", "the path is not written as it is printed");
  const seen = /* @__PURE__ */ new Set();
  const mark = url.indexOf("?");
  const parts = mark < 0 ? [] : url.slice(mark + 1).split("&", MOST_PARAMETERS + 1);
  if (parts.length > MOST_PARAMETERS) throw new ArtworkError("invalid", "the URL has too many parameters");
  for (const part of parts) {
    const [raw = "", value = ""] = part.split("=", 2);
    const name = /^(?:v|s|expires)$/.test(raw) ? raw : ownParameter(raw);
    if (name === void 0) continue;
    if (name !== raw || seen.has(name) || pathForm(value) === "alias")
      throw new ArtworkError("invalid", `the parameter ${name} is to be given once, and as it is printed`);
    seen.add(name);
  }
  return form;
}
var MOST_PARAMETERS = 1e3;
function ownParameter(raw) {
  const [name] = new URLSearchParams(raw).keys();
  return name !== void 0 && /^(?:v|s|expires)$/.test(name) ? name : void 0;
}
function createResponseRouter(settings, { isOurs = () => true, answer: answer2, onFailure }, hot) {
  const cors = corsOf(settings);
  const via = ownVia(settings);
  const equivalent = (shown2) => shown2.rules.cache.kind === "immutable" ? { ...shown2, rules: { ...shown2.rules, cache: DEFAULT_POLICY } } : shown2;
  const answerTo = async (req, res) => {
    const form = formOf(req.url);
    const given = await answer2(req, res, req.baseUrl);
    if (!("representation" in given)) return given;
    if (form === "equivalent") return replyOf(equivalent(given), requestFields(req), settings);
    if (isOwnQuery(req.url) && req.baseUrl + req.url === req.originalUrl) hot?.offer(req.originalUrl, given);
    return replyOf(given, requestFields(req), settings);
  };
  const router = express.Router();
  router.use((req, res, next) => {
    if (!isOurs(readUrl(req.url).path)) return next();
    if (req.method !== "GET" && req.method !== "HEAD") {
      send(req, res, methodResponse(req.method, cors));
      return;
    }
    if (isLoop(req.headers.via, via)) {
      send(req, res, textResponse(403, "this is our own address", cors));
      return;
    }
    answerTo(req, res).catch((error) => {
      const failure2 = asArtworkError(error);
      if (failure2.code === "unknown") settings.logger.error({ err: error }, "artwork: a request failed");
      return onFailure?.(req, failure2) ?? errorResponse(failure2, cors);
    }).then((reply) => send(req, res, reply, settings)).catch(next);
  });
  return router;
}
var OWN_PARAMETER = /^(?:(v)=[0-9a-f]{16}|(expires)=\d{1,12}|(s)=[A-Za-z0-9_-]{43})$/;
function isOwnQuery(url) {
  const mark = url.indexOf("?");
  if (mark < 0) return true;
  const seen = /* @__PURE__ */ new Set();
  for (const part of url.slice(mark + 1).split("&", 4)) {
    const [, v, expires, s] = OWN_PARAMETER.exec(part) ?? [];
    const name = v ?? expires ?? s;
    if (name === void 0 || seen.has(name)) return false;
    seen.add(name);
  }
  return true;
}

// src/web/shared/schemas.ts
import { z as z15 } from "zod";
var LONGEST_URL = 4096;
var uploadBody = z15.object({
  data: z15.string().min(1).describe("The image: base64, or a data: URL.")
});
var pool = z15.string().nullish().describe("Name of a proxy pool; left out: every pool, or none where there are none.");
var fetchBody = z15.object({
  url: z15.string().min(1).max(LONGEST_URL).describe("Absolute http or https URL, or one of our own."),
  pool
});
var proxyBody = z15.object({
  urls: z15.array(z15.string().max(LONGEST_URL)).max(100).describe("Up to 100 URLs."),
  pool
});
var looks = {
  alpha: z15.boolean().optional().describe("Whether some of it may be transparent."),
  animated: z15.boolean().optional(),
  color: z15.string().optional().describe("Dominant colour, `#rrggbb`."),
  thumbhash: z15.string().optional().describe("ThumbHash, base64.")
};
var uploaded = z15.object({
  image_id: z15.string().regex(/^[0-9a-f]{32}$/),
  url: z15.string().describe("Where it is served."),
  width: z15.number().int().nonnegative(),
  height: z15.number().int().nonnegative(),
  ...looks
});
var deleted = z15.object({ deleted_count: z15.number().int().nonnegative() });
var fetched = z15.object({ data: z15.string().describe("The image in base64."), mime_type: z15.string() });
var proxied = z15.object({
  urls: z15.record(z15.string(), z15.string()).describe("Where each source is kept now."),
  images: z15.record(z15.string(), uploaded).optional().describe("What is known of those that were stored now."),
  errors: z15.record(z15.string(), z15.string()).optional().describe("Why the others are not.")
});
var listedImage = uploaded.extend({
  content_type: z15.string(),
  bytes: z15.number().int().nonnegative(),
  stored_at: z15.iso.datetime()
});
var listed2 = z15.object({
  images: z15.array(listedImage),
  next: z15.string().nullable().describe("What to ask the next page with, as `after`.")
});
var job = z15.looseObject({
  id: z15.string(),
  kind: z15.string(),
  state: z15.enum(["queued", "running", "done", "failed", "cancelled"]),
  done: z15.number().int().nonnegative(),
  total: z15.number().int().nonnegative(),
  rate_per_second: z15.number().optional(),
  eta_seconds: z15.number().optional(),
  error: z15.string().optional(),
  attempts: z15.number().int()
});
var accepted = z15.object({ job });
var oneJob = z15.object({ job, children: z15.record(z15.string(), z15.number()) });
var jobPage = z15.object({ jobs: z15.array(job), next: z15.string().nullable() });
var keptPage = z15.object({
  images: z15.array(
    z15.looseObject({
      name: z15.string(),
      role: z15.enum(["original", "rendition", "artwork"]),
      url: z15.string(),
      state: z15.string(),
      held: z15.boolean(),
      bytes: z15.number().int().nonnegative(),
      ...looks
    })
  ),
  total: z15.number().int().nonnegative(),
  next: z15.string().nullable()
});
var page = {
  after: z15.string().default("").describe("`next` of the page before."),
  limit: z15.coerce.number().int().min(1).max(500).default(50).describe("How many at most.")
};
var failuresQuery = z15.object(page);
var jobsQuery = z15.object({
  state: job.shape.state.optional().describe("Only those that stand so."),
  kind: z15.string().optional().describe("Only of this kind."),
  parent: z15.coerce.number().int().nonnegative().optional().describe("Only those that this job asked for."),
  before: z15.coerce.number().int().nonnegative().optional().describe("`next` of the page before."),
  limit: page.limit
});
var explainQuery = z15.object({
  address: z15.string().optional().describe("Its address."),
  url: z15.string().optional().describe("Or its source URL.")
}).refine(({ address, url }) => address !== void 0 || url !== void 0, {
  error: "explain needs an address or a url"
});
var uploadsQuery = z15.object({
  after: z15.string().default("").describe("Only images after this id."),
  limit: z15.coerce.number().int().min(1).max(1e3).default(100).describe("How many at most.")
});
var purgeBody = z15.union(
  [
    z15.strictObject({ address: z15.string() }),
    z15.strictObject({ url: z15.string() }),
    z15.strictObject({ tag: z15.string() }),
    z15.strictObject({
      entity: z15.strictObject({ kind: z15.string(), id: z15.union([z15.string(), z15.number()]) })
    })
  ],
  { error: "give one of address, url, tag, and entity: { kind, id }" }
);
var purged = z15.object({
  removed: z15.number().int().nonnegative(),
  urls: z15.array(z15.string()),
  tags: z15.array(z15.string())
});
var problem = z15.object({
  loc: z15.array(z15.union([z15.string(), z15.number()])),
  msg: z15.string(),
  type: z15.string()
});
var failure = z15.object({ detail: z15.union([z15.string(), z15.array(problem)]) });
function problemsOf(error, value) {
  return error.issues.map((issue) => {
    const found = issue.path.reduce(
      (inner, key) => typeof inner === "object" && inner !== null ? Reflect.get(inner, key) : void 0,
      value
    );
    const loc = ["body", ...issue.path.map((part) => typeof part === "number" ? part : String(part))];
    const isMissing2 = issue.code === "invalid_type" && found === void 0 && issue.path.length > 0;
    return isMissing2 ? { loc, msg: "Field required", type: "missing" } : { loc, msg: issue.message, type: issue.code };
  });
}

// src/web/shared/routes.ts
var route = ({
  handle,
  ...definition
}) => ({
  ...definition,
  // What is given has gone through the schemas.
  ...handle && { handle: async (call) => handle(call) }
});
var NAME = /^\{(\w+)\}$/;
function matched(pattern, segments, takesRest) {
  const last = pattern.length - 1;
  if (takesRest ? segments.length <= last : segments.length !== pattern.length) return void 0;
  const params = {};
  for (const [index, part] of pattern.entries()) {
    const name = NAME.exec(part)?.[1];
    const text = takesRest && index === last ? segments.slice(last).join("/") : segments[index] ?? "";
    if (name === void 0 ? part !== text : text === "") return void 0;
    if (name !== void 0) params[name] = text;
  }
  return params;
}
function createRouteTable(routes) {
  const paths = /* @__PURE__ */ new Map();
  for (const one of routes) paths.set(one.path, [...paths.get(one.path) ?? [], one]);
  const entries2 = [...paths].map(([path, ofPath]) => {
    const methods = ofPath.map(({ method }) => method);
    const verbs = methods.flatMap((method) => method === "GET" ? ["GET", "HEAD"] : [method]);
    return {
      pattern: path.split("/").slice(1),
      takesRest: ofPath.some(({ takesRest }) => takesRest === true),
      routeFor: (method) => ofPath.find((one) => one.method === (method === "HEAD" ? "GET" : method)),
      isAnswered: ofPath.some(({ handle }) => handle !== void 0),
      allow: [...verbs, "OPTIONS"].join(", ")
    };
  });
  return (path) => {
    const segments = segmentsOf2(path);
    for (const { pattern, takesRest, ...rest } of entries2) {
      const params = matched(pattern, segments, takesRest);
      if (params !== void 0) return { params, ...rest };
    }
    return void 0;
  };
}
function segmentsOf2(path) {
  const trimmed = path === "" ? "/" : path.replace(/(?<=.)\/$/, "");
  return pathSegments(trimmed) ?? trimmed.split("/").slice(1).map(decoded2);
}
function decoded2(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
function otherMethod(method, allow) {
  const { headers, ...reply } = methodResponse(method, "");
  return { ...reply, headers: { ...headers, Allow: allow } };
}
async function runRoute(one, { req, res, params }, readBody3) {
  const query = one.query && queryOf(req.url, one.query);
  const body2 = one.body && await readBody3(req, one.body, one.maxBodyBytes === void 0 ? {} : { maxBytes: one.maxBodyBytes });
  return one.handle?.({ req, res, param: (name) => params[name] ?? "", query, body: body2 });
}
function queryOf(url, schema) {
  const given = Object.fromEntries([...readUrl(url).query].reverse().filter(([, value]) => value !== ""));
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const messages = problemsOf(parsed.error, given).map(
    ({ loc, msg }) => `${loc.slice(1).join(".")}: ${msg}`.replace(/^: /, "")
  );
  throw new ArtworkError("invalid", messages.join("; "));
}

// src/web/shared/server-events.ts
var KEEP_ALIVE = 15e3;
async function sendEvents(req, res, events) {
  res.writeHead(200, {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store, no-transform",
    "X-Content-Type-Options": "nosniff",
    "X-Accel-Buffering": "no"
  });
  if (req.method === "HEAD") {
    res.end();
    return void 0;
  }
  res.flushHeaders();
  const timer = setInterval(() => res.write(":\n\n"), KEEP_ALIVE).unref();
  try {
    for await (const { event, id, data } of events) {
      const text = `${id === void 0 ? "" : `id: ${id}
`}event: ${event}
data: ${JSON.stringify(data)}

`;
      if (!res.write(text) && !res.destroyed)
        await new Promise((resolve5) => {
          const go = () => {
            res.off("drain", go).off("close", go);
            resolve5();
          };
          res.on("drain", go).on("close", go);
        });
    }
  } finally {
    clearInterval(timer);
    res.end();
  }
  return void 0;
}

// src/web/dashboard/actions.ts
var textIn = (form, name) => (form.get(name) ?? "").trim();
var listIn = (form, name) => textIn(form, name).split(/[\s,]+/).filter((one) => one !== "");
var texts = (form, name) => {
  const found = listIn(form, name);
  return found.length === 0 ? {} : { [name]: found };
};
var flag = (form, name) => form.get(name) === "true" ? { [name]: true } : {};
var number = (form, name) => {
  const text = textIn(form, name);
  return text === "" ? {} : { [name]: Number(text) };
};
var JOB_FORMS = {
  sync: (form) => ({ ...texts(form, "kinds"), ...flag(form, "force") }),
  refresh: () => ({}),
  validate: (form) => texts(form, "kinds"),
  warm: (form) => ({ ...texts(form, "addresses"), ...texts(form, "variants") }),
  cleanup: (form) => ({ ...flag(form, "dryRun"), ...number(form, "maxAgeDays") }),
  verify: () => ({}),
  export: (form) => flag(form, "overwrite")
};
function targetOf(text) {
  if (isWebUrl(text)) return { url: text };
  if (text.includes("/")) return { address: text };
  if (/^(?:kind|host|entity|image)-./.test(text)) return { tag: text };
  throw new ArtworkError(
    "invalid",
    "give a URL, an address such as poster/w342/abc.jpg, or a tag such as kind-poster"
  );
}
async function startAction(management, settings, action, form) {
  if (action === "cleanup" && form.get("dryRun") === null)
    throw new ArtworkError("invalid", "say whether it is a dry run");
  if (isHttpJobKind(action)) {
    const parsed = httpJob(action).body.safeParse(JOB_FORMS[action](form));
    if (!parsed.success)
      throw new ArtworkError(
        "invalid",
        parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ")
      );
    const unknown = listIn(form, "kinds").filter((kind) => !settings.kinds.has(kind));
    if (unknown.length > 0) throw new ArtworkError("invalid", `no kinds of entity: ${unknown.join(", ")}`);
    return `/jobs/${management.start(action, parsed.data).id}`;
  }
  if (action === "pause" || action === "resume") {
    management.setPaused(action === "pause");
    return "/";
  }
  if (action === "purge") {
    const target = textIn(form, "target");
    if (target === "") throw new ArtworkError("invalid", "say what to purge");
    const { removed } = await management.purge(targetOf(target));
    return `/images?notice=purged&n=${removed}`;
  }
  if (action === "download") {
    const job3 = await management.download(management.kindNamed(textIn(form, "kind")), textIn(form, "id"));
    return `/jobs/${job3.id}`;
  }
  if (action === "retry-entity") {
    const [kind = "", id = ""] = textIn(form, "key").split(/:(.*)/s);
    return `/jobs/${(await management.download(management.kindNamed(kind), id)).id}`;
  }
  if (action === "refresh-one") {
    const name = textIn(form, "name");
    try {
      await management.revalidateNow(name);
    } catch (error) {
      const { code, reason } = asArtworkError(error);
      if (code === "unknown_image" || code === "invalid") throw error;
      return `/failures?notice=failed&why=${reason}`;
    }
    return `/image?name=${encodeURIComponent(name)}&notice=asked`;
  }
  return management.missing("action");
}

// src/web/dashboard/assets.ts
import { createHash as createHash7 } from "node:crypto";
import { readFileSync as readFileSync4 } from "node:fs";
import { createRequire as createRequire2 } from "node:module";
import { join as join18 } from "node:path";
function createAssets(views, storedAt) {
  let known;
  const read2 = () => {
    const uplot = join18(createRequire2(import.meta.url).resolve("uplot"), "..");
    const sources = {
      "dashboard.css": ["text/css", join18(views, "artwork", "dashboard.css")],
      "dashboard.js": ["text/javascript", join18(views, "artwork", "dashboard.js")],
      "uplot.css": ["text/css", join18(uplot, "uPlot.min.css")],
      "uplot.js": ["text/javascript", join18(uplot, "uPlot.iife.min.js")]
    };
    const files = Object.entries(sources).map(([fileName2, [type, file]]) => {
      const bytes3 = readFileSync4(file);
      const digest = createHash7("sha256").update(bytes3).digest("hex");
      return [
        fileName2,
        { bytes: bytes3, type: `${type}; charset=utf-8`, digest, etag: etagOf(digest), storedAt, fileName: fileName2 }
      ];
    });
    const version = createHash7("sha256").update(files.map(([, { digest }]) => digest).join());
    return { version: version.digest("hex").slice(0, 12), files: new Map(files) };
  };
  const all = () => {
    known ??= read2();
    return known;
  };
  return {
    /** Changes with any of them; part of their URLs. */
    version: () => all().version,
    find: (name) => all().files.get(name)
  };
}

// src/web/dashboard/format.ts
var html = (text) => text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
var UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
var bytes2 = (value) => {
  let size = value;
  let unit = 0;
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${size < 10 && unit > 0 ? size.toFixed(1) : Math.round(size)} ${UNITS[unit]}`;
};
var count2 = (value) => Math.round(value).toLocaleString("en");
var duration2 = (ms2) => {
  const seconds3 = Math.round(ms2 / 1e3);
  if (seconds3 < 90) return `${seconds3} s`;
  if (seconds3 < 5400) return `${Math.round(seconds3 / 60)} min`;
  return seconds3 < 129600 ? `${Math.round(seconds3 / 3600)} h` : `${Math.round(seconds3 / 86400)} days`;
};
var isTime = (at2) => at2 !== void 0 && at2 !== null && Number.isFinite(at2) && Math.abs(at2) < 864e13;
var time = (at2) => isTime(at2) ? `${new Date(at2).toISOString().slice(0, 19).replace("T", " ")} UTC` : "never";
function formatterAt(now) {
  return {
    bytes: bytes2,
    count: count2,
    time,
    percent: (share) => `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`,
    ms: (value) => value < 1e3 ? `${Math.round(value)} ms` : `${(value / 1e3).toFixed(1)} s`,
    /** A moment told from now, as HTML. */
    ago: (at2) => {
      if (!isTime(at2)) return "never";
      const past = now - at2;
      const words = Math.abs(past) < 1500 ? "now" : past < 0 ? `in ${duration2(-past)}` : `${duration2(past)} ago`;
      return `<time datetime="${new Date(at2).toISOString()}" title="${html(time(at2))}">${words}</time>`;
    },
    /** What a picture is called: its entity, its path, or the variant and URL that it is of. */
    name: ({ key: name, ownerKind, ownerId }) => {
      if (ownerKind !== void 0 && ownerId !== void 0) return `${ownerKind} ${ownerId}`;
      const [, kind = "", variant = "", id = ""] = name.split("/");
      if (kind !== "remote") return name.slice(name.indexOf("/") + 1);
      const url = Buffer.from(id, "base64url").toString("utf8");
      return variant === "original" ? url : `${variant} of ${url}`;
    },
    progress: ({ done, total, rate, eta, state }) => [
      total > 0 ? `${count2(done)} of ${count2(total)}` : "",
      state === "running" && rate !== void 0 ? `${rate < 10 ? rate.toFixed(1) : Math.round(rate)} a second` : "",
      eta === void 0 ? "" : `${Math.ceil(eta / 1e3)} s left`
    ].filter((part) => part !== "").join(", ")
  };
}

// src/web/dashboard/charts.ts
var WIDTH = 600;
var HEIGHT = 160;
var ROWS = 60;
var isBars = (at2) => typeof at2[0] === "string";
function pointsOf(values, highest) {
  const step = values.length > 1 ? WIDTH / (values.length - 1) : 0;
  return values.map(
    (value, index) => `${(index * step).toFixed(1)},${(HEIGHT - value / highest * (HEIGHT - 8)).toFixed(1)}`
  ).join(" ");
}
function figureOf({ id, title, note, axis, unit, lines, at: at2 }, fmt) {
  const word = unit === "bytes" ? fmt.bytes : fmt.count;
  const highest = Math.max(1, ...lines.flatMap(({ values }) => values));
  const rows = at2.map((place, index) => [
    typeof place === "string" ? place : fmt.time(place * 1e3),
    ...lines.map(({ values }) => word(values[index] ?? 0))
  ]).slice(-ROWS);
  return {
    id,
    title,
    note,
    axis,
    rows: isBars(at2) ? rows : rows.reverse(),
    lines: lines.map(({ label, values }) => ({
      label,
      points: pointsOf(values, highest),
      last: word(isBars(at2) ? values.reduce((sum, one) => sum + one, 0) : values.at(-1) ?? 0)
    }))
  };
}
var dataOf = ({ id, lines, at: at2, unit }) => ({
  id,
  unit,
  lines: lines.map(({ label }) => label),
  ...isBars(at2) && { bars: true, labels: at2 },
  data: [isBars(at2) ? at2.map((_label, index) => index) : at2, ...lines.map(({ values }) => values)]
});
function chartsOf(samples, latencies, span) {
  const at2 = samples.map((sample) => Math.round(sample.at / 1e3));
  const line = (label, pick) => ({
    label,
    values: samples.map(pick)
  });
  const bars = (latency) => latency.counts;
  const bounds = latencies.fetch.upTo;
  const labels = [...bounds.map((ms2) => ms2 < 1e3 ? `\u2264 ${ms2} ms` : `\u2264 ${ms2 / 1e3} s`), "longer"];
  const each = span === "day" ? "every 5 min" : "every 10 s";
  return [
    {
      id: "answers",
      title: "Answers by layer",
      note: each,
      axis: "Until",
      at: at2,
      lines: [
        line("memory", (one) => one.memory),
        line("disk", (one) => one.disk),
        line("upstream", (one) => one.upstream)
      ]
    },
    {
      id: "bytes",
      title: "Bytes kept",
      axis: "At",
      unit: "bytes",
      at: at2,
      lines: [line("disk", (one) => one.bytes), line("memory", (one) => one.memoryBytes)]
    },
    {
      id: "queue",
      title: "Queue and failures",
      note: each,
      axis: "At",
      at: at2,
      lines: [
        line("waiting", (one) => one.queued),
        line("under way", (one) => one.running),
        line("failures", (one) => one.failures)
      ]
    },
    {
      id: "latencies",
      title: "How long it took",
      note: "since start",
      axis: "Time",
      at: labels,
      lines: [
        { label: "fetching", values: bars(latencies.fetch) },
        { label: "making", values: bars(latencies.encode) }
      ]
    }
  ];
}
function drawCharts(meters, span, fmt) {
  const charts = chartsOf(meters.series(span), meters.latencies(), span);
  return {
    figures: charts.map((chart) => figureOf(chart, fmt)),
    json: JSON.stringify(charts.map(dataOf)).replaceAll("<", "\\u003c")
  };
}

// src/web/dashboard/pages.ts
var JOBS_PAGE = 50;
var CHILDREN = 100;
var SPANS = [
  { id: "hour", label: "last hour" },
  { id: "day", label: "last day" }
];
var HOST_SORTS = [
  { id: "busiest", label: "busiest" },
  { id: "slowest", label: "slowest" },
  { id: "failing", label: "most failures" }
];
var SORT_LABELS = { name: "by name", used: "used last", stored: "newest", size: "largest" };
var STATES = ["queued", "running", "done", "failed", "cancelled"];
var ANSWERS = {
  held: "what is stored, which is fresh",
  stale: "what is stored, while it is revalidated in the background",
  fetched: "fetched anew",
  failure: "the current failure"
};
function linkTo(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== void 0 && value !== "");
  return `${path}?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}
function hitRatio(meters, { percent, count: count3 }) {
  const hour = meters.series("hour");
  const sum = (pick) => hour.reduce((total, one) => total + one[pick], 0);
  const hits = sum("memory") + sum("disk");
  const all = hits + sum("upstream");
  return {
    hitRatio: all === 0 ? "\u2013" : percent(hits / all),
    hits: all === 0 ? "nothing was asked for" : `${count3(hits)} of ${count3(all)}`
  };
}
var overview = ({ management, settings, reasons }, { query }) => {
  const { disk, now } = settings;
  const { meters } = management;
  const words = formatterAt(now());
  const span = query.get("span") === "day" ? "day" : "hour";
  const hostSort = HOST_SORTS.find(({ id }) => id === query.get("hosts"))?.id ?? "busiest";
  const stats = management.stats();
  const { figures, json } = drawCharts(meters, span, words);
  const failing = management.failures("", 1e3, true);
  const hosts = [...meters.hosts()];
  if (hostSort === "slowest") hosts.sort((a, b) => b.mean - a.mean);
  if (hostSort === "failing") hosts.sort((a, b) => b.failures - a.failures);
  return {
    stats,
    bounds: disk,
    status: management.status(),
    reasons: reasons(),
    recent: management.jobs({ lane: "job", limit: 6 }),
    numbers: {
      ...hitRatio(meters, words),
      diskShare: disk.maxBytes === 0 ? 0 : stats.bytes / disk.maxBytes,
      failures: `${words.count(failing.failures.length)}${failing.next === void 0 ? "" : "+"}`
    },
    kinds: management.byKind(),
    hosts: hosts.slice(0, 15),
    hostSort,
    hostSorts: HOST_SORTS,
    resting: stats.restingHosts,
    spans: SPANS,
    span,
    charts: figures,
    chartData: json,
    hasExport: settings.export.directory !== void 0,
    hasRecords: settings.repository?.list !== void 0
  };
};
var images = async ({ management, settings: { kinds, sources } }, { query, base }) => {
  const given = Object.fromEntries([...query].filter(([, value]) => value !== ""));
  const parsed = searchQuery.safeParse(given);
  const asked = parsed.success ? parsed.data : searchQuery.parse({});
  const found = await management.search(asked);
  const { after: _after, ...first } = asked;
  const path = `${base}/images`;
  const ofSources = sources.flatMap((source) => source.kinds);
  return {
    ...found,
    query: asked,
    ...!parsed.success && { notice: "What was asked for makes no sense: everything is shown." },
    next: found.next === void 0 ? void 0 : linkTo(path, { ...asked, after: found.next }),
    first: linkTo(path, first),
    roles: ROLES,
    kindNames: [.../* @__PURE__ */ new Set([...kinds.keys(), ...ofSources])].sort(),
    sorts: SORTS.map((id) => ({ id, label: SORT_LABELS[id] }))
  };
};
var image = ({ management }, { query }) => {
  const details2 = management.image(query.get("name") ?? "");
  const root = details2.original?.key ?? details2.image.key;
  const address = root.startsWith("images/") ? root.slice("images/".length) : void 0;
  const [kind, , ...id] = address?.split("/") ?? [];
  return {
    ...details2,
    address,
    warmable: kind === void 0 ? void 0 : `${kind}/${id.join("/")}`,
    answers: ANSWERS
  };
};
var jobs = ({ management }, { query, base }) => {
  const lane = query.get("lane") === "task" ? "task" : "job";
  const state = STATES.find((one) => one === query.get("state"));
  const before = /^\d{1,15}$/.test(query.get("before") ?? "") ? Number(query.get("before")) : void 0;
  const found = management.jobs({ lane, limit: JOBS_PAGE, state, before });
  const last = found.length === JOBS_PAGE ? found.at(-1) : void 0;
  return {
    jobs: found,
    states: STATES,
    query: { lane, state },
    next: last && linkTo(`${base}/jobs`, { lane, state, before: last.id })
  };
};
var recordOf = (value) => typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
var wordsOf = (name) => name.replace(/([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`);
var valueText = (value) => {
  if (Array.isArray(value)) return value.map(valueText).join(", ") || "none";
  const fields = Object.entries(recordOf(value));
  return typeof value === "object" && value !== null ? fields.map(([name, inner]) => `${name}: ${valueText(inner)}`).join(", ") || "none" : String(value);
};
var job2 = ({ management, settings }, { param: param2 }) => {
  const { job: found } = management.job(param2("id"));
  const { going = [], ...counts } = recordOf(found.result);
  const words = formatterAt(settings.now());
  const isDry = found.kind === "cleanup" && recordOf(found.payload).dryRun === true;
  const toRemove = Array.isArray(going) ? going : [];
  const removed = Number(counts.removed ?? 0);
  return {
    job: found,
    title: isDry ? `Clean-up ${found.id}, a dry run` : `${found.kind} ${found.id}`,
    isOpen: found.endedAt === void 0,
    result: Object.entries(counts).map(([name, value]) => ({
      name: wordsOf(name),
      value: /bytes$/i.test(name) && typeof value === "number" ? words.bytes(value) : valueText(value)
    })),
    going: toRemove,
    goingMore: removed > toRemove.length ? removed : 0,
    remove: isDry && found.state === "done" ? { count: removed, maxAgeDays: recordOf(found.payload).maxAgeDays ?? 90 } : void 0,
    children: found.lane === "job" ? management.jobs({ parent: found.id, limit: CHILDREN }) : []
  };
};
var failures = ({ management }, { query, base }) => {
  const { failures: found, next } = management.failures(query.get("after") ?? "", JOBS_PAGE, true);
  return {
    failures: found,
    next: next === void 0 ? void 0 : linkTo(`${base}/failures`, { after: next })
  };
};
var DASHBOARD_PAGES = [
  { path: "/", name: "overview", tab: "overview", page: overview },
  { path: "/images", name: "images", tab: "images", page: images },
  { path: "/image", name: "image", tab: "images", page: image },
  { path: "/jobs", name: "jobs", tab: "jobs", page: jobs },
  { path: "/jobs/{id}", name: "job", tab: "jobs", page: job2 },
  { path: "/failures", name: "failures", tab: "failures", page: failures }
];

// src/web/dashboard/dashboard-router.ts
var FORM = { maxBytes: 1024 * 1024, timeout: 3e4 };
var NAV = [
  { page: "overview", path: "/", label: "Overview" },
  { page: "images", path: "/images", label: "Images" },
  { page: "jobs", path: "/jobs", label: "Jobs" },
  { page: "failures", path: "/failures", label: "Failures" }
];
var HEADINGS = {
  400: "That cannot be",
  403: "Closed",
  404: "There is no such thing",
  415: "That cannot be read",
  503: "Not now"
};
function noticeOf(query) {
  const count3 = /^\d{1,9}$/.test(query.get("n") ?? "") ? Number(query.get("n")) : 0;
  const why = /^[a-z0-9_]{1,40}$/.test(query.get("why") ?? "") ? query.get("why") : "unknown";
  const notices = {
    purged: count3 === 0 ? "Nothing was there to purge." : `Purged: ${count3} ${count3 === 1 ? "name is" : "names are"} gone.`,
    asked: "Asked about it just now.",
    failed: `Asked again just now: it failed (${why}).`
  };
  return notices[query.get("notice") ?? ""];
}
var ofOurOwn = (reply) => ({
  ...reply,
  headers: { ...reply.headers, "Cross-Origin-Resource-Policy": "same-origin" }
});
var seeOther = (to) => {
  const { headers, ...reply } = textResponse(303, "", "");
  return { ...reply, headers: { ...headers, Location: to } };
};
function createRenderer2(settings, { render }, assetVersion) {
  const { now, manage, urls } = settings;
  const startedAt = now();
  const own = isWebUrl(urls.base) ? ` ${new URL(urls.base).origin}` : "";
  const policy = `default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:${own}; font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`;
  const templateOf = (page3) => manage.templates[page3] ?? `artwork/${page3}.njk`;
  return async (req, { name, tab = name, status = 200 }, context) => {
    const text = await render(templateOf(name), {
      notice: noticeOf(readUrl(req.url).query),
      ...context,
      layout: templateOf("layout"),
      base: req.baseUrl,
      page: tab,
      nav: NAV,
      assets: assetVersion(),
      fmt: formatterAt(now()),
      now: now(),
      startedAt
    });
    return textResponse(status, text, "", {
      "Content-Type": "text/html; charset=utf-8",
      "Content-Security-Policy": policy,
      "Referrer-Policy": "same-origin"
    });
  };
}
function fileRoutes(settings, management, assets) {
  const answer2 = (req, shown2) => {
    const maxAge = readUrl(req.url).query.get("v") === null ? 60 : 86400;
    const rules = {
      cache: { kind: "brief", maxAge },
      isPrivate: true,
      cors: "",
      now: settings.now()
    };
    return respond(shown2, requestFields(req), rules);
  };
  return [
    route({
      method: "GET",
      path: "/assets/{name}",
      handle: ({ req, param: param2 }) => answer2(req, assets.find(param2("name")) ?? management.missing("file"))
    }),
    route({
      method: "GET",
      path: "/picture",
      handle: async ({ req }) => {
        const { query } = readUrl(req.url);
        const atLeast = Number(query.get("w") ?? 0) || Number.MAX_SAFE_INTEGER;
        const found = await management.bytes(query.get("name") ?? "", atLeast);
        if (found === void 0) return management.missing("image");
        const { digest, type, storedAt } = found.entry;
        const { bytes: bytes3 } = found;
        return answer2(req, { bytes: bytes3, type, digest, etag: etagOf(digest), storedAt, fileName: "picture" });
      }
    })
  ];
}
function actionRoutes(settings, management) {
  const act = async ({ req, param: param2 }) => {
    const type = (req.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
    if (type !== "" && type !== "application/x-www-form-urlencoded")
      throw new ArtworkError("unsupported", "send application/x-www-form-urlencoded");
    const form = new URLSearchParams(formIn(req) ?? (await readBody2(req, FORM)).toString("utf8"));
    return seeOther(`${req.baseUrl}${await startAction(management, settings, param2("action"), form)}`);
  };
  const changes = ["cancel", "retry"].map(
    (verb) => route({
      method: "POST",
      path: `/jobs/{id}/${verb}`,
      handle: ({ req, param: param2 }) => {
        management.change(param2("id"), verb);
        return seeOther(`${req.baseUrl}/jobs/${param2("id")}`);
      }
    })
  );
  return [
    route({ method: "POST", path: "/actions/{action}", handle: act }),
    ...changes,
    route({
      method: "GET",
      path: "/events",
      handle: async ({ req, res }) => sendEvents(req, res, queueEvents2(management.events(disconnectSignal(res))))
    }),
    route({
      method: "GET",
      path: "/jobs/{id}/events",
      handle: async ({ req, res, param: param2 }) => sendEvents(req, res, jobEvents(management.watch(param2("id"), disconnectSignal(res))))
    })
  ];
}
function createDashboardRouter(settings, parts) {
  const { management, reasons } = parts;
  const assets = createAssets(parts.views, settings.now());
  const render = createRenderer2(settings, parts, assets.version);
  const pages = DASHBOARD_PAGES.map(
    ({ path, page: page3, ...template2 }) => route({
      method: "GET",
      path,
      handle: async ({ req, param: param2 }) => {
        const request = { query: readUrl(req.url).query, base: req.baseUrl, param: param2 };
        return render(req, template2, await page3({ management, settings, reasons }, request));
      }
    })
  );
  const find4 = createRouteTable([
    ...pages,
    ...fileRoutes(settings, management, assets),
    ...actionRoutes(settings, management)
  ]);
  const answer2 = async (req, res) => {
    await authorizeManagement(req, settings);
    const match = find4(readUrl(req.url).path);
    if (match === void 0) return management.missing("page");
    const found = match.routeFor(req.method);
    if (found === void 0) return otherMethod(req.method, match.allow);
    return runRoute(found, { req, res, params: match.params }, async () => void 0);
  };
  const problem2 = async (req, thrown) => {
    const error = asArtworkError(thrown);
    const { status, code, message } = error;
    if (code === "unknown") settings.logger.error({ err: thrown }, "artwork dashboard: a page failed");
    if (code === "refused" || code === "unauthenticated") return textResponse(status, `${message}
`, "");
    const heading = HEADINGS[status] ?? "That went wrong";
    return render(req, { name: "problem", status }, { status, heading, message }).catch((failure2) => {
      settings.logger.error({ err: failure2 }, "artwork dashboard: the page of what went wrong failed");
      return textResponse(status, `${message}
`, "");
    });
  };
  const router = express2.Router();
  router.use((req, res, next) => {
    answer2(req, res).catch((error) => problem2(req, error)).then((reply) => reply && send(req, res, ofOurOwn(reply), settings)).catch(next);
  });
  return router;
}
function formIn(req) {
  const read2 = req.readableEnded && "body" in req ? req.body : void 0;
  if (typeof read2 === "string") return read2;
  if (Buffer.isBuffer(read2)) return read2.toString("utf8");
  return typeof read2 === "object" && read2 !== null ? Object.fromEntries(Object.entries(read2).map(([name, value]) => [name, String(value)])) : void 0;
}

// src/web/health-router.ts
import express3 from "express";

// src/model/request-id.ts
import { randomUUID as randomUUID5 } from "node:crypto";
var SOUND = /^[A-Za-z0-9._:/+=-]{1,128}$/;
var requestId = (given) => typeof given === "string" && SOUND.test(given) ? given : randomUUID5();

// src/web/shared/large-json.ts
import { setImmediate as yieldToEventLoop9 } from "node:timers/promises";
import { TextDecoder as TextDecoder2 } from "node:util";
var PIECE2 = 512 * 1024;
var MOST_SIGNS = 1e4;
var [QUOTE, BACKSLASH] = [34, 92];
var SIGNS = /* @__PURE__ */ new Set([91, 93, 123, 125, 44, 58]);
async function parseLargeJson(bytes3) {
  let signs = 0;
  let isText3 = false;
  for (let at2 = 0, rest = PIECE2; at2 < bytes3.length; at2 += 1, rest -= 1) {
    if (rest <= 0) {
      await yieldToEventLoop9();
      rest = PIECE2;
    }
    const byte = bytes3[at2] ?? 0;
    if (isText3) {
      if (byte === BACKSLASH) at2 += 1;
      else if (byte === QUOTE) isText3 = false;
    } else if (byte === QUOTE) isText3 = true;
    else if (SIGNS.has(byte)) {
      signs += 1;
      if (signs > MOST_SIGNS) throw new Error("too much structure");
    }
  }
  return JSON.parse(new TextDecoder2("utf-8", { fatal: true }).decode(bytes3));
}
async function rewrite(text, copy2) {
  const source = Buffer.from(text, "latin1");
  const target = Buffer.allocUnsafe(source.length);
  let length = 0;
  const write2 = (byte) => {
    target[length] = byte;
    length += 1;
  };
  for (let at2 = 0, next = PIECE2; at2 < source.length; ) {
    if (at2 >= next) {
      await yieldToEventLoop9();
      next = at2 + PIECE2;
    }
    at2 = copy2(source, at2, write2);
  }
  return target.subarray(0, length);
}
var unescapeBytes = (text) => rewrite(text, (source, at2, write2) => {
  const byte = source[at2] ?? 0;
  const value = byte === 37 ? hexAt(source, at2 + 1) : void 0;
  write2(value ?? byte);
  return at2 + (value === void 0 ? 1 : 3);
});
function hexAt(bytes3, at2) {
  const [high, low] = [digit(bytes3[at2]), digit(bytes3[at2 + 1])];
  return high === void 0 || low === void 0 ? void 0 : high * 16 + low;
}
function digit(byte = 0) {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : void 0;
}
async function decodeBase64(text) {
  const bare = await rewrite(text, (source, at2, write2) => {
    const byte = source[at2] ?? 0;
    const isSpace = byte === 32 || byte >= 9 && byte <= 13;
    if (!isSpace) write2(byte);
    return at2 + 1;
  });
  const found = bare.toString("latin1");
  if (found === "" || !BASE64.test(found) || found.replace(/={1,2}$/, "").length % 4 === 1) return void 0;
  return Buffer.from(found, "base64");
}
var BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

// src/web/shared/json.ts
var BadBody = class extends Error {
  problems;
  constructor(problems) {
    super("the body is not valid");
    this.problems = problems;
  }
};
var CHALLENGE = 'Bearer realm="express-artwork"';
var JSON_ALLOWANCE = 64 * 1024;
async function jsonOf2(req, limits) {
  if (req.readableEnded && "body" in req && typeof req.body === "object") return req.body;
  const bytes3 = await readBody2(req, { maxBytes: JSON_ALLOWANCE, ...limits });
  try {
    return await parseLargeJson(bytes3);
  } catch {
    throw new BadBody([{ loc: ["body"], msg: "the body is not JSON", type: "json_invalid" }]);
  }
}
function hasBody({ headers }) {
  const length = headers["content-length"];
  return length !== "0" && (length !== void 0 || headers["transfer-encoding"] !== void 0);
}
async function readJson(req, schema, limits) {
  const type = (req.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (type !== "" && type !== "application/json" && !type.endsWith("+json"))
    throw new ArtworkError("unsupported", "send application/json");
  const value = await jsonOf2(req, limits);
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new BadBody(problemsOf(parsed.error, value));
  return parsed.data;
}
function jsonFailure(thrown, statusOf3) {
  if (thrown instanceof BadBody) return jsonResponse(422, { detail: thrown.problems });
  const error = asArtworkError(thrown);
  const status = statusOf3?.(error) ?? error.status;
  const plain2 = jsonResponse(status, { detail: error.message });
  const reply = status === 401 ? { ...plain2, headers: { ...plain2.headers, "WWW-Authenticate": CHALLENGE } } : plain2;
  const waits = status === 503 || status > 500 && error.retryAfter !== void 0;
  return waits ? { ...reply, headers: { ...reply.headers, "Retry-After": String(error.retryAfter ?? 1) } } : reply;
}
async function answerJson(req, res, settings, work, cors) {
  const corsFields = cors?.fields(req) ?? {};
  for (const [name, value] of Object.entries(corsFields)) res.setHeader(name, value);
  const id = requestId(req.headers["x-request-id"]);
  let reply;
  try {
    reply = await work();
  } catch (error) {
    if (!(error instanceof BadBody) && asArtworkError(error).code === "unknown")
      settings.logger.error({ err: error, requestId: id }, "artwork: a request failed");
    reply = jsonFailure(error);
  }
  if (reply === void 0) return;
  const named = { ...reply, headers: { ...reply.headers, ...corsFields, "X-Request-Id": id } };
  const isUnread = !req.complete && reply.status >= 400;
  if (isUnread) sendAndClose(req, res, named);
  else send(req, res, named, settings);
}

// src/web/health-router.ts
function createHealthRouter(readiness, metrics) {
  const ready = async () => {
    const now = await readiness();
    return jsonResponse(now.status === "closing" || now.status === "failing" ? 503 : 200, now);
  };
  const answers = {
    "/health": async () => jsonResponse(200, { status: "ok" }),
    "/ready": ready,
    "/metrics": async () => textResponse(200, await metrics.print(), "", { "Content-Type": metrics.contentType })
  };
  const router = express3.Router();
  router.use((req, res, next) => {
    const { path } = readUrl(req.url);
    const answer2 = Object.hasOwn(answers, path) ? answers[path] : void 0;
    if (answer2 === void 0) return next();
    const isRead = req.method === "GET" || req.method === "HEAD";
    const reply = isRead ? answer2() : Promise.resolve(methodResponse(req.method, ""));
    const id = requestId(req.headers["x-request-id"]);
    reply.catch((error) => jsonFailure(asArtworkError(error))).then(
      ({ status, headers, body: body2 }) => send(req, res, { status, headers: { ...headers, "X-Request-Id": id }, body: body2 })
    ).catch(next);
  });
  return router;
}

// src/web/shared/client.ts
function clientOf(settings, req) {
  try {
    return settings.clientOf?.(req) ?? req.socket.remoteAddress;
  } catch (error) {
    settings.logger.error({ err: error }, "artwork: clientOf failed");
    return void 0;
  }
}

// src/web/images/drawings.ts
var PERSON = '<circle cy="-16" r="17"/><path d="M-34 42a34 34 0 0 1 68 0z"/>';
var DISC = '<path fill-rule="evenodd" d="M0-42a42 42 0 1 0 0 84 42 42 0 0 0 0-84zm0 28a14 14 0 1 1 0 28 14 14 0 0 1 0-28z"/><circle r="4"/>';
var LIST = '<path d="M-40-30h60v9h-60zM-40-8h60v9h-60zM-40 14h36v9h-36z"/><path d="M26-8v34a11 9 0 1 1-7-8v-36l24-7v9z"/>';
var FRAME = '<path fill-rule="evenodd" d="M-44-34h88v68h-88zm8 8v52h72v-52z"/><circle cx="-16" cy="-8" r="8"/><path d="M-30 20l20-18 12 10 16-20 16 28z"/>';
var CLAPPER = '<path d="M-42-12h84v48h-84z"/><path d="M-42-20l80-16 3 12-80 16z" transform="rotate(-4)"/>';
var GRID = '<path d="M-38-38h32v32h-32zM6-38h32v32H6zM-38 6h32v32h-32zM6 6h32v32H6z"/>';
var STAR = '<path d="M0-42l12 28 30 3-23 20 7 30L0 23l-26 16 7-30-23-20 30-3z"/>';
var drawings = {
  "": { label: "No picture", glyph: FRAME },
  artist: { label: "No artist picture", glyph: PERSON },
  album: { label: "No album cover", glyph: DISC },
  playlist: { label: "No playlist cover", glyph: LIST },
  profile: { label: "No profile picture", glyph: PERSON },
  category: { label: "No category picture", glyph: GRID },
  artwork: { label: "No artwork", glyph: FRAME },
  poster: { label: "No poster", glyph: CLAPPER },
  backdrop: { label: "No backdrop", glyph: FRAME },
  logo: { label: "No logo", glyph: STAR },
  still: { label: "No still", glyph: CLAPPER }
};
function svgOf(name, box = PLACEHOLDER_BOXES[name]) {
  const { label, glyph } = drawings[name];
  const { width, height } = box;
  const scale = (Math.min(width, height) / 260).toFixed(2);
  return `<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="${label}" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"><title>${label}</title><defs><linearGradient id="g" x2="1" y2="1"><stop stop-color="#5b6474"/><stop offset="1" stop-color="#3a4150"/></linearGradient></defs><rect width="100%" height="100%" fill="url(#g)"/><g fill="#aeb6c4" transform="translate(${width / 2} ${height / 2}) scale(${scale})">${glyph}</g></svg>
`;
}
function boxWithin(name, { width, height }) {
  const own = PLACEHOLDER_BOXES[name];
  const wide2 = width ?? (height === void 0 ? own.width : Math.round(height * own.width / own.height));
  const high = height ?? Math.round(wide2 * own.height / own.width);
  return { width: Math.max(1, wide2), height: Math.max(1, high) };
}
function drawPlaceholder(name, storedAt, fileName2, box) {
  const bytes3 = Buffer.from(svgOf(name, box));
  const digest = digestOf(bytes3);
  return { bytes: bytes3, type: "image/svg+xml", digest, etag: etagOf(digest), storedAt, fileName: fileName2, isOurs: true };
}

// src/web/images/fallback.ts
var MAX_BOX = 4096;
function createFallback(settings, placeholderOf) {
  const cors = corsOf(settings);
  return (req, failure2) => {
    const destination = req.headers["sec-fetch-dest"];
    const isBrowser = typeof destination === "string";
    if (!asksForImage(isBrowser ? destination : void 0, req.headers.accept)) return void 0;
    const { name, box = {} } = placeholderOf(readUrl(req.url).path);
    const now = settings.now();
    const shown2 = drawPlaceholder(name, now, "placeholder.svg", bounded4(boxWithin(name, box)));
    const { "Retry-After": retryAfter } = errorResponse(failure2, cors).headers;
    const isUsual = isBrowser && !isRevalidation(req, failure2);
    const isOk = settings.placeholderStatus === "auto" ? isUsual : settings.placeholderStatus === "ok";
    const {
      ETag: _tag,
      "Last-Modified": _at,
      "Accept-Ranges": _ranges,
      ...headers
    } = imageHeaders(shown2, {
      cache: { kind: "none" },
      isPrivate: settings.private,
      cors,
      now,
      extra: retryAfter === void 0 || isOk ? {} : { "Retry-After": retryAfter }
    });
    return { status: isOk ? 200 : failure2.status, headers, body: shown2.bytes };
  };
}
var isRevalidation = ({ headers }, { status }) => status >= 500 && (headers["if-none-match"] !== void 0 || headers["if-modified-since"] !== void 0);
function bounded4({ width, height }) {
  const scale = Math.min(1, MAX_BOX / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}
var placeholderOfAddress = ({ presets, transform: transform2 }) => (path) => {
  const [kind, variant = ""] = pathSegments(path) ?? [];
  const name = placeholderNamed(kind);
  try {
    const rules = { presets, encoding: transform2 };
    return { name, box: recipeOf(parseVariant(variant, rules), rules) };
  } catch {
    return { name };
  }
};
function placeholderOfPath({ kinds }) {
  const prefixes = [...kinds.values()].map(({ path, plural, placeholder }) => ({
    prefix: path.replaceAll("{plural}", plural).split("{", 1)[0] ?? "",
    name: placeholderNamed(placeholder)
  })).sort((a, b) => b.prefix.length - a.prefix.length);
  return (path) => {
    const local = path.replace(/^\//, "");
    const width = readSizedPath(local)?.width;
    const name = prefixes.find(({ prefix }) => prefix !== "" && local.startsWith(prefix))?.name ?? "";
    return { name, ...width !== void 0 && { box: { width } } };
  };
}

// src/web/images/artwork-router.ts
var fileNameOf = (path) => path.split("/").at(-1) ?? "image";
function createLocalRouter(images2, settings, hot) {
  const cors = corsOf(settings);
  const standIn2 = (entry) => {
    const source = entry.sourceUrl === void 0 ? void 0 : new URL(entry.sourceUrl);
    const isPublic = source !== void 0 && source.protocol === "https:" && source.search === "" && !settings.fetch.allowPrivate.includes(
      `${source.hostname.replace(/\.$/, "")}:${source.port === "" ? "443" : source.port}`
    );
    if (settings.heal === "redirect" && isPublic && !settings.display.requireLocal) return source.href;
    return images2.display.placeholder(settings.kinds.get(entry.ownerKind ?? ""));
  };
  const answerSize = (size, wanted, version) => {
    const { entityImage } = size;
    if (!("bytes" in size))
      return redirectResponse(entityImageUrl(settings.urls, size.path, entityImage.digest), cors);
    const { entry, bytes: bytes3, from, original = entityImage } = size;
    const { type, digest, storedAt } = entry;
    const cache = policyFor(version, size.version, DEFAULT_POLICY);
    return {
      representation: { bytes: bytes3, type, storedAt, digest, etag: etagOf(digest), fileName: fileNameOf(wanted) },
      rules: { cache, isPrivate: settings.private, cors, extra: tagFields(settings, entityImage, original) },
      entries: [entry, original, entityImage],
      checkedAt: original.validatedAt,
      ...canExpire(original) && { freshUntil: freshUntil(original, settings.freshness) },
      isHot: from === "memory" && entry.isStored && cache !== VERSION_MISMATCH_POLICY
    };
  };
  const answer2 = async (req, res) => {
    const { path, query } = readUrl(req.url ?? "");
    const segments = pathSegments(path);
    const wanted = segments === void 0 ? void 0 : readArtworkPath(segments);
    const isSize = wanted !== void 0 && readSizedPath(wanted) !== void 0;
    const size = isSize ? await images2.entitySizes.get(wanted, {
      signal: disconnectSignal(res),
      client: clientOf(settings, req)
    }) : void 0;
    if (wanted !== void 0 && size !== void 0) return answerSize(size, wanted, query.get("v"));
    const found = wanted === void 0 ? void 0 : await images2.entityImages.get(wanted);
    if (wanted === void 0 || found === void 0)
      throw new ArtworkError("unknown_image", "there is no such image");
    if (!("bytes" in found)) return redirectResponse(standIn2(found), cors);
    const { entry, bytes: bytes3, from, original } = found;
    const { type, digest, storedAt } = entry;
    const cache = policyFor(query.get("v"), digest, DEFAULT_POLICY);
    return {
      representation: { bytes: bytes3, type, storedAt, digest, etag: etagOf(digest), fileName: fileNameOf(wanted) },
      rules: { cache, isPrivate: settings.private, cors, extra: tagFields(settings, entry, original) },
      entries: original === void 0 ? [entry] : [entry, original],
      checkedAt: original?.validatedAt ?? entry.validatedAt,
      // An aged original is asked about again when its picture is looked at.
      ...original && { freshUntil: freshUntil(original, settings.freshness) },
      isHot: from === "memory" && cache !== VERSION_MISMATCH_POLICY
    };
  };
  const onFailure = createFallback(settings, placeholderOfPath(settings));
  return createResponseRouter(settings, { answer: answer2, onFailure }, hot);
}

// src/web/images/broken-images.ts
import express4 from "express";
var MAX_OF_CLIENT = 10;
var MAX_OF_ALL = 120;
var WINDOW_MS = 6e4;
var LONGEST_URL2 = 8192;
var BODY_TIMEOUT = 5e3;
var NOTED = { status: 204, headers: { "Cache-Control": "no-store" }, body: void 0 };
function createLimit(now) {
  let since = now();
  let all = 0;
  const byClient = /* @__PURE__ */ new Map();
  return (client) => {
    if (Math.abs(now() - since) >= WINDOW_MS) {
      since = now();
      all = 0;
      byClient.clear();
    }
    const count3 = (byClient.get(client) ?? 0) + 1;
    if (all >= MAX_OF_ALL || count3 > MAX_OF_CLIENT) return false;
    all += 1;
    byClient.set(client, count3);
    return true;
  };
}
function createBrokenImagesRouter(settings, report) {
  const isWithin = createLimit(settings.now);
  const router = express4.Router();
  router.use((req, res, next) => {
    if (readUrl(req.url).path !== `/${BROKEN_PATH}`) return next();
    if (req.method !== "POST")
      return send(req, res, textResponse(405, "method not allowed", "", { Allow: "POST" }));
    if (req.headers["sec-fetch-site"] === "cross-site")
      return send(req, res, textResponse(403, "only pages of this site report images", ""));
    readBody2(req, { maxBytes: LONGEST_URL2, timeout: BODY_TIMEOUT }).then((body2) => {
      if (isWithin(clientOf(settings, req) ?? "")) report(String(body2));
      send(req, res, NOTED);
    }).catch(() => sendAndClose(req, res, NOTED));
  });
  return router;
}

// src/web/images/images-router.ts
function isPicturePath({ sources }, path) {
  const written = path.split("/").filter((segment) => segment !== "");
  if (written.length > 2 || /%2f|%5c|\\|(?:^|\/)(?:\.|%2e)+(?:\/|$)/i.test(path)) return true;
  const [first = ""] = written;
  const [kind = first] = pathSegments(first) ?? [];
  const isListed = sources.some(({ kinds }) => kinds.includes(kind));
  return isListed || written.length === 2 && sources.some((source) => source.owns?.(kind) === true);
}
function createImagesRouter(images2, settings, hot) {
  const cors = corsOf(settings);
  const addressOf = (path) => {
    const segments = pathSegments(path);
    if (segments === void 0) throw new ArtworkError("invalid", "the path is not valid");
    const [kind = "", variant, ...id] = segments;
    if (variant === void 0 || id.length === 0) {
      const isUpload2 = images2.resolver.sourceOf(kind).isHosted === true;
      if (isUpload2 && variant !== void 0) return makeAddress(kind, "original", variant);
      throw new ArtworkError("invalid", "an image needs type, size and path");
    }
    images2.resolver.sourceOf(kind).precheck?.(variant, id.join("/"));
    return makeAddress(kind, variant, id.join("/"));
  };
  const answer2 = async (req, res, mount) => {
    const { path, query } = readUrl(req.url ?? "");
    const address = addressOf(path);
    const version = query.get("v");
    const parts = {
      // What is printed is signed as it follows the mount of the app's router.
      paths: [.../* @__PURE__ */ new Set([settings.urls.images + path, mount + path])],
      v: version ?? "",
      expires: query.get("expires") ?? "",
      s: query.get("s") ?? ""
    };
    const signed = parts.s !== "" && signatureHolds(parts, settings.signing.keys, settings.now());
    if (parts.s !== "" && !signed) throw new ArtworkError("refused", "the signature does not hold");
    const image3 = await images2.serve(address, signed, {
      signal: disconnectSignal(res),
      client: clientOf(settings, req),
      accept: req.headers.accept,
      onlyIfCached: /(?:^|,)\s*only-if-cached\s*(?:,|$)/i.test(req.headers["cache-control"] ?? "")
    });
    return shownOf(
      address,
      image3,
      version,
      signed && parts.expires !== "" ? Number(parts.expires) * 1e3 : void 0
    );
  };
  const shownOf = (address, image3, version, signedUntil) => {
    const { cache = DEFAULT_POLICY } = images2.resolver.sourceOf(address.kind);
    const { entry, bytes: bytes3, original, negotiation, forward, isInterim = false, isTransient: isTransient2 = false } = image3;
    const { type, digest, storedAt } = entry;
    const originalDigest = entry.madeFrom ?? original?.digest ?? "";
    const policy = isInterim ? PROVISIONAL_POLICY : policyFor(version, originalDigest, cache);
    return {
      representation: {
        bytes: bytes3,
        type,
        digest,
        etag: etagOf(digest),
        storedAt,
        fileName: fileNameOf2(address, type)
      },
      rules: {
        cache: policy,
        isPrivate: settings.private,
        cors,
        vary: varyOf(negotiation),
        extra: tagFields(settings, entry, original)
      },
      entries: original === void 0 || original === entry ? [entry] : [entry, original],
      forward,
      isTransient: isTransient2,
      ...original && canExpire(original) && {
        checkedAt: original.validatedAt,
        freshUntil: freshUntil(original, settings.freshness)
      },
      ...signedUntil !== void 0 && { signedUntil },
      ...negotiation !== void 0 && { negotiated: { negotiation, type } },
      // A version that is not the right one can be any text: it would fill the table.
      isHot: image3.from === "memory" && original !== void 0 && !isInterim && !isTransient2 && policy !== VERSION_MISMATCH_POLICY
    };
  };
  const onFailure = createFallback(settings, placeholderOfAddress(settings));
  const isOurs = (path) => isPicturePath(settings, path);
  return createResponseRouter(settings, { isOurs, answer: answer2, onFailure }, hot);
}
function fileNameOf2(address, type) {
  const name = (address.id.split("/").at(-1) ?? "image").replace(/\.[a-z0-9]+$/i, "").slice(0, 60);
  const kind = kindOfType(type);
  return `${name}.${kind === void 0 ? "bin" : extensionOf(kind)}`;
}

// src/web/images/case-check.ts
function createCaseCheck(settings) {
  const { base, local, images: images2, placeholders } = settings.urls;
  const mount = URL.canParse(base) ? new URL(base).pathname.replace(/\/$/, "") : base;
  const isOther2 = (text, fixed) => !text.startsWith(fixed) && text.toLowerCase().startsWith(fixed.toLowerCase());
  return (req, res, next) => {
    const { path } = readUrl(req.url);
    const isPicture2 = (fixed, isOurs2) => isOther2(path, `${fixed}/`) && isOurs2(path.slice(fixed.length));
    const isAsPrinted = !isPicture2(local, () => true) && !isPicture2(images2, (below) => isPicturePath(settings, below)) && !isPicture2(placeholders, (below) => /^\/placeholder[^/]*\.svg$/.test(below));
    const isMountOther = mount !== "" && isOther2(`${req.baseUrl}/`, `${mount}/`);
    const isOurs = [local, images2].some((fixed) => path.startsWith(`${fixed}/`));
    if (!isAsPrinted || isMountOther && isOurs)
      send(req, res, textResponse(400, "the path is not written as it is printed", corsOf(settings)));
    else next();
  };
}

// src/web/images/listener.ts
var isExpressApp = (handler) => ["handle", "set", "render"].every((name) => typeof Reflect.get(handler, name) === "function");
function createListener({ hot, logger, isClosing }) {
  return (app) => {
    const isHttp1Only = isExpressApp(app);
    let isLogged = false;
    const refuse4 = (req, res) => {
      if (!isLogged)
        logger.error(
          {},
          "artwork: an Express app does not know HTTP/2: give artwork.listener a handler around artwork.router, or let a proxy speak HTTP/2"
        );
      isLogged = true;
      send(req, res, textResponse(505, "HTTP version not supported", ""));
    };
    return (req, res) => {
      if (isHttp1Only && req.httpVersionMajor >= 2) refuse4(req, res);
      else if (isClosing() || !hot.answer(req.url ?? "", req, res)) app(req, res);
    };
  };
}

// src/web/images/placeholders.ts
import { readFileSync as readFileSync5 } from "node:fs";
import { join as join19 } from "node:path";
import express5 from "express";
var CACHE = { kind: "revisited", maxAge: 86400, swr: 604800, sie: 604800 };
function createPlaceholderRouter(settings, views) {
  const cors = corsOf(settings);
  const startedAt = settings.now();
  const files = /* @__PURE__ */ new Map();
  const add = (fileName2, name) => {
    if (!files.has(`/${fileName2}`)) files.set(`/${fileName2}`, drawPlaceholder(name, startedAt, fileName2));
  };
  add("placeholder.svg", "");
  for (const name of PLACEHOLDERS) add(`placeholder-${name}.svg`, name);
  for (const { kind, placeholder } of settings.kinds.values())
    add(`placeholder-${kind}.svg`, placeholderNamed(placeholder));
  files.set(
    `/${PICTURE_STYLESHEET}`,
    textFile(PICTURE_STYLESHEET, "text/css", pictureStylesheet(), startedAt)
  );
  for (const kind of settings.sources.flatMap(({ kinds }) => kinds)) add(`placeholder-${kind}.svg`, "");
  const router = express5.Router();
  router.use((req, res, next) => {
    const { path } = readUrl(req.url);
    if (path === `/${PICTURE_SCRIPT}` && !files.has(path)) addScript(files, views, settings);
    const file = files.get(path);
    if (file === void 0) {
      if (/^\/placeholder[^/]*\.svg$/.test(path))
        send(req, res, textResponse(404, "there is no such image", cors));
      else next();
    } else if (req.method !== "GET" && req.method !== "HEAD") send(req, res, methodResponse(req.method, cors));
    else
      send(
        req,
        res,
        respond(file, requestFields(req), {
          cache: CACHE,
          isPrivate: false,
          cdn: cdnOf(settings),
          cors,
          now: settings.now()
        })
      );
  });
  return router;
}
function textFile(fileName2, type, text, storedAt) {
  const bytes3 = Buffer.from(text);
  const digest = digestOf(bytes3);
  return {
    bytes: bytes3,
    type: `${type}; charset=utf-8`,
    storedAt,
    digest,
    etag: etagOf(digest),
    fileName: fileName2,
    isOurs: true
  };
}
function addScript(files, views, { logger, now }) {
  try {
    const text = readFileSync5(join19(views, "artwork", "picture.js"), "utf8");
    files.set(`/${PICTURE_SCRIPT}`, textFile(PICTURE_SCRIPT, "text/javascript", text, now()));
  } catch (error) {
    logger.error({ err: error }, "artwork: the script of pictures cannot be read");
  }
}

// src/web/management/management-router.ts
import express6 from "express";

// src/web/management/docs-page.ts
var html2 = (text) => String(text ?? "").replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
var isJson = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
var entriesOf = (value) => isJson(value) ? Object.entries(value).filter((entry) => isJson(entry[1])) : [];
var at = (value, ...keys) => keys.reduce((inner, key) => isJson(inner) ? inner[key] : void 0, value);
var VERBS = ["get", "post", "put", "delete"];
var STYLE = `
:root { color-scheme: light dark; --line: light-dark(#d5d7dd, #3b3f4a); --soft: light-dark(#f5f6f8, #1d2027);
  --text: light-dark(#1a1c21, #e9eaee); --dim: light-dark(#555b68, #a8afbd); --accent: light-dark(#0b57a4, #8cc0ff) }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 4rem; font: 1rem/1.5 system-ui, sans-serif;
  color: var(--text); background: light-dark(#fff, #14161b) }
h1 { font-size: 1.6rem; margin: 0 } p { margin: .4rem 0 } .dim { color: var(--dim) }
code, pre, textarea, input { font: .9rem/1.45 ui-monospace, monospace }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .6rem 0; background: var(--soft) }
summary { cursor: pointer; padding: .6rem .8rem; overflow-wrap: anywhere }
summary b { display: inline-block; min-width: 4.2rem; color: var(--accent); text-transform: uppercase }
.inside { padding: 0 .8rem .8rem }
label { display: block; margin: .6rem 0; font-size: .9rem }
input, textarea { display: block; width: 100%; padding: .45rem .55rem; border: 1px solid var(--line); border-radius: .35rem;
  color: inherit; background: light-dark(#fff, #14161b) }
textarea { min-height: 7rem }
button { padding: .5rem 1rem; border: 0; border-radius: .35rem; background: var(--accent); color: light-dark(#fff, #10131a); font: inherit }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
pre { overflow: auto; padding: .7rem; border: 1px solid var(--line); border-radius: .35rem; background: light-dark(#fff, #14161b) }
table { border-collapse: collapse; width: 100% } td { padding: .2rem .6rem .2rem 0; vertical-align: top }
output img { max-width: 100%; border: 1px solid var(--line) }
`;
function docsPage(document) {
  const operations = entriesOf(document.paths).flatMap(
    ([path, verbs]) => entriesOf(verbs).filter(([verb]) => VERBS.includes(verb)).map(([verb, operation2]) => section(path, verb, operation2))
  );
  const intro = html2(at(document, "info", "description"));
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>JSON API \xB7 express-artwork</title><style>${STYLE}</style></head><body>
<h1>JSON API</h1><p class="dim">${intro}</p>
<p>The same for machines: <a href="openapi.json">openapi.json</a> (OpenAPI ${html2(document.openapi)}).</p>
<label>Bearer token, sent with what you try here and kept nowhere
<input id="token" type="password" autocomplete="off"></label>
<main>${operations.join("\n") || "<p>There are no uploads here, and so no JSON API yet.</p>"}</main>
<script src="docs.js" defer></script></body></html>
`;
}
function section(path, verb, operation2) {
  const parameters = Array.isArray(operation2.parameters) ? operation2.parameters.filter(isJson) : [];
  const fields = parameters.map(
    (one) => `<label>${html2(one.name)} <span class="dim">${html2(one.description)}</span>
<input name="${html2(one.name)}" data-in="${html2(one.in)}"${one.required === true ? " required" : ""}></label>`
  );
  const content = at(operation2, "requestBody", "content");
  const json = at(content, "application/json", "schema");
  const answers = entriesOf(operation2.responses).map(
    ([status, one]) => `<tr><td><code>${html2(status)}</code></td><td>${html2(one.description)}</td></tr>`
  );
  const bodies = json === void 0 ? "" : `<label>Body, JSON <textarea name="body">${html2(JSON.stringify(sampleOf2(json), null, 2))}</textarea></label>
<details><summary>Schema of the body</summary><pre class="inside">${html2(JSON.stringify(json, null, 2))}</pre></details>`;
  const file = at(content, "image/*") === void 0 ? "" : '<label>or a file <input name="file" type="file" accept="image/*"></label>';
  return `<details><summary><b>${html2(verb)}</b> <code>${html2(path)}</code> <span class="dim">${html2(operation2.summary)}</span></summary>
<div class="inside"><p>${html2(operation2.description)}</p>
<form data-verb="${html2(verb.toUpperCase())}" data-path="${html2(path)}">${fields.join("")}${bodies}${file}
<p><button>Try it</button></p><output aria-live="polite"></output></form>
<table><caption class="dim">Answers</caption>${answers.join("")}</table></div></details>`;
}
function sampleOf2(schema) {
  return Object.fromEntries(
    entriesOf(at(schema, "properties")).map(([name, property]) => [
      name,
      property.type === "array" ? [] : property.type === "string" ? "" : null
    ])
  );
}
var docsScript = `
for (const form of document.querySelectorAll('form')) form.addEventListener('submit', async (event) => {
  event.preventDefault()
  const output = form.querySelector('output')
  let path = form.dataset.path
  const query = new URLSearchParams()
  for (const input of form.querySelectorAll('input[data-in]')) {
    if (input.dataset.in === 'path') path = path.replace('{' + input.name + '}', encodeURIComponent(input.value))
    else if (input.value !== '') query.set(input.name, input.value)
  }
  const token = document.getElementById('token').value
  const headers = token === '' ? {} : { Authorization: 'Bearer ' + token }
  const file = form.elements.file?.files?.[0]
  let body
  if (file) { body = file; headers['Content-Type'] = file.type || 'application/octet-stream' }
  else if (form.elements.body) { body = form.elements.body.value; headers['Content-Type'] = 'application/json' }
  output.textContent = '\u2026'
  try {
    const answer = await fetch(path + (query.size > 0 ? '?' + query : ''), { method: form.dataset.verb, headers, body })
    const type = answer.headers.get('content-type') ?? ''
    output.textContent = ''
    const status = document.createElement('p')
    status.textContent = answer.status + ' ' + type
    output.append(status)
    if (type.startsWith('image/')) {
      const image = document.createElement('img')
      image.alt = 'the answer'
      image.src = URL.createObjectURL(await answer.blob())
      output.append(image)
    } else {
      const text = document.createElement('pre')
      const got = await answer.text()
      try { text.textContent = JSON.stringify(JSON.parse(got), null, 2) } catch { text.textContent = got }
      output.append(text)
    }
  } catch (error) { output.textContent = String(error) }
})
`;

// src/web/shared/openapi.ts
import { z as z16 } from "zod";
var schemaOf = (schema, io) => {
  const { $schema: _which, ...json } = z16.toJSONSchema(schema, { target: "draft-2020-12", io });
  return json;
};
var jsonContent = (schema) => ({
  "application/json": { schema: schemaOf(schema, "input") }
});
var answer = (description, schema) => ({
  description,
  content: { "application/json": { schema: schemaOf(schema, "output") } }
});
var anyObject = (description) => ({
  description,
  content: { "application/json": { schema: { type: "object" } } }
});
var failed = (description) => answer(description, failure);
var parameter = (name, description, pattern) => ({
  name,
  in: "path",
  required: true,
  description,
  schema: { type: "string", pattern }
});
var COMMON = {
  "400": failed("The path, or a parameter, is not valid."),
  "403": failed("Not authorised, or closed; a host that may not be asked."),
  "408": failed("The body did not come in time."),
  "413": failed("Too many bytes or pixels."),
  "415": failed("Not an image of a known format, or a body of another type."),
  "422": failed("The body is not valid, or an image cannot be decoded."),
  "502": failed("A source, or a decoder, failed."),
  "503": failed("Too much to do, or nothing can be kept; with Retry-After."),
  "504": failed("A source, or a decoder, took too long.")
};
var errors = (statuses) => Object.fromEntries(statuses.map((status) => [status, COMMON[status]]));
function queryParameters(schema) {
  const { properties } = schemaOf(schema, "input");
  const all = typeof properties === "object" && properties !== null ? Object.entries(properties) : [];
  return all.map(([name, of]) => ({
    name,
    in: "query",
    description: String(of.description ?? name),
    schema: of
  }));
}
function operation({ query, body: body2, ...route2 }, described) {
  const { id, summary, description, parameters = [], requestBody, answers, isOpen = false } = described;
  const all = [...parameters, ...query === void 0 ? [] : queryParameters(query)];
  const ofBody = body2 === void 0 ? [] : ["408", "413", "415", "422"];
  const content = requestBody ?? (body2 && { required: !body2.safeParse({}).success, content: jsonContent(body2) });
  return {
    [route2.method.toLowerCase()]: {
      operationId: id,
      summary,
      ...description !== void 0 && { description },
      ...all.length > 0 && { parameters: all },
      ...!isOpen && { security: [{ bearer: [] }, {}] },
      ...content !== void 0 && { requestBody: content },
      responses: {
        ...isOpen ? {} : errors(["400", "403", ...ofBody, ...described.errors ?? []]),
        ...answers
      }
    }
  };
}
function pathsOf2(routes, mount) {
  const paths = {};
  for (const one of routes) {
    if (one.description === void 0) continue;
    const path = `${mount}${one.path}`;
    paths[path] = { ...paths[path], ...operation(one, one.description) };
  }
  return paths;
}

// src/web/management/job-routes.ts
var NOT_FOUND = { "404": failed("There is no such thing.") };
var ACCEPTED2 = {
  "202": answer("It is queued; Location tells where to ask after it.", accepted)
};
var EVENTS = {
  "200": {
    description: "Server-sent events.",
    content: { "text/event-stream": { schema: { type: "string" } } }
  }
};
var JOB_ID = parameter("id", "Id of the job.", "^[0-9]{1,15}$");
var CHANGES = {
  cancel: { summary: "Cancel a job", done: "cancelled" },
  retry: { summary: "Queue a job once more that failed or was cancelled", done: "tried again" }
};
function acceptedResponse(req, job3) {
  const { headers, ...reply } = jsonResponse(202, { job: serializeJob(job3) });
  return { ...reply, headers: { ...headers, Location: `${req.baseUrl}/jobs/${job3.id}` } };
}
function startRoutes(management, kinds) {
  return HTTP_JOB_KINDS.map((kind) => {
    const { summary, body: body2 } = httpJob(kind);
    return route({
      method: "POST",
      path: `/${kind}`,
      body: body2,
      description: { id: `${kind}Job`, summary, answers: ACCEPTED2, errors: ["503"] },
      handle: ({ req, body: payload }) => {
        const named = "kinds" in payload ? payload.kinds ?? [] : [];
        const unknown = named.filter((name) => !kinds.has(name));
        if (unknown.length > 0)
          throw new BadBody([
            { loc: ["body", "kinds"], msg: `no kinds of entity: ${unknown.join(", ")}`, type: "value_error" }
          ]);
        return acceptedResponse(req, management.start(kind, payload));
      }
    });
  });
}
function jobRoutes(management) {
  const parameters = [JOB_ID];
  const changes = ["cancel", "retry"].map(
    (verb) => route({
      method: "POST",
      path: `/jobs/{id}/${verb}`,
      description: {
        id: `${verb}Job`,
        summary: CHANGES[verb].summary,
        parameters,
        answers: { ...ACCEPTED2, ...NOT_FOUND, "409": failed("It has ended, or has not.") }
      },
      handle: ({ req, param: param2 }) => {
        const { job: job3, isDone } = management.change(param2("id"), verb);
        if (isDone) return acceptedResponse(req, job3);
        return jsonResponse(409, {
          detail: `a job that is ${job3.state} cannot be ${CHANGES[verb].done}`
        });
      }
    })
  );
  return [
    route({
      method: "GET",
      path: "/jobs/{id}",
      description: {
        id: "job",
        summary: "One job",
        parameters,
        answers: { "200": answer("The job.", oneJob), ...NOT_FOUND }
      },
      handle: ({ param: param2 }) => {
        const { job: job3, children } = management.job(param2("id"));
        return jsonResponse(200, { job: serializeJob(job3), children });
      }
    }),
    route({
      method: "GET",
      path: "/jobs/{id}/events",
      description: {
        id: "jobEvents",
        summary: "A job as it comes on, until it has ended",
        parameters,
        answers: { ...EVENTS, ...NOT_FOUND }
      },
      handle: async ({ req, res, param: param2 }) => {
        management.job(param2("id"));
        return sendEvents(req, res, jobEvents(management.watch(param2("id"), disconnectSignal(res))));
      }
    }),
    ...changes
  ];
}
function queueRoutes(management, kinds) {
  const setPaused = (verb, summary) => route({
    method: "POST",
    path: `/${verb}`,
    description: { id: `${verb}Queue`, summary, answers: { "200": anyObject("How the queue stands.") } },
    handle: () => {
      management.setPaused(verb === "pause");
      return jsonResponse(200, { queue: serializeStatus(management.status()) });
    }
  });
  return [
    route({
      method: "GET",
      path: "/jobs",
      query: jobsQuery,
      description: {
        id: "jobs",
        summary: "Jobs, newest first",
        answers: { "200": answer("A page.", jobPage) }
      },
      handle: ({ query }) => {
        const found = management.jobs(query);
        const last = found.length === query.limit ? found.at(-1) : void 0;
        return jsonResponse(200, { jobs: found.map(serializeJob), next: last ? String(last.id) : null });
      }
    }),
    route({
      method: "GET",
      path: "/events",
      description: { id: "events", summary: "What happens in the queue", answers: EVENTS },
      handle: async ({ req, res }) => sendEvents(req, res, queueEvents2(management.events(disconnectSignal(res))))
    }),
    setPaused("pause", "Begin nothing new, in no process"),
    setPaused("resume", "Begin new work again"),
    ...jobRoutes(management),
    ...startRoutes(management, kinds)
  ];
}

// src/web/management/image-routes.ts
var ENTITY = [
  parameter("kind", "A kind of entity, or its alias.", "^[a-z][a-z0-9_]*$"),
  parameter("id", "Id of the entity.", "^[A-Za-z0-9_-]+$")
];
var KEY2 = parameter(
  "name",
  "Its name, as the list tells it; slashes may be sent as they are, or as %2F.",
  "^[^/]+$"
);
var isWhole = (text) => /^(?:0|[1-9]\d{0,14})$/.test(text);
function imageRoutes(management) {
  return [
    route({
      method: "GET",
      path: "/images",
      query: searchQuery,
      description: {
        id: "searchImages",
        summary: "Look through everything that is kept",
        answers: { "200": answer("A page.", keptPage) }
      },
      handle: async ({ query }) => {
        const { images: images2, total, next } = await management.search(query);
        return jsonResponse(200, { images: images2.map(serializeImage), total, next: next ?? null });
      }
    }),
    route({
      method: "GET",
      path: "/images/{name}",
      // A key is only looked up: its slashes may be encoded, as no other path's may.
      takesRest: true,
      description: {
        id: "explainImage",
        summary: "One picture: its facts, what was made of it, its past, and why it is answered as it is",
        parameters: [KEY2],
        answers: { "200": anyObject("All that is known."), ...NOT_FOUND }
      },
      handle: ({ param: param2 }) => {
        const { image: image3, original, made, history, why } = management.image(param2("name"));
        return jsonResponse(200, {
          image: serializeImage(image3),
          original: original === void 0 ? null : serializeImage(original),
          made: made.map(serializeImage),
          history: history.map(({ at: at2, ...item }) => ({ at: isoTime(at2), ...item })),
          why: why ?? null
        });
      }
    }),
    route({
      method: "GET",
      path: "/explain",
      query: explainQuery,
      description: {
        id: "explain",
        summary: "Why a picture is answered as it is",
        answers: { "200": anyObject("What is held, until when it is fresh, and what failed last.") }
      },
      handle: ({ query: { address, url = "" } }) => jsonResponse(200, management.explain(address === void 0 ? { url } : { address }))
    }),
    route({
      method: "POST",
      path: "/purge",
      body: purgeBody,
      description: {
        id: "purge",
        summary: "Take a picture and all that was made from it away",
        answers: { "200": answer("What is gone.", purged) }
      },
      handle: async ({ body: body2 }) => {
        const { removed, urls, tags } = await management.purge(body2);
        return jsonResponse(200, { removed, urls, tags });
      }
    })
  ];
}
function reportRoutes(management) {
  return [
    route({
      method: "GET",
      path: "/stats",
      description: {
        id: "stats",
        summary: "What is kept, by kind and in all, and how the queue stands",
        answers: { "200": anyObject("Numbers.") }
      },
      handle: () => {
        const store = management.stats();
        const byKind = management.byKind();
        const sum = (pick) => byKind.reduce((total, one) => total + one[pick], 0);
        return jsonResponse(200, {
          kinds: Object.fromEntries(byKind.map(({ kind, ...numbers }) => [kind, numbers])),
          totals: { cached: sum("cached"), failed: sum("failed"), bytes: store.bytes, names: store.names },
          store,
          queue: serializeStatus(management.status())
        });
      }
    }),
    route({
      method: "GET",
      path: "/failures",
      query: failuresQuery,
      description: {
        id: "failures",
        summary: "What could not be had, why, and when it is tried again",
        answers: { "200": anyObject("A page.") }
      },
      handle: ({ query: { after: after2, limit } }) => {
        const { failures: failures2, next } = management.failures(after2, limit);
        const shown2 = failures2.map(({ at: at2, nextTry, ...failure2 }) => ({
          ...failure2,
          at: isoTime(at2),
          next_try: isoTime(nextTry)
        }));
        return jsonResponse(200, { failures: shown2, next: next ?? null });
      }
    })
  ];
}
function entityRoutes(management) {
  return [
    route({
      method: "GET",
      path: "/{kind}/{id}",
      description: {
        id: "entity",
        summary: "An entity\u2019s picture",
        parameters: ENTITY,
        answers: { "200": anyObject("What is printed."), ...NOT_FOUND }
      },
      handle: async ({ param: param2 }) => {
        const id = param2("id");
        const found = await management.entity(management.kindNamed(param2("kind")), id);
        const { kind, alias } = found.kind;
        const about = { image_url: found.url, cached: found.isCached };
        if (kind === "category") return jsonResponse(200, { category_name: id, ...about });
        return jsonResponse(200, {
          [`${alias ?? kind}_id`]: isWhole(id) ? Number(id) : id,
          username: found.name,
          image_url: found.url,
          original_image_url: found.sourceUrl,
          cached: found.isCached
        });
      }
    }),
    route({
      method: "POST",
      path: "/{kind}/{id}/download",
      description: {
        id: "download",
        summary: "Fetch an entity\u2019s picture anew",
        parameters: ENTITY,
        answers: { ...ACCEPTED2, ...NOT_FOUND },
        errors: ["503"]
      },
      handle: async ({ req, param: param2 }) => acceptedResponse(req, await management.download(management.kindNamed(param2("kind")), param2("id")))
    })
  ];
}

// src/web/management/openapi.ts
function openApiDocument({ base, images: images2 }, { mount, routes, uploadRoutes }) {
  return {
    openapi: "3.1.0",
    info: {
      title: "express-artwork",
      version: "1",
      description: 'Uploads, fetching for others, and the images themselves. Every failure of the JSON API is `{ "detail": \u2026 }`.',
      license: { name: "MIT", identifier: "MIT" }
    },
    servers: [{ url: base === "" ? "/" : base }],
    paths: { ...pathsOf2(uploadRoutes, images2), ...pathsOf2(routes, mount) },
    components: { securitySchemes: { bearer: { type: "http", scheme: "bearer" } } }
  };
}

// src/web/management/management-router.ts
var BODY = { timeout: 3e4, maxBytes: 8 * 1024 ** 2 };
var PAGE_POLICY = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; img-src 'self' data: blob:; form-action 'none'; frame-ancestors 'self'; base-uri 'none'";
var page2 = (text, type, policy) => textResponse(200, text, "", {
  "Content-Type": `${type}; charset=utf-8`,
  "Content-Security-Policy": policy
});
var managementRoutes = (management, { kinds }) => [
  ...reportRoutes(management),
  ...imageRoutes(management),
  ...queueRoutes(management, kinds),
  ...entityRoutes(management)
];
function createDocuments(documentAt) {
  const documents = /* @__PURE__ */ new Map();
  const printed = (mount) => {
    const document = documents.get(mount) ?? documentAt(mount);
    if (documents.size < 10) documents.set(mount, document);
    return document;
  };
  const pages = {
    "/openapi.json": (mount) => jsonResponse(200, printed(mount)),
    "/docs": (mount) => page2(docsPage(printed(mount)), "text/html", PAGE_POLICY),
    "/docs.js": () => page2(docsScript, "text/javascript", "default-src 'none'")
  };
  return (path) => Object.hasOwn(pages, path) ? pages[path] : void 0;
}
async function readOptionalJson(req, schema) {
  if (!hasBody(req)) {
    const parsed = schema.safeParse({});
    if (parsed.success) return parsed.data;
  }
  return readJson(req, schema, BODY);
}
function createManageRouter(settings, { management, dashboard, uploadRoutes }) {
  const cors = createCors(settings.manage.cors);
  const routes = managementRoutes(management, settings);
  const find4 = createRouteTable(routes);
  const documentAt = createDocuments(
    (mount) => openApiDocument(settings.urls, { mount, routes, uploadRoutes })
  );
  const router = express6.Router();
  router.use("/dashboard", dashboard);
  router.use((req, res, next) => {
    const { path } = readUrl(req.url);
    const open6 = documentAt(path.replace(/(?<=.)\/$/, ""));
    if (open6 !== void 0) {
      const isRead = req.method === "GET" || req.method === "HEAD";
      send(req, res, isRead ? open6(req.baseUrl) : otherMethod(req.method, "GET, HEAD, OPTIONS"));
      return;
    }
    const preflight = cors.preflight(req, "GET, HEAD, POST, OPTIONS");
    if (preflight !== void 0) {
      send(req, res, preflight);
      return;
    }
    const work = async () => {
      await authorizeManagement(req, settings);
      const match = find4(path);
      if (match === void 0) return management.missing("route");
      const route2 = match.routeFor(req.method);
      if (route2 === void 0) return otherMethod(req.method, match.allow);
      return runRoute(route2, { req, res, params: match.params }, readOptionalJson);
    };
    answerJson(req, res, settings, work, cors).catch(next);
  });
  return router;
}

// src/web/uploads/serialize.ts
var serializeUpload = ({
  imageId,
  url,
  width,
  height,
  alpha,
  animated,
  color,
  thumbhash
}) => ({
  image_id: imageId,
  url,
  width,
  height,
  alpha,
  animated,
  color,
  thumbhash
});
var serializeListed = (upload) => ({
  ...serializeUpload(upload),
  content_type: upload.contentType,
  bytes: upload.bytes,
  stored_at: new Date(upload.storedAt).toISOString()
});

// src/web/uploads/upload-body.ts
import { Readable } from "node:stream";
import multer from "multer";
var FORM_ALLOWANCE = 64 * 1024;
var MOST_PARTS = 25;
function bodyKind(req) {
  const type = (req.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (type === "application/json" || type.endsWith("+json")) return "json";
  if (type === "multipart/form-data") return "form";
  if (type === "" || type.startsWith("image/") || type === "application/octet-stream") return "raw";
  throw new ArtworkError("unsupported", "send application/json, multipart/form-data or image/*");
}
var tooLarge3 = () => new ArtworkError("too_large", "the image has too many bytes");
function largestBody(kind, maxBytes) {
  if (kind === "raw") return maxBytes;
  return kind === "json" ? Math.ceil(maxBytes / 3) * 4 + FORM_ALLOWANCE : maxBytes + FORM_ALLOWANCE;
}
async function imageOf(req, kind, limits) {
  if (kind === "json") return decode((await readJson(req, uploadBody, limits)).data);
  const isRead = req.readableEnded && "body" in req && Buffer.isBuffer(req.body);
  const bytes3 = isRead ? req.body : await readBody2(req, limits);
  if (bytes3.length === 0) throw new ArtworkError("invalid", "the body is empty");
  return kind === "raw" ? bytes3 : fileIn(req, bytes3, limits.maxBytes);
}
async function decode(text) {
  const refuse4 = (msg) => {
    throw new BadBody([{ loc: ["body", "data"], msg, type: "value_error" }]);
  };
  const isUrl = /^data:/i.test(text);
  const comma = text.indexOf(",");
  if (isUrl && comma < 0) return refuse4("the data: URL has no data");
  const data = isUrl ? text.slice(comma + 1) : text;
  if (isUrl && !/;\s*base64$/i.test(text.slice(0, comma))) return unescapeBytes(data);
  return await decodeBase64(data) ?? refuse4("the data is not base64");
}
async function fileIn(req, bytes3, maxBytes) {
  const form = multer({
    storage: multer.memoryStorage(),
    limits: {
      fileSize: maxBytes,
      files: MOST_PARTS,
      fields: MOST_PARTS,
      fieldSize: FORM_ALLOWANCE,
      parts: MOST_PARTS
    }
  }).any();
  const read2 = Object.assign(Readable.from([bytes3]), {
    headers: { ...req.headers, "content-length": String(bytes3.length) },
    method: req.method
  });
  await new Promise((resolve5, reject) => {
    form(read2, {}, (error) => {
      if (error === void 0 || error === null) resolve5();
      else if (error instanceof multer.MulterError && error.code === "LIMIT_FILE_SIZE") reject(tooLarge3());
      else
        reject(
          new BadBody([
            {
              loc: ["body"],
              msg: error instanceof multer.MulterError ? error.message : "the form cannot be read",
              type: "form_invalid"
            }
          ])
        );
    });
  });
  const [file, another] = (Array.isArray(read2.files) ? read2.files : []).filter(({ size }) => size > 0);
  if (file === void 0)
    throw new BadBody([{ loc: ["body", "file"], msg: "Field required", type: "missing" }]);
  if (another !== void 0)
    throw new BadBody([{ loc: ["body", another.fieldname], msg: "One file only", type: "too_many" }]);
  return file.buffer;
}

// src/web/uploads/upload-routes.ts
var BODY_BYTES = 256 * 1024 ** 2;
var MAX_WAITING6 = 2e3;
var NAMESPACE = parameter("namespace", "Name of the namespace.", KIND.source);
var IMAGE2 = parameter("image_id", "Id of the image.", "^[A-Za-z0-9_][A-Za-z0-9._:%~-]*$");
var VARIANT2 = parameter(
  "variant",
  "How the image should look, in canonical text.",
  "^[a-z][a-z0-9_-]{0,127}$"
);
var NO_IMAGE = { "404": failed("There is no such image.") };
var BINARY = { schema: { type: "string", format: "binary" } };
var FORM2 = {
  schema: {
    type: "object",
    required: ["file"],
    properties: {
      file: { type: "string", format: "binary", description: "The image; any field name does." }
    }
  }
};
var UPLOAD_BODY = {
  required: true,
  content: {
    ...jsonContent(uploadBody),
    "multipart/form-data": FORM2,
    "image/*": BINARY,
    "application/octet-stream": BINARY
  }
};
var plain = (description) => ({
  description,
  content: { "text/plain": { schema: { type: "string" } } }
});
var image2 = (description) => ({ description, content: { "image/*": BINARY } });
var IMAGE_ANSWERS = {
  "200": image2("The image."),
  "206": image2("A range of it."),
  "304": { description: "Unchanged." },
  "400": plain("The path is not valid."),
  "404": plain("There is no such image."),
  "416": plain("There is no such range."),
  "503": plain("Too much to do; with Retry-After.")
};
var IMAGES2 = [
  route({
    method: "GET",
    path: "/{namespace}/{image_id}",
    description: {
      id: "getImage",
      summary: "The image as it is kept",
      parameters: [NAMESPACE, IMAGE2],
      answers: IMAGE_ANSWERS,
      isOpen: true
    }
  }),
  route({
    method: "GET",
    path: "/{namespace}/{variant}/{image_id}",
    description: {
      id: "getRendition",
      summary: "The image as a variant",
      parameters: [NAMESPACE, VARIANT2, IMAGE2],
      answers: {
        ...IMAGE_ANSWERS,
        "413": plain("Too many pixels."),
        "415": plain("The format is not allowed."),
        "422": plain("The image cannot be decoded."),
        "502": plain("The decoder failed."),
        "504": plain("The decoder took too long.")
      },
      isOpen: true
    }
  })
];
var ownOrigins = ({ headers: { host } }) => host === void 0 ? [] : [`http://${host}`, `https://${host}`];
function refuseBody(thrown, fieldOf2) {
  const failure2 = asArtworkError(thrown);
  if (failure2.code !== "invalid") throw thrown;
  throw new BadBody([{ loc: ["body", fieldOf2(failure2.message)], msg: failure2.message, type: "value_error" }]);
}
var fetchOptions = ({
  res,
  body: { pool: pool2 }
}) => ({
  ...typeof pool2 === "string" && { pool: pool2 },
  signal: disconnectSignal(res)
});
function fetchRoutes(verbs) {
  const fetchImage2 = async (call) => {
    try {
      const found = await verbs.fetch(call.body.url, fetchOptions(call), ownOrigins(call.req));
      return jsonResponse(200, { data: found.bytes.toString("base64"), mime_type: found.contentType });
    } catch (error) {
      const { code } = asArtworkError(error);
      if (code === "not_found" || code === "gone") return jsonFailure(error, () => 502);
      return refuseBody(error, (message) => message.includes("pool") ? "pool" : "url");
    }
  };
  return [
    route({
      method: "POST",
      path: "/fetch",
      action: "fetch",
      body: fetchBody,
      description: {
        id: "fetchImage",
        summary: "Fetch an image and answer it in base64",
        answers: {
          "200": answer("The image, fitted into the box of fetched images.", fetched),
          ...NO_IMAGE
        },
        errors: ["502", "503", "504"]
      },
      handle: fetchImage2
    }),
    route({
      method: "POST",
      path: "/{namespace}/proxy",
      action: "proxy",
      body: proxyBody,
      maxBodyBytes: 1024 ** 2,
      description: {
        id: "proxyImages",
        summary: "Fetch images and keep them",
        parameters: [NAMESPACE],
        answers: { "200": answer("Where each is kept, and why the others are not.", proxied) },
        errors: ["503"]
      },
      handle: async (call) => {
        const options7 = fetchOptions(call);
        const { urls, images: images2, errors: errors2 } = await verbs.proxy(call.param("namespace"), call.body.urls, options7, ownOrigins(call.req)).catch((error) => refuseBody(error, () => "pool"));
        const stored = Object.entries(images2).map(([url, one]) => [url, serializeUpload(one)]);
        return jsonResponse(200, {
          urls,
          ...stored.length > 0 && { images: Object.fromEntries(stored) },
          ...Object.keys(errors2).length > 0 && { errors: errors2 }
        });
      }
    })
  ];
}
function saveRoutes(verbs, timeout) {
  const bodies = createLimiter({
    capacity: BODY_BYTES,
    maxWaiting: MAX_WAITING6,
    overloaded: "too many images are being uploaded"
  });
  const save = async ({ req, res, param: param2 }) => {
    const { name, maxBytes } = verbs.namespace(param2("namespace"));
    const kind = bodyKind(req);
    const bound = largestBody(kind, maxBytes);
    if ((announcedLength2(req) ?? 0) > bound) throw tooLarge3();
    const take = async () => {
      const bytes3 = await imageOf(req, kind, { maxBytes: bound, timeout });
      if (bytes3.length > maxBytes) throw tooLarge3();
      return verbs.save(name, bytes3);
    };
    const weight = announcedLength2(req) ?? bound;
    const stored = await bodies.run(take, { weight, signal: disconnectSignal(res) });
    return jsonResponse(200, serializeUpload(stored));
  };
  const saveRoute = (method, id) => route({
    method,
    path: "/{namespace}",
    action: "upload",
    description: {
      id,
      summary: "Keep an image",
      description: "The same bytes are the same image: uploading them again answers the same id.",
      parameters: [NAMESPACE],
      requestBody: UPLOAD_BODY,
      answers: { "200": answer("It is kept, and on disk.", uploaded) },
      errors: ["408", "413", "415", "422", "502", "503", "504"]
    },
    handle: save
  });
  return [saveRoute("POST", "uploadImage"), saveRoute("PUT", "putImage")];
}
var listRoute = (verbs) => route({
  method: "GET",
  path: "/{namespace}",
  action: "list",
  query: uploadsQuery,
  description: {
    id: "listImages",
    summary: "List the images of a namespace",
    parameters: [NAMESPACE],
    answers: {
      "200": answer("A page, in the order of ids.", listed2),
      "400": {
        description: "A parameter is not valid; as text where there is no such namespace.",
        content: {
          "application/json": { schema: schemaOf(failure, "output") },
          "text/plain": { schema: { type: "string" } }
        }
      }
    },
    errors: ["503"]
  },
  handle: async ({ param: param2, query }) => {
    const page3 = await verbs.list(param2("namespace"), query);
    const images2 = page3.images.map(serializeListed);
    return jsonResponse(200, { images: images2, next: page3.next ?? null });
  }
});
function deleteRoutes(verbs) {
  return [
    route({
      method: "DELETE",
      path: "/{namespace}",
      action: "delete",
      description: {
        id: "deleteImages",
        summary: "Delete every image of a namespace",
        parameters: [NAMESPACE],
        answers: { "200": answer("How many there were.", deleted) },
        errors: ["503"]
      },
      handle: async ({ param: param2 }) => jsonResponse(200, { deleted_count: await verbs.removeAll(param2("namespace")) })
    }),
    route({
      method: "DELETE",
      path: "/{namespace}/{image_id}",
      action: "delete",
      description: {
        id: "deleteImage",
        summary: "Delete an image",
        parameters: [NAMESPACE, IMAGE2],
        answers: { "200": answer("It is gone.", deleted), ...NO_IMAGE },
        errors: ["503"]
      },
      handle: async ({ param: param2 }) => {
        if (await verbs.remove(param2("namespace"), param2("image_id")))
          return jsonResponse(200, { deleted_count: 1 });
        throw new ArtworkError("unknown_image", "there is no such image");
      }
    })
  ];
}
var createUploadRoutes = (verbs, { uploads }) => [
  ...fetchRoutes(verbs),
  listRoute(verbs),
  ...saveRoutes(verbs, uploads.bodyTimeout),
  ...IMAGES2,
  ...deleteRoutes(verbs)
];

// src/web/uploads/uploads-router.ts
import express7 from "express";
var FILE2 = /\.(?:jpe?g|png|gif|webp|avif|svg|ico|bmp|tiff?|css|m?js|map|txt|json|xml|webmanifest|html?|pdf|mp4|webm|woff2?)$/i;
function createUploadRouter(settings, { verbs, source, routes }) {
  const cors = createCors(source.uploads.cors);
  const find4 = createRouteTable(routes);
  const { bodyTimeout: timeout } = source.uploads;
  const isOurs = (kind) => source.kinds.includes(kind) || source.owns?.(kind) === true;
  const isTaken = (kind) => settings.sources.some(({ kinds }) => kinds.includes(kind));
  const matchOf = (path, method) => {
    const match = find4(path);
    if (match?.isAnswered !== true) return void 0;
    const { namespace } = match.params;
    const isRead = method === "GET" || method === "HEAD";
    if (namespace === void 0) return isRead && !isOurs("fetch") ? void 0 : match;
    if (!isOurs(namespace) && (isTaken(namespace) || isRead)) return void 0;
    const isFile = FILE2.test(namespace) && !source.kinds.includes(namespace);
    const isList = match.routeFor("GET")?.action === "list";
    return isRead && (isFile || !isList) ? void 0 : match;
  };
  const router = express7.Router();
  router.use((req, res, next) => {
    const { path } = readUrl(req.url);
    if (pathSegments(path.replace(/(?<=.)\/$/, "")) === void 0) {
      if (!/^(?:POST|PUT|DELETE)$/.test(req.method)) return next();
      send(req, res, jsonResponse(400, { detail: "the path is not valid" }));
      return;
    }
    const match = matchOf(path, req.method);
    if (match === void 0) return next();
    const preflight = cors.preflight(req, match.allow);
    if (preflight !== void 0) {
      send(req, res, preflight);
      return;
    }
    const route2 = match.routeFor(req.method);
    const { action, handle } = route2 ?? {};
    if (route2 === void 0 || action === void 0 || handle === void 0) {
      const reply = otherMethod(req.method, match.allow);
      send(req, res, { ...reply, headers: { ...reply.headers, ...cors.fields(req), Allow: match.allow } });
      return;
    }
    const work = async () => {
      const { namespace } = match.params;
      if (namespace !== void 0) verbs.namespace(namespace);
      return verbs.during(async () => {
        await authorizeUpload(req, action, source.uploads, settings.logger);
        return runRoute(
          route2,
          { req, res, params: match.params },
          (from, schema, limits) => readJson(from, schema, { timeout, ...limits })
        );
      });
    };
    answerJson(req, res, settings, work, cors).catch(next);
  });
  return router;
}

// src/web/routers.ts
function createRouters(settings, parts) {
  const { images: images2, uploads, management, responseCache, isClosing } = parts;
  const dashboardRouter = createDashboardRouter(settings, { ...parts.dashboard, management });
  const uploadRoutes = uploads ? createUploadRoutes(uploads.verbs, uploads.source) : [];
  const uploadRouters = uploads ? [createUploadRouter(settings, { ...uploads, routes: uploadRoutes })] : [];
  return {
    router: createMainRouter(settings, parts, uploadRouters),
    localRouter: createLocalRouter(images2, settings),
    imagesRouter: express8.Router().use(...uploadRouters, createImagesRouter(images2, settings)),
    listener: createListener({ hot: responseCache, logger: settings.logger, isClosing }),
    healthRouter: createHealthRouter(parts.readiness, parts.metrics),
    manageRouter: createManageRouter(settings, { management, dashboard: dashboardRouter, uploadRoutes }),
    dashboardRouter
  };
}
function createMainRouter(settings, { images: images2, responseCache, onPage, dashboard, onBroken }, uploadRouters) {
  const { urls } = settings;
  const router = express8.Router({ caseSensitive: true });
  router.use((req, res, next) => {
    const isAsSent = req.baseUrl + req.url === req.originalUrl;
    if (!isAsSent || !responseCache.answer(req.originalUrl, req, res)) next();
  });
  router.use(createCaseCheck(settings));
  router.use(urls.local, createLocalRouter(images2, settings, responseCache));
  for (const uploadRouter of uploadRouters) router.use(urls.images, uploadRouter);
  router.use(urls.images, createImagesRouter(images2, settings, responseCache));
  router.use(urls.placeholders, createPlaceholderRouter(settings, dashboard.views));
  if (settings.display.beacon) router.use(urls.placeholders, createBrokenImagesRouter(settings, onBroken));
  router.use((_req, res, next) => {
    onPage(res);
    next();
  });
  return router;
}

// src/create-artwork.ts
async function createArtwork(options7 = {}) {
  const settings = settleOptions(options7);
  await prepare2(settings);
  const { logger, now } = settings;
  const events = createEvents(logger);
  const counts = createCounters(events);
  const metrics = createMetrics();
  const series = createTimeSeries(now);
  const fetcher = observedFetcher(openFetcher(settings), [metrics, series]);
  const source = settings.sources.find(isUploadSource);
  const { cache, uploadStore } = await openStorage(settings, source);
  const { store } = cache;
  const decoder2 = settings.transform.isolate ? createWorkerPool({ ...settings.transform, logger }) : createInProcess(settings.transform);
  const transformer = observedTransformer(decoder2, [metrics, series]);
  const run = randomUUID6();
  const means = { document: fetcher.document, notes: createKeyValueCache(store.keyValue), now };
  const areUploadsOpen = () => uploadStore?.isOpen() !== false;
  const images2 = createImages(settings, { store, fetcher, transformer, events, means, run, areUploadsOpen });
  const { resolver } = images2;
  const context = { settings, store, fetcher, transformer, flights: images2.singleFlight, events };
  const uploads = source && uploadStore ? createUploads(context, resolver, source, uploadStore, images2) : void 0;
  const queue = createJobQueue({ directory: settings.directory, now, logger });
  const directory = store.stats().durable ? settings.directory : void 0;
  const exporter = createExporter({ store, directory, mode: settings.export.mode, logger });
  const maintenance = createMaintenance(context, images2, events);
  const work = { refresh: images2.refresh, heal: images2.repair, download: images2.downloads.download };
  const refresher = createRefresher(work, {
    concurrency: 4,
    jobs: queue,
    paramsOf: (kind, params) => pathParams(settings.kinds.get(kind), params),
    isSame: images2.presignedUrls.isSame,
    schedules: settings.schedules,
    handlers: (downloads) => jobHandlers({ settings, store, images: images2, maintenance, jobs: queue, exporter, downloads }),
    now,
    logger
  });
  listen(events, refresher);
  const responseCache = createResponseCache(settings, {
    keepsBytes: cache.keepsBytes,
    isCurrent: images2.isCurrent,
    use: store.touch,
    count: () => events.emit("image-served", { from: "memory" })
  });
  cache.watch(responseCache.watcher);
  cache.watch({ changed: exporter.changed, evicted: () => {
  } });
  const stats = createStats({ store, fetcher, counts, uploads });
  metrics.watch({ stats, refresher: refresher.status, decoding: transformer.load });
  series.watch(() => {
    const { bytes: bytes3, memory } = store.stats();
    const { queued, running } = queue.counts();
    return { requests: { ...counts }, bytes: bytes3, memoryBytes: memory.bytes, queued, running };
  });
  const details2 = createImageDetails({ ...images2, settings, store, run });
  const management = createManagement(settings, {
    images: images2,
    details: details2,
    stats,
    refresher,
    jobs: queue,
    store,
    meters: series
  });
  const lifecycle = createLifecycle(settings, {
    store,
    finish: [series.close, refresher.close, images2.idle, exporter.settled],
    close: [exporter.close, fetcher.close, transformer.close, store.close]
  });
  const { readiness, degradedReasons } = createReadiness(settings, {
    store,
    transformer,
    uploads,
    isClosing: lifecycle.isClosing
  });
  const templates = createTemplates(settings, { images: images2, events, cache });
  const { helpers, preloads } = templates;
  const routers = createRouters(settings, {
    images: images2,
    uploads: uploads && source && { verbs: uploads, source },
    management,
    metrics,
    responseCache,
    dashboard: {
      render: createRenderer(viewsPath, templates.ofApp, templates.install),
      views: viewsPath,
      reasons: degradedReasons
    },
    readiness,
    isClosing: lifecycle.isClosing,
    onPage: preloads.note,
    onBroken: (url) => images2.doubt(url)
  });
  const clearCache = async () => {
    await maintenance.clearCache();
    refresher.forgetFailures();
  };
  return {
    ...routers,
    images: publicImages(images2, { ...maintenance, clearCache, explain: details2.explain, stats }, helpers),
    refresher: publicRefresher(settings, refresher, management),
    ...uploads && { uploads: publicUploads(uploads) },
    installTemplates: templates.installInApp,
    preload: publicPreload(helpers),
    csp: () => imagePolicy(settings),
    nfo: (subject, nfoOptions = {}) => helpers.nfo(subject, nfoOptions),
    start: publicStart(settings, refresher, exporter),
    close: lifecycle.close
  };
}
function createTemplates(settings, { images: images2, events, cache }) {
  const kept2 = createKept(images2.trace, settings.now);
  cache.watch(kept2.watcher);
  const parts = { images: images2, settings, events, thumbhashUrl: createThumbhashImages() };
  const helpers = createHelpers(parts, kept2);
  const macros = createMacros(parts, helpers, kept2);
  const preloads = createPagePreloads();
  const files = {
    artwork_stylesheet: placeholderUrl(settings.urls, PICTURE_STYLESHEET),
    artwork_script: placeholderUrl(settings.urls, PICTURE_SCRIPT),
    artwork_beacon: settings.display.beacon ? placeholderUrl(settings.urls, BROKEN_PATH) : ""
  };
  const installed = { settings, helpers, macros, preloads, files };
  const install = (environment) => installTemplates(environment, installed);
  let appEnvironment;
  return {
    helpers,
    preloads,
    install,
    /** Into the app's own environment, which its dashboard is rendered with too. */
    installInApp: (environment) => {
      appEnvironment = environment;
      install(environment);
    },
    ofApp: () => appEnvironment
  };
}
async function prepare2({ strict, sources, schedules, repository, logger }) {
  if (!strict && sources.some(({ freeFormats }) => freeFormats !== void 0))
    logger.warn({}, "artwork: strict is off: anybody may ask for any size and format of any picture");
  checkSchedules(schedules, (kind) => !needsRepository(kind) || repository?.list !== void 0);
  await Promise.all(sources.map((source) => source.prepare?.()));
}
function openFetcher(settings) {
  const fetcher = createFetcher({
    ...settings.fetch,
    lookup: settings.fetch.lookup,
    via: ownVia(settings),
    now: settings.now
  });
  const pools = fetcher.pools();
  for (const { name, pool: pool2 } of settings.sources)
    if (pool2 !== void 0 && pool2 !== ANY_POOL && !pools.includes(pool2)) {
      fetcher.close();
      throw new TypeError(`${name}.pool must name a pool of fetch.proxies, got ${JSON.stringify(pool2)}`);
    }
  return fetcher;
}

// src/sources/remote.ts
import { validateHeaderName, validateHeaderValue } from "node:http";

// src/model/presigned-url.ts
var SIGNERS = [
  // AWS Signature Version 4, and what follows it (R2, MinIO, Spaces …).
  { shownBy: ["x-amz-signature"], adds: ["x-amz-*"] },
  // Google Cloud Storage V4, and V2.
  { shownBy: ["x-goog-signature"], adds: ["x-goog-*"] },
  { shownBy: ["googleaccessid", "signature"], adds: ["googleaccessid", "signature", "expires"] },
  // Amazon S3 Version 2, and CloudFront.
  {
    shownBy: ["awsaccesskeyid", "signature"],
    adds: ["awsaccesskeyid", "signature", "expires", "x-amz-security-token"]
  },
  { shownBy: ["key-pair-id", "signature"], adds: ["key-pair-id", "signature", "policy", "expires"] },
  // Alibaba Cloud OSS.
  {
    shownBy: ["ossaccesskeyid", "signature"],
    adds: ["ossaccesskeyid", "signature", "expires", "security-token"]
  },
  {
    shownBy: ["x-oss-signature"],
    adds: ["x-oss-signature*", "x-oss-credential", "x-oss-date", "x-oss-expires", "x-oss-security-token"]
  },
  // Azure Storage: shared access signatures.
  {
    shownBy: ["sig", "se", "sv"],
    adds: [
      "sig",
      "se",
      "st",
      "sv",
      "sr",
      "sp",
      "sip",
      "spr",
      "ss",
      "srt",
      "skoid",
      "sktid",
      "skt",
      "ske",
      "sks",
      "skv",
      "sdd"
    ]
  },
  // Discord.
  { shownBy: ["ex", "is", "hm"], adds: ["ex", "is", "hm"] }
];
var isNamed = (name, patterns) => patterns.some(
  (pattern) => pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern
);
function withoutSignature(url, ignored) {
  if (url.search === "") return url.href;
  const names = new Set([...url.searchParams.keys()].map((name) => name.toLowerCase()));
  const added = [
    ...ignored,
    ...SIGNERS.filter(({ shownBy }) => shownBy.every((name) => names.has(name))).flatMap(({ adds }) => adds)
  ];
  if (![...names].some((name) => isNamed(name, added))) return url.href;
  const bare = new URL(url);
  for (const name of [...bare.searchParams.keys()])
    if (isNamed(name.toLowerCase(), added)) bare.searchParams.delete(name);
  return bare.href;
}

// src/sources/host-rules.ts
import { domainToASCII } from "node:url";
var LABEL = "[a-z0-9_-]+";
var PATTERN = /^(?:\*\*\.|\*\.)?(?:[a-z0-9_-]+\.)*[a-z0-9_-]+(?::\d{1,5})?$|^\[[0-9a-f:.]+\](?::\d{1,5})?$|^\*$/;
var defaultPort = (url) => url.port !== "" ? url.port : url.protocol === "https:" ? "443" : "80";
function inAscii(pattern) {
  const [, stars = "", host = "", port = ""] = /^((?:\*{1,2}\.)?)(.*?)((?::\d+)?)$/.exec(pattern) ?? [];
  const bare = host.replace(/\.$/, "");
  return stars + (/[^\0-\x7f]/.test(bare) ? domainToASCII(bare) : bare) + port;
}
function hostRule(pattern) {
  const text = inAscii(pattern.toLowerCase());
  if (!PATTERN.test(text))
    throw new TypeError(
      `hosts must be names such as "cdn.example.com", "*.example.com" or "**.example.com", got ${JSON.stringify(pattern)}`
    );
  if (text === "*") return () => true;
  const port = /:(\d+)$/.exec(text)?.[1];
  const host = port === void 0 ? text : text.slice(0, -port.length - 1);
  const bare = host.replace(/^\*{1,2}\./, "").replace(/[.[\]]/g, "\\$&");
  const before = host.startsWith("**.") ? `(?:${LABEL}\\.)+` : host.startsWith("*.") ? `${LABEL}\\.` : "";
  const matcher = new RegExp(`^${before}${bare}$`);
  return (url) => matcher.test(url.hostname.replace(/\.$/, "")) && (port === void 0 || port === defaultPort(url));
}

// src/sources/remote.ts
var LONGEST_REQUESTED = 2048;
var LONGEST_URL3 = 8192;
var FREE_FORMATS = ["auto", "webp", "jpeg", "avif"];
var NOT_TO_BE_SET = /* @__PURE__ */ new Set([
  "accept-encoding",
  "connection",
  "content-length",
  "expect",
  "host",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "keep-alive",
  "range",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "via"
]);
function headerRule(pattern, fields) {
  const [, scheme, host = ""] = /^(https?:\/\/)?(.*)$/i.exec(pattern) ?? [];
  for (const [name, value] of Object.entries(fields)) {
    const where = `remote.headers[${JSON.stringify(pattern)}]`;
    if (NOT_TO_BE_SET.has(name.toLowerCase())) throw new TypeError(`${where}: ${name} cannot be set`);
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    } catch {
      throw new TypeError(`${where}: ${JSON.stringify(name)} is no header, or its value is none`);
    }
  }
  const matches = hostRule(host);
  const isPlain2 = scheme?.toLowerCase() === "http://";
  const isTls = scheme?.toLowerCase() === "https://";
  return (url, isPrivate) => {
    const isAllowed = url.protocol === "https:" ? !isPlain2 : isPlain2 || isPrivate && !isTls;
    return isAllowed && matches(url) ? fields : {};
  };
}
var OPTIONS = ["hosts", "headers", "ignoreParams", "pool"];
function checked(options7) {
  if (typeof options7 !== "object" || options7 === null)
    throw new TypeError("remote needs { hosts }, a list of host names");
  const unknown = Object.keys(options7).find((name) => !OPTIONS.includes(name));
  if (unknown !== void 0)
    throw new TypeError(
      `remote.${unknown} is no option: there are ${OPTIONS.map((name) => `remote.${name}`).join(", ")}`
    );
  for (const name of ["hosts", "ignoreParams"]) {
    const list = options7[name];
    const isList = Array.isArray(list) && list.every((one) => typeof one === "string" && one !== "");
    if (!isList && !(name === "ignoreParams" && list === void 0))
      throw new TypeError(
        `remote.${name} must be a list of texts, such as ${name === "hosts" ? '["cdn.example.com"]' : '["token"]'}, got ${JSON.stringify(list)}`
      );
  }
  const isTable = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
  const { headers = {} } = options7;
  const fields = isTable(headers) ? Object.values(headers) : [void 0];
  if (!fields.every((one) => isTable(one) && Object.values(one).every((value) => typeof value === "string")))
    throw new TypeError(
      'remote.headers must be header fields by host, such as { "cdn.example.com": { Authorization: "\u2026" } }'
    );
  return options7;
}
var remoteId = (url) => Buffer.from(canonical(url)).toString("base64url");
function canonical(url) {
  const copy2 = new URL(url);
  copy2.hash = "";
  return copy2.href;
}
function readId(id) {
  const bytes3 = Buffer.from(id, "base64url");
  const text = bytes3.toString("utf8");
  const sound = bytes3.length > 0 && bytes3.length <= LONGEST_URL3 && bytes3.toString("base64url") === id;
  if (!sound || !isWebUrl(text))
    throw new ArtworkError("invalid", "the image id must be the base64url of an http or https URL");
  return readWebUrl(text);
}
function remote(options7) {
  const { hosts, headers = {}, ignoreParams = [], pool: pool2 } = checked(options7);
  const ignored = ignoreParams.map((name) => name.toLowerCase());
  const rules = hosts.map(hostRule);
  const extra = Object.entries(headers).map(([pattern, fields]) => headerRule(pattern, fields));
  const admits = (url) => rules.some((rule2) => rule2(url));
  const original = (url) => {
    if (url.href.length > LONGEST_URL3) throw new ArtworkError("invalid", "the image URL is too long");
    return makeAddress("remote", "original", remoteId(url));
  };
  const admitted = (url) => {
    if (url.username !== "" || url.password !== "")
      throw new ArtworkError("refused", "the URL must not hold credentials");
    if (!admits(url)) throw new ArtworkError("refused", "this host is not allowed");
    return url;
  };
  return {
    name: "remote",
    kinds: ["remote"],
    // A policy has no wildcard for one label alone.
    origins: hosts.map((host) => host === "*" ? "https:" : inAscii(host).replace(/^\*\*\./, "*.")),
    openToAll: hosts.includes("*"),
    defaultVariant: () => "original",
    nativeWidths: () => [],
    isNative: (_kind, variant) => variant.base === "original",
    precheck: (_variant, id) => {
      if (Buffer.byteLength(id, "base64url") > LONGEST_REQUESTED)
        throw new ArtworkError("invalid", "the image id must be the base64url of an http or https URL");
    },
    identityOf: (url) => withoutSignature(url, ignored),
    freeFormats: ({ base }) => base === "original" ? ["auto"] : FREE_FORMATS,
    check: ({ address }) => {
      const url = admitted(readId(address.id));
      return { address: makeAddress("remote", address.variant, remoteId(url)), original: original(url) };
    },
    originalsOf: (address) => [address],
    locate: (address) => ({
      url: readId(address.id).href,
      admits,
      pool: pool2,
      headersFor: (url, isPrivate) => Object.assign({}, ...extra.map((fieldsFor) => fieldsFor(url, isPrivate)))
    }),
    fileName: (address) => readId(address.id).pathname,
    claim: (url) => /^https?:$/.test(url.protocol) ? original(admitted(url)) : void 0,
    pool: pool2,
    cache: void 0
  };
}

// src/sources/tmdb.ts
var TMDB_SIZES = {
  poster: {
    sizes: ["w92", "w154", "w185", "w342", "w500", "w780", "original"],
    default: "w342",
    shape: 2 / 3
  },
  backdrop: { sizes: ["w300", "w780", "w1280", "original"], default: "w780", shape: 16 / 9 },
  profile: { sizes: ["w45", "w185", "h632", "original"], default: "w185", shape: 2 / 3 },
  logo: {
    sizes: ["w45", "w92", "w154", "w185", "w300", "w500", "original"],
    default: "w185",
    shape: void 0
  },
  still: { sizes: ["w92", "w185", "w300", "original"], default: "w300", shape: 16 / 9 }
};
var FILE3 = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,127}\.(?:jpe?g|png|gif|webp|svg)$/;
var WEEK = { kind: "immutable", maxAge: 604800 };
function tmdb({ baseUrl = "https://image.tmdb.org/t/p", pool: pool2 } = {}) {
  const base = parseBase(baseUrl);
  const tableOf = (kind) => {
    const table2 = Object.hasOwn(TMDB_SIZES, kind) ? TMDB_SIZES[kind] : void 0;
    if (table2 === void 0) throw new ArtworkError("invalid", "image type is not known");
    return table2;
  };
  const prefix = `${base.href.replace(/\/$/, "")}/`;
  return {
    name: "tmdb",
    kinds: Object.keys(TMDB_SIZES),
    origins: [base.origin],
    defaultVariant: (kind) => tableOf(kind).default,
    nativeWidths: (kind) => widthsOf2(tableOf(kind)),
    ratioOf: (kind) => Object.hasOwn(TMDB_SIZES, kind) ? TMDB_SIZES[kind]?.shape : void 0,
    isNative: (kind, variant) => tableOf(kind).sizes.includes(sizeText(variant)),
    check: ({ address, recipe, variant }) => {
      if (!FILE3.test(address.id)) throw new ArtworkError("invalid", "image path is not valid");
      const size = nativeFor(tableOf(address.kind), variant, recipe.width, recipe.height);
      return { address, original: makeAddress(address.kind, size, address.id) };
    },
    originalsOf: ({ kind, id }, anyKind) => (anyKind ? Object.keys(TMDB_SIZES) : [kind]).flatMap(
      (one) => tableOf(one).sizes.map((size) => makeAddress(one, size, id))
    ),
    locate: (original) => ({
      url: `${prefix}${original.variant}/${original.id}`,
      admits: (url) => url.host === base.host,
      pool: pool2
    }),
    claim: (url, kinds = []) => {
      if (!url.href.startsWith(prefix)) return void 0;
      const [size = "", id = "", ...rest] = url.href.slice(prefix.length).split("/");
      const kind = [...kinds, ...Object.keys(TMDB_SIZES)].find(
        (name) => Object.hasOwn(TMDB_SIZES, name) && TMDB_SIZES[name]?.sizes.includes(size)
      );
      return kind === void 0 || rest.length > 0 || !FILE3.test(id) ? void 0 : makeAddress(kind, size, id);
    },
    pool: pool2,
    cache: WEEK
  };
}
function parseBase(text) {
  const url = URL.canParse(text) ? new URL(text) : void 0;
  if (url === void 0 || !/^https?:$/.test(url.protocol) || url.search !== "" || url.username !== "")
    throw new TypeError(`tmdb.baseUrl must be an absolute http or https URL, got ${JSON.stringify(text)}`);
  return url;
}
function sizeText({ base, width, height, cover }) {
  if (base === "original") return "original";
  if (cover || width !== void 0 && height !== void 0) return "";
  return width === void 0 ? `h${height}` : `w${width}`;
}
var widthsOf2 = (table2) => table2.sizes.filter((size) => size.startsWith("w")).map((size) => Number(size.slice(1)));
function nativeFor(table2, variant, width, height) {
  const exact = sizeText(variant);
  if (variant.base !== "box" ? exact === "original" : table2.sizes.includes(exact)) return exact;
  if (height !== void 0 && table2.shape === void 0) return "original";
  const wanted = Math.max(width ?? 0, height === void 0 ? 0 : Math.ceil(height * (table2.shape ?? 1)));
  const enough = widthsOf2(table2).find((native) => native >= wanted);
  return enough === void 0 || wanted === 0 ? "original" : `w${enough}`;
}

// test/bench/markup.ts
import nunjucks from "nunjucks";

// test/bench/support.ts
import { mkdtemp, rm as rm3 } from "node:fs/promises";
import { tmpdir as tmpdir2 } from "node:os";
import { join as join20 } from "node:path";
import sharp3 from "sharp";
async function benchArtwork(options7 = {}) {
  const directory = await mkdtemp(join20(tmpdir2(), "artwork-bench-"));
  const artwork = await createArtwork({ directory, sources: [tmdb()], ...options7 });
  const end = async () => {
    await artwork.close();
    await rm3(directory, { recursive: true, force: true });
  };
  return { artwork, end };
}
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

// test/bench/markup.ts
var ROUNDS = 9;
var PICTURES = 1e3;
var CALLS = {
  "img, auto": "artwork_img(s, 'x', class=c)",
  "picture, all formats": "artwork_picture(s, 'x', class=c)"
};
async function measure(name, options7) {
  const { artwork, end } = await benchArtwork({
    sources: [remote({ hosts: ["cdn.example.com"] })],
    transform: { formats: ["jpeg", "png", "gif", "webp", "avif"] },
    ...options7
  });
  const environment = new nunjucks.Environment(null, { autoescape: true });
  artwork.installTemplates(environment);
  const list = Array.from({ length: PICTURES }, (_, id) => ({
    id,
    type: "album",
    image_url: `https://cdn.example.com/covers/${id}/front-500x500.jpg`
  }));
  for (const [label, call] of Object.entries(CALLS)) {
    const template2 = nunjucks.compile(`{% for s in list %}{{ ${call} }}{% endfor %}`, environment);
    const plain2 = nunjucks.compile("{% for s in list %}{{ s | safe }}{% endfor %}", environment);
    const time2 = (one, list2, c = "") => {
      const startedAt = performance.now();
      one.render({ list: list2, c });
      return performance.now() - startedAt;
    };
    for (let round = 0; round < 20; round += 1) time2(template2, list, `before${round}`);
    const times2 = { cold: [], warm: [], plain: [] };
    for (let round = 1; round <= ROUNDS; round += 1) {
      times2.cold.push(time2(template2, list, `c${round}`));
      times2.warm.push(time2(template2, list, `c${round}`));
      const strings2 = list.map((s) => template2.render({ list: [s] }));
      times2.plain.push(time2(plain2, strings2));
    }
    const [cold, warm2, strings] = [times2.cold, times2.warm, times2.plain].map(median);
    console.log(
      `markup ${name}, ${label}: ${PICTURES} pictures ${over(cold, strings)} ms over plain strings when first printed, ${over(warm2, strings)} ms again (plain ${ms(strings)} ms)`
    );
  }
  await end();
}
var ms = (time2 = 0) => time2.toFixed(1);
var over = (time2 = 0, plain2 = 0) => ms(time2 - plain2);
async function benchMarkup() {
  await measure("unsigned", {});
  await measure("signed", { signing: { keys: ["a-key-of-at-least-16"] } });
}
export {
  benchMarkup
};

await benchMarkup()
