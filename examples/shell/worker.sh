#!/bin/sh
# A worker in shell. Change `work`; the rest can stay. It needs socat, curl, jq and flock. Each message
# costs two dozen processes, some hundredths of a second, so it is for work that takes longer anyway.
#
# Environment, with the defaults:
#   HOST=127.0.0.1               address to listen on; 0.0.0.0 for all
#   PORT=5001                    port to listen on
#   ADVERTISED_HOST=             host at which the group reaches this worker; HOST if it is not given
#   GROUP=http://127.0.0.1:5000  URL of the group
#
# Results are in the folder results of the working directory.
HOST=${HOST:-127.0.0.1}
PORT=${PORT:-5001}
ADVERTISED_HOST=${ADVERTISED_HOST:-$HOST}
GROUP=${GROUP:-http://127.0.0.1:5000}
export LC_ALL=C # Lengths are in bytes.

# A message on standard input, its result on standard output. When it fails, another worker gets the message.
work() {
    jq -r '.message_id | ascii_upcase'
}

# Prints to standard error, because standard output is the connection.
say() {
    printf '%s\n' "$1" >&2
}

# Writes an answer: its status and its body.
answer() {
    printf 'HTTP/1.1 %s \r\nContent-Type: application/json\r\nConnection: close\r\n' "$1"
    printf 'Content-Length: %d\r\n\r\n%s' "${#2}" "$2"
}

# Answers that it was this worker's fault: which message, and why.
fail() {
    say "failed $1: $2"
    answer 500 "{\"error\":\"$2\"}"
}

# Answers the message in this file.
process() {
    is_message=$(jq 'type == "object" and (.message_id | type == "string")' "$1" 2>/dev/null)
    case "$? $is_message" in
        '0 true') ;;
        0\ * | 2\ * | 4\ * | 5\ *) # It is something else, or no JSON: versions of jq differ in the number.
            say 'rejected what is no message'
            answer 400 '{"error":"this is no object with a string message_id"}'
            return
            ;;
        *)
            fail 'a message' 'jq does not run'
            return
            ;;
    esac
    jq -j .message_id "$1" >"$1.id" && hash=$(sha256sum <"$1.id") || {
        fail 'a message' 'its id cannot be stored'
        return
    }
    id=$(cat "$1.id")
    name=results/${hash%% *}
    if ! work <"$1" >"$1.result"; then
        fail "$id" 'the work failed'
    elif ln "$1.result" "$name" 2>/dev/null; then # In one step, under a name made of the id.
        say "processed $id"
        answer 200 '{}'
    elif [ -e "$name" ]; then
        say "seen before: $id"
        answer 200 '{"result":"duplicate"}'
    else
        fail "$id" 'the result cannot be stored'
    fi
}

# Answers one request: it is standard input, the connection is standard output.
serve() {
    exec 9>>.running && flock -s 9 # Held until this has answered.
    read -r method path _
    while read -r name value && [ ${#name} -gt 1 ]; do # The last line is a carriage return.
        case $name in [Cc]ontent-[Ll]ength:) length=${value%?} ;; esac
    done
    case "$method $path" in
        'GET /health') answer 200 '{"message":"Application is running"}' ;;
        'POST /processMessage')
            draft=results/draft.$$
            if head -c "${length:-0}" >"$draft"; then
                said=$(process "$draft")
            else
                said=$(fail 'a message' 'it cannot be stored')
            fi
            rm -f "$draft" "$draft.id" "$draft.result" # First: after the answer socat may end this process.
            printf %s "$said"
            ;;
        *) answer 404 '{"error":"there is no such path"}' ;;
    esac
}

# Calls the group about this worker; whether it answers 200.
group_agrees() {
    curl -sf -m 5 -o /dev/null "$GROUP$1" -H 'Content-Type: application/json' \
        -d "{\"consumer_id\":\"$ADVERTISED_HOST:$PORT\"}"
}

stop() {
    group_agrees /unregister
    kill "$listener"
    flock -x .running true # Waits for what runs.
    exit 0
}

if [ "$1" = serve ]; then
    serve
    exit
fi
for tool in socat curl jq flock; do
    command -v "$tool" >/dev/null || { say "$tool is missing"; exit 1; }
done
mkdir -p results
socat -t 0.1 "TCP-LISTEN:$PORT,bind=$HOST,reuseaddr,fork,backlog=128" "EXEC:sh $0 serve" &
listener=$!
trap stop INT TERM
while kill -0 "$listener" 2>/dev/null; do
    if group_agrees /checkMembership; then
        pause=10
    elif group_agrees /register; then
        say "registered $ADVERTISED_HOST:$PORT with $GROUP"
        pause=0
    else
        say "cannot register with $GROUP, trying again"
        pause=1
    fi
    sleep "$pause" & # A signal interrupts wait, but not sleep.
    wait $!
done
say 'socat has ended'
exit 1
