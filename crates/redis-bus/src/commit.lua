-- Commits processed messages: each is added to the stream unless its id was seen before.
--
-- An entry is added first and its id remembered second. The other order would lose a message whose
-- entry cannot be added: it would be taken for a duplicate ever after.
--
-- KEYS[1] = stream, KEYS[2..4] = windows of settled ids, and for entries of the durable queue
-- KEYS[5] = queue, KEYS[6] = account
-- ARGV = window in seconds, length to trim the stream to (0: never), number of messages, StreamGroup of
--        the queue or '', and for each message: its queue entry (with a StreamGroup only), number of
--        field arguments, and these, of which the second is its id
-- Answers the places (from 1) of those that are duplicates.
local call, pcall, args, unpack = redis.call, redis.pcall, ARGV, unpack
local current, previous = open_windows(KEYS[2], KEYS[3], KEYS[4], args[1])
local stream, max_len, count, group = KEYS[1], args[2], tonumber(args[3]), args[4]
local is_queued = group ~= ''
-- So many arguments of a call Redis keeps ready; beyond that it allocates each (script_lua.c).
local together = 30

local duplicates, failure = {}, nil
local at, place = 5, 0
while place < count and not failure do
    local size = math.min(together, count - place)
    local ids, entries, firsts, lasts = {}, {}, {}, {}
    for i = 1, size do
        if is_queued then
            entries[i] = args[at]
            at = at + 1
        end
        firsts[i], lasts[i] = at + 1, at + args[at]
        ids[i] = args[at + 2]
        at = lasts[i] + 1
    end
    local seen = look_up(current, previous, ids)
    local added, in_batch, old, new = {}, {}, {}, {}
    for i = 1, size do
        local id = ids[i]
        local is_duplicate = seen[i] or (current and in_batch[id])
        if not is_duplicate then
            local result
            if max_len == '0' then
                result = pcall('XADD', stream, '*', unpack(args, firsts[i], lasts[i]))
            else
                result = pcall('XADD', stream, 'MAXLEN', '~', max_len, '*',
                    unpack(args, firsts[i], lasts[i]))
            end
            if type(result) == 'table' then
                failure = result
                break
            end
            in_batch[id] = true
            added[#added + 1] = id
        else
            duplicates[#duplicates + 1] = place + i
        end
        local kind = is_duplicate and old or new
        kind[#kind + 1] = entries[i]
    end
    remember(current, added)
    if is_queued then
        note(KEYS[6], 'processed', settle(KEYS[5], group, new))
        note(KEYS[6], 'duplicate', settle(KEYS[5], group, old))
    end
    place = place + size
end
return failure or duplicates
