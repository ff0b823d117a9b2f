"""Limits that concern more than one client: descriptors, memory, rates; and
peers that are dead without a word."""
import asyncio
import contextlib
import json
import os
import resource
import subprocess
import urllib.request

import pytest

import servers
from drivers import CLIENT, SM, XmlClient
from fake_server import RawPeer
from test_limits import (FAKE, HEADER, MEGABYTE, Scene, frame_of, message,
                         native)
from test_proxy_flow import Bystander, round_trip


@pytest.fixture
def world():
    return Scene()


class Watched(servers.Tersed):
    """A tersed with its admin endpoint, and perhaps few descriptors."""

    def __init__(self, domains, files=None, **options):
        self.admin = servers.free_port()
        self.files = files
        super().__init__(domains, admin=f'127.0.0.1:{self.admin}', **options)

    def start(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        super().start()
        if self.files:  # as if it had been started so
            resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE,
                             (self.files, hard))
        return self

    def get(self, path):
        url = f'http://127.0.0.1:{self.admin}{path}'
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name):
        _, text = self.get('/metrics')
        for line in text.splitlines():
            if line.startswith(name + ' '):
                return float(line.split()[-1])
        raise AssertionError(f'no {name}')


def watched(world, fake_port, **options):
    tersed = world.run(Watched(
        {FAKE: {'server': f'127.0.0.1:{fake_port}', 'starttls': 'off'}},
        close_timeout='300ms', **options))
    world.tersed, world.port = tersed, tersed.port
    return tersed


async def until(what, timeout=15):
    deadline = asyncio.get_running_loop().time() + timeout
    await asyncio.sleep(0.05)  # `what` may block: what is due goes first
    while not what():
        assert asyncio.get_running_loop().time() < deadline, 'in vain'
        await asyncio.sleep(0.05)


def descriptors(tersed):
    """From outside: without a descriptor tersed cannot even be asked."""
    return len(os.listdir(f'/proc/{tersed.process.pid}/fd'))


def processor(tersed):
    """Seconds of processor time."""
    with open(f'/proc/{tersed.process.pid}/stat') as f:
        fields = f.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


async def connect(world, count):
    peers = []
    for _ in range(count):
        peer = await RawPeer.dial(world.port)
        world.exits.callback(peer.close)
        peers.append(peer)
    return peers


async def test_descriptors_run_out_and_come_back(world):
    """At the kernel's limit nobody gets in, nobody inside is harmed, nothing
    spins, and when descriptors are free again all goes on by itself."""
    fake = await world.fake()
    tersed = watched(world, fake.port, files=120)
    other = await Bystander.new(world, fake)
    peers = await connect(world, 200)
    await until(lambda: descriptors(tersed) >= 120)
    await other.goes_on('full')
    spent = processor(tersed)
    await asyncio.sleep(1.5)
    assert processor(tersed) - spent < 0.3
    for peer in peers:
        peer.close()
    await until(lambda: tersed.metric('tersed_sessions') < 10)
    await round_trip(*await world.pair(fake), 'again')
    await other.goes_on('after')


async def test_descriptors_cap_clients_beforehand(world, tmp_path):
    """With few of them it says so when it starts, and hangs up on those for
    whom there would be no connection to the server."""
    fake = await world.fake()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wrapper = ['prlimit', '--nofile=168:168']
    tersed = Watched({FAKE: {'server': f'127.0.0.1:{fake.port}',
                             'starttls': 'off'}}, close_timeout='300ms')
    popen = subprocess.Popen
    servers.subprocess.Popen = lambda args, **kw: popen(wrapper + args, **kw)
    try:
        world.run(tersed)
    finally:
        servers.subprocess.Popen = popen
    world.port = tersed.port
    assert 'few-descriptors' in tersed.logs()
    peers = await connect(world, 60)  # (168 - 128) / 2 fit
    hits = 'tersed_limit_hits_total{limit="max_connections"}'
    await until(lambda: tersed.metric(hits) >= 40)
    assert tersed.metric('tersed_sessions') <= 20
    for peer in peers:
        peer.close()
    await until(lambda: tersed.metric('tersed_sessions') == 0)
    await round_trip(*await world.pair(fake), 'again')


