-- The ids seen within a window of time, in two sets: the current window's and the previous one's.
-- An id is looked up in both and added to the current, so it is known for one window at least and two
-- at the most. When a window is over, the older set goes, with UNLINK, and becomes the current.
--
-- keys: a hash with the fields `current` (0 or 1) and `since` (seconds), and the two sets.
-- Returns the keys of the current and of the previous set; nil when `seconds` is 0: nothing is kept.
local function open_windows(state, set0, set1, seconds)
    seconds = tonumber(seconds)
    if seconds == 0 then
        return nil
    end
    local now = tonumber(redis.call('TIME')[1])
    local known = redis.call('HMGET', state, 'current', 'since')
    local current, since = known[1] or '0', tonumber(known[2] or 0)
    local sets = { ['0'] = set0, ['1'] = set1 }
    -- A clock that was put back by more than a window must not keep the sets for ever.
    if now - since >= seconds or since - now >= seconds then
        if now - since >= 2 * seconds then
            redis.call('UNLINK', sets[current])
        end
        current = current == '0' and '1' or '0'
        redis.call('UNLINK', sets[current])
        redis.call('HSET', state, 'current', current, 'since', now)
    end
    return sets[current], sets[current == '0' and '1' or '0']
end

-- Which of `ids` (at least one) are in either window, as a table with these as its keys.
local function look_up(current, previous, ids)
    local seen = {}
    for _, window in ipairs({ current, previous }) do
        -- Often there is no previous one, and looking for each id in nothing is not free.
        if redis.call('EXISTS', window) == 1 then
            for i, found in ipairs(redis.call('SMISMEMBER', window, unpack(ids))) do
                if found == 1 then
                    seen[ids[i]] = true
                end
            end
        end
    end
    return seen
end

-- Adds ids to the current window.
local function remember(current, ids)
    if current and #ids > 0 then
        redis.call('SADD', current, unpack(ids))
    end
end
