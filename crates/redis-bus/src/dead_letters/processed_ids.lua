-- Reads the ids of processed messages, and nothing else of their entries, which may be large.
--
-- KEYS[1] = stream; ARGV = where to start, as XRANGE takes it, and the most entries
-- Answers how many entries it read, how many bytes these have, the last of them or '', and the ids.
local page = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])
local bytes, ids = 0, {}
for _, entry in ipairs(page) do
    local fields = entry[2]
    for i = 1, #fields, 2 do
        bytes = bytes + #fields[i] + #fields[i + 1]
        if fields[i] == 'message_id' then
            ids[#ids + 1] = fields[i + 1]
        end
    end
end
local last = page[#page]
return { #page, bytes, last and last[1] or '', ids }