async def test_who_is_hung_up_on_does_not_fill_the_log(world):
    tersed = watched(world, 9, connect_rate='1')
    await connect(world, 400)
    name = 'tersed_limit_hits_total{limit="connect_rate"}'
    await until(lambda: tersed.metric(name) >= 385)
    said = len(tersed.logged('event=hung-up-on'))
    assert 40 <= said <= 120, said
    # What was not said is counted with the next line.
    await asyncio.sleep(1)
    await connect(world, 30)
    await until(lambda: tersed.metric(name) >= 410)
    lines = tersed.logged('event=hung-up-on')
    unsaid = sum(int(line.partition(' unsaid=')[2]) for line in lines)
    assert unsaid + len(lines) >= 385


async def test_memory_budget_sends_hoarders_away(world):
    """Seventy clients that send all of a large frame but its end would hold 64
    MB. The budget is 8; who is within it goes on."""
    fake = await world.fake()
    tersed = watched(world, fake.port, memory='8M', frame_bytes='1M',
                     stanza_bytes='1M')
    other = await Bystander.new(world, fake)
    before = tersed.memory()
    peers = []
    for _ in range(70):
        peer = await world.peer()
        await peer.log_in(native)
        peers.append(peer)
    half = native(b'\x0a' + b'\0' * 950000)[:-30000]
    with contextlib.suppress(OSError):
        for peer in peers:
            await peer.send(half)
    hits = 'tersed_limit_hits_total{limit="memory"}'
    await until(lambda: tersed.metric(hits) >= 40)
    await other.goes_on('pressed')
    assert tersed.metric('tersed_memory_bytes') <= 8 * MEGABYTE
    # The kernel's account: the budget, what a few reads were ahead of it, and
    # what a sanitizer holds back.
    assert tersed.memory('VmHWM') - before < 32 << 10
    told = 0
    for peer in peers:
        with contextlib.suppress(asyncio.TimeoutError):
            told += b'memory' in await peer.until_end(0.2)
    assert told >= 20


async def test_rate_slows_one_client_only(world):
    fake = await world.fake()
    tersed = watched(world, fake.port, stanza_rate='200', stanza_burst='50')
    other = await Bystander.new(world, fake)
    client, session = await world.pair(fake)
    await client.send_at_once([message(f'{i}.') for i in range(600)])
    await asyncio.sleep(0.3)
    # The other one stays below the rate: it is not slowed.
    await other.goes_on('beside')
    start = asyncio.get_running_loop().time()
    for i in range(600):
        got = await session.next(30)
        assert got.findtext(CLIENT + 'body') == f'{i}.'
    assert asyncio.get_running_loop().time() - start > 1
    assert tersed.metric('tersed_slowed_total') > 3


async def frames(peer, count):
    """Reads until so many frames have come."""
    while len(peer.frames()) < count:
        data = await asyncio.wait_for(peer.reader.read(65536), 15)
        assert data, 'ended'
        peer.received += data


async def test_phone_without_a_word_is_lost_and_can_resume(world):
    """A client that knows heartbeats and answers none. The server sees no
    footer, so that the session can be resumed."""
    fake = await world.fake()
    tersed = watched(world, fake.port, heartbeat='1s', heartbeat_timeout='1s')
    peer = await world.peer()
    peer.start(native)
    open_ = frame_of(HEADER.format(FAKE)) + b'\xa8\x01\x01'
    await peer.send(b'TRS1' + native(open_))
    peer.hello = b''
    await frames(peer, 2)
    assert b'\xa8\x01' in peer.received  # tersed knows heartbeats as well
    await peer.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
                   "mechanism='PLAIN'>AHUAcA==</auth>")
    await frames(peer, 3)
    await peer.say(HEADER.format(FAKE))
    await until(lambda: tersed.metric('tersed_logins_total') == 1)
    await peer.until(b'\x02\x60\x01', 10)
    session = fake.sessions[-1]
    await asyncio.wait_for(session.ended.wait(), 10)
    assert not session.footer
    assert tersed.metric('tersed_lost_total') == 1


