#!/usr/bin/env python3
"""A port in Python that counts: ["add", N, PORT] adds N and sends ["sum", SUM] to PORT.

aemp exec -- python3 examples/programs/counter.py

It counts for one node at a time: it monitors who asks, and starts anew when that port is dead.
"""

import json
import os
import sys


def say(*request):
    print(json.dumps(request), flush=True)


def main():
    total, user = 0, None
    say("reg", "counters")
    print(f"{os.environ['AEMP_PORT']} counts", file=sys.stderr, flush=True)
    for line in sys.stdin:
        match json.loads(line):
            case ["add", int(n), str(port)]:
                if user != port:
                    total, user = 0, port
                    say("mon", port)
                total += n
                say("snd", port, "sum", total)
            case ["stop", int(status)]:
                sys.exit(status)
            case {"died": port} if port == user:
                total, user = 0, None
            case other:
                print(f"not understood: {other}", file=sys.stderr, flush=True)


main()
