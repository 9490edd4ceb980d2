-- Whoever holds the lease writes: fields, an event, a state. It keeps the lease by doing so.
-- KEYS: job, due, events, waiting
-- ARGV: id, fence, lease (ms), state ("" to go on), event type ("" for none), event data, field that must be new ("" for
--       any), field, value, …
-- Returns "ok", "cancel" where that was asked for, "lost" where another holds the lease or the job has ended.
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[2] or redis.call('HGET', KEYS[1], 'status') ~= 'running' then
  return 'lost'
end
local known = ARGV[7] ~= '' and redis.call('HEXISTS', KEYS[1], ARGV[7]) == 1
for i = 8, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local state = ARGV[4]
if state == '' or state == 'queued' then
  redis.call('ZADD', KEYS[2], math.floor(now / 1000) + ARGV[3], ARGV[1])
else
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('HSET', KEYS[1], 'completed', now)
  count_end(ARGV[1], state)
end
if state ~= '' then
  redis.call('HSET', KEYS[1], 'status', state)
end
if state ~= '' and state ~= 'queued' then
  -- What has ended is read for its epochs; how it crept forward is of no more use.
  for _, entry in ipairs(redis.call('XRANGE', KEYS[3], '-', '+')) do
    if entry[2][2] == 'progress' then
      redis.call('XDEL', KEYS[3], entry[1])
    end
  end
end
if state == 'queued' then
  redis.call('INCR', KEYS[4])
end
if ARGV[5] ~= '' and not known then
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', 20000, '*', 'type', ARGV[5], 'data', ARGV[6])
  redis.call('PUBLISH', 'hemline:done', ARGV[1])
end
return redis.call('HEXISTS', KEYS[1], 'cancel') == 1 and 'cancel' or 'ok'
