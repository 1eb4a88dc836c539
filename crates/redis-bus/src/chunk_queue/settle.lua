-- Counts messages of the queue whose outcome is recorded elsewhere, or needs no record.
--
-- KEYS[1..4] as in chunks.lua
-- ARGV = identity of the queue, 'processed' or 'duplicate', and for each part: a chunk, the bits of some of its messages,
--        how many these are
-- Answers 'another' when it is another queue, else a list with an answer for each part: see settlement.lua.
if not is_this_queue() then
    return redis.status_reply('another')
end
local answers, settled = {}, 0
for at = 3, #args, 3 do
    local chunk, part, count = args[at], args[at + 1], tonumber(args[at + 2])
    local done, known = open_part(chunk, part)
    if done and #known < count then
        close_part(chunk, part, count, count, done)
        settled = settled + count - #known
    end
    answers[#answers + 1] = known
end
note(args[2], settled)
return answers
