-- Whoever sends a request with an idempotency key asks for the right to carry it out.
-- KEYS: what is remembered of the key      ARGV: fingerprint, name of what is to be made, lease (ms), ttl (s)
-- Returns {"new", name} | {"again", name} where the one before died | {"done", name} | {"busy"} | {"other"}
local time = redis.call('TIME')
local now = math.floor(time[1] * 1000 + time[2] / 1000)
local known, state, name = redis.call('GET', KEYS[1]), 'new', ARGV[2]
if known then
  local fingerprint, due
  fingerprint, due, name = string.match(known, '^(%x+)|(%d+)|(.*)$')
  if fingerprint ~= ARGV[1] then
    return {'other'}
  elseif due == '0' then
    return {'done', name}
  elseif tonumber(due) > now then
    return {'busy'}
  end
  state = 'again'
end
redis.call('SET', KEYS[1], string.format('%s|%d|%s', ARGV[1], now + ARGV[3], name), 'EX', ARGV[4])
return {state, name}
