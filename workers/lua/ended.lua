-- Put behind `open` and `hooks`. Jobs that end are counted in the step in which they end, so that each is counted once, whoever ends it; put before
-- scripts that end jobs. The field is written as `workers.metrics` writes it.
local function count_end(id, state)
  local field = '["hemline_jobs_ended_total",{"kind":"%s","state":"%s"}]'
  redis.call('HINCRBY', 'hemline:metrics', string.format(field, string.match(id, '^%l+'), state), 1)
  local text = redis.call('HGET', 'hemline:' .. id, 'spec')
  local spec, time = text and cjson.decode(text) or {}, redis.call('TIME')
  close_some('hemline:open:jobs', spec.owner, 1)
  tell(spec.webhook_url, id, state, spec.owner, time[1] * 1000000 + time[2])
end
