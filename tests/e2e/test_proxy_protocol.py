"""The PROXY protocol: from a load balancer, and towards the XMPP server."""
import asyncio
import base64
import os

import pytest

import servers
from bridges import trusting
from drivers import CLIENT
from servers import DOMAIN
from test_limits import (FAKE, HEADER, FramePeer, Scene, message,
                         native)

V1 = b'PROXY TCP4 203.0.113.7 198.51.100.1 40000 5333\r\n'
V2 = (b'\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c' + bytes([203, 0, 113, 7]) +
      bytes([198, 51, 100, 1]) + (40000).to_bytes(2, 'big') +
      (5333).to_bytes(2, 'big'))
# With extensions, up to what is taken.
V2_LONG = (V2[:14] + (536).to_bytes(2, 'big') + V2[16:] + b'\4' +
           (521).to_bytes(2, 'big') + bytes(521))
V6 = b'PROXY TCP6 2001:db8::7 2001:db8::1 40000 5333\r\n'
LOCAL = b'\r\n\r\n\0\r\nQUIT\n\x20\0\0\0'


@pytest.fixture
def world():
    return Scene()


async def behind(world, header, tls=False, chunk=0):
    """A peer whose connection begins with a header; TLS only after it."""
    peer = await world.peer()
    await peer.send(header, chunk)
    if tls:
        await peer.writer.start_tls(trusting(world.tersed.certificate,
                                             'terse/1'), server_hostname=FAKE)
    return peer


@pytest.mark.parametrize('tls', [False, True])
@pytest.mark.parametrize('header', [V1, V2, V2_LONG, V6],
                         ids=['v1', 'v2', 'v2-long', 'v6'])
async def test_client_is_who_the_header_names(world, header, tls):
    fake = await world.fake()
    tersed = world.proxy(fake.port, proxy_protocol_from='127.0.0.0/8 ::1',
                         clear='loopback' if tls else 'on')
    for chunk in (0, 1):
        if not tls or not chunk:
            peer = await behind(world, header, tls, chunk)
            await peer.log_in(native)
            session = await fake.session()
            await peer.say(message('through'))
            seen = await session.next()
            assert seen.findtext(CLIENT + 'body') == 'through'
    address = '2001:db8::7' if header is V6 else '203.0.113.7'
    assert tersed.until_logged(f'event=proxied peer={address} port=40000')


async def test_header_is_required_from_there_and_from_there_only(world):
    fake = await world.fake()
    tersed = world.proxy(fake.port, proxy_protocol_from='127.0.0.1')
    for begin in (b'TRS1', b'\x16\3\1', b'GET / HTTP/1.1\r\n', b'PROXY x\r\n',
                  b'PROXY TCP4 1.2.3.4 1.2.3.4 1 99999\r\n', V2[:12] + b'\x11',
                  b'PROXY UNKNOWN' + b'x' * 200, V1 + V1,
                  V2_LONG[:14] + (537).to_bytes(2, 'big') + V2_LONG[16:]):
        peer = await world.peer()
        await peer.send(begin)
        end = await peer.until_end()
        assert end == b''
    peer = await behind(world, LOCAL)  # a check of the balancer's own
    await peer.log_in(native)
    assert len(tersed.logged('event=proxied')) == 1  # of V1 + V1
    # Whoever else sends one is no client.
    tersed = world.proxy(fake.port, proxy_protocol_from='192.0.2.0/24')
    for header in (V1, V2, V6):
        peer = await world.peer()
        await peer.send(header)
        end = await peer.until_end()
        assert end == b'' or end.startswith(b'HTTP/1.1 400 ')
    assert not tersed.logged('event=proxied')


async def test_clear_text_is_for_whom_the_header_names(world):
    """The balancer is on this machine; its clients are not."""
    fake = await world.fake()
    tersed = world.proxy(fake.port, proxy_protocol_from='127.0.0.1')
    for header in (V1, V2, V6):
        peer = await behind(world, header)
        await peer.send(b'TRS1')
        assert await peer.until_end() == b''
    assert len(tersed.logged('clear text is not taken here')) == 3
    peer = await behind(world, V1.replace(b'203.0.113.7', b'127.0.0.9'))
    await peer.log_in(native)


async def test_limit_per_address_counts_the_clients(world):
    fake = await world.fake()
    tersed = world.proxy(fake.port, proxy_protocol_from='127.0.0.1',
                         max_per_address=2, clear='on')
    for _ in range(2):
        await (await behind(world, V1)).log_in(native)
    third = await behind(world, V1)
    await third.send(b'TRS1')
    assert await third.until_end() == b''
    assert tersed.until_logged('too many from this address')
    for _ in range(2):
        await (await behind(world, V6)).log_in(native)


@pytest.mark.parametrize('version', ['v1', 'v2'])
async def test_server_learns_the_address(world, ejabberd, version):
    """A real ejabberd logs the phone's address, over STARTTLS."""
    user = f'proxied-{version}-{os.getpid()}'
    ejabberd.add_user(user)
    domains = servers.real_domains(ejabberd, ejabberd.proxied)
    tersed = world.run(servers.Tersed(
        {DOMAIN: domains[DOMAIN] | {'send_proxy': version}},
        proxy_protocol_from='127.0.0.1', clear='on'))
    header = V1 if version == 'v1' else V6
    peer = await FramePeer.dial(tersed.port)
    world.exits.callback(peer.close)
    await peer.send(header)
    peer.start(native)
    await peer.say(HEADER.format(DOMAIN))
    await peer.hear(b'mechanism')
    secret = base64.b64encode(f'\0{user}\0pw-{user}'.encode()).decode()
    await peer.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
                   f"mechanism='PLAIN'>{secret}</auth>")
    await peer.hear(b'success')
    address = '203.0.113.7' if version == 'v1' else '2001:db8::7'
    log = os.path.join(ejabberd.dir, 'log', 'ejabberd.log')
    for _ in range(100):
        if any(user in line and f'from {address}' in line
               for line in open(log, errors='replace')):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(servers.read_tail(log))
