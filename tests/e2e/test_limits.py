"""What tersed and terse-agent do at their limits, and when a side misbehaves:
never more memory, never a half stanza, never harm to others, and the stream
error that RFC 6120 names."""
import asyncio
import contextlib
import os
import signal
import ssl
import subprocess
import tempfile
import zlib

import pytest

import servers
from conftest import World
from drivers import (CLIENT, FOOTER, SASL, STANZA_ERROR, STREAMS, Gone,
                     Pair0Client, SlixmppClient, XmlClient, condition)
from fake_server import FakeServer, RawPeer, Relay
from servers import DOMAIN

FAKE = 'fake.example.net'
SP_HELLO = b'\0SP\0\0\x10\0\0'
# Memory may grow by this much under load, and no more (KiB).
SLACK = 16 << 10
MEGABYTE = 1 << 20


def message(body, to=f'user@{FAKE}/r', extra=''):
    return f"<message to='{to}'{extra}><body>{body}</body></message>"


def frame_of(xml):
    """The bare frame of an element."""
    return subprocess.run([os.path.join(servers.BUILD, 'bin', 'terse'),
                           'encode'], input=xml.encode(), check=True,
                          capture_output=True).stdout


def sp(frame):
    """A frame as a message of SP over TCP."""
    return len(frame).to_bytes(8, 'big') + frame


def native(frame):
    """A frame as native framing has it."""
    n, head = len(frame), b''
    while n > 127:
        head, n = head + bytes([n & 127 | 128]), n >> 7
    return head + bytes([n]) + frame


def xml_of(frame):
    return subprocess.run([os.path.join(servers.BUILD, 'bin', 'terse'),
                           'decode'], input=frame, check=True,
                          capture_output=True).stdout


class FramePeer(RawPeer):
    """Speaks frames with no library at all, by either framing."""

    def start(self, framing):
        self.framing = framing
        self.skip = 8 if framing is sp else 0  # SP's greeting
        self.hello = SP_HELLO if framing is sp else b'TRS1'

    async def say(self, xml, chunk=0):
        await self.send(self.hello + self.framing(frame_of(xml)), chunk)
        self.hello = b''

    def frames(self):
        """Those that came whole."""
        return split_frames(self.received[self.skip:], self.framing)[0]

    async def hear(self, what, timeout=15):
        """Reads until a frame's XML has `what` in it."""
        async def read():
            known = 0
            while True:
                frames = self.frames()
                for frame in frames[known:]:
                    if what in xml_of(frame):
                        return
                known = len(frames)
                data = await self.reader.read(65536)
                assert data, f'ended before {what}'
                self.received += data
        await asyncio.wait_for(read(), timeout)

    async def log_in(self, framing, chunk=0):
        self.start(framing)
        await self.say(HEADER.format(FAKE), chunk)
        await self.hear(b'mechanism')
        await self.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
                       "mechanism='PLAIN'>AHUAcA==</auth>", chunk)
        await self.hear(b'success')
        await self.say(HEADER.format(FAKE), chunk)
        await self.hear(b'xmpp-bind')
        await self.say("<iq type='set' id='b'><bind xmlns='"
                       "urn:ietf:params:xml:ns:xmpp-bind'/></iq>", chunk)
        await self.hear(b'<jid>')


def split_frames(data, framing):
    """The whole frames in data, and how many bytes are behind them."""
    at, frames = 0, []
    while True:
        if framing is sp:
            end = at + 8
            n = int.from_bytes(data[at:end], 'big')
        else:
            end, n = at, 0
            while end < len(data):
                n |= (data[end] & 127) << 7 * (end - at)
                end += 1
                if data[end - 1] < 128:
                    break
        if end + n > len(data) or end == at:
            return frames, len(data) - at
        frames.append(bytes(data[end:end + n]))
        at = end + n


HEADER = ("<stream:stream to='{}' version='1.0' xmlns='jabber:client' "
          f"xmlns:stream='{STREAMS[1:-1]}'>")


