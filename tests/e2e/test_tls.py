"""TLS between clients and tersed: who may connect how, what a certificate has
to be, reload, return by ticket, half-open handshakes, and the bytes of a frame
on the wire."""
import asyncio
import contextlib
import os
import resource
import socket
import ssl
import subprocess
import time
import warnings

import pytest

import servers
from bridges import trusting
from drivers import CLIENT, Pair0Client, XmlClient
from fake_server import RawPeer
from servers import DOMAIN
from test_limits import (FAKE, HEADER, SLACK, FramePeer, Scene, frame_of,
                         message, native, refused, sp)


@pytest.fixture
def world():
    return Scene()


class TlsPeer(FramePeer):
    """Frames inside TLS, by Python's ssl."""

    @classmethod
    async def dial(cls, port, ca, name=FAKE, alpn='terse/1'):
        peer = cls()
        peer.reader, peer.writer = await asyncio.open_connection(
            '127.0.0.1', port, ssl=trusting(ca, alpn), server_hostname=name)
        return peer

    def certificate(self):
        return self.writer.get_extra_info('ssl_object').getpeercert()


def names(certificate):
    return {name for _, name in certificate['subjectAltName']}


async def tls_peer(world, **options):
    peer = await TlsPeer.dial(world.port, world.tersed.certificate, **options)
    world.exits.callback(peer.close)
    return peer


# -- who may connect how ---------------------------------------------------------


@pytest.mark.parametrize('framing', [sp, native])
async def test_frames_inside_tls_arrive(world, framing):
    fake = await world.fake()
    tersed = world.proxy(fake.port, clear='off')
    peer = await tls_peer(world)
    await peer.log_in(framing)
    session = await fake.session()
    await peer.say(message('there'))
    assert (await session.next()).findtext(CLIENT + 'body') == 'there'
    await session.send(message('and back'))
    await peer.hear(b'and back')
    line = tersed.until_logged('event=tls')
    assert 'TLSv1.3' in line and 'alpn=terse/1' in line and 'resumed=no' in line


async def test_clear_text_is_taken_where_allowed_only(world):
    fake = await world.fake()
    tersed = world.proxy(fake.port, clear='off')
    for hello in (b'TRS1', b'\0SP\0\0\x10\0\0', b'GET /terse HTTP/1.1\r\n'):
        peer = await world.peer()
        await peer.send(hello)
        assert await peer.until_end() == b''
    await tls_peer(world)
    assert len(tersed.logged('clear text is not taken here')) == 3
    # On loopback it is, by default.
    loopback = world.run(servers.Tersed({FAKE: tersed.domains[FAKE]}))
    peer = await FramePeer.dial(loopback.port)
    world.exits.callback(peer.close)
    await peer.log_in(native)


async def test_alpn_of_another_protocol_is_refused(world):
    fake = await world.fake()
    world.proxy(fake.port)
    with pytest.raises(ssl.SSLError, match='no application protocol'):
        await tls_peer(world, alpn='xmpp-client')
    # What was agreed on has to follow.
    peer = await tls_peer(world, alpn='http/1.1')
    await peer.send(b'TRS1')
    assert await peer.until_end() == b''
    peer = await tls_peer(world, alpn='terse/1')
    await peer.send(b'GET /terse HTTP/1.1\r\nHost: x\r\n\r\n')
    assert await peer.until_end() == b''
    peer = await tls_peer(world, alpn=None)
    await peer.log_in(native)


async def test_bindings_can_be_switched_off(world):
    fake = await world.fake()
    hellos = {'native': b'TRS1', 'sp': b'\0SP\0\0\x10\0\0',
              'websocket': b'POST /terse HTTP/1.1\r\n\r\n'}
    answers = {'native': b'', 'sp': b'\0SP\0\0\x10\0\0',
               'websocket': b'HTTP/1.1 400 '}
    for off in hellos:
        world.proxy(fake.port, **{off: 'off'})
        for name, hello in hellos.items():
            peer = await world.peer()
            await peer.send(hello)
            if name == off:
                assert await peer.until_end() == b''
            elif answers[name]:
                await peer.until(answers[name])
            else:
                await peer.send(native(frame_of(HEADER.format(FAKE))))
                await peer.until(FAKE.encode())


# -- certificates ------------------------------------------------------------------


