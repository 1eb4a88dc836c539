-- Since when the oldest chunk is in the queue.
--
-- KEYS[1..4] as in chunks.lua
-- Answers its age in milliseconds by the clock of Redis, -1 when the queue is empty.
local function first_chunk()
    -- What was handed out is older than what was not. It is looked up without its messages.
    local pending = pcall('XPENDING', queue, group)
    if not pending.err and pending[2] then
        return pending[2]
    end
    local entry = call('XRANGE', queue, '-', '+', 'COUNT', 1)[1]
    return entry and entry[1]
end

local chunk = first_chunk()
if not chunk then
    return -1
end
local clock, time = call('TIME'), time_and_number(chunk)
return math.max(0, math.floor(clock[1] * 1000 + clock[2] / 1000 - time))
