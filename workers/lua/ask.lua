-- What scripts share that ask for the slices of a group; put before those that need it.

-- The slices of a group of so many items are pending, and a message asks for each.
local function ask(group, count, slice, message, queue, pending, due)
  for start = 0, count - 1, slice do
    local piece = group .. ':' .. start .. ':' .. math.min(start + slice, count)
    redis.call('ZADD', pending, due, piece)
    redis.call('LPUSH', queue, (string.gsub(message, '@', piece)))
  end
end
