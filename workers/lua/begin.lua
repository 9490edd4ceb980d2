-- A worker takes a slice of a group: what is open in it becomes running and is leased.
-- KEYS: group, pending
-- ARGV: slice ("kind:id:start:stop"), start, stop, lease (ms)
-- Returns {attempt, version, created (us), now (us), {place, pixels, place, pixels, …}}; nothing where all is final.
local start, stop = tonumber(ARGV[2]), tonumber(ARGV[3])
local states = redis.call('HGET', KEYS[1], 'states')
local items, taken = {}, {}
for i = start, stop - 1 do
  local state = states and string.sub(states, i + 1, i + 1)
  if state == 'q' or state == 'r' then
    items[#items + 1] = i
    items[#items + 1] = redis.call('HGET', KEYS[1], 'p' .. i)
    state = 'r'
  end
  taken[#taken + 1] = state
end
if #items == 0 then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return false
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
redis.call('HSET', KEYS[1], 'states', string.sub(states, 1, start) .. table.concat(taken) .. string.sub(states, stop + 1))
redis.call('HSETNX', KEYS[1], 'started', now)
redis.call('ZADD', KEYS[2], math.floor(now / 1000) + ARGV[4], ARGV[1])
local fields = redis.call('HMGET', KEYS[1], 'version', 'created')
return {redis.call('HINCRBY', KEYS[1], 'a' .. start, 1), fields[1], fields[2], now, items}
