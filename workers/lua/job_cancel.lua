-- End a waiting job, ask a running one to end.
-- KEYS: job, due, events, waiting      ARGV: id
-- Returns the state before, or nothing where there is no such job.
local status = redis.call('HGET', KEYS[1], 'status')
if status == 'queued' then
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[1], 'status', 'canceled', 'completed', time[1] * 1000000 + time[2])
  count_end(ARGV[1], 'canceled')
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('DECR', KEYS[4])
  redis.call('XADD', KEYS[3], '*', 'type', 'canceled', 'data', '{}')
  redis.call('PUBLISH', 'hemline:done', ARGV[1])
elseif status == 'running' then
  redis.call('HSET', KEYS[1], 'cancel', 1)
end
return status
