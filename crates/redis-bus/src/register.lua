#!lua
-- Adds a consumer id to the list unless it is there or the list is full.
--
-- KEYS[1] = list of consumer ids
-- ARGV[1] = consumer id, ARGV[2] = the most ids the list may hold
-- Answers 'registered', 'already' or 'full'.
local places = redis.call('LPOS', KEYS[1], ARGV[1], 'COUNT', 0)
if #places == 1 then
    return 'already'
end
if #places > 1 then
    -- Somebody else wrote the list: put the promise "once" right again.
    redis.call('LREM', KEYS[1], 0, ARGV[1])
    redis.call('RPUSH', KEYS[1], ARGV[1])
    return 'already'
end
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[2]) then
    return 'full'
end
redis.call('RPUSH', KEYS[1], ARGV[1])
return 'registered'
