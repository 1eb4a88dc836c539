-- How a part of a chunk is settled, in three steps: `open_part`, write what its new messages came to,
-- `close_part`. What can fail comes before the last step, so that an outcome is written once, and never
-- missing.

local bor, band = bit.bor, bit.band

-- The progress of a chunk ('' for none). Of one that is not there, nil and why: 'settled', or 'unknown'
-- when this queue has never had it, or has lost it.
local function look_up(chunk)
    local done = call('HGET', progress, chunk)
    if done then
        return done
    end
    local pending = pcall('XPENDING', queue, group, chunk, chunk, 1)
    if pending[1] and not pending.err then
        return ''
    end
    -- One that nobody was handed, as after XGROUP DESTROY.
    if call('XRANGE', queue, chunk, chunk)[1] then
        return ''
    end
    if call('XRANGE', id_log, chunk, chunk)[1] then
        return nil, 'settled'
    end
    local trimmed = tonumber(call('HGET', account, 'trimmed') or 0)
    return nil, time_and_number(chunk) < trimmed and 'settled' or 'unknown'
end

local function has(bits, index)
    local byte = string.byte(bits, math.floor(index / 8) + 1) or 0
    return band(byte, 2 ^ (index % 8)) ~= 0
end

-- All bits of both, and whether any bit is in both. Only the bytes from the first to the last of `other` that have
-- any are looked at: a part of a large chunk is small.
local function merge(one, other)
    local first = string.find(other, '[^%z]')
    if one == '' or not first then
        return one == '' and other or one, false
    end
    local last = #other + 1 - string.find(string.reverse(other), '[^%z]')
    one = one .. string.rep('\0', #other - #one)
    local a, b, merged, overlaps = { string.byte(one, first, last) }, { string.byte(other, first, last) }, {}, false
    for i = 1, #b do
        merged[i] = bor(a[i], b[i])
        overlaps = overlaps or band(a[i], b[i]) ~= 0
    end
    return string.sub(one, 1, first - 1) .. string.char(unpack(merged)) .. string.sub(one, last + 1), overlaps
end

-- The places (from 1) among the messages of `part` of those that are settled already.
local function known_places(done, part, size)
    local known, place = {}, 0
    for index = 0, size - 1 do
        if has(part, index) then
            place = place + 1
            if has(done, index) then
                known[#known + 1] = place
            end
        end
    end
    return known
end

-- The bits of the first `places` messages of a part.
local function first_of(part, places, size)
    local bytes = {}
    for i = 1, #part do
        bytes[i] = 0
    end
    for index = 0, size - 1 do
        if places > 0 and has(part, index) then
            local at = math.floor(index / 8) + 1
            bytes[at] = bor(bytes[at], 2 ^ (index % 8))
            places = places - 1
        end
    end
    return string.char(unpack(bytes))
end

-- All bits of a chunk of so many messages.
local function full(size)
    local whole, rest = math.floor(size / 8), size % 8
    return string.rep('\255', whole) .. (rest > 0 and string.char(2 ^ rest - 1) or '')
end

-- Looks up a part of a chunk. Returns the progress of the chunk, and the places (from 1, among the messages
-- of the part) of those that are settled already. When there is no such chunk, nil and why: see `look_up`.
local function open_part(chunk, part)
    local done, why = look_up(chunk)
    if not done then
        return nil, why
    end
    local _, overlaps = merge(done, part)
    return done, overlaps and known_places(done, part, size_of(chunk)) or {}
end

-- Marks the first `places` of the `count` messages of a part as settled, beside what is `done`. A chunk
-- that is settled as a whole leaves the queue.
local function close_part(chunk, part, places, count, done)
    local size = size_of(chunk)
    if places < count then
        part = first_of(part, places, size)
    end
    local merged = merge(done, part)
    if merged ~= full(size) then
        call('HSET', progress, chunk, merged)
        return
    end
    if pcall('XACK', queue, group, chunk) ~= 1 then
        note('waiting', count_bits(done) - size)
    end
    call('XDEL', queue, chunk)
    if done ~= '' then
        call('HDEL', progress, chunk)
    end
end
