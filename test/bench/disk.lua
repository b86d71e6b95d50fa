-- Asks for `p0.jpg` and so on below `PREFIX`, as many as `COUNT` says, in an order that jumps, and says what wrk counted.
local count = tonumber(os.getenv("COUNT"))
local prefix = os.getenv("PREFIX")
local at = 0
function request()
  at = (at + 7919) % count
  return wrk.format("GET", prefix .. at .. ".jpg")
end
function done(summary)
  local errors = summary.errors
  local wrong = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("result %d %d %d %d\n", summary.requests, summary.bytes, wrong, summary.duration))
end
