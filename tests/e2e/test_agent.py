"""terse-agent as a phone's client, on behalf of programs that know nothing of
it: real servers and real clients, on a network that breaks."""
import asyncio
import base64
import contextlib
import random
import signal
import time

import pytest

import servers
from bridges import both
from drivers import (CLIENT, SASL, SM, STREAMS, LoginRefused, SlixmppClient,
                     StropheClient, XmlClient)
from servers import DOMAIN
from test_limits import FAKE, Scene
from test_mobile_server import scripted

SASL2 = '{urn:xmpp:sasl:2}'


@pytest.fixture
def world(ejabberd):
    scene = Scene()
    scene.server = ejabberd
    return scene


class Link:
    """What is between agent and tersed: it can be cut, and swallow all. It
    counts flights: how often the agent's side began to speak after it had
    listened; and knows when it spoke last."""

    def __init__(self, target):
        self.target = target
        self.up = True
        self.hole = False   # connections stay, and carry nothing
        self.flights = []   # of each connection
        self.pieces = 0     # that came from the agent: about, its writes
        self.pipes = set()
        self.tasks = set()

    async def start(self):
        self.server = await asyncio.start_server(self.accepted, '127.0.0.1', 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def accepted(self, reader, writer):
        task = asyncio.current_task()
        self.tasks.add(task)
        index = len(self.flights)
        self.flights.append(0)
        self.spoke = None
        try:
            if not self.up:
                return
            there = await asyncio.open_connection('127.0.0.1', self.target)
            self.pipes |= {writer, there[1]}
            await both(self.carry(reader, there[1], index, 'agent'),
                       self.carry(there[0], writer, index, 'tersed'))
        except OSError:
            pass
        finally:
            self.tasks.discard(task)
            for end in (writer, *(there[1:] if self.up else ())):
                end.transport.abort()

    async def carry(self, reader, writer, index, who):
        while data := await reader.read(65536):
            if self.hole:
                continue
            if who == 'agent' and self.spoke != who:
                self.flights[index] += 1
            self.pieces += who == 'agent'
            self.spoke = who
            if who == 'agent':
                self.last = time.monotonic()
            writer.write(data)
            await writer.drain()

    def cut(self):
        """All connections break."""
        for writer in self.pipes:
            writer.transport.abort()
        self.pipes.clear()

    async def close(self):
        self.server.close()
        self.cut()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def link(world, tersed):
    made = await Link(tersed.port).start()
    world.exits.push_async_callback(made.close)
    return made


def proxy(world, **options):
    domain = {'server': f'127.0.0.1:{world.server.starttls}',
              'ca_file': world.server.ca}
    return world.run(servers.Tersed(
        {DOMAIN: domain}, **{'ack_delay': '100ms', 'log_level': 'debug',
                             **options}))


def agent(world, ports, ca=None, options=(), **more):
    return world.run(servers.Agent(
        ports, ca, phone=True, options=['--log-level', 'debug', *options],
        **more))


async def friend(world):
    """Someone who is reached by no part of Terse."""
    client = world.client(XmlClient, world.server.plain)
    user = world.account('friend')
    await client.login(user, f'pw-{user}', DOMAIN, 'here')
    await client.presence()
    await client.flush()
    return client


async def online(world, port, kind=SlixmppClient, mechanism=None):
    client = world.client(kind, port)
    user = world.account('old')
    await client.login(user, f'pw-{user}', DOMAIN, 'old', mechanism=mechanism)
    await client.presence()
    await client.flush()
    return client


async def hear(client, *texts):
    """Exactly these, in this order."""
    for text in texts:
        got = await client.expect(
            lambda e: e.tag == CLIENT + 'message' and
            e.findtext(CLIENT + 'body') is not None, text)
        assert got.findtext(CLIENT + 'body') == text


async def say(one, other, *texts):
    for text in texts:
        await one.message(other.jid, text)


async def logged(program, text, count=1, timeout=15):
    """As until_logged, while relays go on."""
    return await asyncio.to_thread(program.until_logged, text, count, timeout)


def silent(*clients):
    """Nothing came twice."""
    for client in clients:
        assert not client.seen(lambda e: e.findtext(CLIENT + 'body'))
        assert not client.gone, client.gone


KINDS = [SlixmppClient, StropheClient, XmlClient]


# -- login ---------------------------------------------------------------------


@pytest.mark.parametrize('kind', KINDS)
async def test_second_login_takes_two_round_trips(world, kind):
    """And the first one three, since it has to ask what is offered."""
    tersed = proxy(world)
    relay = await link(world, tersed)
    own = agent(world, relay.port)
    for turn, trips in enumerate((3, 2, 2)):
        user = world.account('old')
        client = world.client(kind, own.port)
        await client.login(user, f'pw-{user}', DOMAIN, 'old')
        await logged(own, 'event=bound resumable=yes', turn + 1)
        assert relay.flights[turn] == trips
        await client.close()
    assert len(tersed.logged('event=logged-in')) == 3


async def test_receipt_waits_a_little_for_more(world):
    relay = await link(world, proxy(world))
    client = await online(world, agent(world, relay.port).port, XmlClient)
    other = await friend(world)
    began = time.monotonic()
    await client.send(f"<message to='{other.jid}'><received "
                      "xmlns='urn:xmpp:receipts' id='m'/></message>")
    await other.expect(lambda e: e.find(
        '{urn:xmpp:receipts}received') is not None)
    assert relay.last - began > 0.015


async def test_features_and_device_outlive_the_agent(world):
    tersed = proxy(world)
    state = f'{world.directory()}/state'
    user = world.account('old')
    jids = []
    for turn, trips in enumerate((3, 2)):
        relay = await link(world, tersed)
        own = agent(world, relay.port, options=['--state', state,
                                                '--tag', 'desk'])
        client = world.client(XmlClient, own.port)
        await client.login(user, f'pw-{user}', DOMAIN, 'old')
        jids.append(client.jid)
        assert relay.flights == [trips]
        await client.close()
    assert jids[0] == jids[1]
    assert jids[0].startswith(f'{user}@{DOMAIN}/desk.')


@pytest.mark.parametrize('kind', KINDS)
async def test_wrong_password_is_refused_and_the_right_one_is_not(world, kind):
    own = agent(world, proxy(world).port)
    user = world.account('old')
    for _ in range(2):  # with features of tersed's, and from memory
        client = world.client(kind, own.port)
        with pytest.raises(LoginRefused) as refused:
            await client.login(user, 'wrong', DOMAIN, 'old')
        assert refused.value.condition == 'not-authorized'
    client = world.client(kind, own.port)
    await client.login(user, f'pw-{user}', DOMAIN, 'old')
    await client.flush()


async def test_two_of_one_account_have_a_resource_each(world):
    own = agent(world, proxy(world).port)
    user = world.account('old')
    jids = set()
    for _ in range(3):
        client = world.client(SlixmppClient, own.port)
        await client.login(user, f'pw-{user}', DOMAIN, 'same')
        await client.presence()
        await client.flush()
        jids.add(client.jid)
    assert len(jids) == 3
    assert not any(c.gone for c in world.clients)


async def test_features_show_what_a_classic_client_may_use(world):
    own = agent(world, proxy(world).port)
    for _ in range(2):
        user = world.account('old')
        client = world.client(XmlClient, own.port)
        await client.login(user, f'pw-{user}', DOMAIN, 'old')
        first = {e.tag for e in client.first_features}
        second = {e.tag for e in client.features}
        assert SASL + 'mechanisms' in first
        assert SASL2 + 'authentication' not in first
        assert '{urn:ietf:params:xml:ns:xmpp-bind}bind' in second
        assert '{urn:xmpp:csi:0}csi' in second
        assert not {t for t in second if ':sm:' in t}
        reply = await client.iq(
            'set', "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>")
        assert reply.get('type') == 'result'
        # Who asks all the same is told so.
        await client.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
        await client.expect(lambda e: e.tag == SM + 'failed', 'failed')
        await client.flush()
        await client.close()


async def test_stanzas_that_are_ready_together_leave_together(world):
    relay = await link(world, proxy(world))
    own = agent(world, relay.port)
    old, other = await online(world, own.port, XmlClient), await friend(world)
    before = relay.pieces
    await old.send_at_once(
        f"<message to='{other.jid}' type='headline'><body>{i}</body></message>"
        for i in range(100))
    await hear(other, *map(str, range(100)))
    assert relay.pieces - before <= 3


@pytest.mark.parametrize('known', [False, True])
async def test_tersed_without_sasl2_passes_all(world, known):
    """Also if the agent remembers that it was otherwise."""
    tersed = proxy(world)
    relay = await link(world, tersed)
    own = agent(world, relay.port)
    if known:
        await (await online(world, own.port)).close()
    other = proxy(world, sasl2='off')
    relay.target = other.port
    user = world.account('old')
    client = world.client(XmlClient, own.port)
    await client.login(user, f'pw-{user}', DOMAIN, 'mine', manage=not known)
    assert client.jid == f'{user}@{DOMAIN}/mine'
    await logged(own, 'event=transparent')
    await client.flush()
    again = world.client(XmlClient, own.port)
    await again.login(user, f'pw-{user}', DOMAIN, 'other', manage=True)
    assert again.jid == f'{user}@{DOMAIN}/other'


# -- lost and found ------------------------------------------------------------


@pytest.mark.parametrize('kind', KINDS)
async def test_cut_is_no_more_than_a_pause(world, kind):
    tersed = proxy(world)
    relay = await link(world, tersed)
    own = agent(world, relay.port)
    old, other = await online(world, own.port, kind), await friend(world)
    for turn in range(4):
        await say(other, old, f'before {turn}')
        await say(old, other, f'too {turn}')
        relay.cut()
        await say(other, old, f'away {turn}', f'still {turn}')
        await say(old, other, f'mine {turn}', f'also mine {turn}')
        await logged(own, 'event=resumed by=token', turn + 1)
    for turn in range(4):
        await hear(old, f'before {turn}', f'away {turn}', f'still {turn}')
        await hear(other, f'too {turn}', f'mine {turn}', f'also mine {turn}')
    await old.flush()
    await other.flush()
    silent(old, other)
    # Back in one round trip; what follows is what was kept, and acks.
    assert len(tersed.logged('event=logged-in')) == 1


async def test_comes_back_in_one_round_trip(world):
    relay = await link(world, proxy(world))
    own = agent(world, relay.port)
    await online(world, own.port, XmlClient)
    relay.cut()
    await logged(own, 'event=resumed by=token')
    assert relay.flights[1:] == [1]


async def test_presence_waits_as_the_agent_asks(world):
    """tersed would have it wait for a minute, from a server that holds nothing
    back by itself."""
    fake, tersed = await scripted(world, coalesce='60s')
    own = agent(world, tersed.port, options=['--wait', '1'])
    client = world.client(XmlClient, own.port)
    _, session = await asyncio.gather(
        client.login('user', 'pw', FAKE, 'old', mechanism='PLAIN'),
        fake.session())
    await client.send("<inactive xmlns='urn:xmpp:csi:0'/>")
    await client.message('a@b', 'behind it')
    await session.bodies('behind it')
    began = time.monotonic()
    await session.send('<presence/>')
    await client.expect(lambda e: e.tag == CLIENT + 'presence')
    assert 0.8 < time.monotonic() - began < 5


@pytest.mark.parametrize('wrong', [
    ['--wait', '-1'], ['--wait', '86401'], ['--wait', '1s'],
    ['--wait-bytes', '1048577'], ['--wait-bytes', ''], ['--location', 'on']])
async def test_options_that_cannot_be_are_refused(wrong):
    done = await asyncio.create_subprocess_exec(
        f'{servers.BUILD}/bin/terse-agent', '--proxy', 'localhost', *wrong,
        stderr=asyncio.subprocess.PIPE)
    _, text = await done.communicate()
    assert done.returncode == 64
    assert text.startswith(f'terse-agent: {wrong[0]}: not '.encode())


async def test_location_without_a_good_certificate_is_left(world):
    """Its authority is trusted; but it is not for the account's domain, whatever
    the name it was told by. Nothing is said to it, and the session is had back
    where it was."""
    other = world.run(servers.Tersed({'localhost': {
        'server': f'127.0.0.1:{world.server.starttls}',
        'ca_file': world.server.ca}}, log_level='debug'))
    tersed = proxy(world, location=f'localhost:{other.port}')
    trusted = f'{world.directory()}/both'
    with open(trusted, 'w') as f:
        for one in tersed, other:
            f.write(open(one.certificate).read())
    relay = await link(world, tersed)
    own = agent(world, relay.port, ca=trusted)
    client = await online(world, own.port)
    relay.cut()
    await logged(own, 'event=resumed by=token')
    await client.flush()
    await logged(other, 'from=greeting to=over')
    assert all('from=greeting to=over' in line
               for line in other.logged('event=move'))


async def test_while_there_is_no_network_all_is_kept(world):
    relay = await link(world, proxy(world))
    own = agent(world, relay.port)
    old, other = await online(world, own.port), await friend(world)
    relay.up = False
    relay.cut()
    await logged(own, 'event=link-lost')
    texts = [f'kept {i}' for i in range(50)]
    await say(old, other, *texts)
    await say(other, old, *texts)
    await asyncio.sleep(0.5)
    relay.up = True
    own.hint()
    await hear(other, *texts)
    await hear(old, *texts)
    silent(old, other)


async def test_black_hole_is_noticed_and_left(world):
    relay = await link(world, proxy(world, heartbeat='2s'))
    own = agent(world, relay.port, options=['--heartbeat', '1'])
    old, other = await online(world, own.port), await friend(world)
    relay.hole = True
    await say(old, other, 'into the hole')
    await say(other, old, 'too')
    await logged(own, 'event=no-pong', timeout=40)
    relay.hole = False
    await hear(other, 'into the hole')
    await hear(old, 'too')
    await logged(own, 'event=resumed by=token')
    silent(old, other)


async def test_hint_leaves_a_black_hole_at_once(world):
    relay = await link(world, proxy(world))
    own = agent(world, relay.port)
    old, other = await online(world, own.port), await friend(world)
    relay.hole = True
    await say(old, other, 'into the hole')
    await asyncio.sleep(0.2)
    relay.hole = False
    began = time.monotonic()
    own.hint()
    await hear(other, 'into the hole')
    assert time.monotonic() - began < 5
    silent(old, other)


@pytest.mark.parametrize('end', ['killed', 'stopped'])
async def test_after_plain_another_tersed_goes_on(world, end):
    first, second = proxy(world), proxy(world)
    own = agent(world, [first.port, second.port])
    other = await friend(world)
    old = await online(world, own.port, mechanism='PLAIN')
    await say(other, old, 'one')
    await hear(old, 'one')
    await say(old, other, 'up one')
    await hear(other, 'up one')
    if end == 'killed':
        first.process.send_signal(signal.SIGKILL)
        world.programs.remove(first)
        first.process.wait()
    else:
        first.terminate()
        await asyncio.to_thread(first.wait)
    await say(other, old, 'two', 'three')
    await say(old, other, 'up two', 'up three')
    await hear(old, 'two', 'three')
    await hear(other, 'up two', 'up three')
    await logged(own, 'event=resumed by=password')
    await old.flush()
    silent(old, other)


async def test_token_refused_and_no_password_ends_the_stream(world):
    tersed = proxy(world)
    relay = await link(world, tersed)
    own = agent(world, relay.port)
    old = await online(world, own.port, XmlClient)
    relay.target = proxy(world).port
    relay.cut()
    gone = await old.expect_gone()
    assert gone.error == 'remote-connection-failed'
    await logged(own, 'event=refused what=token')
    await online(world, own.port, XmlClient)


async def test_gives_up_in_time(world):
    relay = await link(world, proxy(world))
    own = agent(world, relay.port, options=['--give-up', '1'])
    old = await online(world, own.port, XmlClient)
    relay.up = False
    relay.cut()
    began = time.monotonic()
    gone = await old.expect_gone()
    assert gone.error == 'remote-connection-failed'
    assert 0.9 < time.monotonic() - began < 6


async def test_who_leaves_without_network_is_still_heard(world):
    """Its last words, and then that it has left."""
    tersed = proxy(world)
    relay = await link(world, tersed)
    own = agent(world, relay.port)
    old, other = await online(world, own.port, XmlClient), await friend(world)
    await other.presence(old.jid)
    await old.presence(other.jid)
    await other.expect(lambda e: e.tag == CLIENT + 'presence' and
                       e.get('from') == old.jid, 'presence')
    relay.up = False
    relay.cut()
    await logged(own, 'event=link-lost')
    await say(old, other, 'last words')
    await old.close()
    relay.up = True
    own.hint()
    await hear(other, 'last words')
    await other.expect(lambda e: e.tag == CLIENT + 'presence' and
                       e.get('type') == 'unavailable' and
                       e.get('from') == old.jid, 'leave')


async def test_program_that_dies_has_left(world):
    """It cannot come back to a session of which it knows nothing."""
    own = agent(world, proxy(world).port)
    old, other = await online(world, own.port, XmlClient), await friend(world)
    await old.presence(other.jid)
    await other.expect(lambda e: e.tag == CLIENT + 'presence' and
                       e.get('from') == old.jid, 'presence')
    old.process.kill()
    old.hangs_up = False
    await other.expect(lambda e: e.tag == CLIENT + 'presence' and
                       e.get('type') == 'unavailable' and
                       e.get('from') == old.jid, 'leave')
    await old.process.wait()
    old.process = None


async def test_without_network_the_program_is_held_up(world):
    """Once the outbox is full, by TCP; then nothing of it is lost."""
    relay = await link(world, proxy(world))
    own = agent(world, relay.port)
    old, other = await online(world, own.port, XmlClient), await friend(world)
    relay.up = False
    relay.cut()
    await logged(own, 'event=link-lost')
    before = own.memory()
    text = 'x' * 2000
    count = 8000  # 16 MB
    sending = asyncio.ensure_future(old.send_at_once(
        f"<message to='{other.jid}' type='headline' id='n{i}'><body>{i} {text}"
        '</body></message>' for i in range(count)))
    await asyncio.sleep(2)
    assert own.memory() - before < 12 * 1024
    relay.up = True
    own.hint()
    for i in range(count):
        got = await other.expect(lambda e: e.findtext(CLIENT + 'body'), f'{i}')
        assert got.findtext(CLIENT + 'body').split()[0] == str(i)
    await sending
    await old.flush()
    assert not old.gone


async def bodies(client, count):
    """The next so many messages, by their texts."""
    return [(await client.expect(
        lambda e: e.tag == CLIENT + 'message' and
        e.findtext(CLIENT + 'body') is not None, f'{i} of {count}'))
        .findtext(CLIENT + 'body') for i in range(count)]


@pytest.mark.parametrize('proxies', [1, 2])
@pytest.mark.parametrize('seed', [1, 2, 3])
async def test_whatever_breaks_all_comes_once(world, seed, proxies):
    """And in order; but where the session goes from one tersed to another,
    the server itself sends what it is given meanwhile before what it has to
    send again: ejabberd does so without Terse as well."""
    dice = random.Random(seed)
    tersed = [proxy(world) for _ in range(proxies)]
    links = [await link(world, one) for one in tersed]
    own = agent(world, [one.port for one in links])
    other = await friend(world)
    old = await online(world, own.port, mechanism='PLAIN')
    said, told = [], []
    for turn in range(25):
        for _ in range(dice.randrange(4)):
            said.append(f'down {len(said)}')
            await say(other, old, said[-1])
        for _ in range(dice.randrange(4)):
            told.append(f'up {len(told)}')
            await say(old, other, told[-1])
        await asyncio.sleep(dice.choice((0.001, 0.02, 0.2)))
        what = dice.choice(('cut', 'hint', 'swap', 'hole', 'nothing'))
        if what == 'swap':
            links[0].target, links[-1].target = (links[-1].target,
                                                 links[0].target)
        for one in links:
            one.hole = what == 'hole'
        if what == 'hole':
            await asyncio.sleep(0.05)
        if what in ('cut', 'swap', 'hole'):
            for one in links:
                one.cut()
                one.hole = False
        elif what == 'hint':
            own.hint()
    own.hint()
    heard = await bodies(old, len(said))
    assert heard == said if proxies == 1 else sorted(heard) == sorted(said)
    assert await bodies(other, len(told)) == told
    await old.flush()
    await other.flush()
    silent(old, other)
    assert own.logged('event=resumed by=token')
    assert proxies == 1 or own.logged('event=resumed by=password')
