-- Forget a batch of several parts, or cancel what has not begun of it.
-- KEYS: batch, index, waiting in batches      ARGV: batch name, "forget" | "cancel"
-- Returns 1 when something changed, 0 when there was nothing to change, -1 when there is no such batch.
local parts, left, owner = unpack(redis.call('HMGET', KEYS[1], 'parts', 'left', 'owners'))
if not parts then
  return -1
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
if ARGV[2] == 'forget' then
  -- Slices that are still pending find no group and vanish when they are looked at.
  for part = 0, parts - 1 do
    redis.call('UNLINK', part_key(KEYS[1], part))
  end
  redis.call('UNLINK', KEYS[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('DECRBY', KEYS[3], left)
  close_some('hemline:open:bulk', owner, tonumber(left))
else
  local closed = 0
  for part = 0, parts - 1 do
    local key = part_key(KEYS[1], part)
    local states, count = string.gsub(redis.call('HGET', key, 'states') or '', 'q', 'c')
    if count > 0 then
      redis.call('HSET', key, 'states', states, 'canceled', now)
      redis.call('HINCRBY', key, 'left', -count)
      closed = closed + count
    end
  end
  if closed == 0 then
    return 0
  end
  redis.call('DECRBY', KEYS[3], closed)
  close_some('hemline:open:bulk', owner, closed)
  redis.call('HINCRBY', KEYS[1], 'q', -closed)
  redis.call('HINCRBY', KEYS[1], 'c', closed)
  redis.call('HSET', KEYS[1], 'canceled', now, 'next', parts)
  if redis.call('HINCRBY', KEYS[1], 'left', -closed) == 0 then
    conclude(KEYS[1], now)
  end
end
redis.call('PUBLISH', 'hemline:done', ARGV[1])
return 1
