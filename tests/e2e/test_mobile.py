"""Sessions for phones, against ejabberd and Prosody: round trips, sessions that outlive
their connection, and who may have them."""
import asyncio
import base64
import contextlib
import os
import random
import signal
import sys
import time

import pytest

import servers
from drivers import Pair0Client, XmlClient
from phone import (BIND2, CLIENT, FEATURES, SASL, SASL2, SM, Phone, Scram,
                   b64)
from servers import DOMAIN
from test_limits import Scene

sys.path.append(os.path.join(servers.ROOT, 'tests', 'ledger'))
from links import DOWN, UP, Relay  # noqa: E402


@pytest.fixture(params=['ejabberd', 'prosody'])
def world(request):
    scene = Scene()
    scene.server = request.getfixturevalue(request.param)
    return scene


def start(world, port=None, **options):
    """port: of a relay before the server."""
    domain = {'server': f'127.0.0.1:{port or world.server.starttls}',
              'ca_file': world.server.ca}
    return world.run(servers.Tersed({DOMAIN: domain},
                                    **{'ack_delay': '100ms',
                                       'log_level': 'debug', **options}))


class Pair:
    """A phone, and a client that stays connected."""

    @classmethod
    async def new(cls, world, tersed, **options):
        pair = cls()
        user = world.account('phone')
        pair.phone = Phone(user, f'pw-{user}', DOMAIN)
        world.port, world.kind = tersed.port, Pair0Client
        pair.friend = await world.online(world.account('friend'))
        success = await pair.phone.login(tersed.port, **options)
        assert success.tag == SASL2 + 'success'
        await pair.phone.send('<presence/>')
        await pair.phone.expect(lambda e: e.tag == CLIENT + 'presence')
        return pair

    async def say(self, *texts):
        for text in texts:
            await self.friend.message(self.phone.jid, text)

    async def hear(self, *texts):
        """Exactly these, in this order."""
        for text in texts:
            got = await self.phone.expect(
                lambda e: e.findtext(CLIENT + 'body') is not None)
            assert got.findtext(CLIENT + 'body') == text

    async def tell(self, *texts):
        await self.phone.send(*(
            f"<message to='{self.friend.jid}' type='chat'><body>{t}</body>"
            '</message>' for t in texts))

    async def told(self, *texts):
        for text in texts:
            got = await self.friend.expect(
                lambda e: e.findtext(CLIENT + 'body') is not None)
            assert got.findtext(CLIENT + 'body') == text


