#!/usr/bin/env python3
"""The chat server of the tutorial's second part: aemp exec -- python3 examples/programs/chat_server.py

Clients find it in the group eg_chat_server. They send ["join", PORT, NICK] and ["privmsg", NICK, TEXT], and get [TEXT].
"""

import json
import sys

clients = {}


def say(*request):
    print(json.dumps(request), flush=True)


def tell_all(text):
    print(f"relaying: {text}", file=sys.stderr, flush=True)
    for port in clients:
        say("snd", port, text)


def main():
    say("reg", "eg_chat_server")
    print("server ready.", file=sys.stderr, flush=True)
    for line in sys.stdin:
        match json.loads(line):
            case ["join", str(port), str(nick)]:
                clients[port] = nick
                say("mon", port)
                tell_all(f"{nick} (joins)")
            case ["privmsg", str(nick), str(text)]:
                tell_all(f"{nick}: {text}")
            case {"died": port, "reason": reason} if port in clients:
                nick = clients.pop(port)
                tell_all(f"{nick} (quits, {' '.join(map(str, reason))})")
            case other:
                print(f"not understood: {other}", file=sys.stderr, flush=True)


main()
