-- What scripts share about batches of several parts; put behind `ask` and `hooks`.
-- A part is a group named after its batch. Parts are handed to the workers one after another, so that a large batch
-- never has more than a few messages in the queue, and others get their turn in between.

local function part_key(batch, number)
  return string.format('%s.%04d', batch, number)
end

-- The next part with open items is asked for. Returns its number; -1 where none is left.
local function hand_out(batch, pending, queue, message, slice, due)
  local parts, number = unpack(redis.call('HMGET', batch, 'parts', 'next'))
  for part = tonumber(number), parts - 1 do
    local key = part_key(batch, part)
    local left, states, own = unpack(redis.call('HMGET', key, 'left', 'states', 'slice'))
    if left and left ~= '0' then
      ask(string.sub(key, 9), #states, tonumber(own) or slice, message, queue, pending, due) -- without "hemline:"
      redis.call('HSET', batch, 'next', part + 1)
      return part
    end
  end
  redis.call('HSET', batch, 'next', parts)
  return -1
end

-- A group, or a batch with all its parts, has ended and is kept for its time.
local function conclude(key, now)
  local ttl, parts = unpack(redis.call('HMGET', key, 'ttl', 'parts'))
  redis.call('HSET', key, 'ended', now)
  redis.call('EXPIRE', key, ttl)
  tell_end(key, now)
  for part = 0, (parts or 0) - 1 do
    redis.call('EXPIRE', part_key(key, part), ttl)
  end
end
