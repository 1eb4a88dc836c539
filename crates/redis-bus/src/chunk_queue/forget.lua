-- Deletes readers that have nothing pending: deleting one that has would delete that, too.
--
-- KEYS[1] = queue
-- ARGV = StreamGroup, name of the reader or '' for all, idle time in ms from which one is deleted
local readers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if readers.err then
    return 0
end
local forgotten = 0
for _, reader in ipairs(readers) do
    local known = {}
    for i = 1, #reader, 2 do
        known[reader[i]] = reader[i + 1]
    end
    if (ARGV[2] == '' or ARGV[2] == known.name)
        and known.pending == 0 and known.idle >= tonumber(ARGV[3]) then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], known.name)
        forgotten = forgotten + 1
    end
end
return forgotten
