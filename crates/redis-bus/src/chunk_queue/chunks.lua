-- What scripts do with the queue. An entry of it is a chunk: 1 to 512 messages.
--
-- KEYS[1] = queue, KEYS[2] = id log, KEYS[3] = progress, KEYS[4] = account; ARGV[1] = identity of the queue
-- The progress of a chunk is a string of bits, one for each message that is settled: that of index 0 is the
-- lowest of the first byte. A chunk that nothing is settled of has none, and one that is settled as a whole
-- is gone. In the account, `last` is the id of the last chunk, `waiting` how many messages were never
-- handed out, `replayed` how many of `dead_lettered` were moved back, and of what is older than `trimmed`
-- (milliseconds) the id log may know nothing any more.
local args, call, pcall = ARGV, redis.call, redis.pcall
local queue, id_log, progress, account = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local group = 'consumer-group'

-- Whoever means another queue (another Redis, another stream, one from before FLUSHALL) must not be
-- answered as if it was this one.
local function is_this_queue()
    return call('HGET', account, 'identity') == args[1]
end

local function note(field, count)
    if count ~= 0 then
        call('HINCRBY', account, field, count)
    end
end

local function time_and_number(entry)
    local time, number = string.match(entry, '^(%d+)-(%d+)$')
    return tonumber(time), tonumber(number)
end

-- How many messages a chunk was made of: its id tells.
local function size_of(chunk)
    local _, number = time_and_number(chunk)
    return math.fmod(number, 512) + 1
end

-- The value behind a name, in a list where they take turns; nil when the name is not there.
local function value_of(list, name)
    for i = 1, #list, 2 do
        if list[i] == name then
            return list[i + 1]
        end
    end
    return nil
end

-- The last chunk that was handed out; nil when there is no StreamGroup.
local function last_delivered()
    local groups = pcall('XINFO', 'GROUPS', queue)
    for _, known in ipairs(groups) do
        if known[2] == group then
            return value_of(known, 'last-delivered-id')
        end
    end
    return nil
end

-- How many bits are set.
local function count_bits(bits)
    local count = 0
    for i = 1, #bits do
        local byte = string.byte(bits, i)
        while byte > 0 do
            count = count + byte % 2
            byte = math.floor(byte / 2)
        end
    end
    return count
end

-- The time by the clock of Redis.
local function milliseconds()
    local clock = call('TIME')
    return clock[1] * 1000 + math.floor(clock[2] / 1000)
end

-- The id of the chunk after `last`, for so many messages; `random` is below 2^43. The time never runs ahead
-- of the clock by more than that of the last id does: ages are read from it.
local function next_chunk(last, count, random)
    local time, number = milliseconds(), random
    local last_time, last_number = time_and_number(last)
    if last_time >= time then
        time, number = last_time, math.floor(last_number / 512) + 1 + random % 1048576
        if number >= 2 ^ 43 then
            time, number = last_time + 1, random
        end
    end
    return string.format('%.0f-%.0f', time, number * 512 + count - 1)
end

-- Appends a chunk to the queue, and its fingerprints to the id log. Returns its id, or nil and the error;
-- then nothing was done. Nothing is counted.
local function append_chunk(last, count, random, messages, fingerprints)
    local chunk = next_chunk(last, count, random)
    local added = pcall('XADD', queue, chunk, 'messages', messages)
    if type(added) == 'table' then
        return nil, added
    end
    local logged = pcall('XADD', id_log, chunk, 'ids', fingerprints)
    if type(logged) == 'table' then
        call('XDEL', queue, chunk)
        return nil, logged
    end
    call('HSET', account, 'last', chunk)
    return chunk
end
