-- The request of an idempotency key was carried out, or failed: then the next one with the key tries, by the same name.
-- KEYS: what is remembered of the key      ARGV: fingerprint, name of what was to be made, "done" | "failed" | "dropped"
local known = redis.call('GET', KEYS[1])
local fingerprint, name = string.match(known or '', '^(%x+)|%d+|(.*)$')
if fingerprint ~= ARGV[1] or name ~= ARGV[2] then
  return 0
end
if ARGV[3] == 'dropped' then
  redis.call('DEL', KEYS[1])
  return 1
end
redis.call('SET', KEYS[1], ARGV[1] .. (ARGV[3] == 'done' and '|0|' or '|1|') .. name, 'KEEPTTL')
return 1
