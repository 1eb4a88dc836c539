-- How many dead letters there are, and the entry of the newest, or ''.
--
-- KEYS[1] = stream of dead letters
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
return { redis.call('XLEN', KEYS[1]), newest and newest[1] or '' }
