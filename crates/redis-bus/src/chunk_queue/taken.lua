-- Takes note of chunks that a reader was handed, by XREADGROUP or XAUTOCLAIM.
--
-- KEYS[1..4] as in chunks.lua; ARGV = identity of the queue, 'new' or 'reclaimed', the chunks
-- Answers 'another' when it is another queue, else a list, for each chunk: how often it was handed out, and
-- its progress
if not is_this_queue() then
    return redis.status_reply('another')
end
local answers = {}
for i = 3, #args do
    local chunk = args[i]
    local pending = call('XPENDING', queue, group, chunk, chunk, 1)[1]
    local deliveries, done = pending and pending[4] or 1, call('HGET', progress, chunk) or ''
    -- One that is not pending was settled meanwhile: whether it had waited is not known any more.
    if pending and args[2] == 'new' then
        note('waiting', count_bits(done) - size_of(chunk))
    end
    answers[#answers + 1] = { deliveries, done }
end
return answers
