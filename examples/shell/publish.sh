#!/bin/sh
# Publishes messages: publish.sh [URL] [COUNT]. With the http:// URL of a group each is acknowledged. With a
# redis:// URL they are published on the channel: who is subscribed just then hears them.
#
# Environment, with the default:
#   GROUP=http://127.0.0.1:5000  URL of the group, when none is given
url=${1:-${GROUP:-http://127.0.0.1:5000}}
count=${2:-10}

# One a line. The id says which message it is: use one that your data has.
messages() {
    for number in $(seq "$count"); do
        printf '{"message_id":"%s-%s","number":%s}\n' "$(date +%s)-$$" "$number" "$number"
    done
}

# Sent twice they are duplicates, so it may try again.
post() {
    curl -sSf --retry 10 --retry-connrefused --max-time 60 "$url/messages" \
        -H 'Content-Type: application/x-ndjson' --data-binary @-
}

# Redis says of each how many heard it: 0 is nobody, and then it is lost.
publish() {
    while IFS= read -r message; do
        heard=$(redis-cli -u "$url" PUBLISH messages:published "$message") || return
        if [ "$heard" -eq 0 ]; then
            echo "nobody heard $message" >&2
            return 1
        fi
    done
}

case $url in
    http*) messages | post ;;
    *) messages | publish ;;
esac
