-- Store answers, each only where its item is still open, and announce them once: by name to everybody (a batch only when
-- it has ended), with the answers to the process that waits for them.
-- KEYS: group, pending, queued, drained (with ":pred" behind it, of single predictions alone), the batch that the group is
--       a part of, where it is one
-- ARGV: name to announce, slice ("kind:id:start:stop"), start, stop, how long answers are reused (s, 0 where they are not),
--       then for each answer: place, final state, result; or, for a whole slice that is kept in blocks: the block of
--       results, the class of each as a digit ("-" where it was not taken)
-- Returns how many were stored.
local states, labels, channel, version, owners, by, hooks, size = unpack(redis.call('HMGET', KEYS[1], 'states', 'labels',
  'channel', 'version', 'owners', 'by', 'hooks', 'slice'))
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

-- What a batch is told: this state or this pair of expected and answered class has one more, or one less.
local changes = {}
local function count(field, by)
  changes[field] = (changes[field] or 0) + by
end

local function best_class(result)
  local probabilities, best = {struct.unpack('<ffffffffff', result)}, 1
  for class = 2, 10 do
    best = probabilities[class] > probabilities[best] and class or best
  end
  return best - 1
end

local stored, record, answers, dropped = 0, {}, {ARGV[1] .. '\n'}, {}
local function close(i, state, final, class, result)
  stored = stored + 1
  letters[i - start + 1] = final
  local owner = whose(i)
  if owner then
    closed[owner] = (closed[owner] or 0) + 1
  end
  count(state, -1)
  count(final, 1)
  local expected = labels and string.sub(labels, i + 1, i + 1) or '-'
  if final == 's' and expected ~= '-' then
    count('m' .. expected .. (class or best_class(result)), 1)
  end
end

local in_block = #ARGV == 7
if in_block then
  for i = start, stop - 1 do
    local state, class = letters[i - start + 1], string.sub(ARGV[7], i - start + 1, i - start + 1)
    if class ~= '-' and (state == 'q' or state == 'r') then
      close(i, state, 's', class)
    end
  end
  record = {'R' .. start, ARGV[6]}
elseif size then
  record = {'single', 1}
end
for a = 6, in_block and 0 or #ARGV, 3 do
  local i, final, result = tonumber(ARGV[a]), ARGV[a + 1], ARGV[a + 2]
  local state = letters[i - start + 1]
  if state == 'q' or state == 'r' then
    close(i, state, final, nil, result)
    record[#record + 1] = 'r' .. i
    record[#record + 1] = result
    dropped[#dropped + 1] = 'p' .. i
    if heard then
      answers[#answers + 1] = struct.pack('<HcI', i, final, #result) .. result
    end
    if hooks then
      tell(redis.call('HGET', KEYS[1], 'w' .. i), public_id(string.sub(KEYS[1], 9), i),
        final == 's' and 'succeeded' or 'failed', whose(i), now)
    end
    local digest = reuse > 0 and final == 's' and redis.call('HGET', KEYS[1], 'h' .. i)
    if digest then
      redis.call('SET', 'hemline:answer:' .. version .. ':' .. digest, result, 'EX', reuse)
    end
  end
end
if not string.find(table.concat(letters), '[qr]') then
  redis.call('ZREM', KEYS[2], ARGV[2])
  dropped[#dropped + 1] = 'P' .. start
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
    for field, by in pairs(changes) do
      redis.call('HINCRBY', batch, field, by)
    end
    if dropped[1] then
      redis.call('HDEL', KEYS[1], unpack(dropped))
    end
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