async def test_certificate_follows_the_name(world):
    fake = await world.fake()
    other = servers.certificate(os.path.join(world.directory(), 'other.pem'),
                                'other.example')
    tersed = world.proxy(fake.port, {'other.example': {
        'server': f'127.0.0.1:{fake.port}', 'starttls': 'off',
        'certificate': other}}, )
    # That of [tersed] is good for both, and comes first.
    peer = await tls_peer(world, name='other.example')
    assert names(peer.certificate()) == {FAKE, 'other.example'}
    servers.certificate(tersed.certificate, FAKE)
    tersed.reload()
    peer = await TlsPeer.dial(world.port, other, 'other.example')
    assert names(peer.certificate()) == {'other.example'}
    peer.close()
    peer = await tls_peer(world)
    assert names(peer.certificate()) == {FAKE}


async def test_reload_of_certificate_disturbs_nobody(world):
    """Under load: who is connected stays, who comes sees the new one, and a
    ticket from before is still good."""
    fake = await world.fake()
    tersed = world.proxy(fake.port)
    old = await tls_peer(world)
    await old.log_in(native)
    session = await fake.session()
    ticket = visit(tersed)
    sent, over = 0, False

    async def chat():
        nonlocal sent
        while not over:
            await old.say(message(f'{sent}'))
            await session.send(message(f'back {sent}'))
            seen = await session.next()
            assert seen.findtext(CLIENT + 'body') == f'{sent}'
            await old.hear(f'back {sent}'.encode())
            sent += 1
    chatting = asyncio.create_task(chat())
    for i in range(5):
        before = sent
        servers.certificate(tersed.certificate, FAKE, f'new{i}.example')
        await asyncio.to_thread(tersed.reload)
        peer = await tls_peer(world)
        assert f'new{i}.example' in names(peer.certificate())
        while sent < before + 5:
            assert not chatting.done(), chatting.result()
            await asyncio.sleep(0.01)
    over = True  # a cancelled wait_for may swallow it
    await chatting
    assert await asyncio.to_thread(visit, tersed, ticket) == 'resumed'
    # A certificate that is none changes nothing.
    with open(tersed.certificate, 'w') as f:
        f.write('none')
    tersed.process.send_signal(1)
    await asyncio.to_thread(tersed.until_logged, 'event=not-reloaded')
    await old.say(message('still'))
    assert (await session.next()).findtext(CLIENT + 'body') == 'still'


def visit(tersed, ticket=None):
    """Connects by TLS 1.2, where Python gives the ticket out at once. Without a
    ticket: returns (context, ticket). With one: whether it was taken."""
    context = ticket[0] if ticket else trusting(tersed.certificate)
    if not ticket:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(('127.0.0.1', tersed.port)) as s:
        with context.wrap_socket(s, server_hostname=FAKE,
                                 session=ticket and ticket[1]) as tls:
            if not ticket:
                return context, tls.session
            return 'resumed' if tls.session_reused else 'not resumed'


# -- our own clients -----------------------------------------------------------------


async def test_agent_verifies_the_domain(world):
    """No certificate, no login: the name counts, and the authority."""
    fake = await world.fake()
    tersed = world.proxy(fake.port)
    stranger = servers.certificate(
        os.path.join(world.directory(), 'stranger.pem'), FAKE)
    good = world.run(servers.Agent(tersed.port, tersed.certificate))
    client, session = await world.pair(fake, XmlClient, good.port)
    await client.send(message('verified'))
    assert (await session.next()).findtext(CLIENT + 'body') == 'verified'
    assert 'alpn=terse/1' in tersed.until_logged('event=tls')

    wrong = world.run(servers.Agent(tersed.port, stranger))
    client = world.client(XmlClient, wrong.port)
    await client.start()
    with contextlib.suppress(Exception):
        await client.open(FAKE)
    assert await refused(client) == 'remote-connection-failed'
    assert "proxy's certificate is not good for" in wrong.logs()

    # A domain that the certificate does not name: not even asked for.
    client = world.client(XmlClient, good.port)
    await client.start()
    with contextlib.suppress(Exception):
        await client.open('elsewhere.example')
    assert await refused(client) == 'remote-connection-failed'
    assert len(tersed.logged('event=opened')) == 1


async def test_agent_comes_back_by_ticket(world):
    fake = await world.fake()
    tersed = world.proxy(fake.port)
    agent = world.run(servers.Agent(tersed.port, tersed.certificate))
    for i in range(3):
        client, _ = await world.pair(fake, XmlClient, agent.port)
        await client.drop()
        line = tersed.until_logged('event=tls', i + 1)
        assert ('resumed=yes' in line) == (i > 0), line


