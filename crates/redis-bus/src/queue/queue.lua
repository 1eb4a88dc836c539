-- Takes an entry out of the durable queue for good. False when somebody else did.
local function settle(queue, group, entry)
    -- Fails, and is of no concern, when the StreamGroup is gone: the entry still is to be deleted.
    redis.pcall('XACK', queue, group, entry)
    return redis.call('XDEL', queue, entry) == 1
end

-- Adds to a field of the account of the durable queue.
local function note(account, field, count)
    if count > 0 then
        redis.call('HINCRBY', account, field, count)
    end
end
