"""Sessions of the C library that outlive their connections, through tersed to
ejabberd and Prosody: round trips, networks that break, proxies that die, what
becomes of each message."""
import asyncio
import os
import random
import re
import signal
import socket
import sys

import pytest

import servers
from drivers import Pair0Client
from sdk import Sdk
from servers import DOMAIN
from test_limits import SLACK, Scene

sys.path.append(os.path.join(servers.ROOT, 'tests', 'ledger'))
from links import DOWN, UP, Relay  # noqa: E402

ELOST, EAUTH, ECLOSED, ETLS = 5, 8, 15, 16


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
        connect = options.pop('connect', True)
        sdk = Sdk(user, hosts, ca, **options)
        self.sdks = [*getattr(self, 'sdks', []), sdk]
        return await sdk.start(connect)

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


# -- proxies ---------------------------------------------------------------------


async def test_killed_proxy_is_replaced_by_the_other(world):
    """kill -9, and the next host has the session, by its server."""
    first, second = start(world), start(world)
    pair = await Pair.new(
        world, f'127.0.0.1:{first.port},127.0.0.1:{second.port}', first)
    assert pair.ready['host'].endswith(f':{first.port}')
    await pair.both_ways('before')
    kill(world, first)
    await pair.say('away')
    await pair.tell('offline')
    ready = await pair.sdk.until('ready')
    assert ready['host'].endswith(f':{second.port}')
    assert ready['resumed'] == 'yes'
    assert ready['mechanism'] == 'SCRAM-SHA-256'
    await pair.sdk.hear('away')
    await pair.told('offline')
    await pair.both_ways('after')
    await pair.silence()


async def hurry(world, tersed, trusted, **options):
    cable = await world.cable(tersed.port)
    sdk = await world.sdk(world.account('sdk'), f'127.0.0.1:{cable.port}',
                          ca=trusted, **options)
    await sdk.until('ready')
    await sdk.until('delivery', number='1', **{'is': 'acked'})
    cable.cut()
    await sdk.until('lost')
    return cable, sdk


async def test_location_without_a_good_certificate_is_left(world):
    """Its authority is trusted; but it is not for the account's domain, whatever
    the name it was told by. Nothing is said to it."""
    other = world.run(servers.Tersed({'localhost': {
        'server': f'127.0.0.1:{world.server.starttls}',
        'ca_file': world.server.ca}}, log_level='debug'))
    tersed = start(world, location=f'localhost:{other.port}')
    trusted = os.path.join(world.directory(), 'both')
    with open(trusted, 'w') as f:
        for one in tersed, other:
            f.write(open(one.certificate).read())
    cable, sdk = await hurry(world, tersed, trusted)
    lost = await sdk.until('lost')
    assert lost['code'] == str(ETLS)
    assert f'not good for {DOMAIN}' in lost['text']
    ready = await sdk.until('ready')
    assert ready['resumed'] == 'yes' and ready['trips'] == '2'
    assert ready['host'].endswith(f':{cable.port}')
    assert all('from=greeting to=over' in line
               for line in other.logged('event=move'))


async def test_location_that_says_nothing_is_left_in_time(world):
    """Its connections are made, and that is all, TLS is not."""
    with socket.create_server(('127.0.0.1', 0)) as silent:
        tersed = start(world,
                       location=f'127.0.0.1:{silent.getsockname()[1]}')
        _, sdk = await hurry(world, tersed, tersed.certificate,
                             connect_ms=60000, login_ms=60000)
        began = asyncio.get_running_loop().time()
        ready = await sdk.until('ready')
        assert ready['resumed'] == 'yes' and ready['trips'] == '2'
        assert 4 < asyncio.get_running_loop().time() - began < 12


async def test_refused_token_costs_one_round_trip_more(world):
    """A proxy that was started anew, at the same address."""
    tersed = start(world)
    pair = await Pair.new(world, tersed=tersed)
    again = start(world)
    pair.cable.target = again.port
    kill(world, tersed)
    ready = await pair.sdk.until('ready')
    assert ready['resumed'] == 'yes'
    assert ready['mechanism'].startswith('SCRAM-')
    assert ready['trips'] == '3'
    assert pair.cable.flights[-1] == 3  # on one connection
    await pair.both_ways('after')
    # And that one gives a token of its own.
    pair.cable.cut()
    assert (await pair.sdk.until('ready'))['trips'] == '1'
    await pair.silence()


