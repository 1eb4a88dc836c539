-- Writes dead letters, each id once, and never that of a message that is processed. An id is remembered
-- as settled, so that a consumer that took too long adds nothing afterwards, and a second time marked
-- as failed (a byte that no id starts with, then the id), so that a replay may lift that again.
--
-- KEYS[1] = stream of dead letters, KEYS[2..4] = windows, and with the durable queue
-- KEYS[5] = queue, KEYS[6] = account
-- ARGV = window in seconds, StreamGroup, number of letters, and for each: its identity, queue entry or
--        '', number of field arguments, these. The identity is the message's id; for what is no message
--        a byte that no id has, then what tells the payload apart; '' for a letter that is always written.
-- Answers a list: 'buried', 'processed', 'duplicate', or 'gone' when its queue entry is settled.
local current, previous = open_windows(KEYS[2], KEYS[3], KEYS[4], ARGV[1])
local group, count = ARGV[2], tonumber(ARGV[3])
local answers = {}
local at = 4
for i = 1, count do
    local identity, entry, fields = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
    local first = at + 3
    at = first + fields
    if string.byte(identity) == 254 then
        identity = '\254' .. redis.sha1hex(identity)
    end
    local mark = '\255' .. identity
    local seen = {}
    if identity ~= '' then
        seen = look_up(current, previous, { identity, mark })
    end
    local answer
    if entry ~= '' and not is_unsettled(KEYS[5], group, entry) then
        answer = 'gone'
    elseif seen[mark] then
        answer = 'duplicate'
    elseif seen[identity] then
        answer = (KEYS[6] and entry == '') and 'duplicate' or 'processed'
    else
        redis.call('XADD', KEYS[1], '*', unpack(ARGV, first, at - 1))
        if identity ~= '' then
            remember(current, { identity, mark })
        end
        answer = 'buried'
    end
    if KEYS[6] and answer ~= 'gone' then
        if entry == '' then
            note(KEYS[6], 'received', 1)
        else
            settle(KEYS[5], KEYS[6], group, { entry })
        end
        note(KEYS[6], answer == 'buried' and 'dead_lettered' or answer, 1)
    end
    answers[i] = answer
end
return answers