def sessions(world, user):
    """How often the server has opened a session for that user: once at least,
    which its log may be slow to tell."""
    deadline = time.monotonic() + 10
    while not (count := opened(world, user)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return count


def opened(world, user):
    server = world.server
    with open(server.log, errors='replace') as f:
        return f.read().count(f'{server.opened}{user}@')


async def test_first_login_takes_two_round_trips(world):
    tersed = start(world)
    user = world.account('phone')
    phone = Phone(user, f'pw-{user}', DOMAIN)
    success = await phone.login(tersed.port)
    assert success.tag == SASL2 + 'success'
    assert phone.trips == 2
    assert phone.jid.startswith(f'{user}@{DOMAIN}/phone.')
    bound = success.find(BIND2 + 'bound')
    assert bound.find(SM + 'enabled').get('id')
    assert phone.token
    await phone.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
    reply = await phone.expect(lambda e: e.get('id') == 'p')
    assert reply.get('type') == 'result'
    await phone.logout()


async def test_wrong_password_is_refused_and_may_be_tried_again(world):
    tersed = start(world)
    user = world.account('phone')
    phone = Phone(user, 'wrong', DOMAIN)
    failure = await phone.login(tersed.port)
    assert failure.tag == SASL2 + 'failure'
    assert failure.find(SASL + 'not-authorized') is not None
    refused = tersed.logged('event=login-refused')
    assert len(refused) == 1 and 'peer=127.0.0.1' in refused[0]
    # On the same connection, and what goes with a login is to be had.
    scram = Scram(user, f'pw-{user}')
    phone.authenticate('SCRAM-SHA-256', scram.first(), extra="<request-token "
                       "xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>")
    step = await phone.expect(lambda e: e.tag == SASL2 + 'challenge')
    phone.write("<response xmlns='urn:xmpp:sasl:2'>"
                f'{scram.final(step.text)}</response>')
    await phone.expect(lambda e: e.tag == SASL2 + 'success')
    assert phone.token and phone.id


async def test_acknowledgements_come_unasked_and_true(world):
    tersed = start(world)
    pair = await Pair.new(world, tersed)
    await pair.tell('one', 'two')
    await pair.phone.expect(lambda e: e.tag == SM + 'a' and
                            int(e.get('h')) == pair.phone.sent)
    await pair.told('one', 'two')


async def test_comes_back_by_token_in_one_round_trip(world):
    """Nothing is lost, nothing comes twice, and the server does not notice."""
    tersed = start(world)
    pair = await Pair.new(world, tersed)
    phone = pair.phone
    await pair.say('before')
    await pair.hear('before')
    for turn in range(3):
        await phone.drop()
        tersed.until_logged('event=move on=client-lost', turn + 1)
        await pair.say(f'away {turn}', f'still away {turn}')
        old = phone.token
        success = await phone.comeback(tersed.port)
        assert success.tag == SASL2 + 'success', turn
        assert phone.trips == 1
        assert success.find(SM + 'resumed').get('previd') == phone.id
        assert phone.token != old
        await pair.hear(f'away {turn}', f'still away {turn}')
        await pair.tell(f'back {turn}')
        await pair.told(f'back {turn}')
    assert sessions(world, phone.user) == 1
    assert not tersed.logged('conflict')


async def test_unacknowledged_is_sent_again(world):
    tersed = start(world)
    pair = await Pair.new(world, tersed)
    phone = pair.phone
    seen = phone.handled
    await pair.say('one', 'two')
    await pair.hear('one', 'two')
    await phone.drop()
    phone.handled = seen + 1  # 'two' never made it
    await phone.comeback(tersed.port)
    await pair.hear('two')
    await pair.say('three')
    await pair.hear('three')


async def test_comes_back_while_the_old_connection_still_stands(world):
    tersed = start(world)
    pair = await Pair.new(world, tersed)
    phone = pair.phone
    old = phone.peer
    success = await phone.comeback(tersed.port)
    assert success.tag == SASL2 + 'success'
    await asyncio.wait_for(old.until_end(), 10)
    await pair.say('here')
    await pair.hear('here')
    assert sessions(world, phone.user) == 1


async def test_comes_back_with_a_password(world):
    tersed = start(world)
    pair = await Pair.new(world, tersed)
    phone = pair.phone
    await phone.drop()
    tersed.until_logged('event=move on=client-lost')
    await pair.say('away')
    success = await phone.login(tersed.port, resume=phone.id)
    assert success.find(SM + 'resumed') is not None
    assert phone.trips == 2
    await pair.hear('away')
    assert sessions(world, phone.user) == 1


@pytest.mark.parametrize('stands', [False, True])
async def test_old_kind_of_resumption_ends_the_one_that_is_held(world, stands):
    """A login without XEP-0388 resumes at the server, while the session is still
    held here, or even connected. The server ends that with a conflict: nothing
    is lost or doubled by that, and nothing of it is left, its token neither."""
    tersed = start(world)
    pair = await Pair.new(world, tersed)
    phone = pair.phone
    await pair.say('one', 'two')
    await pair.hear('one', 'two')
    await pair.tell('up one')
    await pair.told('up one')
    phone.handled -= 1  # 'two' never made it
    old = phone.peer
    if not stands:
        await phone.drop()
        tersed.until_logged('event=move on=client-lost')
        await pair.say('three')
    first = tersed.logged('event=logged-in')[1].split()[0]  # behind the friend
    closed = first + ' level=info event=closed'
    assert not tersed.logged(closed)
    step = await phone.classic(tersed.port, resume=phone.id)
    assert step.tag == SM + 'resumed'
    assert int(step.get('h')) == phone.sent
    await pair.hear('two', *(() if stands else ('three',)))
    await pair.tell('up two')
    await pair.told('up two')
    await pair.say('four')
    await pair.hear('four')
    if stands:
        await asyncio.wait_for(old.until_end(), 10)
    tersed.until_logged(closed)
    thief = Phone(phone.user, phone.password, DOMAIN)
    thief.id, thief.token = phone.id, phone.token
    await fails(thief.comeback(tersed.port))
    await pair.say('five')
    await pair.hear('five')
    assert sessions(world, phone.user) == 1


@pytest.mark.parametrize('end', ['held', 'killed', 'drained'])
async def test_comes_back_through_another_proxy(world, end):
    """After kill -9, after SIGTERM, or while the first one still holds the
    session."""
    tersed, other = start(world), start(world)
    pair = await Pair.new(world, other)
    world.port = other.port
    user = world.account('moved')
    phone = pair.phone = Phone(user, f'pw-{user}', DOMAIN)
    await phone.login(tersed.port)
    await phone.send('<presence/>')
    await phone.expect(lambda e: e.tag == CLIENT + 'presence')
    await pair.say('one', 'two', 'three')
    await pair.hear('one', 'two')
    await pair.tell('up one', 'up two')
    await pair.told('up one', 'up two')
    if end == 'held':
        await phone.drop()
        tersed.until_logged('event=move on=client-lost')
    elif end == 'drained':
        tersed.terminate()
        await phone.expect(lambda e: e.tag.endswith('}error'))
        phone.peer.close()
        await asyncio.to_thread(tersed.wait)
    else:
        tersed.process.send_signal(signal.SIGKILL)
        tersed.process.wait()
        world.programs.remove(tersed)
    await pair.say('four')
    await pair.friend.flush()
    failure = await phone.comeback(other.port)
    assert failure.tag == SASL2 + 'failure'  # it knows no such token
    success = await phone.login(other.port, resume=phone.id)
    resumed = success.find(SM + 'resumed')
    assert resumed is not None
    assert int(resumed.get('h')) == phone.sent
    await pair.hear('three', 'four')
    await pair.tell('up three')
    await pair.told('up three')
    assert sessions(world, user) == 1
    # And from there it comes back as ever.
    await phone.drop()
    other.until_logged('event=move on=client-lost')
    assert (await phone.comeback(other.port)).tag == SASL2 + 'success'


async def test_released_after_hold_and_resumed_at_the_server(world):
    tersed = start(world, hold='300ms')
    pair = await Pair.new(world, tersed)
    phone = pair.phone
    await phone.drop()
    tersed.until_logged('event=dropped')
    await pair.say('away')
    failure = await phone.comeback(tersed.port)
    assert failure.tag == SASL2 + 'failure'
    success = await phone.login(tersed.port, resume=phone.id)
    assert success.find(SM + 'resumed') is not None
    await pair.hear('away')
    assert sessions(world, phone.user) == 1


async def test_server_that_falls_silent_keeps_the_session(world):
    """Who comes back waits for the server to say what it has. If it says nothing
    the session is over here, but the server is not told that it is: then it
    could not be resumed there."""
    relay = await Relay(world.server.starttls).start()
    tersed = start(world, relay.port, negotiate_timeout='500ms')
    pair = await Pair.new(world, start(world))
    user = world.account('patient')
    phone = pair.phone = Phone(user, f'pw-{user}', DOMAIN)
    await phone.login(tersed.port)
    await phone.send('<presence/>')
    await phone.expect(lambda e: e.tag == CLIENT + 'presence')
    relay.living()[0].blacken(DOWN)
    await pair.tell('once')
    await pair.told('once')
    await phone.drop()
    with pytest.raises(AssertionError, match='the connection ended'):
        await phone.comeback(tersed.port)
    assert tersed.logged('state=resuming')
    success = await phone.login(tersed.port, resume=phone.id)
    assert int(success.find(SM + 'resumed').get('h')) == phone.sent
    await relay.close()


async def test_login_without_an_answer_keeps_the_session(world):
    """The server has taken it up again, only nobody was told."""
    def watcher():
        def watch(way, data):
            if way == UP and b'<resume ' in data:
                relay.pipes[-1].blacken(DOWN)
        return watch
    relay = await Relay(world.server.plain, watcher).start()
    other = world.run(servers.Tersed(
        {DOMAIN: {'server': f'127.0.0.1:{relay.port}', 'starttls': 'off'}},
        negotiate_timeout='500ms'))
    tersed = start(world)
    pair = await Pair.new(world, tersed)
    phone = pair.phone
    await phone.drop()
    await pair.say('away')
    with pytest.raises(AssertionError, match='the connection ended'):
        await phone.login(other.port, resume=phone.id)
    assert relay.pipes[-1].black
    success = await phone.login(tersed.port, resume=phone.id)
    assert success.find(SM + 'resumed') is not None
    await pair.hear('away')
    await relay.close()


# -- what a contact may send ---------------------------------------------------


@pytest.mark.parametrize('payload', [
    '<a>' * 80 + '</a>' * 80,
    '<a ' + ''.join(f"a{i}='' " for i in range(500)) + '/>',
    "<a xmlns='no name'><b/></a>",
    # 10 KB, of which the server makes 1.5 MB
    f"<a xmlns:p='{'n' * 1000}'>{'<p:b/>' * 1500}</a>",
    '<b>' + "'" * 200000 + '</b>',
    '<b>' + base64.b64encode(os.urandom(9000)).decode() + '</b>',
], ids=['depth', 'attributes', 'namespace', 'prefixes', 'quotes', 'frame'])
async def test_stanza_that_is_refused_ends_nothing(world, payload):
    """Else a contact could send it, and its receiver would get it again at each
    login, and never be there. An error stands in for it, with its count."""
    tersed = start(world, frame_bytes='8k')
    pair = await Pair.new(world, tersed)
    phone, user = pair.phone, world.account('evil')
    evil = world.client(XmlClient, world.server.plain)
    await evil.login(user, f'pw-{user}', DOMAIN, 'r')
    bad = (f"<message to='{phone.jid}' type='chat' id='bad'><body>x</body>"
           f'{payload}</message>')
    await evil.send(bad)
    error = await phone.expect(lambda e: e.get('id') == 'bad')
    assert error.tag == CLIENT + 'message' and error.get('type') == 'error'
    assert error.get('from') == f'{user}@{DOMAIN}/r'
    assert error.find('.//{urn:ietf:params:xml:ns:xmpp-stanzas}'
                      'policy-violation') is not None
    await pair.say('after')
    await pair.hear('after')
    # And while the phone is away: held, then at the server.
    await phone.drop()
    tersed.until_logged('event=move on=client-lost')
    await evil.send(bad.replace("id='bad'", "id='worse'"))
    await pair.say('away')
    assert (await phone.comeback(tersed.port)).tag == SASL2 + 'success'
    assert (await phone.expect(
        lambda e: e.get('id') == 'worse')).get('type') == 'error'
    await pair.hear('away')
    await phone.send(f"<a xmlns='urn:xmpp:sm:3' h='{phone.handled}'/>",
                     "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
    assert (await phone.expect(
        lambda e: e.get('id') == 'p')).get('type') == 'result'
    assert not tersed.logged('event=failed')


# -- who may come back ---------------------------------------------------------


async def fails(attempt):
    step = await attempt
    assert step.tag == SASL2 + 'failure', step.tag
    assert step.find(SASL + 'not-authorized') is not None


@pytest.mark.parametrize('early', [True, False])
async def test_token_is_good_once(world, early):
    tersed = start(world)
    pair = await Pair.new(world, tersed)
    phone = pair.phone
    first = phone.token
    await phone.drop()
    assert (await phone.comeback(tersed.port, early=early)).tag == (
        SASL2 + 'success')
    await phone.drop()
    await fails(phone.comeback(tersed.port, token=first, early=early))
    assert (await phone.comeback(tersed.port, early=early)).tag == (
        SASL2 + 'success')


async def test_of_two_that_race_one_gets_it(world):
    tersed = start(world)
    pair = await Pair.new(world, tersed)
    phone = pair.phone
    await phone.drop()
    rivals = []
    for _ in range(8):
        rival = Phone(phone.user, phone.password, DOMAIN)
        rival.id, rival.token, rival.handled = (phone.id, phone.token,
                                                phone.handled)
        rivals.append(rival)
    steps = await asyncio.gather(*(r.comeback(tersed.port) for r in rivals))
    assert [s.tag for s in steps].count(SASL2 + 'success') == 1
    winner = next(r for r, s in zip(rivals, steps)
                  if s.tag == SASL2 + 'success')
    pair.phone = winner
    await pair.say('to the winner')
    await pair.hear('to the winner')


async def test_nobody_else_gets_it(world):
    tersed = start(world)
    one, two = await Pair.new(world, tersed), await Pair.new(world, tersed)
    phone, thief = one.phone, two.phone
    # Another user's token for this session, and this one's id with a password.
    await fails(thief.comeback(tersed.port, resume=phone.id))
    await fails(thief.comeback(tersed.port, resume=phone.id,
                               user=phone.user))
    step = await thief.login(tersed.port, resume=phone.id)
    assert step.tag == SASL2 + 'success'
    assert step.find(SM + 'resumed') is None
    assert step.find(SM + 'failed') is not None
    assert step.find(BIND2 + 'bound') is not None
    # The right token from another device, or from none.
    for agent in ('a-0ther-device', ''):
        stolen = Phone(phone.user, phone.password, DOMAIN, agent)
        stolen.id, stolen.token = phone.id, phone.token
        await fails(stolen.comeback(tersed.port))
    # All of that has changed nothing.
    await one.say('still here')
    await one.hear('still here')
    await phone.drop()
    assert (await phone.comeback(tersed.port)).tag == SASL2 + 'success'


async def test_success_of_a_classic_login_proves_nothing_else(world):
    """A thief logs in as himself, and names somebody else before he is told."""
    tersed = start(world)
    pair = await Pair.new(world, tersed)
    phone, user = pair.phone, world.account('thief')
    await phone.drop()
    tersed.until_logged('event=move on=client-lost')
    thief = Phone(user, f'pw-{user}', DOMAIN)
    await thief.connect(tersed.port)
    thief.open()
    await thief.expect(lambda e: e.tag == FEATURES)
    own = b64(f'\0{user}\0pw-{user}'.encode())
    thief.write(f"<auth xmlns='{SASL[1:-1]}' mechanism='PLAIN'>{own}</auth>")
    thief.authenticate('PLAIN', b64(f'\0{phone.user}\0wrong'.encode()),
                       resume=phone.id, count=phone.handled)
    # What becomes of two logins at a time is the server's affair.
    with contextlib.suppress(AssertionError, ConnectionError):
        await thief.expect(lambda e: e.find(SM + 'resumed') is not None)
    assert not tersed.logged('event=resumed')
    assert (await phone.comeback(tersed.port)).tag == SASL2 + 'success'


async def test_token_of_a_device_ends_when_another_takes_over(world):
    """With the user's password that may be."""
    tersed = start(world)
    pair = await Pair.new(world, tersed)
    phone = pair.phone
    await phone.drop()
    tablet = Phone(phone.user, phone.password, DOMAIN, 'the-tablet')
    tablet.id, tablet.handled = phone.id, phone.handled
    step = await tablet.login(tersed.port, resume=phone.id)
    assert step.find(SM + 'resumed') is not None
    await fails(phone.comeback(tersed.port))
    await tablet.drop()
    assert (await tablet.comeback(tersed.port)).tag == SASL2 + 'success'


async def test_not_after_logout_nor_when_expired(world):
    tersed = start(world, token_lifetime='1s')
    pair = await Pair.new(world, tersed)
    await pair.phone.logout()
    await fails(pair.phone.comeback(tersed.port))
    pair = await Pair.new(world, tersed)
    await pair.phone.drop()
    await asyncio.sleep(1.2)
    await fails(pair.phone.comeback(tersed.port))


async def test_count_that_cannot_be_is_refused(world):
    tersed = start(world)
    pair = await Pair.new(world, tersed)
    await pair.phone.drop()
    await fails(pair.phone.comeback(tersed.port, count=1000))


# -- while nobody looks ----------------------------------------------------------


async def test_presence_waits_for_what_may_not(world):
    tersed = start(world)
    pair = await Pair.new(world, tersed)
    phone, friend = pair.phone, pair.friend
    await phone.send("<inactive xmlns='urn:xmpp:csi:0'/>")
    state = ("<active xmlns='http://jabber.org/protocol/chatstates'/>")
    await friend.presence(phone.jid, status='here')
    await friend.message(phone.jid, extra=state)
    with pytest.raises(asyncio.TimeoutError):
        await phone.expect(lambda e: e.tag.startswith(CLIENT), 0.7)
    await pair.say('now')
    order = [(await phone.expect(lambda e: e.tag.startswith(CLIENT))).tag
             for _ in range(3)]
    assert order == [CLIENT + 'presence', CLIENT + 'message',
                     CLIENT + 'message']


# -- whatever breaks ---------------------------------------------------------------


class Lossy:
    """A phone that keeps what it sends until it is acknowledged, on a network
    that breaks whenever the dice say so."""

    def __init__(self, phone, dice, proxies):
        self.phone, self.dice, self.proxies = phone, dice, proxies
        self.outbox = []   # stanzas that are not acknowledged, in order
        self.first = 0     # the number of the first of them
        self.heard = []
        self.ways = dict.fromkeys(('token', 'password'), 0)

    def settle(self):
        done = self.phone.acked - self.first
        assert 0 <= done <= len(self.outbox), (done, len(self.outbox))
        del self.outbox[:done]
        self.first += done

    async def send(self, *stanzas):
        self.outbox += stanzas
        await self.phone.send(*stanzas)

    async def listen(self, seconds):
        with contextlib.suppress(asyncio.TimeoutError):
            await self.phone.expect(lambda e: False, seconds)
        inbox, self.phone.inbox = self.phone.inbox, []
        for element in inbox:
            body = element.findtext(CLIENT + 'body')
            if body is not None:
                self.heard.append(body)
        self.settle()
        if self.dice.random() < 0.5:
            await self.phone.send(
                f"<a xmlns='urn:xmpp:sm:3' h='{self.phone.handled}'/>")

    async def comes_back(self):
        phone, proxy = self.phone, self.dice.choice(self.proxies)
        while True:
            step = await phone.comeback(proxy.port)
            way = 'token'
            if step.tag == SASL2 + 'failure':
                way = 'password'
                step = await phone.login(proxy.port, resume=phone.id)
            if step.find(SM + 'resumed') is not None:
                break
            raise AssertionError('the session is gone')
        self.ways[way] += 1
        self.settle()
        phone.sent = phone.acked
        again, self.outbox = self.outbox, []
        if again:
            await self.send(*again)


@pytest.mark.parametrize('seed', [1, 2, 3])
async def test_every_message_once_and_in_order(world, seed):
    """Two proxies; the phone's network breaks again and again, one proxy is
    killed and comes again."""
    dice = random.Random(seed)
    options = {'ack_delay': '20ms', 'hold': '10m'}
    proxies = [start(world, **options), start(world, **options)]
    pair = await Pair.new(world, start(world, **options))
    user = world.account('lossy')
    phone = pair.phone = Phone(user, f'pw-{user}', DOMAIN)
    await phone.login(proxies[0].port)
    lossy = Lossy(phone, dice, proxies)
    await lossy.send('<presence/>')
    said = told = 0
    for turn in range(14):
        for _ in range(dice.randrange(4)):
            await pair.say(f'down {said}')
            said += 1
        up = [f"<message to='{pair.friend.jid}' type='chat'><body>up "
              f'{told + i}</body></message>' for i in range(dice.randrange(4))]
        told += len(up)
        if up:
            await lossy.send(*up)
        await lossy.listen(dice.choice((0.001, 0.02, 0.1)))
        if turn == 8:
            dead = proxies.pop(0)
            dead.process.send_signal(signal.SIGKILL)
            dead.process.wait()
            world.programs.remove(dead)
            proxies.append(start(world, **options))
        await phone.drop()
        await pair.say(f'down {said}')
        said += 1
        await lossy.comes_back()
    deadline = time.monotonic() + 20
    while (len(lossy.heard) < said or lossy.outbox) and (
            time.monotonic() < deadline):
        await lossy.listen(0.2)
    assert lossy.heard == [f'down {i}' for i in range(said)], lossy.ways
    await pair.told(*(f'up {i}' for i in range(told)))
    await pair.friend.flush()
    assert not pair.friend.seen(lambda e: e.findtext(CLIENT + 'body'))
    assert not lossy.outbox
    assert min(lossy.ways.values()) > 0, lossy.ways
