-- Records processed messages of the queue: each is an entry of the stream, once.
--
-- KEYS[1..4] as in chunks.lua, KEYS[5] = stream of processed messages
-- ARGV = identity of the queue, length to trim the stream to (0: never), how many field arguments each
--        message has of its own (two bytes for each; two bytes in all if they are alike), number of those
--        that all messages have after the id, these; then, for each part: a chunk, the bits of some of its
--        messages, how many these are, and for each of them its id and the arguments of its own. What would
--        come again with each message costs as much as all that is done with it.
-- Answers 'another' when it is another queue, else a list with an answer for each part: see settlement.lua.
if not is_this_queue() then
    return redis.status_reply('another')
end
local byte, most_arguments = string.byte, 7900
local max_len, own_counts, shared = args[2], args[3], tonumber(args[4])

-- The call that adds an entry, of which only the id and what is the message's own change.
local add = { 'XADD', KEYS[5], 'MAXLEN', '~', max_len }
if max_len == '0' then
    add = { 'XADD', KEYS[5] }
end
add[#add + 1] = '*'
add[#add + 1] = 'message_id'
local id_at = #add + 1
add[id_at] = ''
for i = 5, 4 + shared do
    add[#add + 1] = args[i]
end
local own_at = #add

local function own_count(number)
    local high, low = byte(own_counts, 2 * number + 1, 2 * number + 2)
    return 256 * high + low
end
local are_alike, own = #own_counts == 2, own_count(0)

local at, number = 5 + shared, 0
local answers, processed, failure = {}, 0, nil
while args[at] and not failure do
    local chunk, part, count = args[at], args[at + 1], tonumber(args[at + 2])
    at = at + 3
    local done, known = open_part(chunk, part)
    local places, next_known = 0, 1
    while places < count do
        if not are_alike then
            own, number = own_count(number), number + 1
        end
        if known[next_known] == places + 1 then
            next_known = next_known + 1
        elseif done then
            add[id_at] = args[at]
            for i = 1, own do
                add[own_at + i] = args[at + i]
            end
            -- More than Lua's stack takes would end the script between an outcome and its mark.
            if own_at + own > most_arguments then
                failure = redis.error_reply('ERR the entry has too many fields')
                break
            end
            local result = pcall(unpack(add, 1, own_at + own))
            if type(result) == 'table' then
                failure = result
                break
            end
        end
        at, places = at + 1 + own, places + 1
    end
    local new = places - (next_known - 1)
    if done and new > 0 then
        close_part(chunk, part, places, count, done)
        processed = processed + new
    end
    answers[#answers + 1] = known
end
note('processed', processed)
return failure or answers
