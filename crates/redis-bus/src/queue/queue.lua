-- Takes entries out of the durable queue for good. Returns how many still were there: the others
-- somebody else took out.
local function settle(queue, group, entries)
    if #entries == 0 then
        return 0
    end
    -- Fails, and is of no concern, when the StreamGroup is gone: the entries still are to be deleted.
    redis.pcall('XACK', queue, group, unpack(entries))
    return redis.call('XDEL', queue, unpack(entries))
end

-- Adds to a field of the account of the durable queue.
local function note(account, field, count)
    if count > 0 then
        redis.call('HINCRBY', account, field, count)
    end
end
