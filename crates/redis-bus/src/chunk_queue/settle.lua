-- Counts messages of the queue whose outcome is recorded elsewhere, or needs no record.
--
-- KEYS[1..4] as in chunks.lua
-- ARGV = identity of the queue, and for each part: a chunk, the bits of some of its messages, how many
--        these are, 'processed' or 'duplicate'
-- Answers 'another' when it is another queue, else a list with an answer for each part: see settlement.lua.
if not is_this_queue() then
    return redis.status_reply('another')
end
local answers, counts = {}, { processed = 0, duplicate = 0 }
for at = 2, #args, 4 do
    local chunk, part, count, outcome = args[at], args[at + 1], tonumber(args[at + 2]), args[at + 3]
    local done, known = open_part(chunk, part)
    if done and #known < count then
        close_part(chunk, part, count, count, done)
        counts[outcome] = counts[outcome] + count - #known
    end
    answers[#answers + 1] = known
end
note('processed', counts.processed)
note('duplicate', counts.duplicate)
return answers