async def test_released_session_is_resumed_at_the_server(world):
    tersed = start(world, hold='200ms')
    pair = await Pair.new(world, tersed=tersed)
    pair.cable.refuses = True
    pair.cable.cut()
    await asyncio.to_thread(tersed.until_logged, 'event=dropped')
    await pair.say('away')
    await pair.tell('offline')
    pair.cable.refuses = False
    assert (await pair.sdk.until('ready'))['resumed'] == 'yes'
    await pair.sdk.hear('away')
    await pair.told('offline')
    await pair.silence()


async def test_without_sasl2_it_logs_in_as_ever_and_learns(world):
    """Stream management is the server's own then, and so is a resumption."""
    pair = await Pair.new(world, tersed=start(world, sasl2='off'))
    assert pair.ready['mechanism'].startswith('SCRAM-')
    flights = pair.cable.flights
    assert pair.ready['trips'] == '6'
    assert len(flights) == 2  # the first flight was in vain, once
    await pair.both_ways('first')
    await pair.sdk.until('delivery', number='2', **{'is': 'acked'})
    pair.cable.cut()
    await pair.say('away')
    await pair.tell('offline')
    ready = await pair.sdk.until('ready')
    assert ready['resumed'] == 'yes' and ready['trips'] == '5'
    assert len(flights) == 3
    await pair.sdk.hear('away')
    await pair.told('offline')
    await pair.both_ways('second')
    await pair.sdk.do('wait')
    await pair.sdk.until('idle')
    await pair.silence()


async def test_mechanism_that_is_not_offered_is_not_the_end(world):
    if world.server.name != 'ejabberd':
        pytest.skip('only ejabberd has a domain for this')
    domain = f'sha1.{DOMAIN}'
    tersed = world.run(servers.Tersed(servers.real_domains(world.server)))
    user = world.account('old', domain)
    cable = await world.cable(tersed.port)
    sdk = await world.sdk(user, f'127.0.0.1:{cable.port}',
                          jid=f'{user}@{domain}/sdk', presence=0)
    ready = await sdk.until('ready')
    assert ready['mechanism'] == 'SCRAM-SHA-1'
    assert ready['trips'] == '3'
    assert cable.flights == [3]


# -- networks --------------------------------------------------------------------


@pytest.mark.parametrize('what', ['hint', 'hint changed', 'a message'])
async def test_connection_into_nothing_is_noticed(world, what):
    """Nobody says that it is dead: the system's hint, or an answer that is due,
    has to do."""
    pair = await Pair.new(world, answer_ms=700)
    await pair.both_ways('before')
    pair.cable.holds = True
    old, pair.cable.pairs = pair.cable.pairs, []
    await pair.tell('into-nothing')
    if what != 'a message':
        await pair.sdk.do(what)
        if what == 'hint':
            await pair.sdk.until('lost', 3)
    else:
        await pair.sdk.until('lost', 5)
    for writers in old:
        for writer in writers:
            writer.transport.abort()
    pair.cable.holds = False
    assert (await pair.sdk.until('ready'))['resumed'] == 'yes'
    await pair.told('into-nothing')
    await pair.both_ways('after')
    await pair.silence()


async def test_word_from_before_the_end_is_no_answer(world):
    """What was on its way to us when the network broke says nothing of what we
    have sent meanwhile."""
    tersed = start(world)
    relay = await Relay(tersed.port).start()
    pair = await Pair.new(world, f'127.0.0.1:{relay.port}', tersed,
                          answer_ms=700, retry_least_ms=20, retry_most_ms=50)
    pipe = relay.living()[0]
    pipe.blacken(UP)
    await pair.tell('into-nothing')
    await pair.say('from-before')
    await pair.sdk.hear('from-before')
    pipe.blacken(DOWN)
    await pair.sdk.until('lost', 5)
    assert (await pair.sdk.until('ready'))['resumed'] == 'yes'
    await pair.told('into-nothing')
    await pair.both_ways('after')
    await pair.silence()
    await pair.sdk.stop()
    await relay.close()


async def test_silence_is_asked_about(world):
    """Nothing is sent, nothing is due: the heartbeat finds out."""
    pair = await Pair.new(world, heartbeat_ms=300, answer_ms=500)
    before = int((await pair.sdk.status())['frames_out'])
    await asyncio.sleep(1.5)
    beats = int((await pair.sdk.status())['frames_out']) - before
    assert 3 <= beats <= 6
    assert len(pair.cable.flights) == 1
    pair.cable.holds = True
    await pair.sdk.until('lost', 5)
    pair.cable.cut()
    pair.cable.holds = False
    assert (await pair.sdk.until('ready'))['resumed'] == 'yes'
    await pair.both_ways('after')