class Scene(World):
    """A tersed and a terse-agent of its own in front of scripted servers."""

    def __init__(self):
        super().__init__(None, Pair0Client, None)
        self.exits = contextlib.AsyncExitStack()
        self.programs = []

    async def fake(self, **options):
        server = await FakeServer(**options).start()
        self.exits.push_async_callback(server.close)
        return server

    async def relay(self, target, **directions):
        relay = await Relay(target, **directions).start()
        self.exits.push_async_callback(relay.close)
        return relay

    def directory(self):
        """A new one, removed at the end."""
        return self.exits.enter_context(tempfile.TemporaryDirectory())

    def run(self, program):
        program.start()
        self.programs.append(program)
        return program

    def proxy(self, fake_port, domains=None, **options):
        """tersed, with FAKE served by a scripted server."""
        self.tersed = self.run(servers.Tersed(
            {FAKE: {'server': f'127.0.0.1:{fake_port}', 'starttls': 'off'},
             **(domains or {})}, **{'close_timeout': '300ms', **options}))
        self.port = self.tersed.port
        return self.tersed

    def agent(self, port=None):
        return self.run(servers.Agent(port or self.port))

    async def peer(self, port=None):
        peer = await FramePeer.dial(port or self.port)
        self.exits.callback(peer.close)
        return peer

    async def log_in(self, kind=Pair0Client, port=None, domain=FAKE):
        client = self.client(kind, port)
        # What breaks on purpose ends in errors of the stream, not of the wire.
        await client.login('user', 'pw-user', domain, 'r', mechanism='PLAIN')
        return client

    async def pair(self, fake, kind=Pair0Client, port=None):
        """A client that is logged in, and its session on the server."""
        client, session = await asyncio.gather(self.log_in(kind, port),
                                               fake.session())
        return client, session

    async def close(self):
        try:
            await super().close()
        finally:
            await self.exits.aclose()
            faults = [p.stop() for p in reversed(self.programs)]
            assert not any(faults), faults


@pytest.fixture
def world():
    """Replaces conftest's: these tests make their own servers."""
    return Scene()


async def refused(client):
    """The condition of the stream error that ends the connection."""
    gone = await client.expect_gone()
    return gone.error


# -- one byte at a time --------------------------------------------------------


@pytest.mark.parametrize('place', ['client-agent', 'agent-tersed',
                                   'pair0-tersed', 'tersed-server'])
async def test_bytes_one_by_one_make_no_difference(world, ejabberd, tersed,
                                                   agent, place):
    """A real session, with one of its connections in single bytes."""
    kind = Pair0Client if place == 'pair0-tersed' else SlixmppClient
    if place == 'client-agent':
        relay = await world.relay(agent.port, down=False)  # slixmpp: expat
        port = relay.port
    elif place == 'agent-tersed':
        relay = await world.relay(tersed.port)
        port = world.agent(relay.port).port
    elif place == 'pair0-tersed':
        relay = await world.relay(tersed.port)
        port = relay.port
    else:
        # ejabberd reads with expat, too.
        relay = await world.relay(ejabberd.starttls, up=False)
        own = world.run(servers.Tersed(
            servers.real_domains(ejabberd, relay.port)))
        port = world.agent(own.port).port
    world.server = ejabberd
    user = world.account('drip')
    client = world.client(kind, port)
    await client.login(user, f'pw-{user}', DOMAIN, 'r')
    await client.presence()
    text = 'Ünïcödé 🐢 <&> ' * 20
    await client.message(client.jid, text)
    seen = await client.expect(lambda e: e.tag == CLIENT + 'message' and
                               e.findtext(CLIENT + 'body') == text)
    assert seen.get('from') == client.jid
    assert relay.carried > 1500


async def test_server_that_dribbles_is_read(world):
    fake = await world.fake(chunk=1)
    world.proxy(fake.port)
    client, session = await world.pair(fake)
    for i in range(20):
        await session.send(message(f'{i} é 🐌 &amp; <![CDATA[<x>]]>'))
    for i in range(20):
        seen = await client.expect(lambda e: e.tag == CLIENT + 'message')
        assert seen.findtext(CLIENT + 'body') == f'{i} é 🐌 & <x>'


@pytest.mark.parametrize('framing', [sp, native])
async def test_frames_dribbled_over_both_framings_arrive(world, framing):
    fake = await world.fake()
    world.proxy(fake.port)
    peer = await world.peer()
    await peer.log_in(framing, chunk=1)
    session = await fake.session()
    await peer.say(message('drip'), chunk=1)
    assert (await session.next()).findtext(CLIENT + 'body') == 'drip'
    await session.send(message('drop'))
    await peer.hear(b'drop')


