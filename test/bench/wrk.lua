-- What wrk counted, in one line: requests, bytes, wrong answers and errors, microseconds.
function done(summary)
  local errors = summary.errors
  local wrong = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("result %d %d %d %d\n", summary.requests, summary.bytes, wrong, summary.duration))
end
