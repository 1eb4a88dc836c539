-- Since when the oldest unsettled entry is in the queue.
--
-- KEYS[1] = queue; ARGV[1] = StreamGroup
-- Answers its age in milliseconds by the server's clock, -1 when there is none.
local function first_waiting()
    local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1])
    -- What was handed out is older than what was not.
    if not pending.err and pending[2] then
        return pending[2]
    end
    local last = last_delivered(KEYS[1], ARGV[1])
    local start = last and '(' .. last or '-'
    local entry = redis.call('XRANGE', KEYS[1], start, '+', 'COUNT', 1)[1]
    return entry and entry[1]
end

local entry = first_waiting()
if not entry then
    return -1
end
local now = redis.call('TIME')
local time = time_and_number(entry)
return math.max(0, math.floor(now[1] * 1000 + now[2] / 1000 - time))