# -- large ---------------------------------------------------------------------


async def test_stanza_of_10_mb_from_client_is_refused(world):
    """At the agent; and at tersed, as soon as its length is known."""
    fake = await world.fake()
    tersed = world.proxy(fake.port)
    agent = world.agent()
    client, session = await world.pair(fake, XmlClient, agent.port)
    before = agent.memory(), tersed.memory()
    with contextlib.suppress(Gone, ConnectionError):
        await client.send(message('x' * (10 * MEGABYTE)))
    assert await refused(client) == 'policy-violation'
    await asyncio.wait_for(session.ended.wait(), 15)
    assert session.elements.empty()
    assert b'xxxx' not in session.bytes

    peer = await world.peer()
    peer.start(sp)
    await peer.say(HEADER.format(FAKE))
    await peer.hear(b'mechanism')
    await peer.send((10 * MEGABYTE).to_bytes(8, 'big') + b'\x0a' * 65536)
    end = await peer.until_end()
    assert b'policy-violation' in texts_of(end)
    for program, was in zip((agent, tersed), before):
        assert program.memory('VmHWM') - was < SLACK


def texts_of(stream):
    """The XML of all frames in what came over SP, as bytes."""
    assert stream.startswith(SP_HELLO)
    frames, behind = split_frames(stream[8:], sp)
    assert behind == 0, 'half a frame'
    return b''.join(map(xml_of, frames))


async def test_stanza_of_10_mb_from_server_is_refused(world):
    fake = await world.fake()
    tersed = world.proxy(fake.port)
    client, session = await world.pair(fake)
    before = tersed.memory()
    await session.send(message('y' * (10 * MEGABYTE)) + message('next'))
    refusal = await client.expect(lambda e: e.tag == CLIENT + 'message',
                                  'its refusal')
    assert refusal.get('type') == 'error'
    assert condition(refusal[0], STANZA_ERROR) == 'policy-violation'
    await client.expect(lambda e: e.findtext(CLIENT + 'body') == 'next',
                        'what comes behind it')
    assert tersed.memory('VmHWM') - before < SLACK
    assert client.gone is None and not session.ended.is_set()


# -- who cannot be reached --------------------------------------------------------


@pytest.mark.parametrize('entry', ['pair0', 'agent'])
async def test_unknown_domain_is_host_unknown(world, tersed, agent, entry):
    client = (world.client(Pair0Client, tersed.port) if entry == 'pair0'
              else world.client(XmlClient, agent.port))
    await client.start()
    with pytest.raises(Gone) as gone:
        await client.open('unknown.example.org')
    assert gone.value.error == 'host-unknown'


@pytest.mark.parametrize('entry', ['pair0', 'agent'])
async def test_dead_server_is_remote_connection_failed(world, entry):
    world.proxy(servers.free_port())
    client = (world.client(Pair0Client) if entry == 'pair0'
              else world.client(XmlClient, world.agent().port))
    client.hangs_up = False  # then the other side does, after a while
    await client.start()
    with pytest.raises(Gone) as gone:
        await client.open(FAKE)
    assert gone.value.error == 'remote-connection-failed'


def certificate(directory, name):
    """A self-signed certificate: its file and a server's context."""
    path = os.path.join(directory, f'{name}.pem')
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
         'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
         f'/CN={name}', '-addext', f'subjectAltName=DNS:{name}', '-keyout',
         f'{path}.key', '-out', path], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, f'{path}.key')
    return path, context


@pytest.mark.parametrize('case', ['good', 'untrusted', 'other-name', 'no-tls'])
async def test_certificate_decides(world, tmp_path, case):
    """With a bad one: remote-connection-failed, and no byte of what the client
    said after its header has left, though it said it at once."""
    name = 'wrong.example.net' if case == 'other-name' else 'tls.example.net'
    trusted, context = certificate(str(tmp_path), name)
    if case == 'untrusted':
        trusted, _ = certificate(str(tmp_path), 'other.example.net')
    fake = await world.fake(tls=None if case == 'no-tls' else context)
    world.proxy(fake.port, {'tls.example.net': {
        'server': f'127.0.0.1:{fake.port}', 'ca_file': trusted}})
    client = world.client()
    await client.start()
    # PLAIN, with the header, as a client in a hurry does.
    await client.send(HEADER.format('tls.example.net') +
                      "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
                      "mechanism='PLAIN'>AHVzZXIAc2VjcmV0</auth>")
    if case == 'good':
        await client.expect(lambda e: e.tag == SASL + 'success')
        assert fake.sessions[0].secured
    else:
        assert await refused(client) == 'remote-connection-failed'
        assert len(fake.sessions) >= 1
        assert not fake.sessions[0].authenticated
        for session in fake.sessions:
            assert b'AHVz' not in session.bytes
            assert b'auth' not in session.bytes


