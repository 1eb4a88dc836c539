-- Makes the queue, its StreamGroup and its identity, as far as they are missing.
--
-- KEYS[1..4] as in chunks.lua; ARGV[1] = identity of a new queue
-- Answers 'older' when the keys are those of an older design, else a list: the queue's identity, the last
-- chunk there is
local known = call('HMGET', account, 'identity', 'last', 'received')
if not known[1] and known[3] then
    return redis.status_reply('older')
end
local identity, last = known[1], known[2]

-- The later of an id and the last one that a stream has given.
local function later(id, stream)
    local last = value_of(pcall('XINFO', 'STREAM', stream), 'last-generated-id')
    if not last then
        return id
    end
    local time, number = time_and_number(last)
    local other_time, other_number = time_and_number(id)
    if time > other_time or time == other_time and number > other_number then
        return last
    end
    return id
end

local created = pcall('XGROUP', 'CREATE', queue, group, '0', 'MKSTREAM')
local is_new_group = not created.err
if created.err and not string.find(created.err, '^-?BUSYGROUP') then
    return created
end
if not identity then
    identity, last = args[1], later(later('0-0', queue), id_log)
    call('HSET', account, 'identity', identity, 'last', last)
end
if is_new_group then
    -- All that is there is handed out anew. What is not there any more was deleted by hand, unsettled.
    local counts = call('HMGET', account, 'received', 'duplicate', 'processed', 'dead_lettered', 'replayed')
    local left = (counts[1] or 0) - (counts[2] or 0) - (counts[3] or 0) - (counts[4] or 0) + (counts[5] or 0)
    if call('XLEN', queue) == 0 then
        note('received', -left)
        left = 0
        call('DEL', progress)
    end
    call('HSET', account, 'waiting', left)
end
return { identity, last or '0-0' }
