-- The clients, as a script of wrk: what they send, what counts as an answer, and what is measured.
--
--   wrk … -s load.lua URL -- mode=closed bodies=FILE path=/v1/predictions expect=201 [header=Name:value]
--
-- closed  every connection sends as soon as it has its answer
-- open    requests start when a Poisson process of `rate` a second says, whether or not earlier ones were answered, and
--         latency counts from that moment (no coordinated omission: what wrk2 does). One connection a thread, so that a
--         thread may sleep; a connection that is late catches up without pause.
-- poll    every connection submits, then asks `Location` until `finished` stands in the answer, with growing pauses
--
-- It prints one JSON document. Where TIMELINE names a file, an open loop writes a line a request there: the moment at which
-- it should have started (seconds of CLOCK_MONOTONIC) and its latency in ms.

local ffi = require("ffi")
ffi.cdef [[
  typedef struct { long seconds, nanoseconds; } moment;
  int clock_gettime(int clock, moment *now);
  int usleep(unsigned int microseconds);
]]
local moment, CLOCK_MONOTONIC = ffi.new("moment"), 1
local FIRST_PAUSE, LONGEST_PAUSE = 0.005, 0.04 -- seconds between two polls

local function now()
  ffi.C.clock_gettime(CLOCK_MONOTONIC, moment)
  return tonumber(moment.seconds) + tonumber(moment.nanoseconds) * 1e-9
end

local function sleep_until(time)
  local left = time - now()
  if left > 0 then ffi.C.usleep(left * 1e6) end
end

-- Of the main state ---------------------------------------------------------------------------------------------------

local threads = {}

-- Called just before the thread starts. Earlier threads run already: their states must not be touched before `done`.
function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

local function write_timeline(file)
  local out = assert(io.open(file, "w"))
  for _, thread in ipairs(threads) do
    local moments = thread:get("moments")
    for place, latency in ipairs(thread:get("latencies")) do
      out:write(("%.6f %.4f\n"):format(moments[place], latency * 1e3))
    end
  end
  out:close()
end

local function quantile(sorted, share)
  return #sorted > 0 and sorted[math.max(1, math.ceil(share * #sorted))] or 0
end

local function json_text(text)
  return '"' .. text:sub(1, 400):gsub('[%c"\\]', function(c) return ("\\u%04x"):format(c:byte()) end) .. '"'
end

function done(summary, latency)
  local answered, early, failed, complaint, sizes, all = 0, 0, 0, "", {}, {}
  local first, last = math.huge, 0
  for _, thread in ipairs(threads) do
    answered, early = answered + thread:get("answered"), early + thread:get("early")
    failed = failed + thread:get("failed")
    complaint = complaint ~= "" and complaint or thread:get("complaint")
    for size, count in pairs(thread:get("sizes")) do sizes[size] = (sizes[size] or 0) + count end
    for _, each in ipairs(thread:get("latencies")) do table.insert(all, each) end
    first, last = math.min(first, thread:get("began")), math.max(last, thread:get("ended"))
  end
  if os.getenv("TIMELINE") then write_timeline(os.getenv("TIMELINE")) end
  table.sort(all)
  local own = #all > 0
  local function at(share) return own and quantile(all, share) * 1e3 or latency:percentile(share * 100) / 1e3 end
  local batches = {}
  for size, count in pairs(sizes) do table.insert(batches, ('"%s": %d'):format(size, count)) end
  local errors = summary.errors
  io.write(("\n" .. [[{"answered": %d, "early": %d, "failed": %d, "broken": %d, "complaint": %s, "seconds": %.6f,
    "p50_ms": %.4f, "p90_ms": %.4f, "p99_ms": %.4f, "p999_ms": %.4f, "max_ms": %.4f, "batch_sizes": {%s}}]] .. "\n"):format(
    answered, early, failed, errors.connect + errors.read + errors.write + errors.timeout, json_text(complaint),
    own and last - first or summary.duration / 1e6, at(0.5), at(0.9), at(0.99), at(0.999), own and all[#all] * 1e3 or latency.max / 1e3,
    table.concat(batches, ", ")))
end

-- Of each thread ------------------------------------------------------------------------------------------------------

answered, early, failed, complaint, sizes, latencies, moments = 0, 0, 0, "", {}, {}, {}
began, ended = math.huge, 0 -- of what is in `latencies`: wrk's own duration has threads that sleep at the end

local options, requests, turn = {}, {}, 0
local intended, location, pause, asked

function init(arguments)
  local headers = { ["Content-Type"] = "application/json" }
  for _, argument in ipairs(arguments) do
    local name, value = argument:match("^(%w+)=(.*)$")
    if name == "header" then
      local header, content = value:match("^([^:]+):(.*)$")
      headers[header] = content
    else
      options[name] = value
    end
  end
  for body in io.lines(options.bodies) do
    table.insert(requests, wrk.format("POST", options.path, headers, body))
  end
  for _, name in ipairs { "expect", "rate", "connections" } do options[name] = tonumber(options[name]) end
  turn = 37 * number -- so that threads do not send the same picture at the same time
  math.randomseed(20170825 + number) -- runs see the same arrivals, threads others
end

local function next_request()
  turn = turn % #requests + 1
  return requests[turn]
end

local function request_closed()
  return next_request()
end

local function request_open()
  -- The superposition of `connections` independent Poisson processes is one of `rate`.
  intended = (intended or now()) - math.log(1 - math.random()) * options.connections / options.rate
  sleep_until(intended)
  return next_request()
end

local function request_poll()
  if location then
    sleep_until(now() + pause)
    pause = math.min(2 * pause, LONGEST_PAUSE)
    return wrk.format("GET", location)
  end
  intended = now()
  return next_request()
end

local function count(status, body)
  if status == options.expect then
    answered = answered + 1
    -- One in eight answers says enough of how large batches are, and costs less.
    if answered % 8 == 0 then
      local size = tonumber(body:match('"batch_size":(%d+)'))
      if size then sizes[size] = (sizes[size] or 0) + 1 end
    end
  elseif status >= 200 and status < 300 then
    early = early + 1
  else
    failed = failed + 1
    complaint = status .. " " .. body
  end
end

local function record()
  began, ended = math.min(began, intended), now()
  table.insert(latencies, ended - intended)
end

local function response_closed(status, _, body)
  count(status, body)
end

local function response_open(status, _, body)
  count(status, body)
  record()
  table.insert(moments, intended)
end

local function response_poll(status, headers, body)
  if status >= 300 then
    count(status, body)
    location = nil
  elseif body:find(options.finished, 1, true) then
    answered = answered + 1
    record()
    location = nil
  elseif not location then
    location, pause = headers["location"] or headers["Location"], FIRST_PAUSE
  end
end

local modes = {
  closed = { request_closed, response_closed },
  open = { request_open, response_open },
  poll = { request_poll, response_poll },
}

function request()
  if number == 0 and not asked then -- wrk looks at one request before it begins
    asked = true
    return next_request()
  end
  return modes[options.mode][1]()
end

function response(status, headers, body)
  modes[options.mode][2](status, headers, body)
end
