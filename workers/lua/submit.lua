-- Accept a group: pin its model version, store its records and ask for its slices in one step, or do nothing.
-- KEYS: group, index, pending, queued, aliases, versions, full, queue
-- ARGV: group name, model (alias or version), most queued, ttl (s), due (ms from now), slice size, message, channel of
--       who waits, states, owners, how long keys of requests are remembered (s), their lines, whose each item is, most
--       open of an owner, webhooks of items, webhook of the group, how many may wait before the next is asked for its
--       time, the longest that it may have waited then (us), "1" where items are kept in blocks, metadata, then fields
--       and values as they are stored where they are in blocks, else doc…, pixels…, digest…
--       (a line is "place|key|fingerprint" of an item that has one, and "place|URL" where it has a webhook; a doc and a
--       pixel string for each state; an item that failed already has its error in place of pixels; digests only where
--       answers to the same pixels are reused)
-- Returns {"accepted", version, created (us), queued now, answers that were there, {"place|name"…} of items that were
--         accepted before, without the name where that was with another body, with "!" of those that are too many of
--         their owner's} | {"unknown model"} | {"full", queued now} | {"late", queued now} where it would wait for too
--         long | {"over"} where too many are the owner's of a batch
local group, model, most, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local due, slice, message, states = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], ARGV[9]
local count, before, in_blocks = #states, 20, ARGV[19] == '1'
local reuses = not in_blocks and #ARGV > before + 2 * count
local _, open = string.gsub(states, 'q', '')

local version = redis.call('HGET', KEYS[5], model) or model
if redis.call('SISMEMBER', KEYS[6], version) == 0 then
  return {'unknown model'}
end
local queued = tonumber(redis.call('GET', KEYS[4]) or '0')

local hooks = {}
for place, url in string.gmatch(ARGV[15], '(%d+)|([^\n]+)') do
  hooks[tonumber(place)] = url
end
local sent, repeated, again, new = {}, {}, {}, {}
for place, key, fingerprint in string.gmatch(ARGV[12], '(%d+)|([^|]+)|(%x+)') do
  sent[tonumber(place)] = {key, fingerprint}
end
local whose, most_of_one = owner_of(ARGV[10], ARGV[13]), tonumber(ARGV[14])
local opened, more = {}, {}
local is_new = redis.call('EXISTS', KEYS[1]) == 0
for i = 0, count - 1 do
  local key, fingerprint = unpack(sent[i] or {})
  local known = key and (new[key] or redis.call('GET', key))
  local old, found = string.match(known or '', '^(%x+)|%d+|(.*)$')
  local owner = whose(i)
  if found and found ~= group .. '/' .. i then -- else this script runs again, as its answer was lost
    again[i] = old == fingerprint and found or ''
  elseif owner and is_new and string.sub(states, i + 1, i + 1) == 'q' then
    opened[owner] = opened[owner] or tonumber(redis.call('HGET', 'hemline:open:pred', owner) or '0')
    if opened[owner] < most_of_one then
      opened[owner] = opened[owner] + 1
      more[owner] = (more[owner] or 0) + 1
    else
      again[i] = '!'
    end
  end
  if again[i] then
    repeated[#repeated + 1] = i .. '|' .. again[i]
    open = open - 1
  elseif key then
    new[key] = fingerprint .. '|0|' .. group .. '/' .. i
  end
end
if string.sub(group, 1, 6) == 'batch:' and #repeated > 0 then
  return {'over'}
end
-- A client that tries again after a lost answer must not be stored twice.
if not is_new then
  local fields = redis.call('HMGET', KEYS[1], 'version', 'created')
  return {'accepted', fields[1], tonumber(fields[2]), queued, '', repeated}
end
if #repeated == count then
  return {'accepted', version, 0, queued, '', repeated}
end
if queued + open > most or redis.call('EXISTS', KEYS[7]) == 1 then
  return {'full', queued}
end

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
-- How many wait tells how long that takes only where it is known how fast they are answered. Where they are few for what
-- the workers can do, or it was quiet before, the next in line has not waited for long, and all is well.
if queued + open > tonumber(ARGV[17]) then
  local head = string.match(redis.call('LINDEX', KEYS[8], -1) or '', '"(pred:%w+):%d+:%d+"')
  local since = head and redis.call('HGET', 'hemline:' .. head, 'created')
  if since and now - since > tonumber(ARGV[18]) then
    return {'late', queued}
  end
end
local letters, answers, record = {}, {}, {}
local function set(field, value)
  record[#record + 1] = field
  record[#record + 1] = value
end
if in_blocks then
  letters, record = {states}, {unpack(ARGV, before + 1)}
end
for i = 0, in_blocks and -1 or count - 1 do -- else one by one
  local state = again[i] and 'd' or string.sub(states, i + 1, i + 1)
  if state ~= 'd' then
    set('d' .. i, ARGV[before + 1 + i])
    set((state == 'q' and 'p' or 'r') .. i, ARGV[before + 1 + count + i])
  end
  if reuses and state == 'q' then
    local digest = ARGV[before + 1 + 2 * count + i]
    local known = redis.call('GET', 'hemline:answer:' .. version .. ':' .. digest)
    if known then
      -- Computed in no batch and no time, now.
      local result = string.sub(known, 1, 45) .. struct.pack('<HfI8I8', 0, 0, now, now) .. string.sub(known, 68)
      state, open = 's', open - 1
      local owner = whose(i)
      if owner then
        more[owner] = more[owner] - 1
      end
      set('r' .. i, result)
      answers[#answers + 1] = struct.pack('<HcI', i, 's', #result) .. result
      tell(hooks[i], public_id(group, i), 'succeeded', owner, now)
    else
      set('h' .. i, digest)
    end
  end
  letters[i + 1] = state
  if hooks[i] and state == 'q' then
    set('w' .. i, hooks[i])
  end
end
set('states', table.concat(letters))
set('left', open)
if ARGV[10] ~= '' then
  set('owners', ARGV[10])
end
if ARGV[13] ~= '' then
  set('by', ARGV[13])
end
if ARGV[15] ~= '' then
  set('hooks', 1)
end
if ARGV[16] ~= '' then
  set('webhook', ARGV[16])
end
-- At most 6,200 values, of some 8,000 that Lua's stack takes.
redis.call('HSET', KEYS[1], 'version', version, 'created', now, 'ttl', ttl, 'metadata', ARGV[before], 'channel', ARGV[8],
  unpack(record))
redis.call('ZADD', KEYS[2], 0, group)
if open == 0 then
  redis.call('HSET', KEYS[1], 'ended', now)
  redis.call('EXPIRE', KEYS[1], ttl)
  tell_end(KEYS[1], now)
else
  queued = redis.call('INCRBY', KEYS[4], open)
  ask(group, count, slice, message, KEYS[8], KEYS[3], math.floor(now / 1000) + due)
end
for owner, some in pairs(more) do
  if some > 0 then
    redis.call('HINCRBY', 'hemline:open:pred', owner, some)
  end
end
for key, value in pairs(new) do
  redis.call('SET', key, value, 'EX', ARGV[11])
end
return {'accepted', version, now, queued, table.concat(answers), repeated}
