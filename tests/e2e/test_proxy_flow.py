"""What happens to the others when one side is slow, deaf, or gone: nothing is
lost, memory stays flat by the kernel's account, and whoever has no part in it
goes on as fast as before, as a ratio to how fast it was."""
import asyncio
import contextlib
import itertools
import statistics
import time

import pytest

import servers
from drivers import CLIENT, Gone, Pair0Client
from fake_server import FakeServer
from servers import DOMAIN
from test_limits import (FAKE, MEGABYTE, SLACK, Scene, flood, message, native,
                         refused, sp, split_frames, xml_of)

# What a bystander's round trip may become, against one while all is quiet. A
# round trip of less than FLOOR seconds says nothing: it is the test's own time.
RATIO, FLOOR = 5, 0.004


@pytest.fixture
def world():
    return Scene()


async def round_trip(client, session, tag):
    """Seconds from the server to the client and back."""
    start = time.monotonic()
    await session.send(message(tag))
    await client.expect(lambda e: e.findtext(CLIENT + 'body') == tag, 30)
    await client.send(message(tag))
    await session.next(30)
    return time.monotonic() - start


async def latency(client, session, name, count=30):
    """The median of some round trips."""
    took = [await round_trip(client, session, f'{name}-{i}')
            for i in range(count)]
    return statistics.median(took)


class Bystander:
    def __init__(self, client, session):
        self.client, self.session = client, session

    @classmethod
    async def new(cls, world, fake):
        it = cls(*await world.pair(fake))
        await latency(it.client, it.session, 'warm', 5)
        it.quiet = max(FLOOR, await latency(it.client, it.session, 'quiet'))
        return it

    async def goes_on(self, name):
        busy = await latency(self.client, self.session, name)
        assert busy < RATIO * self.quiet, (busy, self.quiet)


async def numbers(peer, count, size, pause):
    """Reads message 0 to count - 1 in order, slowly."""
    known, rest = 0, b''
    peer.received.clear()
    while known < count:
        data = await asyncio.wait_for(peer.reader.read(32768), 30)
        assert data, f'ended after {known} of {count}'
        frames, behind = split_frames(rest + data, native)
        rest = (rest + data)[len(rest) + len(data) - behind:]
        for frame in frames:
            if known % 97 == 0:  # all are counted, some are looked at
                assert f'<body>{known}.'.encode() in xml_of(frame), known
            known += 1
        await asyncio.sleep(pause)
    assert known == count and not rest


async def test_slow_reader_loses_nothing_and_harms_nobody(world):
    fake = await world.fake()
    tersed = world.proxy(fake.port)
    other = await Bystander.new(world, fake)
    peer = await world.peer()
    await peer.log_in(native)
    session = await fake.session()
    before = tersed.memory()
    count, size = 8000, 2000

    async def push():
        for i in range(count):
            await session.send(message(f'{i}.' + 'w' * size))
    pushing = asyncio.create_task(push())
    reading = asyncio.create_task(numbers(peer, count, size, 0.004))
    await asyncio.sleep(0.5)
    assert not reading.done(), 'it was not slow'
    await other.goes_on('slow')
    await asyncio.wait_for(asyncio.gather(pushing, reading), 60)
    assert tersed.memory('VmHWM') - before < SLACK


async def test_deaf_server_holds_its_client_back(world):
    """And all arrives once it listens."""
    fake = await world.fake()
    tersed = world.proxy(fake.port)
    other = await Bystander.new(world, fake)
    client, session = await world.pair(fake)
    before = tersed.memory()
    session.reading.clear()
    # More in all than the kernel may keep: 32 MiB that tersed does not read, 4
    # each that were written.
    text, sent = 'd' * 16000, 0

    async def push():
        nonlocal sent
        for i in range(3000):
            await client.send(message(f'{i}.{text}'))
            sent += 1
    pushing = asyncio.create_task(push())
    last = -1
    while sent != last:
        last = sent
        await asyncio.sleep(0.5)
    assert sent < 3000, 'nothing held the client back'
    await other.goes_on('deaf')
    assert tersed.memory('VmHWM') - before < SLACK
    session.reading.set()
    for i in range(3000):
        got = await session.next(30)
        assert got.findtext(CLIENT + 'body').startswith(f'{i}.')
    await pushing
    assert tersed.memory('VmHWM') - before < SLACK


