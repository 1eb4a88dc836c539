-- Who reads the queue, those that asked last first.
--
-- KEYS[1..4] as in chunks.lua; ARGV = the most readers, the most chunks of each whose messages are counted
-- Answers for each reader its name, how many unsettled messages it was handed, and for how many
-- milliseconds it has asked for nothing.
local most, most_chunks = tonumber(args[1]), tonumber(args[2])
local known = pcall('XINFO', 'CONSUMERS', queue, group)
if known.err then
    -- There is no queue yet, or no StreamGroup.
    local is_missing = string.find(known.err, '^-?ERR') or string.find(known.err, '^-?NOGROUP')
    return is_missing and {} or known
end

local readers = {}
for number, fields in ipairs(known) do
    local reader = {}
    for i = 1, #fields, 2 do
        reader[fields[i]] = fields[i + 1]
    end
    readers[number] = reader
end
table.sort(readers, function(one, other)
    if one.idle ~= other.idle then
        return one.idle < other.idle
    end
    return one.name < other.name
end)

-- Those of chunks that are not looked at count as one each.
local function pending_messages(reader)
    local pending = call('XPENDING', queue, group, '-', '+', most_chunks, reader.name)
    local messages, chunks = reader.pending - #pending, {}
    for number, entry in ipairs(pending) do
        chunks[number] = entry[1]
        messages = messages + size_of(entry[1])
    end
    local settled = chunks[1] and call('HMGET', progress, unpack(chunks)) or {}
    for number = 1, #chunks do
        messages = messages - count_bits(settled[number] or '')
    end
    return messages
end

local answers = {}
for number = 1, math.min(most, #readers) do
    local reader = readers[number]
    answers[number] = { reader.name, pending_messages(reader), reader.idle }
end
return answers
