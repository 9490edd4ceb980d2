-- Store answers, each only where its item is still open, and announce them once.
-- KEYS: group, pending, queued, drained
-- ARGV: group name, slice ("kind:id:start:stop"), start, stop, then for each answer: place, final state, result
-- Returns how many were stored.
local states = redis.call('HGET', KEYS[1], 'states')
if not states then
  redis.call('ZREM', KEYS[2], ARGV[2])
  return 0
end
local letters = {}
for i = 1, #states do
  letters[i] = string.sub(states, i, i)
end
local stored = 0
for a = 5, #ARGV, 3 do
  local i = tonumber(ARGV[a])
  local state = letters[i + 1]
  if state == 'q' or state == 'r' then
    letters[i + 1] = ARGV[a + 1]
    redis.call('HSET', KEYS[1], 'r' .. i, ARGV[a + 2])
    stored = stored + 1
  end
end
redis.call('HSET', KEYS[1], 'states', table.concat(letters))
local unfinished = false
for i = tonumber(ARGV[3]) + 1, tonumber(ARGV[4]) do
  unfinished = unfinished or letters[i] == 'q' or letters[i] == 'r'
end
if not unfinished then
  redis.call('ZREM', KEYS[2], ARGV[2])
end
if stored > 0 then
  redis.call('DECRBY', KEYS[3], stored)
  redis.call('INCRBY', KEYS[4], stored)
  redis.call('EXPIRE', KEYS[4], 120)
  if redis.call('HINCRBY', KEYS[1], 'left', -stored) == 0 then
    local time = redis.call('TIME')
    redis.call('HSET', KEYS[1], 'ended', time[1] * 1000000 + time[2])
    redis.call('EXPIRE', KEYS[1], redis.call('HGET', KEYS[1], 'ttl'))
  end
  redis.call('PUBLISH', 'hemline:done', ARGV[1])
end
return stored
