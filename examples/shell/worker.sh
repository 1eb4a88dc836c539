#!/bin/sh
# A worker in shell. Change `work`; the rest can stay. It needs socat, curl, jq and flock. Each message
# costs a dozen processes, some hundredths of a second, so it is for work that takes longer anyway.
#
# Environment, with the defaults:
#   HOST=127.0.0.1               address to listen on; 0.0.0.0 for all
#   PORT=5001                    port to listen on
#   ADVERTISED_HOST=             host at which the group reaches this worker; HOST if it is not given
#   GROUP=http://127.0.0.1:5000  URL of the group
HOST=${HOST:-127.0.0.1}
PORT=${PORT:-5001}
ADVERTISED_HOST=${ADVERTISED_HOST:-$HOST}
GROUP=${GROUP:-http://127.0.0.1:5000}
export LC_ALL=C # Lengths are in bytes.

# A message on standard input, the fields of its entry on standard output, as a JSON object. When it fails,
# another worker gets the message.
work() {
    jq -c '{shouted: .message_id | ascii_upcase}'
}

# Prints to standard error, because standard output is the connection.
say() {
    printf '%s\n' "$1" >&2
}

# Writes an answer: its status and its body.
answer() {
    printf 'HTTP/1.1 %s \r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' \
        "$1" "${#2}" "$2"
}

# Answers that it was this worker's fault: which message, and why.
fail() {
    say "failed $1: $2"
    answer 500 "{\"error\":\"$2\"}"
}

# Answers a message.
process() {
    id=$(printf %s "$1" | jq -r 'if .message_id | type == "string" then .message_id else error end' 2>/dev/null)
    case "$? $id" in
        0\ ?*) ;;
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
    if entry=$(printf %s "$1" | work); then
        say "processed $id"
        answer 200 "{\"entry\":$entry}" # The group records it, once for each message.
    else
        fail "$id" 'the work failed'
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
        'POST /processMessage') process "$(head -c "${length:-0}")" ;;
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
