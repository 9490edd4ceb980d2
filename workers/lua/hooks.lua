-- What has ended is told to the URL that came with it: the message is there in the step in which the thing ends, and
-- `workers.webhooks` delivers it. Put before scripts that end something.
local LETTERS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ' -- as in `workers.ids`

local function public_id(group, place)
  local high, low = math.floor(place / 32) + 1, place % 32 + 1
  return string.gsub(group, ':', '_') .. string.sub(LETTERS, high, high) .. string.sub(LETTERS, low, low)
end

-- A message about this resource, unless there is no URL. Its id is made of the resource's: there is one of each.
local function tell(url, resource, state, owner, now)
  if url and url ~= '' then
    local id = 'msg_' .. string.match(resource, '_(.*)$')
    redis.call('HSET', 'hemline:' .. id, 'url', url, 'resource', resource, 'state', state, 'owner', owner or '',
      'created', now, 'status', 'pending')
    redis.call('ZADD', 'hemline:due:msg', math.floor(now / 1000), id)
    redis.call('ZADD', 'hemline:index:msg', 0, id)
  end
end

-- The same about a group or batch that has ended as a whole.
local function tell_end(key, now)
  local url, canceled, owner = unpack(redis.call('HMGET', key, 'webhook', 'canceled', 'owners'))
  tell(url, public_id(string.sub(key, 9), 0), canceled and 'canceled' or 'succeeded', owner, now) -- without "hemline:"
end