async def test_agent_asks_a_silent_proxy(world):
    """Three bytes each way, with the framing, and nothing behind tersed."""
    fake = await world.fake()
    watched(world, fake.port)
    relay = await world.relay(world.port, up=False, down=False)
    agent = servers.Agent(relay.port)
    arguments = agent.arguments
    agent.arguments = lambda: arguments() + ['--heartbeat', '1']
    world.run(agent)
    client, session = await world.pair(fake, XmlClient, agent.port)
    await round_trip(client, session, 'alive')
    up = relay.logs[-1][0]
    before = len(up)
    await asyncio.sleep(3.5)
    # It asked, was answered, and goes on.
    asked = bytes(up[before:]).count(b'\x02\x60\x01')
    assert 2 <= asked <= 4, asked
    assert not up[before:].replace(b'\x02\x60\x01', b'').strip(
        b'\x02\x60\x00'), 'something else crossed'
    await round_trip(client, session, 'alive still')


async def answered(session, h):
    """The server is asked what it has, and says."""
    assert (await session.next(10)).tag == SM + 'r'
    await session.send(f"<a xmlns='urn:xmpp:sm:3' h='{h}'/>")


@pytest.mark.parametrize('owes', [False, True])
async def test_silent_server_is_asked_and_given_up(world, owes):
    """With stream management: it answers, and all goes on; it does not, and its
    client is told. A server that owes an answer for a stanza may be slow: it has
    as long again, and no longer."""
    fake = await world.fake()
    tersed = watched(world, fake.port, heartbeat='1s', heartbeat_timeout='500ms')
    client, session = await world.pair(fake)
    await client.send("<enable xmlns='urn:xmpp:sm:3'/>")
    assert (await session.next()).tag == SM + 'enable'
    await session.send("<enabled xmlns='urn:xmpp:sm:3'/>")
    for _ in range(2):
        await answered(session, 0)
    await client.send(message('slowly'))
    assert (await session.next()).findtext(CLIENT + 'body') == 'slowly'
    await asyncio.sleep(1.6)
    await answered(session, 1)  # the only time that it was asked meanwhile
    await answered(session, 1)
    assert not client.gone
    assert not client.seen(lambda e: e.tag in (SM + 'r', SM + 'a'))
    if owes:
        await client.send(message('for nobody'))
    began = asyncio.get_running_loop().time()
    session.reading.clear()
    gone = await client.expect_gone()
    assert gone.error == 'remote-connection-failed'
    assert 1 < asyncio.get_running_loop().time() - began < 10
    assert tersed.metric('tersed_limit_hits_total{limit="heartbeat_timeout"}') == 1


async def test_silent_server_without_stream_management_gets_a_space(world):
    fake = await world.fake()
    tersed = watched(world, fake.port, heartbeat='500ms',
                     heartbeat_timeout='500ms')
    client, session = await world.pair(fake)
    await until(lambda: tersed.metric('tersed_server_pings_total') >= 3)
    await round_trip(client, session, 'goes on')
    assert len(session.bytes) - len(bytes(session.bytes).lstrip()) >= 3
    assert session.elements.empty() and not client.inbox


async def test_sessions_are_told_without_content(world):
    fake = await world.fake()
    tersed = watched(world, fake.port)
    client, session = await world.pair(fake)
    await client.send(message('confidential'))
    await session.next()
    status, text = tersed.get('/sessions')
    assert status == 200 and 'confidential' not in text
    # The one that saw whether the port listens may still be there.
    (row,) = [r for r in json.loads(text) if r['state'] != 'greeting']
    assert row['domain'] == FAKE and row['state'] == 'up'
    assert row['framing'] == 'sp' and row['frames_in'] >= 4
    assert tersed.get('/healthz')[0] == 200
    assert tersed.get('/readyz')[0] == 200
