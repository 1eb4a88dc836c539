-- Sets the idle time of entries, of those only that are still this reader's: to nothing, to keep them,
-- or to a long time, to give them back.
--
-- KEYS[1] = queue
-- ARGV = StreamGroup, own name, idle time in ms, then for each entry: its id, and how often it is to
--        count as handed out ('' leaves that as it is)
-- Answers how many were still this reader's.
local kept = 0
for i = 4, #ARGV, 2 do
    local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2])
    if pending[1] then
        kept = kept + 1
        if ARGV[i + 1] == '' then
            redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'IDLE', ARGV[3], 'JUSTID')
        else
            redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'IDLE', ARGV[3],
                'RETRYCOUNT', ARGV[i + 1], 'JUSTID')
        end
    end
end
return kept
