#!/usr/bin/env python3
"""The tutorial's sender in Python: aemp exec -- python3 examples/programs/sender.py

Each second it sends the time to all that are in the group eg_receivers by then.
"""

import json
import sys
import threading
import time

receivers = []


def say(*request):
    print(json.dumps(request), flush=True)


def listen():
    for line in sys.stdin:
        match json.loads(line):
            case {"group": "eg_receivers", "ports": ports}:
                receivers[:] = ports


def main():
    listener = threading.Thread(target=listen)
    say("grp", "eg_receivers")
    listener.start()
    # Its input ends when the program is to end.
    while listener.is_alive():
        for port in list(receivers):
            say("snd", port, "test", int(time.time()))
        listener.join(1)


main()
