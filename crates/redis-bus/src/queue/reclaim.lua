-- Takes over entries that their reader has not kept alive.
--
-- KEYS[1] = queue
-- ARGV = StreamGroup, own name, idle time in ms from which an entry is taken, cursor, most entries
-- Answers the next cursor, and for each entry taken: id, message, how often it was handed out.
local claimed = redis.call('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], 'COUNT', ARGV[5])
local entries = {}
for _, entry in ipairs(claimed[2]) do
    local id, fields = entry[1], entry[2]
    local pending = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)
    local deliveries = pending[1] and pending[1][4] or 1
    entries[#entries + 1] = { id, fields[2], deliveries }
end
return { claimed[1], entries }
