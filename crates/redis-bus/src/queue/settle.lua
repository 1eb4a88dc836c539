-- Takes entries that came to their end out of the durable queue.
--
-- KEYS[1] = queue, KEYS[2] = account
-- ARGV = StreamGroup, then for each entry: its id and the field of the account it counts under
local counts = {}
for i = 2, #ARGV, 2 do
    if settle(KEYS[1], ARGV[1], ARGV[i]) then
        local field = ARGV[i + 1]
        counts[field] = (counts[field] or 0) + 1
    end
end
for field, count in pairs(counts) do
    note(KEYS[2], field, count)
end
return redis.status_reply('OK')
