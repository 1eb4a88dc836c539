-- Sends the messages of dead letters on their way again and removes the letters, or says what that
-- would come to. The id of a message that is sent is no longer remembered as failed. One that is
-- remembered as processed stays so: its message is not sent, and the letter stays.
--
-- KEYS[1] = stream of dead letters, KEYS[2] = queue, KEYS[3] = account,
-- KEYS[4..5] = sets of settled ids, KEYS[6..7] = sets of queued ids
-- ARGV = 'replay' or 'rehearse', 'queue' or 'channel', name of the channel, and for each letter: its
--        entry, the id of its message
-- Answers a list: 'replayed', 'processed', 'gone' when there is no such letter, 'unheard' when nobody
-- listens to the channel.
local is_rehearsal, is_for_queue, channel = ARGV[1] == 'rehearse', ARGV[2] == 'queue', ARGV[3]

-- An id that is remembered as failed has its mark in the same set: see bury.lua.
local function is_processed(id, mark)
    for i = 4, 5 do
        local found = redis.call('SMISMEMBER', KEYS[i], id, mark)
        if found[1] == 1 and found[2] == 0 then
            return true
        end
    end
    return false
end

local function is_heard()
    return is_for_queue or redis.call('PUBSUB', 'NUMSUB', channel)[2] > 0
end

local function send(fields)
    local message
    for i = 1, #fields, 2 do
        if fields[i] == 'payload' then
            message = fields[i + 1]
        end
    end
    if not is_for_queue then
        return redis.call('PUBLISH', channel, message) > 0
    end
    redis.call('XADD', KEYS[2], '*', 'message', message)
    note(KEYS[3], 'received', 1)
    return true
end

-- Whoever hears the message may bring it back at once, but not before this script ends.
local function lift(id, mark)
    for i = 4, 5 do
        if redis.call('SREM', KEYS[i], mark) == 1 then
            redis.call('SREM', KEYS[i], id)
        end
    end
    for i = 6, 7 do
        redis.call('SREM', KEYS[i], mark)
        -- What is published is to be brought to the queue again; what was put there is there.
        if not is_for_queue then
            redis.call('SREM', KEYS[i], id)
        end
    end
end

local answers = {}
for i = 4, #ARGV, 2 do
    local entry, id = ARGV[i], ARGV[i + 1]
    local mark = '\255' .. id
    local letter = redis.call('XRANGE', KEYS[1], entry, entry)[1]
    local answer
    if not letter then
        answer = 'gone'
    elseif is_processed(id, mark) then
        answer = 'processed'
    elseif is_rehearsal then
        answer = is_heard() and 'replayed' or 'unheard'
    elseif send(letter[2]) then
        lift(id, mark)
        redis.call('XDEL', KEYS[1], entry)
        answer = 'replayed'
    else
        answer = 'unheard'
    end
    answers[#answers + 1] = answer
end
return answers
