"""WebSocket: by Python's websockets, by Node's ws, and by bytes that no library
would send."""
import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time

import pytest
import websockets

import servers
from bridges import trusting
from drivers import CLIENT
from fake_server import RawPeer
from servers import DOMAIN
from test_limits import (FAKE, HEADER, MEGABYTE, SLACK, FramePeer, Scene,
                         frame_of, message, xml_of)
from test_tls import grown, message_of, only_record

HERE = os.path.dirname(os.path.abspath(__file__))
FOOTER = b'\x72\x00'  # Frame.close, empty
REQUEST = ('GET /terse HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n'
           'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n'
           'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
           'Sec-WebSocket-Protocol: terse.v1\r\n')


@pytest.fixture
def world():
    return Scene()


class WsPeer(FramePeer):
    """Frames over WebSocket, by the websockets package."""

    @classmethod
    async def dial(cls, port, ca=None, protocols=('terse.v1',), **options):
        peer = cls()
        url = f'{"wss" if ca else "ws"}://127.0.0.1:{port}/terse'
        if ca:
            options |= {'ssl': trusting(ca, 'http/1.1'),
                        'server_hostname': FAKE}
        peer.ws = await websockets.connect(
            url, subprotocols=list(protocols), compression=None,
            max_size=1 << 24, close_timeout=10, **options)
        return peer

    def start(self, framing):
        """There is nothing to choose."""

    async def say(self, xml, chunk=0):
        await self.ws.send(frame_of(xml))

    async def hear(self, what, timeout=15):
        async def read():
            while what not in (text := xml_of(await self.ws.recv())):
                pass
            return text
        return await asyncio.wait_for(read(), timeout)

    async def until_closed(self, timeout=15):
        """What came before the close; then the close's code and reason."""
        texts = []

        async def read():
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    texts.append(xml_of(await self.ws.recv()))
        await asyncio.wait_for(read(), timeout)
        return b''.join(texts), self.ws.close_code, self.ws.close_reason

    def close(self):
        self.ws.transport.abort()


async def ws_peer(world, **options):
    peer = await WsPeer.dial(world.port, **options)
    world.exits.callback(peer.close)
    return peer


