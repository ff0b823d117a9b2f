"""How tersed finds the XMPP server: SRV records by priority and weight, the
next target where one is down, IPv6 and IPv4, and TLS from the first byte
(XEP-0368)."""
import asyncio
import collections

import pytest

import servers
from drivers import CLIENT
from fake_dns import A, AAAA, SRV, FakeDns
from fake_server import FakeServer
from test_limits import (FAKE, Scene, certificate, message, native,
                         refused)

STARTTLS, DIRECT = f'_xmpp-client._tcp.{FAKE}', f'_xmpps-client._tcp.{FAKE}'


@pytest.fixture
def world():
    return Scene()


class ServerAt(FakeServer):
    """On an address of its own; with `direct`, TLS from the first byte."""

    def __init__(self, host='127.0.0.1', direct=None, **options):
        super().__init__(**options)
        self.host, self.direct = host, direct
        self.protocols = []

    async def start(self, port=0):
        self.server = await asyncio.start_server(
            self.accepted, self.host, port, ssl=self.direct)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def accepted(self, reader, writer):
        if self.direct:
            ssl_object = writer.get_extra_info('ssl_object')
            self.protocols.append(ssl_object.selected_alpn_protocol())
        await super().accepted(reader, writer)


async def server(world, host='127.0.0.1', **options):
    it = await ServerAt(host, **options).start()
    world.exits.push_async_callback(it.close)
    return it


async def proxy(world, records, silent=(), domain=None, **options):
    dns = await FakeDns(records, silent).start()
    world.exits.push_async_callback(dns.close)
    world.tersed = world.run(servers.Tersed(
        {FAKE: {'starttls': 'off', **(domain or {})}},
        dns_servers=f'127.0.0.1:{dns.port}', close_timeout='300ms', **options))
    world.port = world.tersed.port
    return dns


async def reaches(world, fake):
    """A client gets to that server, and its message, too."""
    client, session = await world.pair(fake)
    await client.send(message('here'))
    assert (await session.next()).findtext(CLIENT + 'body') == 'here'
    await client.close()


def nobody():
    """A port that nobody listens on."""
    return servers.free_port()


def tls(tmp_path, name):
    cert, context = certificate(tmp_path, name)
    context.set_alpn_protocols(['xmpp-client'])
    return cert, context


async def test_srv_goes_on_until_a_target_answers(world):
    """Refused, without an address, unknown, and at last one that is there; the
    one of the worst priority is not even asked for."""
    good, last = await server(world), await server(world)
    await proxy(world, {
        (STARTTLS, SRV): [(30, 0, last.port, 'last.test'),
                          (5, 0, nobody(), 'dead.test'),
                          (10, 0, 5222, 'empty.test'),
                          (11, 0, 5222, 'unknown.test'),
                          (20, 0, good.port, 'good.test')],
        ('dead.test', A): ['127.0.0.1'], ('empty.test', SRV): [],
        ('good.test', A): ['127.0.0.1'], ('last.test', A): ['127.0.0.1']})
    for _ in range(3):
        await reaches(world, good)
    assert not last.sessions


async def test_srv_all_targets_down_is_an_error(world):
    await proxy(world, {
        (STARTTLS, SRV): [(1, 0, nobody(), 'a.test'), (1, 0, nobody(), 'b.test')],
        ('a.test', A): ['127.0.0.1'], ('b.test', A): ['127.0.0.2']})
    client = world.client()
    await client.start()
    with pytest.raises(Exception):
        await client.open(FAKE)
    assert await refused(client) == 'remote-connection-failed'


async def test_srv_weights_share_the_load(world):
    """3 to 1, within what chance does in 60 tries."""
    heavy, light = await server(world), await server(world)
    await proxy(world, {
        (STARTTLS, SRV): [(1, 10, light.port, 'l.test'),
                          (1, 30, heavy.port, 'h.test')],
        ('l.test', A): ['127.0.0.1'], ('h.test', A): ['127.0.0.1']})
    for _ in range(60):
        peer = await world.peer()
        peer.start(native)
        await peer.say(f"<stream:stream to='{FAKE}' version='1.0' "
                       "xmlns='jabber:client' xmlns:stream="
                       "'http://etherx.jabber.org/streams'>")
        await peer.hear(b'mechanism')
        peer.close()
    count = collections.Counter(heavy=len(heavy.sessions),
                                light=len(light.sessions))
    assert sum(count.values()) == 60
    assert 4 <= count['light'] <= 30, count


