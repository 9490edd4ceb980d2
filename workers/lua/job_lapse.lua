-- The sweep looks at a job that is due: one whose worker is silent waits anew, or has had its chances.
-- KEYS: job, due, events, waiting, its queue      ARGV: id, most attempts, due (ms from now), error
-- Returns 1 when it is to be sent again.
local status = redis.call('HGET', KEYS[1], 'status')
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local due = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or '0')
if due > now / 1000 then
  return 0
end
if status ~= 'running' and status ~= 'queued' then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return 0
end
if status == 'running' and redis.call('HEXISTS', KEYS[1], 'cancel') == 1 then
  redis.call('HSET', KEYS[1], 'status', 'canceled', 'completed', now)
  count_end(ARGV[1], 'canceled')
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('XADD', KEYS[3], '*', 'type', 'canceled', 'data', '{}')
elseif status == 'running' and tonumber(redis.call('HGET', KEYS[1], 'attempts')) >= tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'status', 'failed', 'completed', now, 'error', ARGV[4])
  count_end(ARGV[1], 'failed')
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('XADD', KEYS[3], '*', 'type', 'failed', 'data', ARGV[4])
else
  if status == 'running' then
    redis.call('HSET', KEYS[1], 'status', 'queued')
    redis.call('INCR', KEYS[4])
    redis.call('XADD', KEYS[3], '*', 'type', 'interrupted', 'data', '{}')
  end
  redis.call('ZADD', KEYS[2], math.floor(now / 1000) + ARGV[3], ARGV[1])
  -- Celery writes a message's arguments into its headers.
  local sent = false
  for _, message in ipairs(redis.call('LRANGE', KEYS[5], 0, -1)) do
    sent = sent or string.find(message, ARGV[1], 1, true)
  end
  return sent and 0 or 1
end
redis.call('PUBLISH', 'hemline:done', ARGV[1])
return 0
