"""A name server with SRV, A and AAAA records of the test's own."""
import asyncio
import socket
import struct

A, AAAA, SRV = 1, 28, 33


def name(text):
    return b''.join(bytes([len(part)]) + part.encode()
                    for part in text.rstrip('.').split('.') if part) + b'\0'


def question(packet):
    at, labels = 12, []
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode())
        at += packet[at] + 1
    return '.'.join(labels).lower(), packet[at + 1:at + 5], at + 5


class FakeDns(asyncio.DatagramProtocol):
    """records: {(name, type): [value]}; of SRV a value is (priority, weight,
    port, target). A name that is in none does not exist. silent: names that
    get no answer at all."""

    def __init__(self, records, silent=()):
        self.records, self.silent = records, silent
        self.asked = []

    async def start(self):
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=('127.0.0.1', 0))
        self.port = self.transport.get_extra_info('sockname')[1]
        return self

    def datagram_received(self, packet, peer):
        asked, kind_class, end = question(packet)
        kind = struct.unpack('>H', kind_class[:2])[0]
        self.asked.append((asked, kind))
        if asked in self.silent:
            return
        values = self.records.get((asked, kind), [])
        known = any(n == asked for n, _ in self.records)
        answer = packet[:2] + struct.pack(
            '>HHHHH', 0x8180 | (0 if known else 3), 1, len(values), 0, 0)
        answer += packet[12:end]
        for value in values:
            data = (struct.pack('>HHH', *value[:3]) + name(value[3])
                    if kind == SRV else socket.inet_pton(
                        socket.AF_INET if kind == A else socket.AF_INET6,
                        value))
            answer += b'\xc0\x0c' + kind_class + struct.pack(
                '>IH', 60, len(data)) + data
        self.transport.sendto(answer, peer)

    async def close(self):
        self.transport.close()
