#!/usr/bin/env python3
"""Puts the frames of a little-endian pcap on an interface, as fast as it can.

usage: send.py INTERFACE CAPTURE [BURST]; with BURST it rests 10 ms after so many frames.
"""
import socket, struct, sys, time

capture, burst = open(sys.argv[2], 'rb').read(), int(sys.argv[3]) if len(sys.argv) > 3 else 0
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind((sys.argv[1], 0))
at, sent = 24, 0
while at < len(capture):
    length = struct.unpack_from('<I', capture, at + 8)[0]
    wire.send(capture[at + 16:at + 16 + length])
    at, sent = at + 16 + length, sent + 1
    if burst and sent % burst == 0:
        time.sleep(0.01)
