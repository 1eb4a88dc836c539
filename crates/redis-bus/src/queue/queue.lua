-- What scripts do with the durable queue and its account.
--
-- Of the entries that were handed out, the pending ones are unsettled. A settled one stays until all
-- in front of it are settled, too, and they go in one piece: XDEL looks for each from the beginning of
-- its node of the stream, which costs more than all else that is done with it. How many settled ones
-- are left is in the account.

-- The most that may be left: the one in front may be unsettled for long.
local most_left = 2048

-- Adds to a field of the account; returns what it comes to.
local function note(account, field, count)
    if count ~= 0 then
        return redis.call('HINCRBY', account, field, count)
    end
    return 0
end

-- The last entry that was handed out; nil when there is no StreamGroup.
local function last_delivered(queue, group)
    local groups = redis.pcall('XINFO', 'GROUPS', queue)
    for _, known in ipairs(groups) do
        if known[2] == group then
            for i = 1, #known, 2 do
                if known[i] == 'last-delivered-id' then
                    return known[i + 1]
                end
            end
        end
    end
    return nil
end

local function time_and_number(entry)
    local time, number = string.match(entry, '^(%d+)-(%d+)$')
    return tonumber(time) or 0, tonumber(number) or 0
end

local function is_after(entry, other)
    local time, number = time_and_number(entry)
    local other_time, other_number = time_and_number(other)
    return time > other_time or time == other_time and number > other_number
end

-- Without a StreamGroup nobody knows which entries were settled. All will be handed out again, so
-- those that were settled count as received again.
local function forget_settled(queue, account)
    local left = tonumber(redis.call('HGET', account, 'left') or 0)
    note(account, 'left', -left)
    note(account, 'received', math.min(left, redis.call('XLEN', queue)))
end

-- Removes the entries in front of all unsettled ones; returns how many there were.
local function remove_front(queue, group)
    local pending = redis.call('XPENDING', queue, group)
    local first_kept = pending[2]
    if not first_kept then
        local time, number = string.match(last_delivered(queue, group), '^(%d+)-(%d+)$')
        first_kept = time .. '-' .. string.format('%.0f', number + 1)
    end
    return redis.call('XTRIM', queue, 'MINID', first_kept)
end

-- Settles those of `entries` that are not handed out: since they were, the StreamGroup was made anew.
-- Returns how many.
local function settle_waiting(queue, account, group, entries)
    local last = last_delivered(queue, group)
    if not last then
        forget_settled(queue, account)
    end
    local settled = 0
    for _, entry in ipairs(entries) do
        if not last or is_after(entry, last) then
            settled = settled + redis.call('XDEL', queue, entry)
        end
    end
    return settled
end

-- Settles entries. Returns how many were unsettled: the others somebody else has settled.
local function settle(queue, account, group, entries)
    if #entries == 0 then
        return 0
    end
    local acknowledged, waiting = redis.call('XACK', queue, group, unpack(entries)), 0
    if acknowledged < #entries then
        waiting = settle_waiting(queue, account, group, entries)
    end
    if acknowledged > 0 then
        local left = note(account, 'left', acknowledged - remove_front(queue, group))
        if left > most_left then
            note(account, 'left', -redis.call('XDEL', queue, unpack(entries)))
        end
    end
    return acknowledged + waiting
end

-- Whether an entry is in the queue and not settled.
local function is_unsettled(queue, group, entry)
    if #redis.call('XRANGE', queue, entry, entry) == 0 then
        return false
    end
    local last = last_delivered(queue, group)
    return not last or is_after(entry, last)
        or #redis.call('XPENDING', queue, group, entry, entry, 1) > 0
end
