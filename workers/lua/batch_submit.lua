-- Accept a batch whose parts are stored already, where they would expire: in this step it becomes visible, whole.
-- KEYS: batch, index, pending, waiting in batches, aliases, versions, full, queue
-- ARGV: batch name, model (alias or version), ttl (s), due (ms from now), slice size, parts, open, failed, labelled ("1" or
--       "0"), metadata, message, owner ("" for nobody), most open of an owner,
--       webhook ("" for none)
-- Returns {"accepted", version, created (us)} | {"unknown model"} | {"full"} | {"lost"} | {"over"}
local version = redis.call('HGET', KEYS[5], ARGV[2]) or ARGV[2]
local parts, open, failed = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
-- A client that tries again after a lost answer must not be counted twice.
if redis.call('EXISTS', KEYS[1]) == 1 then
  local fields = redis.call('HMGET', KEYS[1], 'version', 'created')
  return {'accepted', fields[1], tonumber(fields[2])}
end
if redis.call('SISMEMBER', KEYS[6], version) == 0 then
  return {'unknown model'}
end
if redis.call('EXISTS', KEYS[7]) == 1 then
  return {'full'}
end
if ARGV[12] ~= '' and tonumber(redis.call('HGET', 'hemline:open:bulk', ARGV[12]) or '0') + open > tonumber(ARGV[13]) then
  return {'over'}
end
for part = 0, parts - 1 do
  if redis.call('EXISTS', part_key(KEYS[1], part)) == 0 then
    return {'lost'}
  end
end

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
for part = 0, parts - 1 do
  local key = part_key(KEYS[1], part)
  redis.call('HSET', key, 'version', version, 'created', now)
  redis.call('PERSIST', key)
end
redis.call('HSET', KEYS[1], 'version', version, 'created', now, 'ttl', ARGV[3], 'metadata', ARGV[10], 'parts', parts,
  'next', 0, 'left', open, 'labelled', ARGV[9], 'q', open, 'r', 0, 's', 0, 'f', failed, 'c', 0)
if ARGV[12] ~= '' then
  redis.call('HSET', KEYS[1], 'owners', ARGV[12])
end
if ARGV[14] ~= '' then
  redis.call('HSET', KEYS[1], 'webhook', ARGV[14])
end
redis.call('ZADD', KEYS[2], 0, ARGV[1])
if open == 0 then
  conclude(KEYS[1], now)
else
  redis.call('INCRBY', KEYS[4], open)
  if ARGV[12] ~= '' then
    redis.call('HINCRBY', 'hemline:open:bulk', ARGV[12], open)
  end
  hand_out(KEYS[1], KEYS[3], KEYS[8], ARGV[11], tonumber(ARGV[5]), math.floor(now / 1000) + ARGV[4])
end
return {'accepted', version, now}
