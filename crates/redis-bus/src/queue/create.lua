-- Creates the queue and its StreamGroup unless they exist.
--
-- KEYS[1] = queue, KEYS[2] = account; ARGV[1] = StreamGroup
local created = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
if created.ok then
    forget_settled(KEYS[1], KEYS[2])
elseif not string.find(created.err, '^-?BUSYGROUP') then
    return created
end
return redis.status_reply('OK')
