-- Records what was given up: each message of the queue is an entry of the stream of dead letters, once.
--
-- KEYS[1..4] as in chunks.lua, KEYS[5] = stream of dead letters
-- ARGV = identity of the queue, and for each letter: a chunk, the bit of its message, 1, number of
--        field arguments, these
-- Answers 'another' when it is another queue, else a list with an answer for each letter: see settlement.lua.
if not is_this_queue() then
    return redis.status_reply('another')
end
local at, answers, dead_lettered, failure = 2, {}, 0, nil
while args[at] and not failure do
    local chunk, part, first = args[at], args[at + 1], at + 4
    at = first + tonumber(args[at + 3])
    local done, known = open_part(chunk, part)
    if done and not known[1] then
        local result = pcall('XADD', KEYS[5], '*', unpack(args, first, at - 1))
        if type(result) == 'table' then
            failure = result
        else
            close_part(chunk, part, 1, 1, done)
            dead_lettered = dead_lettered + 1
        end
    end
    answers[#answers + 1] = known
end
note('dead_lettered', dead_lettered)
return failure or answers
