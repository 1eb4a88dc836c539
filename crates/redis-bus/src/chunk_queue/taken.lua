-- Takes note of chunks that a reader was handed, by XREADGROUP or XAUTOCLAIM.
--
-- KEYS[1..4] as in chunks.lua; ARGV = 'new' or 'reclaimed', the chunks
-- Answers 'another' when there is no queue, else its identity, and a list, for each chunk: how often it was
-- handed out, and its progress
local identity = call('HGET', account, 'identity')
if not identity then
    return redis.status_reply('another')
end
local answers = {}
for i = 2, #args do
    local chunk = args[i]
    local pending = call('XPENDING', queue, group, chunk, chunk, 1)[1]
    local deliveries, done = pending and pending[4] or 1, call('HGET', progress, chunk) or ''
    -- One that is not pending was settled meanwhile: whether it had waited is not known any more.
    if pending and args[1] == 'new' then
        note('waiting', count_bits(done) - size_of(chunk))
    end
    answers[#answers + 1] = { deliveries, done }
end
return { identity, answers }
