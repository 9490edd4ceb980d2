-- Forget one item, forget a whole group, or cancel what has not begun.
-- KEYS: group, index, pending, queued
-- ARGV: group name, "forget" | "cancel", place ("" for all)
-- Returns 1 when something changed, 0 when there was nothing to change, -1 when there is no such item.
local states, owners, by, size = unpack(redis.call('HMGET', KEYS[1], 'states', 'owners', 'by', 'slice'))
if not states then
  return -1
end
local group, forget, place = ARGV[1], ARGV[2] == 'forget', tonumber(ARGV[3])
if place and (place >= #states or string.sub(states, place + 1, place + 1) == 'd') then
  return -1
end
local letters, changed, closed, remembered = {}, 0, 0, 0
local whose, closed_of = owner_of(owners, by), {}
for i = 1, #states do
  local state = string.sub(states, i, i)
  if not place or place == i - 1 then
    local open = state == 'q' or (forget and state == 'r')
    if open or forget then
      changed = 1
      closed = closed + (open and 1 or 0)
      local owner = open and whose(i - 1)
      if owner then
        closed_of[owner] = (closed_of[owner] or 0) + 1
      end
      redis.call('HDEL', KEYS[1], 'p' .. (i - 1))
      if forget then
        redis.call('HDEL', KEYS[1], 'd' .. (i - 1), 'r' .. (i - 1), 'w' .. (i - 1))
      end
      state = forget and 'd' or 'c'
    end
  end
  remembered = remembered + (state == 'd' and 0 or 1)
  letters[i] = state
end
if changed == 0 then
  return 0
end
if closed > 0 then
  redis.call('DECRBY', KEYS[4], closed)
  for owner, some in pairs(closed_of) do
    close_some('hemline:open:pred', owner, some)
  end
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
letters = table.concat(letters)
redis.call('HSET', KEYS[1], 'states', letters)
for start = 0, size and #letters - 1 or -1, tonumber(size) or 1 do
  if not string.find(string.sub(letters, start + 1, start + size), '[qrs]') then
    redis.call('HDEL', KEYS[1], 'P' .. start)
  end
end
if not forget then
  redis.call('HSET', KEYS[1], 'canceled', now)
end
if remembered == 0 then
  -- Slices that are still pending find no group and vanish when they are looked at.
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], group)
elseif closed > 0 and redis.call('HINCRBY', KEYS[1], 'left', -closed) == 0 then
  redis.call('HSET', KEYS[1], 'ended', now)
  redis.call('EXPIRE', KEYS[1], redis.call('HGET', KEYS[1], 'ttl'))
  tell_end(KEYS[1], now)
end
redis.call('PUBLISH', 'hemline:done', group)
return 1
