-- The newest dead letters, the newest first, with no more of each payload than is asked for.
--
-- KEYS[1] = stream of dead letters
-- ARGV = where to start, as XREVRANGE takes it, the most letters, the most bytes of a payload
-- Answers for each letter its entry and its fields.
local letters = redis.call('XREVRANGE', KEYS[1], ARGV[1], '-', 'COUNT', ARGV[2])
local most = tonumber(ARGV[3])
for _, letter in ipairs(letters) do
    local fields = letter[2]
    for i = 1, #fields, 2 do
        if fields[i] == 'payload' then
            fields[i + 1] = string.sub(fields[i + 1], 1, most)
        end
    end
end
return letters
