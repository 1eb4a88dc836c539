-- Admits messages to the queue as one chunk, if the id log still ends where the caller has read to; so the
-- caller knows all ids that were admitted before, and no two of them are admitted at once.
--
-- KEYS[1..4] as in chunks.lua
-- ARGV = identity of the queue, last chunk that the caller has read in the id log ('' when it need not
--        know), window in milliseconds for which ids are remembered, how many duplicates the caller has
--        heard, random number below 2^43, number of messages (0: none), the messages, their fingerprints,
--        name of the reader that is handed the chunk if nothing else waits ('' for none)
-- Answers 'another' when it is another queue, 'none' when there was no message, and else a list:
-- 'appended', the chunk, 1 when the reader was handed it; or, and nothing was done,
-- 'missed', the last chunk there is, and from the id log the next entries that the caller has not read; or
-- 'diverged': what the caller has read last is not in the log.
local known = call('HMGET', account, 'identity', 'last', 'waiting', 'trimmed')
if known[1] ~= args[1] then
    return redis.status_reply('another')
end
local last, waiting, trimmed = known[2] or '0-0', tonumber(known[3] or 0), tonumber(known[4] or 0)
local read_to, window, duplicates = args[2], tonumber(args[3]), tonumber(args[4])
local random, count, reader = tonumber(args[5]), tonumber(args[6]), args[9]

if count > 0 and read_to ~= '' and read_to ~= last then
    if read_to ~= '0-0' and not call('XRANGE', id_log, read_to, read_to)[1] then
        return { 'diverged' }
    end
    return { 'missed', last, call('XRANGE', id_log, '(' .. read_to, '+', 'COUNT', 64) }
end
if count == 0 then
    note('received', duplicates)
    note('duplicate', duplicates)
    return redis.status_reply('none')
end

local chunk, failure = append_chunk(last, count, random, args[7], args[8])
if not chunk then
    return failure
end
-- Not with each call: what is too old by a second does no harm.
local now = milliseconds()
if now - window - trimmed >= 1000 then
    trimmed = string.format('%.0f', now - window)
    call('XTRIM', id_log, 'MINID', '~', trimmed)
    call('HSET', account, 'trimmed', trimmed)
end
note('received', count + duplicates)
note('duplicate', duplicates)

local is_handed_out = false
-- Whoever is handed it passes over all that is before it, so nothing there may wait. The count does not prove
-- that: it is wrong after a reader that ended early or took note twice, and in a new account.
if reader ~= '' and (call('XLEN', queue) == 1 or last_delivered() == last) then
    note('waiting', -waiting)
    -- As if the reader had read it, but without it having to be read.
    local claimed = pcall('XCLAIM', queue, group, reader, 0, chunk,
        'FORCE', 'JUSTID', 'RETRYCOUNT', 1, 'LASTID', chunk)
    is_handed_out = claimed[1] == chunk
end
if not is_handed_out then
    note('waiting', count)
end
return { 'appended', chunk, is_handed_out and 1 or 0 }
