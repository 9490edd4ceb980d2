-- Store answers, each only where its item is still open, and announce them once: by name to everybody (a batch only when
-- it has ended), with the answers to the process that waits for them.
-- KEYS: group, pending, queued, drained (with ":pred" behind it, of single predictions alone), the batch that the group is
--       a part of, where it is one
-- ARGV: name to announce, slice ("kind:id:start:stop"), start, stop, how long answers are reused (s, 0 where they are not),
--       then for each answer: place, final state, result
-- Returns how many were stored.
local states, labels, channel, version, owners, by, hooks = unpack(redis.call('HMGET', KEYS[1], 'states', 'labels',
  'channel', 'version', 'owners', 'by', 'hooks'))
if not states then
  redis.call('ZREM', KEYS[2], ARGV[2])
  return 0
end
local batch, heard = KEYS[5], channel and channel ~= ''
local whose = owner_of(batch and redis.call('HGET', batch, 'owners') or owners, by)
local closed = {}
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local start, stop, reuse = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local letters = {}
for i = start + 1, stop do
  letters[i - start] = string.sub(states, i, i)
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

local stored, record, answers, dropped = 0, {}, {ARGV[1] .. '\n'}, {}
for a = 6, #ARGV, 3 do
  local i, final, result = tonumber(ARGV[a]), ARGV[a + 1], ARGV[a + 2]
  local state = letters[i - start + 1]
  if state == 'q' or state == 'r' then
    letters[i - start + 1] = final
    record[#record + 1] = 'r' .. i
    record[#record + 1] = result
    dropped[#dropped + 1] = 'p' .. i
    if heard then
      answers[#answers + 1] = struct.pack('<HcI', i, final, #result) .. result
    end
    stored = stored + 1
    local owner = whose(i)
    if hooks then
      tell(redis.call('HGET', KEYS[1], 'w' .. i), public_id(string.sub(KEYS[1], 9), i),
        final == 's' and 'succeeded' or 'failed', owner, now)
    end
    if owner then
      closed[owner] = (closed[owner] or 0) + 1
    end
    local digest = reuse > 0 and final == 's' and redis.call('HGET', KEYS[1], 'h' .. i)
    if digest then
      redis.call('SET', 'hemline:answer:' .. version .. ':' .. digest, result, 'EX', reuse)
    end
    count(state, -1)
    count(final, 1)
    local expected = labels and string.sub(labels, i + 1, i + 1) or '-'
    if final == 's' and expected ~= '-' then
      count('m' .. expected .. best_class(result), 1)
    end
  end
end
if not string.find(table.concat(letters), '[qr]') then
  redis.call('ZREM', KEYS[2], ARGV[2])
end
if stored > 0 then
  record[#record + 1] = 'states'
  record[#record + 1] = string.sub(states, 1, start) .. table.concat(letters) .. string.sub(states, stop + 1)
  redis.call('HSET', KEYS[1], unpack(record))
  redis.call('DECRBY', KEYS[3], stored)
  for owner, some in pairs(closed) do
    close_some(batch and 'hemline:open:bulk' or 'hemline:open:pred', owner, some)
  end
  for _, drained in ipairs({KEYS[4], string.sub(ARGV[1], 1, 5) == 'pred:' and KEYS[4] .. ':pred' or nil}) do
    redis.call('INCRBY', drained, stored)
    redis.call('EXPIRE', drained, 120)
  end
  local left = redis.call('HINCRBY', KEYS[1], 'left', -stored)
  if batch then
    redis.call('HDEL', KEYS[1], unpack(dropped))
    left = redis.call('HINCRBY', batch, 'left', -stored)
  end
  if left == 0 then
    conclude(batch or KEYS[1], now)
  end
  if left == 0 or string.sub(ARGV[1], 1, 5) == 'pred:' then
    redis.call('PUBLISH', 'hemline:done', ARGV[1])
  end
  if heard then
    redis.call('PUBLISH', channel, table.concat(answers))
  end
end
return stored
