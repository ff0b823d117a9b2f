"""Sessions of the C library that outlive their connections, through tersed to
ejabberd and Prosody: round trips, networks that break, proxies that die, what
becomes of each message."""
import asyncio
import os
import random
import signal

import pytest

import servers
from drivers import Pair0Client
from fake_server import FakeServer
from sdk import Sdk
from servers import DOMAIN
from test_limits import Scene

ELOST, EAUTH, ECLOSED = 5, 8, 15


class Cable:
    """A relay whose connections can be cut, stopped, or not made at all. It
    counts flights: how often something went up after something had come
    down."""

    def __init__(self, target):
        self.target, self.pairs, self.tasks = target, [], []
        self.refuses = self.holds = False
        self.flights, self.up, self.down = [], [], []

    async def start(self):
        self.server = await asyncio.start_server(self.accepted, '127.0.0.1', 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def accepted(self, reader, writer):
        self.tasks.append(asyncio.current_task())
        if self.refuses:
            writer.transport.abort()
            return
        there = await asyncio.open_connection('127.0.0.1', self.target)
        number = len(self.flights)
        self.flights.append(0)
        self.up.append(0)
        self.down.append(0)
        self.turn = [True]
        turn = self.turn
        self.pairs.append((writer, there[1]))
        await asyncio.gather(self.carry(reader, there[1], number, True, turn),
                             self.carry(there[0], writer, number, False, turn),
                             return_exceptions=True)

    async def carry(self, reader, writer, number, up, turn):
        try:
            while data := await reader.read(65536):
                while self.holds:
                    await asyncio.sleep(0.01)
                if up:
                    self.up[number] += len(data)
                    self.flights[number] += turn[0]
                else:
                    self.down[number] += len(data)
                turn[0] = not up
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    def cut(self):
        for pair in self.pairs:
            for writer in pair:
                writer.transport.abort()
        self.pairs = []

    async def close(self):
        self.server.close()
        self.cut()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


class Stage(Scene):
    async def cable(self, target):
        cable = await Cable(target).start()
        self.cables = [*getattr(self, 'cables', []), cable]
        return cable

    async def sdk(self, user, hosts, ca=None, **options):
        options = {'retry_least_ms': 50, 'retry_most_ms': 400,
                   'presence': 1, **options}
        sdk = Sdk(user, hosts, ca, **options)
        self.sdks = [*getattr(self, 'sdks', []), sdk]
        return await sdk.start()

    async def close(self):
        faults = [await sdk.stop() for sdk in getattr(self, 'sdks', [])]
        for cable in getattr(self, 'cables', []):
            await cable.close()
        await super().close()
        assert not any(faults), faults


@pytest.fixture(params=['ejabberd', 'prosody'])
def world(request):
    stage = Stage()
    stage.server = request.getfixturevalue(request.param)
    return stage


def start(world, **options):
    domain = {'server': f'127.0.0.1:{world.server.starttls}',
              'ca_file': world.server.ca}
    return world.run(servers.Tersed({DOMAIN: domain},
                                    **{'ack_delay': '100ms',
                                       'log_level': 'debug', **options}))


def kill(world, tersed):
    tersed.process.send_signal(signal.SIGKILL)
    tersed.process.wait()
    world.programs.remove(tersed)


class Pair:
    """The library, and a friend who stays connected to a proxy of his own."""

    @classmethod
    async def new(cls, world, hosts=None, tersed=None, **options):
        pair = cls()
        pair.world = world
        pair.tersed = tersed or start(world)
        pair.user = world.account('sdk')
        friend = start(world)
        world.port, world.kind = friend.port, Pair0Client
        pair.friend = await world.online(world.account('friend'))
        pair.cable = None
        if not hosts:
            pair.cable = await world.cable(pair.tersed.port)
            hosts = f'127.0.0.1:{pair.cable.port}'
        pair.sdk = await world.sdk(pair.user, hosts, **options)
        pair.ready = await pair.sdk.until('ready')
        await pair.sdk.until('presence')
        return pair

    async def say(self, *texts):
        for text in texts:
            await self.friend.message(self.sdk.jid, text)

    async def tell(self, *texts):
        for text in texts:
            await self.sdk.do(f'send {self.friend.jid} id-{text} {text}')

    async def told(self, *texts):
        for text in texts:
            got = await self.friend.expect(
                lambda e: e.findtext('{jabber:client}body') is not None)
            assert got.findtext('{jabber:client}body') == text

    async def silence(self):
        """Nothing more has come to either."""
        await self.friend.flush()
        assert not self.friend.seen(
            lambda e: e.findtext('{jabber:client}body'))
        assert not self.sdk.seen('message')

    async def both_ways(self, mark):
        await self.tell(f'up-{mark}')
        await self.told(f'up-{mark}')
        await self.say(f'down-{mark}')
        await self.sdk.hear(f'down-{mark}')


async def test_login_takes_two_flights_and_return_one(world):
    pair = await Pair.new(world)
    assert pair.ready['resumed'] == 'no'
    assert pair.ready['mechanism'] == 'SCRAM-SHA-256'
    assert pair.ready['trips'] == '2'
    await pair.both_ways('first')
    flights = pair.cable.flights
    for turn in range(3):
        pair.cable.cut()
        assert (await pair.sdk.until('lost'))['code'] == str(ELOST)
        await pair.say(f'away-{turn}')
        ready = await pair.sdk.until('ready')
        assert ready['resumed'] == 'yes'
        assert ready['mechanism'] == 'HT-SHA-256-NONE'
        assert ready['trips'] == '1'
        await pair.sdk.hear(f'away-{turn}')
        await pair.both_ways(turn)
    assert len(flights) == 4
    status = await pair.sdk.status()
    assert status['sessions'] == '1' and status['resumptions'] == '3'
    await pair.silence()
    await pair.sdk.do('close')
    await pair.sdk.until('closed', code=str(ECLOSED))


async def test_each_message_tells_what_became_of_it(world):
    pair = await Pair.new(world)
    await pair.tell('one')
    posted = await pair.sdk.until('posted', id='id-one')
    for state in ('sent', 'acked'):
        await pair.sdk.until('delivery', number=posted['number'],
                             **{'is': state})
    await pair.told('one')
    pair.cable.refuses = True
    pair.cable.cut()
    await pair.sdk.until('lost')
    await pair.tell('two', 'three')
    two = (await pair.sdk.until('posted', id='id-two'))['number']
    await pair.sdk.do(f'state {two}')
    assert (await pair.sdk.until('state'))['is'] == 'queued'
    assert (await pair.sdk.status())['queued'] == '2'
    pair.cable.refuses = False
    await pair.sdk.do('hint')
    assert (await pair.sdk.until('ready'))['resumed'] == 'yes'
    await pair.told('two', 'three')
    await pair.sdk.until('delivery', number=two, **{'is': 'acked'})
    await pair.sdk.do('wait')
    await pair.sdk.until('idle')
    await pair.silence()
