-- The account of the queue at one instant.
--
-- KEYS[1..4] as in chunks.lua
-- Answers received, duplicate, processed, dead-lettered, and of what is left, how many were not handed out
-- yet.
local known = call('HMGET', account, 'received', 'duplicate', 'processed', 'dead_lettered', 'waiting', 'last')
local counts = {}
for i = 1, 5 do
    counts[i] = tonumber(known[i] or 0)
end
local left = counts[1] - counts[2] - counts[3] - counts[4]
-- The count may be off, if a reader ended before it took note of what it was handed.
if counts[5] ~= 0 and last_delivered() == known[6] then
    counts[5] = 0
end
counts[5] = math.max(0, math.min(counts[5], left))
return counts
