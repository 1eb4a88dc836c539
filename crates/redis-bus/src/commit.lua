-- Commits processed messages: each is added to the stream unless its id was seen before.
--
-- An entry is added first and its id remembered second. The other order would lose a message whose
-- entry cannot be added: it would be taken for a duplicate ever after.
--
-- KEYS[1] = stream, KEYS[2..4] = windows of settled ids, and for entries of the durable queue
-- KEYS[5] = queue, KEYS[6] = account
-- ARGV = window in seconds, length to trim the stream to (0: never), StreamGroup of the queue,
--        number of messages, and for each: id, queue entry or '', number of field arguments, these
-- Answers a list: 1 for a message that was added, 0 for a duplicate.
local current, previous = open_windows(KEYS[2], KEYS[3], KEYS[4], ARGV[1])
local max_len, group, count = ARGV[2], ARGV[3], tonumber(ARGV[4])

local ids, entries, firsts, lasts = {}, {}, {}, {}
local at = 5
for i = 1, count do
    ids[i], entries[i] = ARGV[at], ARGV[at + 1]
    firsts[i], lasts[i] = at + 3, at + 2 + tonumber(ARGV[at + 2])
    at = lasts[i] + 1
end

local seen = look_up(current, previous, ids)
local added, in_batch, answers = {}, {}, {}
local processed, duplicate = 0, 0
local failure
for i = 1, count do
    local id = ids[i]
    if seen[i] or (current and in_batch[id]) then
        answers[i] = 0
    else
        local result
        if max_len == '0' then
            result = redis.pcall('XADD', KEYS[1], '*', unpack(ARGV, firsts[i], lasts[i]))
        else
            result = redis.pcall('XADD', KEYS[1], 'MAXLEN', '~', max_len, '*',
                unpack(ARGV, firsts[i], lasts[i]))
        end
        if type(result) == 'table' and result.err then
            failure = result
            break
        end
        in_batch[id] = true
        added[#added + 1] = id
        answers[i] = 1
    end
    if entries[i] ~= '' then
        if settle(KEYS[5], group, entries[i]) then
            if answers[i] == 1 then
                processed = processed + 1
            else
                duplicate = duplicate + 1
            end
        end
    end
end
remember(current, added)
if KEYS[6] then
    note(KEYS[6], 'processed', processed)
    note(KEYS[6], 'duplicate', duplicate)
end
return failure or answers
