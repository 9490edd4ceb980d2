-- Bring a tuning job in step with its trials, and end trials that are not wanted any more. Whoever has changed a trial
-- runs this, and the sweep runs it again for whoever could not.
-- KEYS: job, due, events, waiting, due of trials, waiting trials, trial…
-- ARGV: id, due (ms from now), "cancel" to ask for the end, timeout (s, 0 for none), error where no trial succeeded,
--       error where the time was over before one did, trial id…
-- Returns {state, trials that wait}, or nothing where there is no such job.
local state, asked, started = unpack(redis.call('HMGET', KEYS[1], 'status', 'cancel', 'started'))
if not state then
  return false
end
if state ~= 'queued' and state ~= 'running' then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return {state, 0}
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local total, done, running = #KEYS - 6, 0, 0
local waiting, open = {}, {}
local best, highest
for i = 7, #KEYS do
  local trial, value = unpack(redis.call('HMGET', KEYS[i], 'status', 'value'))
  if trial == 'queued' then
    table.insert(waiting, i)
  elseif trial == 'running' then
    running = running + 1
    table.insert(open, i)
  else
    done = done + 1
    -- Only what ran to its end has a value.
    if trial == 'succeeded' and value and (not highest or tonumber(value) > highest) then
      best, highest = i - 7, tonumber(value)
    end
  end
end

if not asked and done < total then
  if ARGV[3] ~= '' then
    asked = ARGV[3]
  elseif tonumber(ARGV[4]) > 0 and started and now - started >= ARGV[4] * 1000000 then
    asked = 'timeout'
  end
  if asked then
    redis.call('HSET', KEYS[1], 'cancel', asked)
  end
end
if asked then
  for _, i in ipairs(waiting) do
    redis.call('HSET', KEYS[i], 'status', 'canceled', 'completed', now)
    count_end('trial', 'canceled')
    redis.call('ZREM', KEYS[5], ARGV[i])
    redis.call('DECR', KEYS[6])
  end
  done = done + #waiting
  waiting = {}
  for _, i in ipairs(open) do
    redis.call('HSET', KEYS[i], 'cancel', 1)
  end
end

local after = state
if done == total then
  after = asked == 'cancel' and 'canceled' or best and 'succeeded' or 'failed'
elseif running + done > 0 then
  after = 'running'
end
local progress = cjson.encode({done = done, total = total, fraction = done / total, best_trial = best})
local changed = redis.call('HGET', KEYS[1], 'progress') ~= progress
if changed then
  redis.call('HSET', KEYS[1], 'progress', progress)
  redis.call('XADD', KEYS[3], '*', 'type', 'progress', 'data', progress)
end
if after ~= state then
  changed = true
  redis.call('HSET', KEYS[1], 'status', after)
  if state == 'queued' then
    redis.call('DECR', KEYS[4])
    if after ~= 'canceled' then
      redis.call('HSETNX', KEYS[1], 'started', now)
    end
  end
end
if done < total then
  redis.call('ZADD', KEYS[2], math.floor(now / 1000) + ARGV[2], ARGV[1])
  if after ~= state then
    redis.call('XADD', KEYS[3], '*', 'type', after, 'data', '{}')
  end
else
  local data = '{}'
  if after == 'succeeded' then
    data = cjson.encode({best_trial = best})
    redis.call('HSET', KEYS[1], 'result', data)
  elseif after == 'failed' then
    data = asked and ARGV[6] or ARGV[5]
    redis.call('HSET', KEYS[1], 'error', data)
  end
  redis.call('HSET', KEYS[1], 'completed', now)
  count_end(ARGV[1], after)
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('XADD', KEYS[3], '*', 'type', after, 'data', data)
end
if changed then
  redis.call('PUBLISH', 'hemline:done', ARGV[1])
end
return {after, #waiting}
