#!/usr/bin/python3
"""line.py DELAY FOLDER|- NUMBER:PHONE:SERVER:ADDRESS...

Carries IP packets between pairs of tun devices (their descriptors), each DELAY
seconds late, in order, none lost. So TCP is that of the two ends, and what they
acknowledge, and when, is theirs. With a FOLDER it writes NUMBER.pcap there, as
the phone sees the packets.

Commands on stdin, answered by a line of JSON each:
  address NUMBER ADDRESS   packets from or to any other are dropped; `-`: all
  count NUMBER             of the packets carried, those without payload, and
                           the payload's bytes, each way; and how often the
                           phone said something after it had heard something
Ends with stdin."""
import heapq
import itertools
import json
import os
import select
import socket
import struct
import sys
import time

RAW_IP, SYN = 101, 2


class Pair:
    def __init__(self, word, keep):
        number, far, near, address = word.split(':')
        self.far, self.near = int(far), int(near)
        self.address = socket.inet_aton(address)
        self.count = {'flights': 0, **{
            f'{way}_{what}': 0 for way in ('up', 'down')
            for what in ('bare', 'payload')}}
        self.heard = True  # something since the phone has last said anything
        self.file = None
        if keep != '-':
            self.file = open(os.path.join(keep, number + '.pcap'), 'wb')
            self.file.write(struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0,
                                        65535, RAW_IP))

    def seen(self, packet, way):
        """A packet, at the phone's end of the line."""
        head = (packet[0] & 15) * 4
        if packet[9] == 6:
            payload = len(packet) - head - (packet[head + 12] >> 4) * 4
            self.count[way + '_payload'] += payload
            self.count[way + '_bare'] += payload == 0
            if packet[head + 13] & SYN:
                self.heard = True  # whatever it has said on another one
            if payload:
                self.count['flights'] += way == 'up' and self.heard
                self.heard = way == 'down'
        if self.file:
            now = time.time()
            self.file.write(struct.pack('<IIII', int(now), int(now % 1 * 1e6),
                                        len(packet), len(packet)) + packet)
            self.file.flush()


def command(line, pairs):
    word, number, *rest = line.split()
    pair = pairs[number]
    if word == 'count':
        return pair.count
    pair.address = None if rest[0] == '-' else socket.inet_aton(rest[0])
    return {}


def carry(delay, pairs):
    waiting, order = [], itertools.count()
    ends = {}
    poll = select.epoll()
    for pair in pairs.values():
        ends[pair.far], ends[pair.near] = (pair, 'up'), (pair, 'down')
    for fd in (*ends, 0):
        poll.register(fd, select.EPOLLIN)
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, pair, way, packet = heapq.heappop(waiting)
            if packet[16:20] == pair.address and way == 'down':
                pair.seen(packet, way)
                os.write(pair.far, packet)
            elif packet[12:16] == pair.address and way == 'up':
                os.write(pair.near, packet)
        for fd, _ in poll.poll(max(0, waiting[0][0] - now) if waiting else -1):
            if fd == 0:
                line = sys.stdin.readline()
                if not line:
                    return
                print(json.dumps(command(line, pairs)), flush=True)
                continue
            pair, way = ends[fd]
            packet = os.read(fd, 65536)
            if packet[0] >> 4 != 4:
                continue
            if way == 'up':
                pair.seen(packet, way)
            heapq.heappush(waiting, (time.monotonic() + delay, next(order),
                                     pair, way, packet))


if __name__ == '__main__':
    carry(float(sys.argv[1]),
          {word.split(':')[0]: Pair(word, sys.argv[2])
           for word in sys.argv[3:]})
