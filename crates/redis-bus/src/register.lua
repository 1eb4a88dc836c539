#!lua
-- Adds a consumer id to the list unless it is there, however it is spelled, or the list is full.
--
-- KEYS[1] = list of consumer ids
-- ARGV[1] = consumer id, ARGV[2] = the most ids the list may hold
-- ARGV[3] = the id in its normal spelling, in lower case
-- ARGV[4] = '1' when it was compared with the addresses in brackets, which have too many spellings for this script
-- Answers 'registered', 'already', 'full', or 'compare' when it should be compared with those first.
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
for _, entry in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
    if string.lower(entry) == ARGV[3] then
        return 'already'
    end
    if ARGV[4] ~= '1' and string.sub(entry, 1, 1) == '[' then
        return 'compare'
    end
end
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[2]) then
    return 'full'
end
redis.call('RPUSH', KEYS[1], ARGV[1])
return 'registered'
