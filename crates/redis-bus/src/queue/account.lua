-- The account of the durable queue, and what is in it, at one instant.
--
-- KEYS[1] = queue, KEYS[2] = account; ARGV[1] = StreamGroup
-- Answers received, duplicate, processed, dead-lettered, entries handed out, all unsettled entries.
local known = redis.call('HMGET', KEYS[2], 'received', 'duplicate', 'processed', 'dead_lettered', 'left')
local answers = {}
for i = 1, 4 do
    answers[i] = tonumber(known[i] or 0)
end
local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1])
-- Those that are settled stay for a while: see queue.lua.
local length = math.max(0, redis.call('XLEN', KEYS[1]) - tonumber(known[5] or 0))
answers[5] = pending.err and 0 or math.min(pending[1], length)
answers[6] = length
return answers
