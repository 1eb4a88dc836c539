-- The account of the durable queue, and what is in it, at one instant.
--
-- KEYS[1] = queue, KEYS[2] = account; ARGV[1] = StreamGroup
-- Answers received, duplicate, processed, dead-lettered, entries handed out, all entries.
local known = redis.call('HMGET', KEYS[2], 'received', 'duplicate', 'processed', 'dead_lettered')
local answers = {}
for i = 1, 4 do
    answers[i] = tonumber(known[i] or 0)
end
local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1])
local length = redis.call('XLEN', KEYS[1])
answers[5] = pending.err and 0 or math.min(pending[1], length)
answers[6] = length
return answers
