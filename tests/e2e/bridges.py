"""Other ways to a tersed's port than bare TCP: TLS, and WebSocket inside TLS,
by Python's own ssl and by the `websockets` package, so that nothing of ours is
on that side."""
import asyncio
import contextlib
import ssl
import threading

import websockets

SP_HELLO = b'\0SP\0\0\x10\0\0'


def trusting(ca, alpn=None):
    context = ssl.create_default_context(cafile=ca)
    if alpn:
        context.set_alpn_protocols([alpn])
    return context


class Bridge:
    """A port on which a pair0 socket finds a tersed that is behind TLS ('tls')
    or behind WebSocket and TLS ('wss'). Runs on a thread of its own."""

    def __init__(self, port, ca, name, how):
        self.target, self.name = port, name
        self.how = getattr(self, how)
        self.context = trusting(ca, 'terse/1' if how == 'tls' else 'http/1.1')

    def start(self):
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(ready,))
        self.thread.start()
        ready.wait()
        return self

    def run(self, ready):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(
            asyncio.start_server(self.accepted, '127.0.0.1', 0))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self.loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(
            asyncio.gather(*tasks, return_exceptions=True))
        self.loop.close()

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def logs(self):
        return ''

    async def accepted(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError,
                                 websockets.ConnectionClosed):
            await self.how(reader, writer)
        writer.close()

    async def tls(self, reader, writer):
        there = await asyncio.open_connection(
            '127.0.0.1', self.target, ssl=self.context,
            server_hostname=self.name)
        await both(carry(reader, there[1]), carry(there[0], writer))
        there[1].close()

    async def wss(self, reader, writer):
        assert await reader.readexactly(8) == SP_HELLO
        writer.write(SP_HELLO)
        async with websockets.connect(
                f'wss://127.0.0.1:{self.target}/terse', ssl=self.context,
                server_hostname=self.name, max_size=1 << 24, compression=None,
                subprotocols=['pair.sp.nanomsg.org']) as ws:
            await both(to_ws(reader, ws), from_ws(ws, writer))


async def both(one, other):
    """Runs both until one has ended."""
    tasks = {asyncio.ensure_future(one), asyncio.ensure_future(other)}
    done, left = await asyncio.wait(tasks,
                                    return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    for task in done:
        task.result()


async def carry(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def to_ws(reader, ws):
    while True:
        n = int.from_bytes(await reader.readexactly(8), 'big')
        await ws.send(await reader.readexactly(n))


async def from_ws(ws, writer):
    async for frame in ws:
        writer.write(len(frame).to_bytes(8, 'big') + frame)
        await writer.drain()
