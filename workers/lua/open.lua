-- How much of each owner's is open: a hash of counts, from which owners without any drop out.
local function close_some(counts, owner, some)
  if owner and owner ~= '' and some > 0 and redis.call('HINCRBY', counts, owner, -some) <= 0 then
    redis.call('HDEL', counts, owner) -- below 0 where an earlier release accepted the work, which did not count
  end
end

local function is_over(counts, owner, most)
  return owner ~= '' and tonumber(redis.call('HGET', counts, owner) or '0') >= tonumber(most)
end

local function open_one(counts, owner)
  if owner ~= '' then
    redis.call('HINCRBY', counts, owner, 1)
  end
end

-- Whose each item of a group is: a function of its place, counted from 0, from the fields `owners` and `by` of the group.
local function owner_of(owners, by)
  local names, places = {}, {}
  for name in string.gmatch(owners or '', '%S+') do
    names[#names + 1] = name
  end
  for index in string.gmatch(by or '', '%d+') do
    places[#places + 1] = tonumber(index)
  end
  return function(place)
    return names[#places == 0 and 1 or places[place + 1]]
  end
end
