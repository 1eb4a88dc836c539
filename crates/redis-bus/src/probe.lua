-- Says whether work would be refused, and writes nothing. Without flags Redis runs it only while scripts may write
-- (https://redis.io/docs/latest/develop/programmability/lua-api/#script-flags).
--
-- KEYS = keys that work writes to; ARGV = for each its type, and the command that writes to it
-- Answers what is wrong, '' for nothing.
for i, key in ipairs(KEYS) do
    local kind, command = ARGV[2 * i - 1], ARGV[2 * i]
    -- A user who may not ask for the type may write all the same.
    local found = redis.pcall('TYPE', key).ok
    if found and found ~= 'none' and found ~= kind then
        return 'WRONGTYPE ' .. key .. ' is a ' .. found .. ', not a ' .. kind
    end
    if not redis.acl_check_cmd(command, key, 'a', '1', 'b') then
        return 'NOPERM this user may not ' .. command .. ' ' .. key
    end
end
return ''
