"""Clients that misbehave, each kind in its own way, again and again. Each says
what has to come of it; whatever else does is a fault."""
import asyncio
import contextlib
import random
import ssl

import websockets

from bridges import SP_HELLO
from clients import TIMEOUT, Lost, Session
from servers import DOMAIN
from wires import Native, connect, varint

END = 30        # seconds in which tersed has to hang up
DEAF = 3        # seconds for which nothing is read
REQUEST = (b'GET /terse HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n'
           b'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n')


class Wrong(Exception):
    """tersed did something else than it should."""


@contextlib.asynccontextmanager
async def raw(world, tls=False):
    reader, writer = await connect(
        world.port.port, world.port.contexts['native'] if tls else None)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def hung_up(reader):
    """All that came until the end."""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        return await asyncio.wait_for(reader.read(-1), END)
    return b''


@contextlib.asynccontextmanager
async def login(world, name, tls=False):
    """A session that is logged in and bound; dropped behind it."""
    async with world.dialling:
        wire = await asyncio.wait_for(world.port.dial('native', tls), TIMEOUT)
        session = Session(world, wire, False)
        try:
            if await session.authenticate(name, f'pw-{name}') is None:
                raise Wrong('login refused')
            await session.bind('rogue')
        except BaseException:
            session.drop()
            raise
    try:
        yield session
    finally:
        session.drop()


async def error(session, condition):
    """The stream ends with that error."""
    try:
        await session.until('nothing')
    except Lost as lost:
        if f'condition: {condition}' in str(lost):
            return
        raise Wrong(f'{lost} instead of {condition}') from None


async def garbage(world, name):
    async with raw(world, tls=random.random() < 0.5) as (reader, writer):
        writer.write(b'\xff' + random.randbytes(random.randrange(4000)))
        if await hung_up(reader):
            raise Wrong('an answer to garbage')


async def half_hello(world, name):
    for part in (b'TR', SP_HELLO[:5], b'\x16\x03\x01\x02', REQUEST[:50]):
        async with raw(world) as (_, writer):
            writer.write(part)
            await asyncio.sleep(random.random())


async def half_frame(world, name):
    async with raw(world, tls=True) as (_, writer):
        writer.write(Native.hello + varint(60000) + b'\x0a' * 30000)
        await writer.drain()
        await asyncio.sleep(random.random())


async def half_request(world, name):
    async with raw(world) as (reader, writer):
        writer.write(REQUEST)
        if b' 408 ' not in await hung_up(reader):
            raise Wrong('no 408')


async def bad_request(world, name):
    async with raw(world) as (reader, writer):
        writer.write(REQUEST.replace(b'Host', b'Ho st') + b'\r\n')
        if b' 400 ' not in await hung_up(reader):
            raise Wrong('no 400')


async def bad_frame(world, name):
    async with login(world, name) as session:
        await session.send_frame(b'\x0a\x03\xff\xff\xff' +
                                 random.randbytes(40))
        await error(session, 'STREAM_BAD_FORMAT')


async def too_long(world, name):
    async with login(world, name, tls=True) as session:
        session.wire.writer.write(varint(1 << 30))
        await error(session, 'STREAM_POLICY_VIOLATION')


async def bad_password(world, name):
    async with world.dialling:
        wire = await world.port.dial('native', True)
        session = Session(world, wire, False)
        try:
            if await session.authenticate(name, 'wrong') is not None:
                raise Wrong('logged in with a wrong password')
        finally:
            session.drop()


async def mid_drop(world, name):
    """Loses its connection in the middle of a stanza."""
    async with login(world, name) as session:
        frame = world.pb.Frame(presence=world.pb.Presence(
            priority=2)).SerializeToString()
        await session.send_frame(frame)
        session.wire.writer.write(varint(5000) + b'\x0a\x85\x27')
        await session.wire.writer.drain()
        await asyncio.sleep(random.random())


async def no_footer(world, name):
    """Ends TCP in good order, but not its stream."""
    async with login(world, name) as session:
        await session.send(presence=world.pb.Presence(priority=2))
        session.wire.close()
        await asyncio.sleep(random.random())


async def deaf(world, name):
    """Talks to itself and does not listen."""
    async with login(world, name) as session:
        session.reading.cancel()
        message = world.pb.Frame(message=world.pb.Message(
            to=f'{name}@{DOMAIN}/rogue', type=world.pb.CHAT, id='deaf',
            body='d' * 4000, hint=[world.pb.HINT_NO_STORE])).SerializeToString()

        async def talk():
            for _ in range(1000):
                await session.send_frame(message)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(talk(), DEAF)
            await asyncio.sleep(DEAF)


async def ws_text(world, name):
    wire = await world.port.dial('ws', True)
    try:
        await wire.ws.send('text')
        await asyncio.wait_for(wire.ws.wait_closed(), END)
        if wire.ws.close_code != 1003:
            raise Wrong(f'close code {wire.ws.close_code}')
    finally:
        wire.abort()


async def ws_pings(world, name):
    wire = await world.port.dial('ws', False)
    try:
        for _ in range(300):  # whose answers nobody waits for
            (await wire.ws.ping()).cancel()
    except websockets.ConnectionClosed:
        raise Wrong('hung up on pings') from None
    finally:
        wire.abort()


KINDS = [garbage, half_hello, half_frame, half_request, bad_request, bad_frame,
         too_long, bad_password, mid_drop, no_footer, deaf, ws_text, ws_pings]


async def run(world, kind, name):
    """One rogue, until the others have done."""
    while not world.over:
        try:
            await asyncio.wait_for(kind(world, name), 2 * TIMEOUT)
            world.ledger.counts[f'rogue: {kind.__name__}'] += 1
        except asyncio.CancelledError:
            raise
        except Exception as fault:
            if not world.over:
                world.ledger.fault(f'rogue {kind.__name__}', repr(fault))
        await asyncio.sleep(random.uniform(0.2, 1))
