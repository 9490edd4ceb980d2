-- Accept a tuning job with all its trials, or nothing of it.
-- KEYS: job, index, due, events, waiting, waiting trials, full, trial…
-- ARGV: id, spec, most waiting, due (ms from now), owner ("" for nobody), most open of an owner
-- Returns {created (us)}, nothing when too many wait or Redis is too full, {} when too many of the owner's are open.
local created = redis.call('HGET', KEYS[1], 'created')
if created then
  return {tonumber(created)} -- sent twice, as its answer was lost
end
if redis.call('EXISTS', KEYS[7]) == 1 or tonumber(redis.call('GET', KEYS[5]) or '0') >= tonumber(ARGV[3]) then
  return false
end
if is_over('hemline:open:jobs', ARGV[5], ARGV[6]) then
  return {}
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
redis.call('HSET', KEYS[1], 'spec', ARGV[2], 'status', 'queued', 'created', now)
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('ZADD', KEYS[3], math.floor(now / 1000) + ARGV[4], ARGV[1])
redis.call('XADD', KEYS[4], '*', 'type', 'queued', 'data', '{}')
redis.call('INCR', KEYS[5])
open_one('hemline:open:jobs', ARGV[5])
redis.call('INCRBY', KEYS[6], #KEYS - 7)
for i = 8, #KEYS do
  redis.call('HSET', KEYS[i], 'spec', '{"number":' .. i - 8 .. '}', 'status', 'queued', 'created', now, 'fence', 0,
    'attempts', 0)
end
return {now}
