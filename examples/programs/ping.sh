#!/bin/sh
# A port in shell: answers ["ping", PORT] with ["pong"] to that port, and "stop" with its end.
# aemp exec -- sh examples/programs/ping.sh

echo '["reg","pingers"]'

while read -r line; do
    case $line in
    '["ping",'*)
        port=${line#*,}
        echo "[\"snd\",${port%]},\"pong\"]"
        ;;
    '["stop"]') exit 0 ;;
    '["stop",'*)
        status=$(echo "$line" | tr -cd 0-9)
        exit "$status"
        ;;
    *) echo "not understood: $line" >&2 ;;
    esac
done