def masked(first, payload=b''):
    """A frame as a client sends it."""
    n, mask = len(payload), os.urandom(4)
    if n < 126:
        head = bytes([first, 0x80 | n])
    elif n < 65536:
        head = bytes([first, 0xfe]) + n.to_bytes(2, 'big')
    else:
        head = bytes([first, 0xff]) + n.to_bytes(8, 'big')
    key = (mask * (n // 4 + 1))[:n]
    return head + mask + bytes(a ^ b for a, b in zip(payload, key))


class RawWs(RawPeer):
    """Past the handshake, and then any bytes."""

    @classmethod
    async def dial(cls, port):
        peer = await super().dial(port)
        await peer.send(REQUEST + '\r\n')
        await peer.until(b'\r\n\r\n')
        assert peer.received.startswith(b'HTTP/1.1 101 ')
        del peer.received[:peer.received.index(b'\r\n\r\n') + 4]
        return peer

    def frames(self):
        """(first byte, payload) of what came whole."""
        at, data, frames = 0, bytes(self.received), []
        while at + 2 <= len(data):
            first, n = data[at:at + 2]
            size = {126: 2, 127: 8}.get(n, 0)
            if size:
                n = int.from_bytes(data[at + 2:at + 2 + size], 'big')
            at += 2 + size
            if at + n <= len(data):
                frames.append((first, data[at:at + n]))
            at += n
        return frames

    async def until_closed(self):
        await self.until_end()
        first, payload = self.frames()[-1]
        assert first == 0x88
        return int.from_bytes(payload[:2], 'big')


# -- as it should be ---------------------------------------------------------------


@pytest.mark.parametrize('tls', [False, True])
@pytest.mark.parametrize('protocol', ['terse.v1', 'pair.sp.nanomsg.org'])
async def test_frames_over_websocket_arrive(world, protocol, tls):
    fake = await world.fake()
    tersed = world.proxy(fake.port)
    peer = await ws_peer(world, protocols=[protocol],
                         ca=tersed.certificate if tls else None)
    assert peer.ws.subprotocol == protocol
    await peer.log_in(None)
    session = await fake.session()
    text = 'Größe ' * 30000  # more than 64 KB
    for body in ('there', text):
        await peer.say(message(body))
        assert (await session.next()).findtext(CLIENT + 'body') == body
        await session.send(message(body))
        assert body.encode() in await peer.hear(b'<body')
    pong = await peer.ws.ping(b'are you there?')
    await asyncio.wait_for(pong, 10)
    # Close, as the stream has it, and then as WebSocket has it.
    await peer.ws.send(FOOTER)
    while not session.footer:
        await asyncio.sleep(0.01)
    await session.send('</stream:stream>')
    session.close()
    began = time.monotonic()
    _, code, _ = await peer.until_closed()
    assert code == 1000 and time.monotonic() - began < 1
    assert tersed.until_logged('framing=websocket')




async def test_one_of_several_subprotocols_is_chosen(world):
    fake = await world.fake()
    world.proxy(fake.port)
    for offer, chosen in ((['pair.sp.nanomsg.org', 'terse.v1'], 'terse.v1'),
                          (['mqtt', 'pair.sp.nanomsg.org'],
                           'pair.sp.nanomsg.org')):
        peer = await ws_peer(world, protocols=offer)
        assert peer.ws.subprotocol == chosen
    for offer in (['mqtt'], []):
        with pytest.raises(websockets.InvalidStatusCode) as refused:
            await ws_peer(world, protocols=offer)
        assert refused.value.status_code == 400


async def test_origin_decides_for_browsers(world):
    fake = await world.fake()
    world.proxy(fake.port, ws_origins='https://a.example https://b.example')
    for origin in ('https://a.example', 'https://b.example', None):
        await ws_peer(world, origin=origin)
    for origin in ('https://c.example', 'http://a.example', 'null',
                   'https://a.example.evil', 'https://a.example:444'):
        with pytest.raises(websockets.InvalidStatusCode) as refused:
            await ws_peer(world, origin=origin)
        assert refused.value.status_code == 403
    world.proxy(fake.port)  # by default none
    with pytest.raises(websockets.InvalidStatusCode):
        await ws_peer(world, origin='https://a.example')
    world.proxy(fake.port, ws_origins='*')
    await ws_peer(world, origin='https://anywhere.example')


# -- the end says why ------------------------------------------------------------------


async def test_close_codes_say_why(world):
    fake = await world.fake()
    tersed = world.proxy(fake.port, {'dead.example': {
        'server': f'127.0.0.1:{servers.free_port()}', 'starttls': 'off'}})

    async def end(said, condition, code):
        peer = await ws_peer(world)
        for frame in said:
            await peer.ws.send(frame)
        texts, got, reason = await peer.until_closed()
        assert condition.encode() in texts and (got, reason) == (code,
                                                                 condition)

    def header(domain):
        return frame_of(HEADER.format(domain))
    await end([header('elsewhere.example')], 'host-unknown', 1008)
    await end([header('dead.example')], 'remote-connection-failed', 1011)
    await end([b'\xff\xff'], 'bad-format', 1007)
    peer = await ws_peer(world)
    await peer.log_in(None)
    (await fake.session()).abort()
    assert (await peer.until_closed())[1] == 1011
    peer = await ws_peer(world)
    await peer.log_in(None)
    tersed.terminate()
    assert (await peer.until_closed())[1:] == (1001, 'system-shutdown')


async def test_close_of_client_is_echoed_and_leaves_session(world):
    fake = await world.fake()
    world.proxy(fake.port)
    for code in (1000, 1001, 4321):
        peer = await ws_peer(world)
        await peer.log_in(None)
        session = await fake.session()
        began = time.monotonic()
        await peer.ws.close(code, 'bye')
        assert peer.ws.close_code == code
        assert time.monotonic() - began < 1
        await asyncio.wait_for(session.ended.wait(), 10)
        assert not session.footer  # so it may be resumed


BAD = {
    'text': (masked(0x81, b'hello'), 1003),
    'not masked': (b'\x82\x05hello', 1002),
    'compressed': (masked(0xc2, b'hello'), 1002),
    'reserved opcode': (masked(0x83, b'hello'), 1002),
    'continues nothing': (masked(0x80, b'hello'), 1002),
    'message in a message': (masked(0x02, b'a') + masked(0x82, b'b'), 1002),
    'ping in pieces': (masked(0x09, b'a'), 1002),
    'ping too long': (masked(0x89, b'a' * 126), 1002),
    'half a code': (masked(0x88, b'\3'), 1002),
    'code 1006': (masked(0x88, b'\x03\xee'), 1002),
    'reason is no UTF-8': (masked(0x88, b'\x03\xe8\xff'), 1007),
    'no frame': (masked(0x82, b'\xff' * 40), 1007),
    'empty frame': (masked(0x82), 1007),
    'first frame is no header': (masked(0x82, b'\x0a\x00'), 1007),
    'too big': (b'\x82\xff' + (10 << 20).to_bytes(8, 'big') + b'maskx', 1009),
    'too big in pieces': (masked(0x02, bytes(600 << 10)) +
                          masked(0x80, bytes(600 << 10)), 1009),
    'too many pieces': (masked(0x02) + masked(0x00) * 300, 1008),
}


async def test_what_is_not_allowed_ends_with_its_code(world):
    fake = await world.fake()
    tersed = world.proxy(fake.port, login_bytes='4M')
    client, session = await world.pair(fake)
    before = tersed.memory()
    for name, (data, code) in BAD.items():
        for chunk in (0, 1) if len(data) < 1000 else (0,):
            peer = await RawWs.dial(world.port)
            world.exits.callback(peer.close)
            with contextlib.suppress(ConnectionError):
                await peer.send(data, chunk)
            assert await peer.until_closed() == code, name
    await session.send(message('others'))
    await client.expect(lambda e: e.tag == CLIENT + 'message')
    assert len(fake.sessions) == 1
    assert tersed.memory() - before < SLACK


async def test_bad_requests_get_their_status(world):
    fake = await world.fake()
    tersed = world.proxy(fake.port)
    before = tersed.memory()
    for request, status in {
            'GET / HTTP/1.1\r\nHost: x\r\n\r\n': 404,
            'GET /terse HTTP/1.1\r\nHost: x\r\n\r\n': 426,
            'POST /terse HTTP/1.1\r\nHost: x\r\n\r\n': 405,
            'GET /terse HTTP/1.1\r\n\r\n': 400,
            'GET /%41 HTTP/1.1\r\n\r\n': 400,
            'GET /terse HTTP/1.1\nHost: x\n\r\n\r\n': 400,
            'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n': 400,
            REQUEST + 'Origin: https://evil.example\r\n\r\n': 403,
            REQUEST + '\r\n\x02\x80': 400,
            'GET /terse HTTP/1.0\r\nHost: x\r\n\r\n': 505,
            'GET /terse HTTP/1.1\r\nX: ' + 'y' * 9000: 431,
            'GET /terse HTTP/1.1\r\n' + 'X: y\r\n' * 80 + '\r\n': 431,
    }.items():
        # In pieces, what follows a request may well come after its answer.
        for chunk in (0,) if request.endswith('\x80') else (0, 1):
            peer = await world.peer()
            with contextlib.suppress(ConnectionError):
                await peer.send(request, chunk)
            answer = await peer.until_end()
            assert answer.startswith(f'HTTP/1.1 {status} '.encode()), request
            assert b'\r\nConnection: close' in answer
            head, body = answer.split(b'\r\n\r\n', 1)
            assert f'Content-Length: {len(body)}'.encode() in head
    assert not fake.sessions
    assert tersed.memory() - before < SLACK


# -- flow --------------------------------------------------------------------------


async def test_ping_flood_keeps_memory_flat(world):
    """From one who never reads the pongs, before and after its login."""
    fake = await world.fake()
    tersed = world.proxy(fake.port)
    client, session = await world.pair(fake)
    peer = await RawWs.dial(world.port)
    world.exits.callback(peer.close)
    for xml in (HEADER.format(FAKE),
                "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
                "mechanism='PLAIN'>AHUAcA==</auth>", HEADER.format(FAKE),
                "<iq type='set' id='b'><bind xmlns='"
                "urn:ietf:params:xml:ns:xmpp-bind'/></iq>"):
        count = len(peer.frames())
        await peer.send(masked(0x82, frame_of(xml)))
        while len(peer.frames()) < count + (2 if 'stream' in xml else 1):
            peer.received += await peer.reader.read(65536)
    flooded = await fake.session()
    before = tersed.memory()
    peer.reader._transport.pause_reading()
    flood = masked(0x89, b'x' * 125) * 4000
    sent, ends = 0, time.monotonic() + 5
    with contextlib.suppress(asyncio.TimeoutError):
        while time.monotonic() < ends:
            peer.writer.write(flood)
            await asyncio.wait_for(peer.writer.drain(), 2)
            sent += len(flood)
            await session.send(message('meanwhile'))
            await client.expect(lambda e: e.tag == CLIENT + 'message')
    assert sent > 10 * MEGABYTE
    assert tersed.memory('VmHWM') - before < SLACK
    # Its frames still pass, for it broke no rule.
    peer.writer.write(masked(0x82, frame_of(message('after'))))
    seen = await flooded.next(30)
    assert seen.findtext(CLIENT + 'body') == 'after'


async def test_ping_flood_before_login_is_refused(world):
    fake = await world.fake()
    world.proxy(fake.port)
    peer = await RawWs.dial(world.port)
    world.exits.callback(peer.close)
    with contextlib.suppress(ConnectionError):
        await peer.send(masked(0x89, b'x' * 125) * 1000)
    assert await peer.until_closed() == 1008


async def test_websocket_in_single_bytes_is_served(world):
    fake = await world.fake()
    tersed = world.proxy(fake.port)
    relay = await world.relay(tersed.port)
    peer = await WsPeer.dial(relay.port, ca=tersed.certificate)
    world.exits.callback(peer.close)
    await peer.log_in(None)
    session = await fake.session()
    await peer.say(message('drip'))
    assert (await session.next()).findtext(CLIENT + 'body') == 'drip'
    await session.send(message('drop'))
    await peer.hear(b'drop')
    assert relay.carried > 2000


async def test_message_in_fragments_with_pings_between_arrives(world):
    fake = await world.fake()
    world.proxy(fake.port)
    peer = await RawWs.dial(world.port)
    world.exits.callback(peer.close)
    frame = frame_of(HEADER.format(FAKE))
    pieces = [masked(0x02, frame[:1])]
    for byte in frame[1:-1]:
        pieces += [masked(0x89, b'p'), masked(0x00, bytes([byte]))]
    await peer.send(b''.join(pieces) + masked(0x80, frame[-1:]))
    while not any(first == 0x82 and b'mechanism' in xml_of(frame)
                  for first, frame in peer.frames()):
        peer.received += await peer.reader.read(65536)
    assert any(first == 0x8a for first, _ in peer.frames())


# -- bytes on the wire -----------------------------------------------------------------


async def test_frame_of_40_bytes_over_wss_is_one_record(world):
    """68 bytes up, 64 down."""
    fake = await world.fake()
    tersed = world.proxy(fake.port)
    relay = await world.relay(tersed.port, up=False, down=False)
    peer = await WsPeer.dial(relay.port, ca=tersed.certificate)
    world.exits.callback(peer.close)
    await peer.log_in(None)
    session = await fake.session()
    (up, down), text = relay.logs[0], message_of(40)
    for _ in range(3):
        at = len(up)
        await peer.say(text)
        await session.next()
        assert only_record(await grown(up, at)) <= 68
        at, pieces = len(down), relay.carried
        await session.send(text)
        await peer.hear(b'<body')
        assert only_record(await grown(down, at)) <= 64
        assert relay.carried == pieces + 1  # one write


# -- Node's ws -------------------------------------------------------------------------


@pytest.fixture(scope='module')
def node():
    """Where Node finds ws. The frames are given to it."""
    if not shutil.which('node') or not shutil.which('npm'):
        pytest.skip('there is no node, or no npm')
    where = os.path.join(servers.BUILD, 'node')
    os.makedirs(where, exist_ok=True)
    for name in ('package.json', 'client.js'):
        shutil.copy(os.path.join(HERE, 'node', name), where)
    if not os.path.exists(os.path.join(where, 'node_modules', 'ws')):
        done = subprocess.run(['npm', 'install', '--no-audit', '--no-fund'],
                              cwd=where, capture_output=True, text=True,
                              timeout=120)
        if done.returncode:
            pytest.skip(f'npm cannot install ws: {done.stderr.strip()[-200:]}')
    return where


async def run_node(where, port, certificate, frames, *more):
    process = await asyncio.create_subprocess_exec(
        'node', 'client.js', f'wss://localhost:{port}/terse', certificate,
        FAKE, *more, cwd=where, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE)
    lines = '\n'.join(frame.hex() for frame in frames) + '\n'
    process.stdin.write(lines.encode())
    await process.stdin.drain()
    return process


async def test_node_ws_logs_in_and_closes(world, node):
    fake = await world.fake()
    tersed = world.proxy(fake.port)
    process = await run_node(node, tersed.port, tersed.certificate, [
        frame_of(xml) for xml in (
            HEADER.format(FAKE),
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
            "mechanism='PLAIN'>AHUAcA==</auth>", HEADER.format(FAKE),
            "<iq type='set' id='b'><bind xmlns='"
            "urn:ietf:params:xml:ns:xmpp-bind'/></iq>", message('from node'))])
    seen = []

    async def until(what):
        while not seen or what not in seen[-1]:
            line = await asyncio.wait_for(process.stdout.readline(), 20)
            assert line, seen
            tag, _, rest = line.decode().strip().partition(' ')
            seen.append(xml_of(bytes.fromhex(rest)).decode()
                        if tag == 'frame' else f'{tag} {rest}')
        return seen[-1]
    await until('open terse.v1')
    session = await fake.session()
    assert (await session.next()).findtext(CLIENT + 'body') == 'from node'
    await session.send(message('to node'))
    await until('to node')
    await until('pong')
    process.stdin.close()  # it closes with 1000
    assert await until('close') == 'close 1000'
    assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_node_ws_sees_close_codes(world, node):
    fake = await world.fake()
    tersed = world.proxy(fake.port)
    for frames, more, code in (
            ([frame_of(HEADER.format('elsewhere.example'))], [], 1008),
            ([b'\xff\xff'], [], 1007), ([], ['text'], 1003),
            ([bytes(2 << 20)], [], 1009)):
        process = await run_node(node, tersed.port, tersed.certificate, frames,
                                 *more)
        out = await read_all(process)
        assert f'close {code} ' in out, (code, out)


async def read_all(process):
    out = await asyncio.wait_for(process.stdout.read(), 30)
    await process.wait()
    return out.decode()
