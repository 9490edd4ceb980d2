-- Add what a process has counted to the sums of the service, once.
-- KEYS: sums, receipt of the process      ARGV: number of the parcel, then field, amount, field, amount, …
-- Returns 1, or 0 where this parcel was here before, as its answer was lost.
if redis.call('GET', KEYS[2]) == ARGV[1] then
  return 0
end
for i = 2, #ARGV, 2 do
  redis.call('HINCRBYFLOAT', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('SET', KEYS[2], ARGV[1], 'EX', 3600)
return 1
