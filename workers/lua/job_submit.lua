-- Accept a job.
-- KEYS: job, index, due, events, waiting      ARGV: id, spec, most waiting, due (ms from now), owner ("" for nobody), most open of an owner
-- Returns {created (us)}, nothing when too many wait, {} when too many of the owner's are open.
if redis.call('EXISTS', KEYS[1]) == 0 then
  if is_over('hemline:open:jobs', ARGV[5], ARGV[6]) then
    return {}
  end
  if redis.call('INCR', KEYS[5]) > tonumber(ARGV[3]) then
    redis.call('DECR', KEYS[5])
    return false
  end
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  redis.call('HSET', KEYS[1], 'spec', ARGV[2], 'status', 'queued', 'created', now, 'fence', 0, 'attempts', 0)
  redis.call('ZADD', KEYS[2], 0, ARGV[1])
  redis.call('ZADD', KEYS[3], math.floor(now / 1000) + ARGV[4], ARGV[1])
  redis.call('XADD', KEYS[4], '*', 'type', 'queued', 'data', '{}')
  open_one('hemline:open:jobs', ARGV[5])
end
return {tonumber(redis.call('HGET', KEYS[1], 'created'))}