async def test_acknowledgement_waits_as_the_client_asks(world):
    """Less than tersed would have it wait while nobody looks, on the first
    connection and the next; and meanwhile nobody asks whether it is lost."""
    tersed = start(world, coalesce='60s')
    cable = await world.cable(tersed.port)
    sdk = await world.sdk(world.account('sdk'), f'127.0.0.1:{cable.port}',
                          presence=0, wait_ms=1500, answer_ms=700)
    away = world.account('away')  # keeps silent
    loop = asyncio.get_running_loop()
    await sdk.until('ready')
    await sdk.do('inactive')
    for number in '1', '2':
        before = int((await sdk.status())['frames_out'])
        began = loop.time()
        await sdk.do(f'send {away}@{DOMAIN} id hello')
        await sdk.until('delivery', number=number, **{'is': 'acked'})
        assert 0.9 < loop.time() - began < 5
        assert int((await sdk.status())['frames_out']) == before + 1
        cable.cut()
        assert (await sdk.until('ready'))['resumed'] == 'yes'


async def test_hint_on_a_good_connection_changes_nothing(world):
    pair = await Pair.new(world)
    await pair.sdk.do('hint')
    await pair.both_ways('after')
    await asyncio.sleep(0.3)
    await pair.sdk.do('hint')
    await asyncio.sleep(0.3)
    assert not pair.sdk.seen('lost')
    assert len(pair.cable.flights) == 1


async def test_hint_ends_a_long_pause(world):
    pair = await Pair.new(world, retry_least_ms=100000, retry_most_ms=100000)
    pair.cable.cut()
    lost = await pair.sdk.until('lost')
    await pair.sdk.do('hint')
    assert (await pair.sdk.until('ready', 5))['resumed'] == 'yes'
    assert int(lost['again']) <= 100000


async def test_what_is_sent_together_leaves_together(world):
    pair = await Pair.new(world)
    pair.cable.refuses = True
    pair.cable.cut()
    await pair.sdk.until('lost')
    await pair.sdk.do(f'burst {pair.friend.jid} b 30')
    await pair.sdk.until('posted', id='b29')
    frames = (await pair.sdk.status())['frames_out']
    pair.cable.refuses = False
    await pair.sdk.do('hint')
    await pair.sdk.until('ready')
    await pair.told(*(f'b{i}' for i in range(30)))
    await pair.sdk.do('wait')
    await pair.sdk.until('idle')
    # Two frames of the login, the burst, perhaps an acknowledgement.
    more = int((await pair.sdk.status())['frames_out']) - int(frames)
    assert 32 <= more <= 34
    assert pair.cable.flights[-1] <= 3


# -- ends ------------------------------------------------------------------------


async def test_wrong_password_is_not_tried_again(world):
    tersed = start(world)
    user = world.account('wrong')
    cable = await world.cable(tersed.port)
    sdk = await world.sdk(user, f'127.0.0.1:{cable.port}', password='no')
    closed = await sdk.until('closed')
    assert closed['code'] == str(EAUTH)
    assert closed['condition'] == 'not-authorized'
    assert not sdk.seen('lost')
    await asyncio.sleep(1)
    assert len(cable.flights) == 1
    await sdk.do('send a@b id too late')
    assert (await sdk.until('failed'))['code'] == str(EAUTH)


async def test_conflict_is_not_tried_again(world):
    """Another device that says that it is this one takes its place."""
    pair = await Pair.new(world, device='one-and-only')
    other = await world.sdk(pair.user, f'127.0.0.1:{pair.cable.port}',
                            device='one-and-only')
    await other.until('ready')
    closed = await pair.sdk.until('closed')
    assert closed['condition'] == 'conflict'
    await asyncio.sleep(1)
    assert not other.seen('closed') and not other.seen('lost')


async def test_nobody_there_is_tried_until_somebody_is(world):
    port = servers.free_port()
    user = world.account('early')
    sdk = await world.sdk(user, f'127.0.0.1:{port}')
    await sdk.do(f'send {user}@{DOMAIN} id-self to myself')
    await sdk.until('lost')
    await sdk.until('lost')
    tersed = start(world)
    cable = await asyncio.start_server(
        lambda r, w: asyncio.create_task(splice(r, w, tersed.port)),
        '127.0.0.1', port)
    assert (await sdk.until('ready'))['resumed'] == 'no'
    await sdk.hear('to myself')
    cable.close()


