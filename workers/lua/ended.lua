-- Put behind `open`. Jobs that end are counted in the step in which they end, so that each is counted once, whoever ends it; put before
-- scripts that end jobs. The field is written as `workers.metrics` writes it.
local function count_end(id, state)
  local field = '["hemline_jobs_ended_total",{"kind":"%s","state":"%s"}]'
  redis.call('HINCRBY', 'hemline:metrics', string.format(field, string.match(id, '^%l+'), state), 1)
  local spec = redis.call('HGET', 'hemline:' .. id, 'spec')
  close_some('hemline:open:jobs', spec and cjson.decode(spec).owner, 1)
end
