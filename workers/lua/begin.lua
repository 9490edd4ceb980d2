-- A worker takes a slice of a group: what is open in it becomes running and is leased. The first to take one of a
-- batch's newest part hands out the part after it.
-- KEYS: group, pending, queue, the batch that it is a part of, where it is one
-- ARGV: slice ("kind:id:start:stop"), start, stop, lease (ms), slice size, message
-- Returns {attempt, version, created (us), now (us), {place, …}, {pixels, …} or the block of them}; nothing where all is
--         final.
local start, stop = tonumber(ARGV[2]), tonumber(ARGV[3])
local states, version, created, size = unpack(redis.call('HMGET', KEYS[1], 'states', 'version', 'created', 'slice'))
local places, names, taken, begun = {}, {}, {}, 0
for i = start, stop - 1 do
  local state = states and string.sub(states, i + 1, i + 1)
  if state == 'q' or state == 'r' then
    begun = begun + (state == 'q' and 1 or 0)
    places[#places + 1] = i
    names[#names + 1] = 'p' .. i
    state = 'r'
  end
  taken[#taken + 1] = state
end
if #places == 0 then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return false
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local due = math.floor(now / 1000) + ARGV[4]
redis.call('HSET', KEYS[1], 'states', string.sub(states, 1, start) .. table.concat(taken) .. string.sub(states, stop + 1))
redis.call('HSETNX', KEYS[1], 'started', now)
redis.call('ZADD', KEYS[2], due, ARGV[1])
local batch = KEYS[4]
if batch then
  redis.call('HSETNX', batch, 'started', now)
  redis.call('HINCRBY', batch, 'q', 0 - begun) -- where none is, Lua writes -begun as "-0", which is no number to Redis
  redis.call('HINCRBY', batch, 'r', begun)
  if part_key(batch, redis.call('HGET', batch, 'next') - 1) == KEYS[1] then
    hand_out(batch, KEYS[2], KEYS[3], ARGV[6], tonumber(ARGV[5]), due)
  end
end
local attempt = redis.call('HINCRBY', KEYS[1], 'a' .. start, 1)
local pixels = size and redis.call('HGET', KEYS[1], 'P' .. start) or redis.call('HMGET', KEYS[1], unpack(names))
return {attempt, version, created, now, places, pixels}
