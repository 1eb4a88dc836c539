-- Commits processed messages: each is added to the stream unless its id was seen before.
--
-- An entry is added first and its id remembered second. The other order would lose a message whose
-- entry cannot be added: it would be taken for a duplicate ever after.
--
-- KEYS[1] = stream, KEYS[2..4] = windows of settled ids
-- ARGV = window in seconds, length to trim the stream to (0: never), how many field arguments each
--        message has of its own (two bytes for each), number of those that all messages have after the
--        id, these; then, for all messages, the ids, and the arguments of their own. What would come
--        again with each message costs as much as all that is done with it.
-- Answers the places (from 1) of those that are duplicates.
local args, pcall, unpack, byte = ARGV, redis.pcall, unpack, string.byte
local current, previous = open_windows(KEYS[2], KEYS[3], KEYS[4], args[1])
local max_len, own_counts, shared = args[2], args[3], tonumber(args[4])
local count, at = #own_counts / 2, 4 + shared
local ids = { unpack(args, at + 1, at + count) }
at = at + count

-- The call that adds an entry, of which only the id and what is the message's own change.
local add = { 'XADD', KEYS[1], 'MAXLEN', '~', max_len }
if max_len == '0' then
    add = { 'XADD', KEYS[1] }
end
add[#add + 1] = '*'
add[#add + 1] = 'message_id'
local id_at = #add + 1
add[id_at] = ''
for i = 5, 4 + shared do
    add[#add + 1] = args[i]
end
local own_at = #add

local seen = look_up(current, previous, ids)
local duplicates, failure, done = {}, nil, count
for place, id in ipairs(ids) do
    local high, low = byte(own_counts, 2 * place - 1, 2 * place)
    local own = 256 * high + low
    if seen[id] then
        duplicates[#duplicates + 1] = place
    else
        add[id_at] = id
        for i = 1, own do
            add[own_at + i] = args[at + i]
        end
        local result = pcall(unpack(add, 1, own_at + own))
        if type(result) == 'table' then
            failure, done = result, place - 1
            break
        end
        -- Without a window there are no duplicates, not even here.
        seen[id] = current
    end
    at = at + own
end

local added = ids
if failure or #duplicates > 0 then
    added = {}
    local next_old = 1
    for place = 1, done do
        if duplicates[next_old] == place then
            next_old = next_old + 1
        else
            added[#added + 1] = ids[place]
        end
    end
end
remember(current, added)
return failure or duplicates
