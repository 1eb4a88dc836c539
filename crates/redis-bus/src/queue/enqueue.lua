-- Adds messages to the durable queue, each id once within the window: every replica of the group hears
-- every message, and all of them bring it here.
--
-- KEYS[1] = queue, KEYS[2] = account, KEYS[3..5] = windows of queued ids
-- ARGV = window in seconds, number of messages, their ids, the messages
-- Answers the places (from 1) of those that are duplicates.
local args, pcall, queue = ARGV, redis.pcall, KEYS[1]
local current, previous = open_windows(KEYS[3], KEYS[4], KEYS[5], args[1])
local count = tonumber(args[2])
local ids = { unpack(args, 3, 2 + count) }
local seen = look_up(current, previous, ids)
local added, duplicates, failure = {}, {}, nil
for place, id in ipairs(ids) do
    if seen[id] then
        duplicates[#duplicates + 1] = place
    else
        local result = pcall('XADD', queue, '*', 'message', args[2 + count + place])
        if type(result) == 'table' then
            failure = result
            break
        end
        seen[id] = true
        added[#added + 1] = id
    end
end
remember(current, added)
note(KEYS[2], 'received', #added + #duplicates)
note(KEYS[2], 'duplicate', #duplicates)
return failure or duplicates
