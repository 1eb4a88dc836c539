#!lua
-- Removes entries from the list, each wherever it stands; one pass over the list, however many they are.
--
-- KEYS[1] = list of consumer ids
-- ARGV = the entries
local unwanted = {}
for _, entry in ipairs(ARGV) do
    unwanted[entry] = true
end
local entries = redis.call('LRANGE', KEYS[1], 0, -1)
local kept = {}
for _, entry in ipairs(entries) do
    if not unwanted[entry] then
        kept[#kept + 1] = entry
    end
end
if #kept == #entries then
    return
end
redis.call('UNLINK', KEYS[1])
-- Lua passes some thousand arguments at the most.
for first = 1, #kept, 1000 do
    redis.call('RPUSH', KEYS[1], unpack(kept, first, math.min(first + 999, #kept)))
end
