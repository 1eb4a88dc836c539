-- Adds messages to the durable queue, each id once within the window: every replica of the group hears
-- every message, and all of them bring it here.
--
-- KEYS[1] = queue, KEYS[2] = account, KEYS[3..5] = windows of queued ids
-- ARGV = window in seconds, number of messages, and for each: id, message
-- Answers a list: 1 for a message that was added, 0 for a duplicate.
local current, previous = open_windows(KEYS[3], KEYS[4], KEYS[5], ARGV[1])
local count = tonumber(ARGV[2])
local ids = {}
for i = 1, count do
    ids[i] = ARGV[1 + 2 * i]
end
local seen = look_up(current, previous, ids)
local added, in_batch, answers = {}, {}, {}
local failure
for i = 1, count do
    if seen[i] or in_batch[ids[i]] then
        answers[i] = 0
    else
        local result = redis.pcall('XADD', KEYS[1], '*', 'message', ARGV[2 + 2 * i])
        if type(result) == 'table' and result.err then
            failure = result
            break
        end
        in_batch[ids[i]] = true
        added[#added + 1] = ids[i]
        answers[i] = 1
    end
end
remember(current, added)
note(KEYS[2], 'received', #answers)
note(KEYS[2], 'duplicate', #answers - #added)
return failure or answers
