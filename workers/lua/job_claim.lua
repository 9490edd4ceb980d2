-- A worker takes a job that waits. Whoever held it before can change nothing any more: the fence has risen.
-- KEYS: job, due, events, waiting      ARGV: id, lease (ms)
-- Returns the fence, or nothing where the job is not waiting.
if redis.call('HGET', KEYS[1], 'status') ~= 'queued' then
  return false
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local fence = redis.call('HINCRBY', KEYS[1], 'fence', 1)
local attempt = redis.call('HINCRBY', KEYS[1], 'attempts', 1)
redis.call('DECR', KEYS[4])
redis.call('HSET', KEYS[1], 'status', 'running')
redis.call('HSETNX', KEYS[1], 'started', now)
redis.call('ZADD', KEYS[2], math.floor(now / 1000) + ARGV[2], ARGV[1])
redis.call('XADD', KEYS[3], '*', 'type', 'running', 'data', '{"attempt":' .. attempt .. '}')
redis.call('PUBLISH', 'hemline:done', ARGV[1])
return fence
