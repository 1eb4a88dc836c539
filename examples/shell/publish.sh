#!/bin/sh
# Publishes messages: publish.sh [URL] [COUNT]. With an http:// URL of a group each is
# acknowledged; with a redis:// URL they are published on the channel.
url=${1:-http://127.0.0.1:5000} count=${2:-10}

messages() { # One a line. The id says which message it is: use one that your data has.
    for number in $(seq "$count"); do
        printf '{"message_id":"%s-%s","number":%s}\n' "$(date +%s)-$$" "$number" "$number"
    done
}

case $url in
    http*) # Sent twice they are duplicates, so it may try again.
        messages | curl -sSf --retry 10 --retry-connrefused --max-time 60 "$url/messages" \
            -H 'Content-Type: application/x-ndjson' --data-binary @- ;;
    *) # Redis says of each how many heard it: 0 is nobody, and then it is lost.
        messages | while IFS= read -r message; do
            heard=$(redis-cli -u "$url" PUBLISH messages:published "$message") || exit
            [ "$heard" -gt 0 ] || { echo "nobody heard $message" >&2; exit 1; }
        done ;;
esac
