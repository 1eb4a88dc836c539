-- Takes entries that came to their end out of the durable queue.
--
-- KEYS[1] = queue, KEYS[2] = account
-- ARGV = StreamGroup, number of entries whose messages were processed, these, and those of duplicates
local last = 2 + ARGV[2]
note(KEYS[2], 'processed', settle(KEYS[1], KEYS[2], ARGV[1], { unpack(ARGV, 3, last) }))
note(KEYS[2], 'duplicate', settle(KEYS[1], KEYS[2], ARGV[1], { unpack(ARGV, last + 1) }))
return redis.status_reply('OK')
