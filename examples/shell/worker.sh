#!/bin/sh
# A whole worker in shell: change `work`, the rest can stay. It needs socat, curl, jq and flock. Each message
# costs a dozen processes, some hundredths of a second, so it is for work that takes longer anyway.
export LC_ALL=C PORT="${PORT:-5001}" GROUP="${GROUP:-http://127.0.0.1:5000}"
work() { # A message on standard input, its result on standard output.
    jq -r '.message_id | ascii_upcase'
}
answer() { # status, body
    printf 'HTTP/1.1 %s \r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' "$1" ${#2} "$2"
}
process() { # the file with the message
    id=$(jq -r 'objects.message_id | strings' "$1"); [ $? -lt 126 ] || { answer 500 '{"error":"jq does not run"}'; return; }
    [ -n "$id" ] || { answer 400 '{"error":"no message"}'; return; }
    hash=$(printf %s "$id" | sha256sum) && name=results/${hash%% *}
    if ! work <"$1" >"$1.result"; then answer 500 '{"error":"the work failed"}'
    elif ln "$1.result" "$name" 2>/dev/null; then # In one step, under a name the id gives.
        answer 200 '{}' && echo "processed $id" >&2
    elif [ -e "$name" ]; then answer 200 '{"result":"duplicate"}'
    else answer 500 '{"error":"the result cannot be stored"}'; fi
}
if [ "$1" = serve ]; then # One request, on standard input and output.
    exec 9>>.running && flock -s 9
    read -r method _
    while read -r name value && [ ${#name} -gt 1 ]; do # The last line is a carriage return.
        case $name in [Cc]ontent-[Ll]ength:) length=${value%?} ;; esac
    done
    [ "$method" = GET ] && answer 200 '{}' && exit
    draft=results/draft.$$ && head -c "${length:-0}" >"$draft" && said=$(process "$draft")
    rm -f "$draft" "$draft.result" # Before the answer, after which socat may end this process.
    printf %s "${said:-$(answer 500 '{"error":"the message cannot be stored"}')}" && exit
fi
tell_group() {
    curl -sf -m 5 -o /dev/null "$GROUP$1" -H 'Content-Type: application/json' -d "{\"consumer_id\":\"127.0.0.1:$PORT\"}"
}
mkdir -p results
socat -t 0.1 TCP-LISTEN:"$PORT",bind=127.0.0.1,reuseaddr,fork,backlog=128 EXEC:"sh $0 serve" & listener=$!
trap 'tell_group /unregister; kill $listener; flock -x .running true; exit 0' INT TERM # Waits for what runs.
while kill -0 $listener; do
    if tell_group /checkMembership || tell_group /register; then sleep 10 & else sleep 1 & fi; wait $!
done
