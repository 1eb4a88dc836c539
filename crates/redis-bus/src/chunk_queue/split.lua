-- Puts messages of a chunk back into the queue, as chunks of their own: behind all that waits, for whoever has
-- room. Where they stood they are settled without an outcome: they have theirs where they stand now.
--
-- KEYS[1..4] as in chunks.lua
-- ARGV = identity of the queue, random number below 2^43, name of the reader that was handed the chunk, the
--        chunk, the bits of the messages that stay, how many messages a new chunk has
-- Answers 'another' when it is another queue, 'unchanged' when nothing was done, else a list: the new chunks.
if not is_this_queue() then
    return redis.status_reply('another')
end
local unchanged = redis.status_reply('unchanged')
local random, reader, chunk, staying, most = tonumber(args[2]), args[3], args[4], args[5], tonumber(args[6])

local pending = pcall('XPENDING', queue, group, chunk, chunk, 1, reader)
local entry = pending[1] and not pending.err and call('XRANGE', queue, chunk, chunk)[1]
if not entry then
    return unchanged
end
-- What is in a new chunk counts as never handed out. So that a message which ends its readers is found for all
-- that, it is alone from then on.
if pending[1][4] > 1 then
    most = 1
end
local done, size = call('HGET', progress, chunk) or '', size_of(chunk)
local logged = call('XRANGE', id_log, chunk, chunk)[1]
local ids = logged and logged[2][2] or ''

-- The messages that are moved, each with its length in front, and their fingerprints: none if the log has
-- forgotten them, as then nobody need know them any more.
local framed, at, is_rest, moved = entry[2][2], 1, false, {}
local messages, fingerprints = {}, {}
for index = 0, size - 1 do
    local start = at
    if start + 3 > #framed then
        return unchanged
    end
    at = start + 4 + struct.unpack('>I4', framed, start)
    if has(done, index) then
        -- It is settled.
    elseif has(staying, index) then
        is_rest = true
    else
        moved[#moved + 1] = index
        messages[#moved] = string.sub(framed, start, at - 1)
        fingerprints[#moved] = string.sub(ids, 16 * index + 1, 16 * index + 16)
    end
end
-- An entry that is no chunk stays as it is, and so does one of which all would be moved: it would go round.
if at ~= #framed + 1 or #moved == 0 or not is_rest then
    return unchanged
end

local last, appended, chunks, failure = call('HGET', account, 'last') or '0-0', 0, {}, nil
while appended < #moved do
    local first, to = appended + 1, math.min(appended + most, #moved)
    local new
    new, failure = append_chunk(last, to - appended, random, table.concat(messages, '', first, to),
        table.concat(fingerprints, '', first, to))
    if not new then
        break
    end
    last, appended, chunks[#chunks + 1] = new, to, new
end
if appended > 0 then
    local bits = {}
    for i = 1, math.ceil(size / 8) do
        bits[i] = 0
    end
    for number = 1, appended do
        local index = moved[number]
        local place = math.floor(index / 8) + 1
        bits[place] = bits[place] + 2 ^ (index % 8)
    end
    local settled = merge(done, string.char(unpack(bits)))
    call('HSET', progress, chunk, settled)
    note('waiting', appended)
end
return failure or chunks