async def test_server_that_closes_in_mid_stanza(world):
    fake = await world.fake()
    world.proxy(fake.port)
    client, session = await world.pair(fake)
    await session.send(message('whole') + '<message><body>half of')
    session.close()
    assert await refused(client) == 'remote-connection-failed'
    bodies = [e.findtext(CLIENT + 'body') for e in client.inbox
              if e.tag == CLIENT + 'message']
    assert bodies == ['whole']


@pytest.mark.parametrize('entry', ['pair0', 'agent'])
async def test_stream_error_of_server_is_passed_on(world, entry):
    fake = await world.fake()
    world.proxy(fake.port)
    client, session = (
        await world.pair(fake) if entry == 'pair0' else
        await world.pair(fake, XmlClient, world.agent().port))
    await session.send(
        "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
        "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='de'>Neu "
        "angemeldet</text></stream:error></stream:stream>")
    session.close()
    assert await refused(client) == 'conflict'
    error = client.seen(lambda e: e.tag == STREAMS + 'error')[0]
    assert 'Neu angemeldet' in ''.join(error.itertext())


async def test_server_that_sends_no_xml(world):
    fake = await world.fake()
    world.proxy(fake.port)
    for bad in ('<message><body></message>', '<message>&unknown;</message>',
                '<!-- hello --><message/>', b'<message>\xff\xfe</message>',
                '<x:y/>'):
        client, session = await world.pair(fake)
        await session.send(bad)
        assert await refused(client) is not None
        await asyncio.wait_for(session.ended.wait(), 15)


# -- the end ----------------------------------------------------------------------


async def test_sigterm_drains_with_system_shutdown(world):
    fake = await world.fake()
    tersed = world.proxy(fake.port)
    agent = world.agent()
    near, session = await world.pair(fake)
    far, other = await world.pair(fake, XmlClient, agent.port)
    await near.send(message('last words'))
    assert (await session.next()).findtext(CLIENT + 'body') == 'last words'
    tersed.process.send_signal(signal.SIGTERM)
    for client in (near, far):
        assert await refused(client) == 'system-shutdown'
    for end in (session, other):
        await asyncio.wait_for(end.ended.wait(), 15)
    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(None, tersed.wait) == 0
    with pytest.raises(OSError):
        await RawPeer.dial(tersed.port)


async def test_client_that_leaves_closes_its_stream(world):
    fake = await world.fake()
    world.proxy(fake.port)
    client, session = await world.pair(fake)
    await client.close()
    await asyncio.wait_for(session.ended.wait(), 15)
    assert session.footer


@pytest.mark.parametrize('who', ['client', 'server'])
async def test_end_of_stream_is_said_once(world, who):
    """By each side, behind all else, whoever begins."""
    fake = await world.fake()
    world.proxy(fake.port)
    relay = await world.relay(world.port, up=False, down=False)
    agent = world.agent(relay.port)
    client, session = await world.pair(fake, XmlClient, agent.port)
    await client.send(message('up'))
    await session.next()
    if who == 'client':
        await client.close()
    else:
        await session.send('</stream:stream>')
        client.hangs_up = False
        await client.expect(lambda e: e.tag == FOOTER)
        await client.send('</stream:stream>')
        await client.expect_gone()
        session.close()
    await asyncio.wait_for(session.ended.wait(), 15)
    close = frame_of('</stream:stream>')
    up, down = relay.logs[-1]
    assert up.startswith(b'TRS1')
    for data in (up[4:], down):
        frames, behind = split_frames(data, native)
        assert behind == 0
        assert frames.count(close) == 1
        assert frames[-1] == close


