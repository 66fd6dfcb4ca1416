#!/bin/sh
# The tutorial's receiver in shell: aemp exec -- sh examples/programs/receiver.sh

echo '["reg","eg_receivers"]'

while read -r line; do
    case $line in
    '["test",'*)
        data=${line#*,}
        echo "Received data: ${data%]}" >&2
        ;;
    esac
done
