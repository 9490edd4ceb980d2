-- Store answers, each only where its item is still open, and announce them once.
-- KEYS: group, pending, queued, drained, the batch that the group is a part of, where it is one
-- ARGV: name to announce, slice ("kind:id:start:stop"), start, stop, then for each answer: place, final state, result
-- Returns how many were stored.
local states, labels = unpack(redis.call('HMGET', KEYS[1], 'states', 'labels'))
if not states then
  redis.call('ZREM', KEYS[2], ARGV[2])
  return 0
end
local batch = KEYS[5]
local letters = {}
for i = 1, #states do
  letters[i] = string.sub(states, i, i)
end

-- How a batch is told: this state or this pair of expected and answered class has one more, or one less.
local function count(field, by)
  if batch then
    redis.call('HINCRBY', batch, field, by)
  end
end

local function best_class(result)
  local probabilities, best = {struct.unpack('<ffffffffff', result)}, 1
  for class = 2, 10 do
    best = probabilities[class] > probabilities[best] and class or best
  end
  return best - 1
end

local stored = 0
for a = 5, #ARGV, 3 do
  local i = tonumber(ARGV[a])
  local state = letters[i + 1]
  if state == 'q' or state == 'r' then
    letters[i + 1] = ARGV[a + 1]
    redis.call('HSET', KEYS[1], 'r' .. i, ARGV[a + 2])
    stored = stored + 1
    count(state, -1)
    count(ARGV[a + 1], 1)
    local expected = labels and string.sub(labels, i + 1, i + 1) or '-'
    if ARGV[a + 1] == 's' and expected ~= '-' then
      count('m' .. expected .. best_class(ARGV[a + 2]), 1)
    end
    if batch then
      redis.call('HDEL', KEYS[1], 'p' .. i)
    end
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
  local left = redis.call('HINCRBY', KEYS[1], 'left', -stored)
  if batch then
    left = redis.call('HINCRBY', batch, 'left', -stored)
  end
  if left == 0 then
    local time = redis.call('TIME')
    conclude(batch or KEYS[1], time[1] * 1000000 + time[2])
  end
  redis.call('PUBLISH', 'hemline:done', ARGV[1])
end
return stored