async def test_address_families_are_both_tried(world):
    """The name has both; the server is on one of them only."""
    try:
        six = await server(world, '::1')
    except OSError:
        pytest.skip('no IPv6 here')
    four = await server(world)
    names = {(STARTTLS, SRV): [(1, 0, six.port, 'both.test')],
             ('both.test', A): ['127.0.0.1'], ('both.test', AAAA): ['::1']}
    await proxy(world, names)
    await reaches(world, six)
    names[STARTTLS, SRV] = [(1, 0, four.port, 'both.test')]
    await reaches(world, four)
    world.tersed.stop()
    world.programs.remove(world.tersed)
    await proxy(world, {}, domain={'server': f'[::1]:{six.port}'})
    await reaches(world, six)


async def test_no_srv_falls_back_to_the_domain(world):
    """RFC 6120 section 3.2.2: its port is 5222, where nobody is."""
    dns = await proxy(world, {(FAKE, A): ['127.0.0.53']})
    client = world.client()
    await client.start()
    with pytest.raises(Exception):
        await client.open(FAKE)
    assert await refused(client) == 'remote-connection-failed'
    assert (FAKE, A) in dns.asked and (STARTTLS, SRV) in dns.asked
    assert '127.0.0.53 port 5222' in world.tersed.logs()


async def test_name_server_that_is_silent_is_given_up(world):
    await proxy(world, {}, silent=(STARTTLS, FAKE), connect_timeout='1s')
    start = asyncio.get_running_loop().time()
    client = world.client()
    await client.start()
    with pytest.raises(Exception):
        await asyncio.wait_for(client.open(FAKE), 30)
    assert await refused(client) == 'remote-connection-failed'
    assert asyncio.get_running_loop().time() - start < 5


async def test_direct_tls_by_srv(world, tmp_path):
    cert, context = tls(tmp_path, FAKE)
    fake = await server(world, direct=context)
    await proxy(world, {(DIRECT, SRV): [(1, 0, fake.port, 'x.test')],
                        ('x.test', A): ['127.0.0.1']},
                domain={'tls': 'direct', 'ca_file': cert,
                        'starttls': 'required'})
    await reaches(world, fake)


async def test_direct_tls_for_another_name_is_refused(world, tmp_path):
    cert, context = tls(tmp_path, 'other.example')
    fake = await server(world, direct=context)
    await proxy(world, {}, domain={'tls': 'direct', 'ca_file': cert,
                                   'server': f'127.0.0.1:{fake.port}'})
    client = world.client()
    await client.start()
    with pytest.raises(Exception):
        await client.open(FAKE)
    assert await refused(client) == 'remote-connection-failed'
    assert not fake.sessions


@pytest.mark.parametrize('case', ['there', 'down', 'none'])
async def test_any_prefers_direct_tls_where_it_is(world, tmp_path, case):
    """And takes STARTTLS where it is not, or does not answer."""
    cert, context = tls(tmp_path, FAKE)
    direct = await server(world, direct=context)
    starttls = await server(world, tls=context)
    records = {(STARTTLS, SRV): [(1, 0, starttls.port, 'x.test')],
               ('x.test', A): ['127.0.0.1'], (FAKE, A): ['127.0.0.1']}
    if case != 'none':
        records[DIRECT, SRV] = [(1, 0, direct.port if case == 'there'
                                 else nobody(), 'x.test')]
    await proxy(world, records, domain={'tls': 'any', 'ca_file': cert,
                                        'starttls': 'required'})
    await reaches(world, direct if case == 'there' else starttls)
    assert bool(direct.sessions) == (case == 'there')
