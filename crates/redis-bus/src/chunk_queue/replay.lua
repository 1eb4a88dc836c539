-- Moves dead letters back into the queue: their messages are a chunk of it again, and the letters are gone. All
-- of it is one step, so a message is in the one place or in the other.
--
-- KEYS[1..4] as in chunks.lua, KEYS[5] = stream of dead letters
-- ARGV = identity of the queue, 'replay' or 'rehearse' (which changes nothing), last chunk that the caller has
--        read in the id log, random number below 2^43, and for each letter: its entry, the fingerprint of its
--        message's id
-- Answers 'another' when it is another queue, 'missed' when the caller is too far behind the id log, and
-- nothing was done; else a list: 'moved', 'gone' when there is no such letter, 'admitted' when the log has the
-- id after what the caller has read: then its message has an outcome of its own, or will have.
local most_missed = 8

if not is_this_queue() then
    return redis.status_reply('another')
end
local missed = call('XRANGE', id_log, '(' .. args[3], '+', 'COUNT', most_missed + 1)
if #missed > most_missed then
    return redis.status_reply('missed')
end
local is_admitted = {}
for _, entry in ipairs(missed) do
    local fingerprints = entry[2][2]
    for i = 1, #fingerprints, 16 do
        is_admitted[string.sub(fingerprints, i, i + 15)] = true
    end
end

local answers, moved, messages, fingerprints = {}, {}, {}, {}
for i = 5, #args, 2 do
    local letter, fingerprint = call('XRANGE', KEYS[5], args[i], args[i])[1], args[i + 1]
    local payload = letter and value_of(letter[2], 'payload')
    local answer
    if not payload then
        answer = 'gone'
    elseif is_admitted[fingerprint] then
        answer = 'admitted'
    else
        answer = 'moved'
        is_admitted[fingerprint] = true
        local number = #moved + 1
        moved[number], fingerprints[number] = args[i], fingerprint
        messages[number] = struct.pack('>I4', #payload) .. payload
    end
    answers[#answers + 1] = answer
end
local count = #moved
if count == 0 or args[2] == 'rehearse' then
    return answers
end

local counts = call('HMGET', account, 'last', 'dead_lettered', 'replayed')
local chunk, failure = append_chunk(counts[1] or '0-0', count, tonumber(args[4]), table.concat(messages),
    table.concat(fingerprints))
if not chunk then
    return failure
end
call('XDEL', KEYS[5], unpack(moved))
-- A letter that is not in the account, because it is older than the account or came by hand, is received now.
local known = math.min(count, math.max(0, (counts[2] or 0) - (counts[3] or 0)))
note('replayed', known)
note('received', count - known)
note('waiting', count)
return answers
