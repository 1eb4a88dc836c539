-- Sends a dead letter's message on its way again and removes the letter, in one step. Its id is no
-- longer remembered as failed; one that is remembered as processed stays so, and the message then
-- comes to nothing but a duplicate.
--
-- KEYS[1] = stream of dead letters, KEYS[2] = queue, KEYS[3] = account,
-- KEYS[4..5] = sets of settled ids, KEYS[6..7] = sets of queued ids
-- ARGV = letter, message id, message, channel to publish to, or '' for the durable queue
-- Answers 'replayed', 'gone' when there is no such letter, 'unheard' when nobody listens.
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then
    return 'gone'
end
-- Before publishing: whoever hears it may bring it back at once, but not before this script ends.
if ARGV[4] ~= '' then
    if redis.call('PUBLISH', ARGV[4], ARGV[3]) == 0 then
        return 'unheard'
    end
    redis.call('SREM', KEYS[6], ARGV[2])
    redis.call('SREM', KEYS[7], ARGV[2])
else
    redis.call('XADD', KEYS[2], '*', 'message', ARGV[3])
    note(KEYS[3], 'received', 1)
end
local mark = '\255' .. ARGV[2]
for i = 4, 7 do
    if redis.call('SREM', KEYS[i], mark) == 1 then
        redis.call('SREM', KEYS[i], ARGV[2])
    end
end
redis.call('XDEL', KEYS[1], ARGV[1])
return 'replayed'
