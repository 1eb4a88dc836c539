-- Settles parts of chunks of which nothing is settled yet, and opens the gate for their entries: see
-- transaction.rs.
--
-- KEYS[1..4] as in chunks.lua, KEYS[5] = stream of processed messages, KEYS[6] = gate
-- ARGV = identity of the queue; then, for each part: a chunk, the bits of some of its messages, and how many
--        these are
-- Answers 1 when the gate is open, else 0, and nothing was done.
if not is_this_queue() then
    return 0
end
local stream, gate = KEYS[5], KEYS[6]
local kind = call('TYPE', stream).ok
if kind ~= 'none' and kind ~= 'stream' or call('EXISTS', gate) == 1 then
    return 0
end
-- A stream whose ids are at their end may take no more entries. What can fail must not come after the mark.
if kind == 'stream' then
    local last = value_of(call('XINFO', 'STREAM', stream), 'last-generated-id')
    if string.find(last, '^18446744073709551615%-') then
        return 0
    end
end
local progress_of = {}
for at = 2, #args, 3 do
    local done, known = open_part(args[at], args[at + 1])
    if not done or known[1] then
        return 0
    end
    progress_of[at] = done
end
if kind == 'none' then
    -- An empty stream.
    call('XGROUP', 'CREATE', stream, 'gate', '$', 'MKSTREAM')
    call('XGROUP', 'DESTROY', stream, 'gate')
end
-- First: if that is refused, nothing is done.
call('RENAMENX', stream, gate)
local processed = 0
for at = 2, #args, 3 do
    local count = tonumber(args[at + 2])
    close_part(args[at], args[at + 1], count, count, progress_of[at])
    processed = processed + count
end
note('processed', processed)
return 1