async def test_shaper_of_ejabberd_slows_client_and_nobody_else(ejabberd):
    """Debian's listener, as deploy/ejabberd.yml has it, takes 3,000 bytes per
    second after the first 20,000. Its client's frames are small: what is shaped
    is the XML, and tersed has to carry that back."""
    world = Scene()
    world.server = ejabberd
    try:
        shaped = world.run(servers.Tersed(
            servers.real_domains(ejabberd, ejabberd.deployed)))
        open_ = world.run(servers.Tersed(servers.real_domains(ejabberd)))
        took = {}
        for name, tersed in (('open', open_), ('shaped', shaped)):
            user = world.account(name)
            client = world.client(Pair0Client, tersed.port)
            await client.login(user, f'pw-{user}', DOMAIN, 'e2e')
            await client.presence()
            await client.flush()
            before, start = tersed.memory(), time.monotonic()
            for i in range(45):
                await client.send(message(f'{i}.' + 's' * 1000,
                                          f'{user}@{DOMAIN}/e2e'))
            for i in range(45):
                got = await client.expect(
                    lambda e: e.tag == CLIENT + 'message' and
                    e.find(CLIENT + 'body') is not None, 60)
                assert got.findtext(CLIENT + 'body').startswith(f'{i}.')
            took[name] = time.monotonic() - start
            assert tersed.memory('VmHWM') - before < SLACK
        assert took['shaped'] > 5 * took['open'], took
        assert took['shaped'] > 2, took
    finally:
        for program in world.programs:
            print(program.logs())
        await world.close()


async def chatting(client, session, passed):
    """Both ways, until something ends it; notes in `passed` what came back."""
    with contextlib.suppress(Gone, OSError):
        for n in itertools.count():
            await round_trip(client, session, f'load-{n}')
            passed.append(n)


def load_of(pairs):
    """All of them chat. Returns what passes of each, and the tasks."""
    passed = [[] for _ in pairs]
    return passed, [asyncio.create_task(chatting(*pair, p))
                    for pair, p in zip(pairs, passed)]


async def stop(tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_server_restart_under_load_ends_and_begins_cleanly(world):
    fake = await world.fake()
    tersed = world.proxy(fake.port)
    pairs = [await world.pair(fake) for _ in range(10)]
    passed, load = load_of(pairs)
    await asyncio.sleep(1)
    port = fake.port
    await fake.close()
    for client, _ in pairs:
        assert await refused(client) == 'remote-connection-failed'
    await stop(load)
    assert min(map(len, passed)) > 3
    # While it is down: an error, at once.
    client = world.client()
    with pytest.raises(Exception):
        await client.login('user', 'pw-user', FAKE, 'r', mechanism='PLAIN')
    again = await FakeServer().start(port)
    world.exits.push_async_callback(again.close)
    for _ in range(10):
        pair = await world.pair(again)
        await round_trip(*pair, 'back')
    assert tersed.alive()


async def test_sigterm_under_load_tells_all_within_its_deadline(world):
    fake = await world.fake()
    tersed = world.proxy(fake.port, drain_timeout='4s', close_timeout='2s')
    pairs = [await world.pair(fake) for _ in range(8)]
    peer = await world.peer()
    await peer.log_in(native)
    peer_session = await fake.session()
    deaf = await world.peer()
    await deaf.log_in(sp)
    deaf_session = await fake.session()
    deaf.reader._transport.pause_reading()
    text = (message('z' * 1000) * 60).encode()
    pushed = asyncio.create_task(flood(deaf_session, text, 50 * MEGABYTE))
    passed, load = load_of(pairs)
    for i in range(200):
        await peer_session.send(message(f'{i}'))
    await asyncio.sleep(1)
    start = time.monotonic()
    tersed.terminate()
    for client, _ in pairs:
        assert await refused(client) == 'system-shutdown'
    told = time.monotonic() - start
    # Not half a frame, and the error and the footer as the last ones.
    frames, behind = split_frames(bytes(await peer.until_end()), native)
    assert behind == 0
    assert b'system-shutdown' in xml_of(frames[-2])
    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(None, tersed.wait) == 0
    assert told < 2 and time.monotonic() - start < 6, told
    for _, session in pairs:
        await asyncio.wait_for(session.ended.wait(), 15)
        assert session.footer
    await stop([*load, pushed])
    assert min(map(len, passed)) > 3
