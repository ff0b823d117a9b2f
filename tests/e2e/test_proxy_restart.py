"""A real server that stops and comes back while its clients chat."""
import asyncio
import contextlib
import itertools
import time

import pytest

import servers
from drivers import CLIENT, Gone, LoginRefused
from servers import DOMAIN
from test_limits import Scene, message, refused
from test_proxy_limits import Watched, descriptors, until

PAIRS, RESOURCES = 25, 5
DEADLINE = 240  # three starts of a server, and 100 logins
# What clients may hear: what a server says that is told to stop, or, where it
# says nothing, what tersed says of it.
ENDS = {'told': {'system-shutdown', 'remote-connection-failed'},
        'killed': {'remote-connection-failed'}}


@pytest.fixture
def world():
    return Scene()


class Chats:
    """Pairs of users who write to each other until something ends it."""

    def __init__(self, world, users):
        self.world = world
        self.who = [(users[i % len(users)], f'r{i}') for i in range(2 * PAIRS)]

    async def begin(self):
        self.passed, self.over = [0] * PAIRS, False
        self.clients = await asyncio.gather(
            *(self.log_in(*who) for who in self.who))
        self.tasks = [asyncio.create_task(self.chat(i)) for i in range(PAIRS)]

    async def log_in(self, user, resource):
        client = self.world.client()
        await client.login(user, f'pw-{user}', DOMAIN, resource)
        return client

    async def chat(self, i):
        pair = self.clients[2 * i:2 * i + 2]
        with contextlib.suppress(Gone, OSError):
            for n in itertools.takewhile(lambda _: not self.over,
                                         itertools.count()):
                tag = f'{i}-{n}'
                for a, b in (pair, pair[::-1]):
                    await a.send(message(tag, b.jid, " type='chat'"))
                    await b.expect(
                        lambda e: e.findtext(CLIENT + 'body') == tag, tag)
                self.passed[i] = n

    async def go_on(self):
        """Each of them gets further."""
        before = list(self.passed)
        await until(lambda: all(now > was + 1 for now, was in
                                zip(self.passed, before)))

    async def end(self):
        self.over = True
        await asyncio.gather(*self.tasks)
        for client in self.clients:
            await client.close()
            self.world.clients.remove(client)


async def restart(server, tersed, chats, how):
    """One restart: what the clients hear, and how soon; then all of them are
    back, and chat."""
    began = time.monotonic()
    stopping = asyncio.create_task(asyncio.to_thread(
        server.down, *(['--kill'] if how == 'killed' else [])))
    ends = await asyncio.gather(*(refused(c) for c in chats.clients))
    assert set(ends) <= ENDS[how], ends
    await stopping
    assert time.monotonic() - began < 15
    await chats.end()
    with pytest.raises((Gone, LoginRefused)) as gone:
        await chats.log_in(*chats.who[0])
    assert gone.value.error == 'remote-connection-failed'
    assert tersed.get('/readyz')[0] == 503
    assert tersed.get('/healthz')[0] == 200
    await until(lambda: descriptors(tersed) <= chats.idle, 20)
    await asyncio.to_thread(server.up)
    await until(lambda: tersed.get('/readyz')[0] == 200)
    await chats.begin()
    await chats.go_on()


@pytest.mark.parametrize('how', ENDS)
async def test_restart_of_ejabberd_under_load(world, how):
    server = servers.Ejabberd()
    world.exits.callback(server.stop)
    world.server = server
    domain = servers.real_domains(server)[DOMAIN]
    tersed = world.run(Watched({DOMAIN: domain}, close_timeout='1s'))
    world.port = tersed.port
    users = [world.account('restart') for _ in range(2 * PAIRS // RESOURCES)]
    chats = Chats(world, users)
    await until(lambda: tersed.get('/readyz')[0] == 200)
    idle = descriptors(tersed)
    chats.idle = idle + 3  # a probe, and what asks
    await chats.begin()
    await chats.go_on()
    busy, memory = descriptors(tersed), tersed.memory()
    assert busy > idle + 4 * PAIRS - 5
    await restart(server, tersed, chats, how)
    assert abs(descriptors(tersed) - busy) <= 3
    # All that is there for a session is there already.
    assert tersed.memory() < 1.1 * memory + 2048
    await chats.end()
    await until(lambda: descriptors(tersed) <= chats.idle, 20)
    assert tersed.metric('tersed_sessions') == 0