async def test_client_library_over_tls(ejabberd, tersed, tmp_path):
    user = f'library-{os.getpid()}'
    ejabberd.add_user(user)
    before = len(tersed.logged('resumed=yes'))

    def run(ca, visits):
        return subprocess.run(
            [os.path.join(servers.BUILD, 'bin', 'e2e-client_driver'),
             'localhost', str(tersed.port), f'{user}@{DOMAIN}/lib', ca,
             str(visits)], capture_output=True, text=True, timeout=60,
            env={**servers.ENVIRONMENT, 'TERSE_PASSWORD': f'pw-{user}'})
    done = run(tersed.certificate, 3)
    assert done.stdout == 'good SCRAM-SHA-256\n' * 3, done
    assert len(tersed.logged('resumed=yes')) == before + 2
    stranger = servers.certificate(str(tmp_path / 'stranger.pem'), DOMAIN)
    done = run(stranger, 1)
    assert 'no TLS with the proxy' in done.stdout, done
    assert f'not good for {DOMAIN}' in done.stdout, done
    assert 'invalid argument' in run('/nowhere.pem', 1).stdout


# -- half-open ---------------------------------------------------------------------


def client_hello():
    """What a TLS client says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting(None).wrap_bio(incoming, outgoing, server_hostname=FAKE)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


HALVES = {
    'nothing': lambda: b'',
    'half a hello': lambda: client_hello()[:100],
    'a hello': client_hello,
    'half a preface': lambda: b'TR',
    'half a request': lambda: b'GET /terse HTTP/1.1\r\nHost: x\r\n',
}


async def test_half_open_handshakes_end_at_their_deadline(world):
    fake = await world.fake()
    tersed = world.proxy(fake.port, handshake_timeout='500ms')
    for what, half in HALVES.items():
        began = time.monotonic()
        peer = await world.peer()
        await peer.send(half())
        end = await peer.until_end(10)
        assert 0.4 < time.monotonic() - began < 5, what
        assert end.startswith(b'HTTP/1.1 408 ') == (what == 'half a request')
    assert len(tersed.logged('handshake_timeout')) == len(HALVES)


HALF_OPEN = 5000


def half_open_at_most():
    """Descriptors are raised as far as it goes; one each is needed on both
    sides, and the sides are two processes."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < 2 * HALF_OPEN + 500:
        with contextlib.suppress(OSError, ValueError):  # not root
            resource.setrlimit(resource.RLIMIT_NOFILE,
                               (hard, 2 * HALF_OPEN + 500))
            hard = 2 * HALF_OPEN + 500
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # tersed keeps half of its descriptors for what is behind its clients.
    return min(HALF_OPEN, (hard - 500) // 2)


def open_halves(port, count, exits):
    """So many clients that begin, in different ways, and go no further."""
    halves = [HALVES[what]() for what in HALVES]
    peers = []
    for i in range(count):
        peer = exits.enter_context(
            socket.create_connection(('127.0.0.1', port), 20))
        peer.sendall(halves[i % len(halves)])
        peers.append(peer)
    return peers


async def test_thousands_of_half_open_handshakes_harm_nobody(world):
    """The others' latency, while they come and while they are there; what they
    cost; that they end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = half_open_at_most()
    world.exits.callback(resource.setrlimit, resource.RLIMIT_NOFILE,
                         (soft, hard))
    if count < HALF_OPEN:
        warnings.warn(f'{count:,} half-open handshakes instead of '
                      f'{HALF_OPEN:,}: descriptors are limited')
    fake = await world.fake()
    tersed = world.proxy(fake.port, handshake_timeout='20s',
                         connect_rate=10 * count, max_per_address=10 * count)
    client, session = await world.pair(fake)
    before = tersed.memory()
    idle = await round_trips(client, session)
    coming = asyncio.create_task(asyncio.to_thread(
        open_halves, world.port, count, world.exits))
    opening = await round_trips(client, session)
    peers = await coming
    tersed.until_logged('event=accepted', count + 1)
    # None has ended yet, or they would not be so many at once.
    assert not tersed.logged('handshake_timeout')
    busy = await round_trips(client, session)
    print(f'{count:,} half-open handshakes: round trips of {opening / idle:.1f}'
          f' times while they come, {busy / idle:.1f} times then')
    assert busy < 10 * idle + 0.05, (idle, busy)
    assert opening < 50 * idle + 0.05, (idle, opening)
    # A whole hello costs a handshake: 100 KB of each such is generous, and 10
    # of each other.
    each = (100 + 10 * (len(HALVES) - 1)) / len(HALVES)
    assert tersed.memory('VmHWM') - before < SLACK + each * count
    peer = await tls_peer(world)
    await peer.log_in(native)
    tersed.until_logged('handshake_timeout', count, timeout=50)
    for peer in peers[::97]:
        peer.settimeout(10)
        while peer.recv(4096):
            pass
    await round_trips(client, session)


async def round_trips(client, session, count=50):
    """The median of their times."""
    times = []
    for i in range(count):
        began = time.monotonic()
        await client.send(message(f'{i}'))
        await session.next()
        times.append(time.monotonic() - began)
    return sorted(times)[count // 2]


async def test_tls_client_that_dribbles_is_served(world):
    """The handshake and a login, in single bytes both ways."""
    fake = await world.fake()
    tersed = world.proxy(fake.port)
    relay = await world.relay(tersed.port)
    peer = await TlsPeer.dial(relay.port, tersed.certificate)
    world.exits.callback(peer.close)
    await peer.log_in(native)
    session = await fake.session()
    await peer.say(message('drip'))
    assert (await session.next()).findtext(CLIENT + 'body') == 'drip'
    await session.send(message('drop'))
    await peer.hear(b'drop')
    assert relay.carried > 2000


async def test_garbage_inside_and_instead_of_tls(world):
    fake = await world.fake()
    tersed = world.proxy(fake.port)
    client, session = await world.pair(fake)
    before = tersed.memory()
    hello = client_hello()
    for name, garbage in {
            'tls-not': b'\x16' * 500, 'tls-ssl2': b'\x80\x2e\1\3\1' + bytes(41),
            'tls-length': b'\x16\3\1\xff\xff' + bytes(70000),
            'tls-alert': b'\x15\3\3\0\2\1\0', 'tls-data': b'\x17\3\3\0\1x',
            'tls-twice': hello + hello, 'tls-flipped':
            hello[:60] + bytes(b ^ 0xff for b in hello[60:])}.items():
        peer = await world.peer()
        with contextlib.suppress(OSError):
            await peer.send(garbage)
        await peer.until_end(10)
        await session.send(message(name))
        seen = await client.expect(lambda e: e.tag == CLIENT + 'message')
        assert seen.findtext(CLIENT + 'body') == name
    for garbage in (b'\x16\3\1\0\0', b'\xff' * 100, b'TRS2', bytes(4096)):
        peer = await tls_peer(world)
        await peer.send(garbage)
        await peer.until_end(10)
    assert tersed.memory() - before < SLACK
    assert len(fake.sessions) == 1


# -- bytes on the wire -----------------------------------------------------------------


def message_of(size, sender=''):
    """A message whose frame has `size` bytes."""
    for n in range(size):
        xml = message('x' * n, extra=sender)
        if len(frame_of(xml)) == size:
            return xml
    raise AssertionError(size)


def only_record(data):
    """data is one record of application data, whole."""
    assert data[0] == 0x17
    assert int.from_bytes(data[3:5], 'big') == len(data) - 5
    return len(data)


async def grown(log, before):
    """What has come since, when all of it has."""
    while len(log) == before:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    return log[before:]


async def test_frame_of_40_bytes_over_tls_is_one_record_of_63(world):
    fake = await world.fake()
    tersed = world.proxy(fake.port)
    relay = await world.relay(tersed.port, up=False, down=False)
    peer = await TlsPeer.dial(relay.port, tersed.certificate)
    world.exits.callback(peer.close)
    await peer.log_in(native)
    session = await fake.session()
    (up, down), text = relay.logs[0], message_of(40)
    for _ in range(3):
        at, pieces = len(up), relay.carried
        await peer.say(text)
        await session.next()
        assert only_record(await grown(up, at)) <= 63
        at, pieces = len(down), relay.carried
        await session.send(text)
        await peer.hear(b'<body')
        assert only_record(await grown(down, at)) <= 63
        assert relay.carried == pieces + 1  # one write


async def test_frames_that_are_ready_together_are_one_record(world):
    fake = await world.fake()
    tersed = world.proxy(fake.port)
    relay = await world.relay(tersed.port, up=False, down=False)
    peer = await TlsPeer.dial(relay.port, tersed.certificate)
    world.exits.callback(peer.close)
    await peer.log_in(native)
    session = await fake.session()
    down, text = relay.logs[0][1], message_of(40)
    at = len(down)
    await session.send(text * 20)
    assert only_record(await grown(down, at)) == 20 * 41 + 22
