#!/usr/bin/env python3
# A resolver for demonstrations: whatever is asked is 192.0.2.1. resolver.py ADDRESS
import socket
import sys

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 53))
while True:
    query, client = server.recvfrom(512)
    end = query.find(b"\0", 12) + 5
    if end < 17 or len(query) < end:
        continue
    a = query[end - 4 : end - 2] == b"\0\1"
    answer = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton("192.0.2.1") if a else b""
    head = query[:2] + b"\x81\x80\0\1" + bytes([0, int(a)]) + bytes(4)
    server.sendto(head + query[12:end] + answer, client)
