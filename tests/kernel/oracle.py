#!/usr/bin/env python3
"""Sends crafted packets to this machine's own network stack and tells what the applications read.

usage: oracle.py PLAN.json CAPTURE.pcap ANSWERS.json, in a network namespace of its own.

Two ends of a cable lie in the namespace: one has addresses, and sockets listen there; frames are put on the other by
hand. All that passes is captured. The plan and the answers are described in main.rs.
"""
import json, socket, struct, subprocess, sys, time

MAC = b'\x02\0\0\0\0\x01'                        # of the end that has addresses
OWN = b'\x02\0\0\0\0\x02'
HOST = {4: '10.9.0.1', 6: 'fd09::1'}
PEER = {4: '10.9.0.2', 6: 'fd09::2'}
PORT = 9000
UDP_NO_CHECK6_RX = 102


def sh(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def cable():
    sh('ip', 'link', 'set', 'lo', 'up')
    sh('ip', 'link', 'add', 'craft', 'address', OWN.hex(':'), 'type', 'veth', 'peer', 'name', 'host', 'address', MAC.hex(':'))
    open('/proc/sys/net/ipv6/conf/craft/disable_ipv6', 'w').write('1')
    sh('ip', 'link', 'set', 'craft', 'up')
    sh('ip', 'link', 'set', 'host', 'up')
    sh('ip', 'address', 'add', HOST[4] + '/24', 'dev', 'host')
    sh('ip', 'address', 'add', HOST[6] + '/64', 'dev', 'host', 'nodad')
    for version in (4, 6):
        sh('ip', 'neighbour', 'add', PEER[version], 'lladdr', OWN.hex(':'), 'dev', 'host')


def packed(version, address):
    return socket.inet_pton(socket.AF_INET if version == 4 else socket.AF_INET6, address)


ENDS = {version: packed(version, PEER[version]) + packed(version, HOST[version]) for version in (4, 6)}


def checksum(data):
    total = sum(struct.unpack(f'!{(len(data) + 1) // 2}H', data + b'\0' * (len(data) % 2)))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip(version, protocol, body, ident=0, field=0):
    if version == 6:
        return struct.pack('!IHBB', 0x60000000, len(body), protocol, 64) + ENDS[6] + body
    head = struct.pack('!BBHHHBBH', 0x45, 0, 20 + len(body), ident, field, 64, protocol, 0) + ENDS[4]
    return head[:10] + struct.pack('!H', checksum(head)) + head[12:] + body


def fragment(version, ident, offset, more, body):
    if version == 4:
        return ip(4, 17, body, ident & 0xffff, offset // 8 | (0x2000 if more else 0))
    return ip(6, 44, struct.pack('!BBHI', 17, 0, offset | more, ident) + body)


class Wire:
    """The end without addresses."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.bind(('craft', 0))
        self.file = open(path, 'wb')
        self.file.write(struct.pack('<IHHiIII', 0xa1b23c4d, 2, 4, 0, 0, 65535, 1))

    def note(self, frame):
        now = time.time_ns()
        self.file.write(struct.pack('<IIII', now // 10**9, now % 10**9, len(frame), len(frame)) + frame)

    def send(self, version, packet):
        frame = MAC + OWN + (b'\x08\0' if version == 4 else b'\x86\xdd') + packet
        self.note(frame)
        self.socket.send(frame)

    def heard(self, wait=0.0):
        """What the host sent, until nothing comes any more; waits for the first of it."""
        self.socket.settimeout(wait or 0.000001)
        try:
            while True:
                frame = self.socket.recv(65535)
                self.note(frame)
                yield frame
                self.socket.settimeout(0.000001)
        except (TimeoutError, BlockingIOError):
            return


class Connection:
    """Our side of a TCP connection."""

    def __init__(self, wire, version, port):
        self.wire, self.version, self.port, self.base, self.next = wire, version, port, (port * 2654435761) % 2**32, 0
        self.segment(-1, 0x02)
        for _ in range(50):
            for frame in wire.heard(0.1):
                tcp = frame[14 + (20 if version == 4 else 40):]
                if len(tcp) >= 20 and struct.unpack('!HH', tcp[:4]) == (PORT, port) and tcp[13] == 0x12:
                    self.next = struct.unpack('!I', tcp[4:8])[0] + 1
                    return self.segment(0, 0x10)
        raise SystemExit(f'no SYN-ACK for port {port}')

    def segment(self, offset, flags, data=b'', ahead=0):
        head = struct.pack('!HHIIBBHHH', self.port, PORT, (self.base + 1 + offset) % 2**32, (self.next + ahead) % 2**32 if flags != 2 else 0,
                           0x50, flags, 65535, 0, 0)
        pseudo = ENDS[self.version] + struct.pack('!II', len(head) + len(data), 6)
        sum_ = checksum(pseudo + head + data)
        self.wire.send(self.version, ip(self.version, 6, head[:16] + struct.pack('!H', sum_) + head[18:] + data))


def read_all(connection):
    got = b''
    connection.settimeout(2)
    try:
        while part := connection.recv(65535):
            got += part
        return got.decode('latin-1')
    except TimeoutError:
        return None


def main():
    plan = json.load(open(sys.argv[1]))
    cable()
    wire = Wire(sys.argv[2])
    listening, datagrams = {}, {}
    for version, family in ((4, socket.AF_INET), (6, socket.AF_INET6)):
        listening[version] = socket.create_server((HOST[version], PORT), family=family, backlog=16)
        datagrams[version] = socket.socket(family, socket.SOCK_DGRAM)
        if version == 6:
            datagrams[6].setsockopt(socket.IPPROTO_UDP, UDP_NO_CHECK6_RX, 1)
        datagrams[version].bind((HOST[version], PORT))
        datagrams[version].setblocking(False)
    streams, packets = [], []
    for case in plan['streams']:
        version = case['version']
        ours = Connection(wire, version, case['port'])
        theirs, _ = listening[version].accept()
        for offset, text in case['segments']:
            ours.segment(offset, 0x18, text.encode('latin-1'))
            list(wire.heard())
        ours.segment(case['len'], 0x11)
        streams.append(read_all(theirs))
        theirs.close()
        list(wire.heard())
        ours.segment(case['len'] + 1, 0x10, ahead=1)
    for case in plan['datagrams']:
        version = case['version']
        for offset, more, text in case['fragments']:
            wire.send(version, fragment(version, case['port'], offset, more, text.encode('latin-1')))
        time.sleep(0)
        got = None
        try:
            while True:
                data, peer = datagrams[version].recvfrom(65535)
                if peer[1] == case['port']:
                    got = (got or '') + data.decode('latin-1')
        except BlockingIOError:
            packets.append(got)
        list(wire.heard())
    wire.file.close()
    json.dump({'streams': streams, 'datagrams': packets}, open(sys.argv[3], 'w'))


main()
