"""Frames over each binding, in clear and in TLS, by Python's own libraries and
the published schema: nothing of ours is on this side."""
import asyncio
import contextlib
import importlib.util
import os
import subprocess

import websockets

from bridges import SP_HELLO, trusting
from servers import DOMAIN

LIMIT = 1 << 16
WAYS = [(binding, tls) for binding in ('native', 'sp', 'ws')
        for tls in (False, True)]


def schema(build, out):
    """terse.proto, compiled by stock protoc."""
    subprocess.run(['protoc', f'-I{build}/gen', f'--python_out={out}',
                    'terse.proto'], check=True)
    spec = importlib.util.spec_from_file_location(
        'terse_pb2', os.path.join(out, 'terse_pb2.py'))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def varint(n):
    head = b''
    while n > 127:
        head, n = head + bytes([n & 127 | 128]), n >> 7
    return head + bytes([n])


async def connect(port, context=None, name=DOMAIN):
    name = {'ssl': context, 'server_hostname': name} if context else {}
    return await asyncio.open_connection('127.0.0.1', port, limit=LIMIT,
                                         **name)


def abort(transport):
    # Python's TLS cannot abort what it has closed.
    with contextlib.suppress(AttributeError):
        transport.abort()


class Native:
    """One frame behind its length as a varint."""

    hello, answer = b'TRS1', b''

    @classmethod
    async def dial(cls, port, context=None, name=DOMAIN):
        it = cls()
        it.reader, it.writer = await connect(port, context, name)
        it.writer.write(it.hello)
        it.data, it.at = b'', 0
        if it.answer and await it.reader.readexactly(8) != it.answer:
            raise ConnectionError('no greeting of SP')
        return it

    @staticmethod
    def framed(frame):
        return varint(len(frame)) + frame

    def head(self):
        """Where the frame begins and how long it is, if that came."""
        n = shift = 0
        for i in range(self.at, len(self.data)):
            n |= (self.data[i] & 127) << shift
            shift += 7
            if self.data[i] < 128:
                return i + 1, n
        return None

    async def send(self, frame):
        self.writer.write(self.framed(frame))
        await self.writer.drain()

    async def receive(self):
        """The next frame; None where the connection has ended."""
        while True:
            head = self.head()
            if head and sum(head) <= len(self.data):
                self.at = sum(head)
                return self.data[head[0]:self.at]
            more = await self.reader.read(LIMIT)
            if not more:
                return None
            self.data, self.at = self.data[self.at:] + more, 0

    def near_port(self):
        return self.writer.get_extra_info('sockname')[1]

    def abort(self):
        abort(self.writer.transport)

    def close(self):
        self.writer.close()

    def ended_well(self):
        return True


class Sp(Native):
    """One frame behind its length in 8 bytes."""

    hello = answer = SP_HELLO

    @staticmethod
    def framed(frame):
        return len(frame).to_bytes(8, 'big') + frame

    def head(self):
        end = self.at + 8
        if end > len(self.data):
            return None
        return end, int.from_bytes(self.data[self.at:end], 'big')


class Ws:
    """One frame in a binary message of WebSocket."""

    @classmethod
    async def dial(cls, port, context=None, name=DOMAIN):
        it = cls()
        options = ({'ssl': context, 'server_hostname': name} if context
                   else {})
        it.ws = await websockets.connect(
            f'{"wss" if context else "ws"}://127.0.0.1:{port}/terse',
            subprotocols=['terse.v1'], compression=None, max_size=1 << 24,
            ping_interval=None, open_timeout=60, close_timeout=10, **options)
        return it

    async def send(self, frame):
        await self.ws.send(frame)

    async def receive(self):
        try:
            return await self.ws.recv()
        except websockets.ConnectionClosed:
            return None

    def near_port(self):
        return self.ws.transport.get_extra_info('sockname')[1]

    def abort(self):
        abort(self.ws.transport)

    def close(self):
        self.ws.transport.close()

    def ended_well(self):
        return self.ws.close_code == 1000


KINDS = {'native': Native, 'sp': Sp, 'ws': Ws}


class Port:
    """Where tersed listens, and how to get there."""

    def __init__(self, port, ca, name=DOMAIN):
        self.port, self.name = port, name
        self.contexts = {'native': trusting(ca, 'terse/1'),
                         'sp': trusting(ca, 'terse/1'),
                         'ws': trusting(ca, 'http/1.1')}

    async def dial(self, binding, tls):
        return await KINDS[binding].dial(
            self.port, self.contexts[binding] if tls else None, self.name)