async def splice(reader, writer, port):
    there = await asyncio.open_connection('127.0.0.1', port)

    async def carry(source, sink):
        while data := await source.read(65536):
            sink.write(data)
        sink.close()
    await asyncio.gather(carry(reader, there[1]), carry(there[0], writer),
                         return_exceptions=True)


async def test_gives_up_after_as_many_tries_as_it_may(world):
    sdk = await world.sdk('nobody', f'127.0.0.1:{servers.free_port()}',
                          retries=3)
    await sdk.until('closed')
    assert len(sdk.seen('lost')) == 3


async def test_full_outbox_says_so(world):
    pair = await Pair.new(world, outbox_stanzas=10)
    pair.cable.refuses = True
    pair.cable.cut()
    await pair.sdk.until('lost')
    await pair.sdk.do(f'burst {pair.friend.jid} b 12')
    await pair.sdk.until('failed', text='queue full')
    assert len(pair.sdk.seen('posted')) == 10
    status = await pair.sdk.status()
    assert status['queued'] == '10'
    pair.cable.refuses = False
    await pair.sdk.until('ready')
    await pair.told(*(f'b{i}' for i in range(10)))
    await pair.sdk.do('wait')
    await pair.sdk.until('idle')
    await pair.tell('room')
    await pair.told('room')
    await pair.silence()


async def takes_its_place(world, pair):
    """One who insists on the same resource ends the session."""
    thief = await world.sdk(pair.user, f'127.0.0.1:{pair.tersed.port}',
                            jid=pair.sdk.jid, sasl2='off', presence=0)
    await thief.until('ready')
    await thief.do('close')
    await thief.until('closed')


async def test_outbox_takes_no_more_memory_than_it_may(world):
    pair = await Pair.new(world, outbox_bytes=1 << 18)
    pair.cable.refuses = True
    pair.cable.cut()
    await pair.sdk.until('lost')

    def memory():
        with open(f'/proc/{pair.sdk.process.pid}/status') as f:
            return int(re.search(r'VmRSS:\s+(\d+) kB', f.read()).group(1))
    before = memory()
    # Words that no packing makes small: 20 MB of them.
    dice = random.Random(1)
    for i in range(1000):
        await pair.tell(dice.randbytes(10000).hex())
    await pair.sdk.do('status')
    status = await pair.sdk.until('status', 60)
    assert int(status['outbox_bytes']) <= 1 << 18
    assert 5 <= len(pair.sdk.seen('posted')) <= 30
    assert len(pair.sdk.seen('failed', text='queue full')) >= 970
    assert memory() - before < SLACK


@pytest.mark.parametrize('resend', ['yes', 'no'])
async def test_session_that_is_gone_begins_anew(world, resend):
    """The server knows nothing of the last one any more."""
    pair = await Pair.new(world, resend=resend)
    pair.cable.holds = True
    await pair.tell('doubtful')
    await pair.sdk.until('delivery', **{'is': 'sent', 'number': '2'})
    pair.cable.refuses = True
    pair.cable.cut()
    pair.cable.holds = False
    await pair.sdk.until('lost')
    await pair.tell('later')
    await takes_its_place(world, pair)
    pair.cable.refuses = False
    ready = await pair.sdk.until('ready')
    assert ready['resumed'] == 'no'
    await pair.sdk.until('delivery', number='3', **{'is': 'acked'})
    if resend == 'yes':
        await pair.sdk.until('delivery', number='2', **{'is': 'acked'})
        await pair.told('doubtful')
    else:
        await pair.sdk.until('delivery', number='2', **{'is': 'failed'})
    await pair.told('later')
    await pair.both_ways('after')


# -- the program is ended ------------------------------------------------------------