async def test_client_that_is_lost_closes_no_stream(world):
    """Or the server could not keep the session for a resumption."""
    fake = await world.fake()
    world.proxy(fake.port)
    agent = world.agent()
    for kind, port in ((Pair0Client, None), (XmlClient, agent.port)):
        client, session = await world.pair(fake, kind, port)
        await client.drop()
        await asyncio.wait_for(session.ended.wait(), 15)
        assert not session.footer


# -- garbage -------------------------------------------------------------------------


GARBAGE = {
    'letters': b'hello, anybody there?\r\n' * 100,
    'http': b'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
    'tls': b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + b'\xaa' * 500,
    'xml': b"<?xml version='1.0'?><stream:stream to='fake.example.net'>",
    'zeroes': bytes(4096),
    'sp-other-protocol': b'\0SP\0\0\x31\0\0' + bytes(100),
    'sp-huge': SP_HELLO + b'\xff' * 8 + b'x' * 100,
    'sp-empty-message': SP_HELLO + bytes(8),
    'sp-no-frame': SP_HELLO + sp(b'\xff' * 40),
    'sp-first-frame-not-open': SP_HELLO + sp(b'\x0a\x00'),
    'native-overlong-length': b'TRS1' + b'\xff' * 16,
    'native-huge': b'TRS1' + b'\xff\xff\xff\xff\x0f' + b'x' * 100,
    'native-truncated-frame': b'TRS1' + b'\x03\x6a\x7f\x00',
}


async def test_garbage_ends_its_connection_only(world):
    fake = await world.fake()
    tersed = world.proxy(fake.port)
    client, session = await world.pair(fake)
    before = tersed.memory()
    for name, garbage in GARBAGE.items():
        peer = await world.peer()
        with contextlib.suppress(OSError):
            await peer.send(garbage)
        try:
            await peer.until_end(10)
        except asyncio.TimeoutError:
            raise AssertionError(f'{name}: still connected') from None
        await session.send(message(name))
        seen = await client.expect(lambda e: e.tag == CLIENT + 'message')
        assert seen.findtext(CLIENT + 'body') == name
    assert len(fake.sessions) == 1, 'garbage reached the server'
    assert tersed.alive()
    assert tersed.memory() - before < SLACK


async def test_garbage_after_login_ends_its_connection_only(world):
    fake = await world.fake()
    world.proxy(fake.port)
    other, other_session = await world.pair(fake)
    for garbage in (b'\xff' * 40, b'\x0a\x7f', b'\x0a\x02\x0a\x05',
                    b'\x7a\x04\x0a\x02<x'):
        peer = await world.peer()
        await peer.log_in(sp)
        await peer.send(sp(garbage))
        await peer.until_end()
        for session in fake.sessions[1:]:
            await asyncio.wait_for(session.ended.wait(), 15)
            assert not session.footer or session.elements.empty()
    await other_session.send(message('still here'))
    await other.expect(lambda e: e.findtext(CLIENT + 'body') == 'still here')


# -- what a TLS-terminating hop must hide ---------------------------------------------


EVERYTHING = (
    "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
    "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
    '<mechanism>SCRAM-SHA-512-PLUS</mechanism>'
    '<mechanism>SCRAM-SHA-256-PLUS</mechanism>'
    '<mechanism>SCRAM-SHA-1-PLUS</mechanism>'
    '<mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism>'
    '</mechanisms>'
    "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>"
    "<channel-binding type='tls-exporter'/></sasl-channel-binding>"
    "<compression xmlns='http://jabber.org/features/compress'>"
    '<method>zlib</method></compression>'
    "<register xmlns='http://jabber.org/features/iq-register'/>"
    "<custom xmlns='urn:example:feature'>kept</custom>")


def names(features):
    return {e.tag for e in features.iter()}


@pytest.mark.parametrize('entry', ['pair0', 'agent'])
async def test_features_of_the_hop_are_hidden(world, entry):
    fake = await world.fake(features=EVERYTHING, bound_features=(
        "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
        "<compression xmlns='http://jabber.org/features/compress'>"
        '<method>zlib</method></compression>'))
    world.proxy(fake.port, sasl2='off')  # and nothing is added
    client = (world.client(Pair0Client) if entry == 'pair0'
              else world.client(XmlClient, world.agent().port))
    await client.login('user', 'pw-user', FAKE, 'r', mechanism='PLAIN')
    assert client.mechanisms == ['SCRAM-SHA-1', 'PLAIN']
    assert names(client.first_features) == {
        STREAMS + 'features', SASL + 'mechanisms', SASL + 'mechanism',
        '{http://jabber.org/features/iq-register}register',
        '{urn:example:feature}custom'}
    assert names(client.features) == {
        STREAMS + 'features', '{urn:ietf:params:xml:ns:xmpp-bind}bind'}


