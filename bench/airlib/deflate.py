#!/usr/bin/python3
"""deflate.py PORT SERVER SERVER-PORT

XEP-0138 for a client that has none: stands next to it, listens on loopback,
and once the server offers zlib compresses what the client says from there on,
flushed with each write of the client. The client sees a stream without it."""
import asyncio
import re
import sys
import zlib

COMPRESS = (b"<compress xmlns='http://jabber.org/protocol/compress'>"
            b'<method>zlib</method></compress>')
OFFER = re.compile(rb'<compression\b.*?</compression>', re.S)


class Program(asyncio.Protocol):
    """The client's connection, and the one to the server."""

    def __init__(self, where):
        self.where = where
        self.header = self.server = None
        self.early = []
        self.held = None  # what came of the server's features
        self.squeeze = self.expand = None

    def connection_made(self, transport):
        self.client = transport
        self.task = asyncio.ensure_future(self.dial())

    async def dial(self):
        loop = asyncio.get_running_loop()
        self.server, _ = await loop.create_connection(
            lambda: Server(self), *self.where)
        for data in self.early:
            self.data_received(data)

    def data_received(self, data):
        if not self.server:
            self.early.append(data)
            return
        if b'<stream:stream' in data:
            self.header, self.held = data, b''
        self.write(data)

    def write(self, data):
        if self.squeeze:
            data = (self.squeeze.compress(data) +
                    self.squeeze.flush(zlib.Z_SYNC_FLUSH))
        self.server.write(data)

    def heard(self, data):
        """From the server."""
        if self.expand:
            data = self.expand.decompress(data)
        if self.held is None:
            self.client.write(data)
            return
        self.held += data
        if b'<compressed' in self.held:
            self.squeeze = zlib.compressobj(9)
            self.expand = zlib.decompressobj()
            self.held = b''
            self.write(self.header)
        elif b'</stream:features>' in self.held:
            self.featured()
        elif b'</stream:stream>' in self.held:
            self.client.write(self.held)

    def featured(self):
        if OFFER.search(self.held) and not self.squeeze:
            self.held = b''
            self.server.write(COMPRESS)
            return
        held, self.held = OFFER.sub(b'', self.held), None
        self.client.write(held)

    def connection_lost(self, _):
        if self.server:
            self.server.abort()


class Server(asyncio.Protocol):
    def __init__(self, program):
        self.program = program

    def data_received(self, data):
        self.program.heard(data)

    def connection_lost(self, _):
        self.program.client.close()


async def main(port, host, server_port):
    server = await asyncio.get_running_loop().create_server(
        lambda: Program((host, int(server_port))), '127.0.0.1', int(port))
    await server.serve_forever()


if __name__ == '__main__':
    asyncio.run(main(*sys.argv[1:]))
