-- The account of the queue at one instant.
--
-- KEYS[1..4] as in chunks.lua
-- Answers received, duplicate, processed, dead-lettered and not moved back, of what is left how many were not
-- handed out yet, and how many letters were moved back.
local known = call('HMGET', account, 'received', 'duplicate', 'processed', 'dead_lettered', 'waiting',
    'replayed', 'last')
local counts = {}
for i = 1, 6 do
    counts[i] = tonumber(known[i] or 0)
end
counts[4] = counts[4] - counts[6]
local left = counts[1] - counts[2] - counts[3] - counts[4]
-- The count may be off, if a reader ended before it took note of what it was handed.
if counts[5] ~= 0 and last_delivered() == known[7] then
    counts[5] = 0
end
counts[5] = math.max(0, math.min(counts[5], left))
return counts