async def test_features_of_real_server_have_no_plus(world, ejabberd, tersed):
    """ejabberd offers -PLUS over TLS: the control, and then through tersed."""
    context = ssl.create_default_context(cafile=ejabberd.ca)
    reader, writer = await asyncio.open_connection('127.0.0.1',
                                                   ejabberd.starttls)
    header = HEADER.format(DOMAIN).encode()
    writer.write(header)
    await reader.readuntil(b'</stream:features>')
    writer.write(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    await reader.readuntil(b'>')
    await writer.start_tls(context, server_hostname=DOMAIN)
    writer.write(header)
    features = await reader.readuntil(b'</stream:features>')
    writer.close()
    assert b'-PLUS<' in features

    client = world.client(port=tersed.port)
    await client.start()
    features = await client.open(DOMAIN)
    mechanisms = {m.text for m in features.iter(SASL + 'mechanism')}
    assert {'SCRAM-SHA-1', 'SCRAM-SHA-256', 'PLAIN'} <= mechanisms
    assert not any(m.endswith('-PLUS') for m in mechanisms)
    assert not [e for e in features if 'starttls' in e.tag]


# -- flow ---------------------------------------------------------------------------


async def flood(session, text, limit):
    """Sends until `limit` bytes are out or nothing moves for a second."""
    sent = 0
    with contextlib.suppress(asyncio.TimeoutError, OSError):
        while sent < limit:
            session.writer.write(text)
            await asyncio.wait_for(session.writer.drain(), 1)
            sent += len(text)
    return sent


async def test_client_that_never_reads_keeps_memory_flat(world):
    fake = await world.fake()
    tersed = world.proxy(fake.port, stall_timeout='3s')
    other, other_session = await world.pair(fake)
    peer = await world.peer()
    await peer.log_in(sp)
    session = await fake.session()
    before = tersed.memory()
    # The peer reads no more.
    peer.reader._transport.pause_reading()
    text = (message('z' * 1000) * 60).encode()
    sent = await flood(session, text, 300 * MEGABYTE)
    assert sent < 100 * MEGABYTE, 'nothing held the server back'
    assert tersed.memory('VmHWM') - before < SLACK
    # Others are not disturbed, while it is stalled.
    await other_session.send(message('meanwhile'))
    await other.expect(lambda e: e.findtext(CLIENT + 'body') == 'meanwhile')
    # And in the end it is given up.
    await asyncio.wait_for(session.ended.wait(), 20)
    await other_session.send(message('after'))
    await other.expect(lambda e: e.findtext(CLIENT + 'body') == 'after')


async def test_server_that_never_reads_keeps_memory_flat(world):
    fake = await world.fake()
    tersed = world.proxy(fake.port, stall_timeout='3s')
    agent = world.agent()
    other, other_session = await world.pair(fake)
    client, session = await world.pair(fake, XmlClient, agent.port)
    session.reading.clear()
    before = tersed.memory(), agent.memory()
    text = message('z' * 1000) * 60

    sent = 0

    async def push():
        nonlocal sent
        for _ in range(4000):
            await client.send(text)
            sent += len(text)
    pushing = asyncio.create_task(push())
    try:
        end = asyncio.create_task(client.expect_gone(30))
        before_wait = -1
        while sent != before_wait:  # until it is held back
            before_wait = sent
            await asyncio.wait({pushing}, timeout=0.5)
        assert sent < 100 * MEGABYTE, 'nothing held the client back'
        await other_session.send(message('meanwhile'))
        await other.expect(lambda e: e.findtext(CLIENT + 'body') ==
                           'meanwhile')
        await end
    finally:
        pushing.cancel()
    for program, was in zip((tersed, agent), before):
        assert program.memory('VmHWM') - was < SLACK


async def test_slow_reader_gets_everything(world):
    """Back-pressure, not loss: all of it arrives, in order."""
    fake = await world.fake()
    tersed = world.proxy(fake.port)
    client, session = await world.pair(fake)
    before = tersed.memory()
    count = 8000
    text = 'w' * 1000

    async def push():
        for i in range(count):
            await session.send(message(f'{i} {text}'))
    pushing = asyncio.create_task(push())
    for i in range(count):
        seen = await client.expect(lambda e: e.tag == CLIENT + 'message', 30)
        assert seen.findtext(CLIENT + 'body').startswith(f'{i} ')
        if i % 100 == 0:
            await asyncio.sleep(0.002)
    await pushing
    assert tersed.memory('VmHWM') - before < SLACK


# -- what a client must not send --------------------------------------------------


@pytest.mark.parametrize('bad', [
    '<!-- a comment -->', '<?php evil ?>',
    "<!DOCTYPE x [<!ENTITY a 'b'>]>", '<message><!-- c --></message>',
    '<message><?p i?></message>', '<message>&custom;</message>'])
async def test_restricted_xml_of_client_is_refused(world, bad):
    fake = await world.fake()
    world.proxy(fake.port)
    client, session = await world.pair(fake, XmlClient, world.agent().port)
    await client.send(bad)
    error = await refused(client)
    if 'DOCTYPE' in bad:  # in the middle of a stream it is no XML either
        assert error in ('restricted-xml', 'not-well-formed')
    else:
        assert error == 'restricted-xml'
    await asyncio.wait_for(session.ended.wait(), 15)
    assert session.elements.empty()


@pytest.mark.parametrize('bad,expected', [
    ('<message><body></message>', {'not-well-formed'}),
    ('<message>&#1;</message>', {'not-well-formed'}),
    ('<a:message/>', {'bad-namespace-prefix', 'invalid-namespace',
                      'not-well-formed'}),
    ('<message to="a" to="b"/>', {'not-well-formed'})])
async def test_bad_xml_of_client_is_refused(world, bad, expected):
    fake = await world.fake()
    world.proxy(fake.port)
    client, session = await world.pair(fake, XmlClient, world.agent().port)
    await client.send(bad)
    assert await refused(client) in expected
    await asyncio.wait_for(session.ended.wait(), 15)
    assert session.elements.empty()


# -- before login -------------------------------------------------------------------


async def test_client_that_says_nothing_is_hung_up_on(world):
    fake = await world.fake()
    world.proxy(fake.port, login_timeout='1s')
    silent, half = await world.peer(), await world.peer()
    await half.send(SP_HELLO + sp(frame_of(HEADER.format(FAKE))))
    await silent.until_end(10)
    end = await half.until_end(10)
    assert b'connection-timeout' in texts_of(end) or (
        b'policy-violation' in texts_of(end))
    for session in fake.sessions:
        await asyncio.wait_for(session.ended.wait(), 10)


async def test_flood_before_login_is_refused(world):
    fake = await world.fake()
    world.proxy(fake.port, login_bytes='16k')
    client = world.client()
    await client.start()
    await client.open(FAKE)
    for _ in range(40):
        await client.send("<iq type='get' id='f'><query xmlns='"
                          f"jabber:iq:register'>{'x' * 1000}</query></iq>")
    assert await refused(client) == 'policy-violation'


async def test_deflated_flood_before_login_is_refused(world):
    """A few hundred bytes on the wire, a megabyte for the server."""
    fake = await world.fake()
    tersed = world.proxy(fake.port, login_bytes='16k')
    peer = await RawPeer.dial(tersed.port)
    # Beside the header: it remembers something, so frames may be deflated.
    await peer.send(b'TRS1' + native(frame_of(HEADER.format(FAKE)) +
                                     b'\x80\x01\x08\x98\x01\xe8\x07'))
    assert await peer.reader.read(65536)
    bomb = frame_of("<iq type='get' id='f'><query xmlns='jabber:iq:register'>"
                    f"{'x' * 200000}</query></iq>")
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    small = deflate.compress(bomb) + deflate.flush()
    frame = b'\x42' + native(small)
    assert len(frame) < 1000
    for _ in range(5):
        await peer.send(native(frame))
    await peer.until_end()
    assert tersed.logged('login_bytes')
    assert sum(len(s.bytes) for s in fake.sessions) < 20000