async def test_program_that_was_killed_goes_on(world, tmp_path):
    """In one round trip, with what had waited in its outbox."""
    blob = str(tmp_path / 'session')
    pair = await Pair.new(world)
    await pair.both_ways('before')
    pair.cable.refuses = True
    pair.cable.cut()
    await pair.sdk.until('lost')
    await pair.tell('offline')
    await pair.sdk.until('posted', id='id-offline')
    await pair.sdk.do(f'export {blob}')
    await pair.sdk.until('exported')
    pair.sdk.process.kill()
    await pair.say('away')
    pair.cable.refuses = False
    number = len(pair.cable.flights)
    pair.sdk = await world.sdk(pair.user, f'127.0.0.1:{pair.cable.port}',
                               restore=blob)
    ready = await pair.sdk.until('ready')
    assert ready['resumed'] == 'yes' and ready['trips'] == '1'
    await pair.sdk.hear('away')
    await pair.told('offline')
    await pair.sdk.until('delivery', number='3', **{'is': 'acked'})
    await pair.both_ways('after')
    assert pair.cable.flights[number] >= 1
    await pair.silence()


async def test_old_export_costs_more_and_loses_nothing(world, tmp_path):
    """It was made before the last messages: the server has more than it says,
    and its token was used."""
    blob = str(tmp_path / 'session')
    pair = await Pair.new(world)
    await pair.sdk.do(f'export {blob}')
    await pair.sdk.until('exported')
    await pair.both_ways('since')
    pair.cable.cut()
    await pair.sdk.until('ready')
    pair.sdk.process.kill()
    await pair.say('away')
    pair.sdk = await world.sdk(pair.user, f'127.0.0.1:{pair.cable.port}',
                               restore=blob)
    await pair.sdk.until('ready')
    await pair.sdk.until('message', body='away')
    await pair.both_ways('after')


async def test_export_of_another_account_is_refused(world, tmp_path):
    blob = str(tmp_path / 'session')
    pair = await Pair.new(world)
    await pair.sdk.do(f'export {blob}')
    await pair.sdk.until('exported')
    other = await world.sdk('another', '127.0.0.1:1', restore=blob,
                            connect=False)
    assert (await other.until('failed'))['what'] == 'new'
    assert await other.process.wait() == 1
    other.process = None


# -- whatever breaks ---------------------------------------------------------------


@pytest.mark.parametrize('seed', [1, 2])
async def test_every_message_once_and_in_order(world, seed):
    """Cuts, stops and two proxies of which one is killed, by the dice."""
    dice = random.Random(seed)
    options = {'ack_delay': '20ms', 'hold': '10m'}
    proxies = [start(world, **options), start(world, **options)]
    cables = [await world.cable(p.port) for p in proxies]
    pair = await Pair.new(
        world, ','.join(f'127.0.0.1:{c.port}' for c in cables), proxies[0],
        answer_ms=1000, ack_ms=200, retry_least_ms=20, retry_most_ms=100,
        quiet=1)
    up = down = 0
    for turn in range(25):
        for _ in range(dice.randrange(4)):
            await pair.say(f'd{down}')
            down += 1
        for _ in range(dice.randrange(4)):
            await pair.tell(f'u{up}')
            up += 1
        await asyncio.sleep(dice.choice((0, 0.005, 0.05, 0.2)))
        fault = dice.choice(('cut', 'cut', 'stop', 'move', 'none'))
        if turn == 12:
            kill(world, proxies[0])
            proxies[0] = start(world, **options)
            cables[0].target = proxies[0].port
        for cable in cables:
            cable.holds = fault == 'stop'
        if fault in ('cut', 'move'):
            for cable in cables:
                cable.cut()
        if fault in ('stop', 'move'):
            await pair.sdk.do('hint changed')
        if fault == 'stop':
            await asyncio.sleep(0.05)
            for cable in cables:
                cable.cut()
                cable.holds = False
    await pair.told(*(f'u{i}' for i in range(up)))
    await pair.sdk.hear(*(f'd{i}' for i in range(down)))
    await pair.sdk.do('wait')
    await pair.sdk.until('idle')
    status = await pair.sdk.status()
    assert status['sessions'] == '1' and int(status['resumptions']) >= 3
    await pair.silence()
    assert len(pair.sdk.seen('delivery', **{'is': 'acked'})) == up + 1


async def test_over_tls_the_same(world):
    tersed = start(world)
    user = world.account('tls')
    cable = await world.cable(tersed.port)
    sdk = await world.sdk(user, f'127.0.0.1:{cable.port}',
                          ca=tersed.certificate)
    await sdk.until('ready')
    await sdk.until('delivery', **{'is': 'acked'})
    cable.cut()
    ready = await sdk.until('ready')
    assert ready['resumed'] == 'yes' and ready['trips'] == '1'
    # ClientHello; then Finished, header and <authenticate/> together.
    assert cable.flights[1] == 2
