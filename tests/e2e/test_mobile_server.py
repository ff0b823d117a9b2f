"""Sessions for phones, at servers that follow a script: one that counts past
2^32, one without XEP-0198 or XEP-0352, one that speaks XEP-0388 itself, and
ends that acknowledge what never was."""
import asyncio
import base64
import hmac
import os

import pytest

from fake_server import Session
from phone import BIND2, CLIENT, FAST, FEATURES, SASL, SASL2, SM, Phone
from test_limits import FAKE, Scene, message, native

BIND = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
MANAGED = "<sm xmlns='urn:xmpp:sm:3'/>"
CSI = "<csi xmlns='urn:xmpp:csi:0'/>"
INACTIVE = "<inactive xmlns='urn:xmpp:csi:0'/>"
ACTIVE = "<active xmlns='urn:xmpp:csi:0'/>"
ERRORS = '{urn:ietf:params:xml:ns:xmpp-streams}'
CONFLICT = ("<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
            '</stream:error></stream:stream>')
TOO_HIGH = SM + 'handled-count-too-high'


class Managed(Session):
    """Counts as XEP-0198 has it, and answers what a login asks for. Stanzas and
    all else go to `elements`."""

    handled = None  # from the peer; None: not yet counted
    resumes = None  # what it says to <resume/>: its h
    acked = 0
    mute = False    # it answers no <r/>

    async def came(self, element):
        answer = self.answer(element)
        if answer is None and self.handled is not None and (
                element.tag.startswith(CLIENT)):
            self.handled = (self.handled + 1) % 2 ** 32
        if answer is None:
            await super().came(element)
        elif answer:
            await self.send(answer)

    def answer(self, element):
        if element.tag == SM + 'enable':
            self.handled = 0
            return "<enabled xmlns='urn:xmpp:sm:3' id='srv' resume='true'/>"
        if element.tag == SM + 'resume':
            self.resume = element
            self.handled = self.server.resumes
            self.server.bound.put_nowait(self)
            return (f"<resumed xmlns='urn:xmpp:sm:3' h='{self.handled}' "
                    f"previd='{element.get('previd')}'/>")
        if element.tag == SM + 'r':
            return '' if self.mute else f"<a xmlns='urn:xmpp:sm:3' h='{self.handled}'/>"
        if element.tag == SM + 'a':
            self.acked = int(element.get('h'))
            return ''
        if element.get('id') == 'terse-carbons':
            return "<iq type='result' id='terse-carbons'/>"
        return None

    async def until_acked(self, h):
        async def wait():
            while self.acked != h:
                await asyncio.sleep(0.01)
        await asyncio.wait_for(wait(), 10)

    async def bodies(self, *texts):
        """Exactly these messages come next."""
        for text in texts:
            assert (await self.next()).findtext(CLIENT + 'body') == text

    async def nothing(self, seconds=0.3):
        with pytest.raises(asyncio.TimeoutError):
            await self.next(seconds)


def b64(data):
    return base64.b64encode(data).decode()


class Modern(Managed):
    """Speaks XEP-0388 itself, with all that goes with it."""

    def answer(self, element):
        if element.tag != SASL2 + 'authenticate':
            return super().answer(element)
        server = self.server
        self.asked = element
        resume = element.find(SM + 'resume')
        token = server.token
        server.token = 'token-' + str(len(server.sessions))
        if resume is not None and server.resumes is not None:
            self.handled = server.resumes
            how = (f"<resumed xmlns='urn:xmpp:sm:3' h='{self.handled}' "
                   f"previd='{resume.get('previd')}'/>")
        else:
            self.handled = 0
            how = ("<bound xmlns='urn:xmpp:bind:0'><enabled "
                   "xmlns='urn:xmpp:sm:3' id='modern' resume='true'/></bound>")
        said = b64(hmac.digest(token.encode(), b'Responder', 'sha256'))
        self.server.bound.put_nowait(self)
        return (f"<success xmlns='urn:xmpp:sasl:2'><additional-data>{said}"
                f'</additional-data><authorization-identifier>user@{FAKE}/r'
                f"</authorization-identifier>{how}<token xmlns='urn:xmpp:"
                f"fast:0' expiry='2030-01-01T00:00:00Z' token='{server.token}'"
                f'/></success><stream:features>{CSI}</stream:features>')


MODERN = (
    "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN"
    "</mechanism></mechanisms><authentication xmlns='urn:xmpp:sasl:2'>"
    '<mechanism>PLAIN</mechanism><mechanism>HT-SHA-256-NONE</mechanism>'
    "<inline><bind xmlns='urn:xmpp:bind:0'><inline><feature "
    "var='urn:xmpp:sm:3'/></inline></bind><sm xmlns='urn:xmpp:sm:3'/>"
    "<fast xmlns='urn:xmpp:fast:0'><mechanism>HT-SHA-256-NONE</mechanism>"
    '</fast></inline></authentication>')


@pytest.fixture
def world():
    return Scene()


async def scripted(world, bound=BIND + MANAGED, kind=Managed, resumes=None,
                   **options):
    """A server, and a tersed in front of it."""
    server = {'bound_features': bound, 'kind': kind}
    if kind is Modern:
        server['features'] = MODERN
    fake = await world.fake(**server)
    fake.resumes, fake.token = resumes, 'first'
    tersed = world.proxy(fake.port, **{'ack_delay': '50ms',
                                       'log_level': 'debug', **options})
    return fake, tersed


async def enter(fake, tersed, **options):
    """A phone that is logged in, its <success/>, its session at the server."""
    phone = Phone('user', 'pw', FAKE)
    for name in ('id', 'handled', 'sent', 'bounds'):
        if name in options:
            setattr(phone, name, options.pop(name))
    success, session = await asyncio.gather(
        phone.login(tersed.port, **options), fake.session())
    assert success.tag == SASL2 + 'success'
    return phone, success, session


async def told(phone, h):
    """The phone hears that the server has so many."""
    await phone.expect(lambda e: e.tag == SM + 'a' and int(e.get('h')) == h)


async def hear(phone, *texts):
    for text in texts:
        got = await phone.expect(lambda e: e.tag == CLIENT + 'message')
        assert got.findtext(CLIENT + 'body') == text


def ack(h):
    return f"<a xmlns='urn:xmpp:sm:3' h='{h}'/>"


# -- counts ----------------------------------------------------------------------


async def test_counts_wrap_at_2_to_the_32(world):
    """A session that has lasted long: both counts go past the end, acknowledged
    and not, and it is lost and comes back in the middle of that."""
    most = 2 ** 32 - 1
    fake, tersed = await scripted(world, resumes=most)
    phone, success, session = await enter(
        fake, tersed, id='srv', handled=most - 1, sent=most, resume='srv')
    assert success.find(SM + 'resumed').get('h') == str(most)
    assert session.resume.get('h') == str(most - 1)
    await phone.send(message('up 1'), message('up 2'), message('up 3'))
    await session.bodies('up 1', 'up 2', 'up 3')
    await told(phone, 2)
    await session.send(''.join(message(f'down {i}') for i in range(4)))
    await hear(phone, 'down 0', 'down 1')
    assert phone.handled in (0, 1, 2)  # of the last two it may know already
    await phone.send(ack(0))
    await session.until_acked(0)
    await phone.drop()
    tersed.until_logged('event=move on=client-lost')
    await session.send(message('down 4'))
    phone.inbox.clear()
    phone.handled = 0  # 'down 2' and 3 never made it
    success = await phone.comeback(tersed.port)
    assert success.find(SM + 'resumed').get('h') == '2'
    await hear(phone, 'down 2', 'down 3', 'down 4')
    assert phone.handled == 3
    await phone.send(ack(3), message('up 4'))
    await session.until_acked(3)
    await session.bodies('up 4')
    await told(phone, 3)


class Hasty(Managed):
    """Has something to say before it counts."""

    def answer(self, element):
        answer = super().answer(element)
        if element.tag == SM + 'enable':
            return message('first') + message('second') + answer
        return answer


class Overheard(Managed):
    """A contact knows which ids tersed uses, and is quicker than the server."""

    def answer(self, element):
        answer = super().answer(element)
        if element.get('id') == 'terse-carbons':
            return ''.join(
                f"<iq type='{kind}' id='terse-carbons' from='{who}'/>"
                for kind, who in (('result', f'mallory@{FAKE}/r'),
                                  ('get', f'user@{FAKE}/other'))) + answer
        return answer


async def test_a_contacts_iq_is_no_answer_to_tersed(world):
    fake, tersed = await scripted(world, kind=Overheard)
    phone, _, session = await enter(fake, tersed)
    for who in (f'mallory@{FAKE}/r', f'user@{FAKE}/other'):
        iq = await phone.expect(lambda e: e.tag == CLIENT + 'iq')
        assert iq.get('id') == 'terse-carbons' and iq.get('from') == who
    await session.send(message('still here'))
    await hear(phone, 'still here')


async def test_what_the_server_did_not_count_is_sent_again(world):
    """And the counts stay true: else what was last would come with each return."""
    fake, tersed = await scripted(world, kind=Hasty)
    phone, _, session = await enter(fake, tersed)
    assert phone.id == '~2~srv'
    await hear(phone, 'first', 'second')
    await session.send(message('third'))
    await hear(phone, 'third')
    for known, told in ((1, ('second', 'third')), (1, ('second', 'third')),
                        (2, ('third',)), (3, ())):
        await phone.drop()
        tersed.until_logged('event=move on=client-lost')
        phone.handled = known
        assert (await phone.comeback(tersed.port)).tag == SASL2 + 'success'
        await hear(phone, *told)
        assert phone.handled == 3
    await session.until_acked(1)
    await session.send(message('fourth'))
    await hear(phone, 'fourth')
    await phone.send(ack(4))
    await session.until_acked(2)


@pytest.mark.parametrize('how', ['sasl2', 'classic'])
async def test_count_below_what_the_server_did_not_count(world, how):
    """Of two stanzas that came before <enabled/> one was lost: the server must
    not hear that the phone has 2^32 - 1 of its own, and drop them all."""
    fake, tersed = await scripted(world, resumes=0)
    phone = Phone('user', 'pw', FAKE)
    phone.handled = 1
    if how == 'sasl2':
        login = phone.login(tersed.port, resume='~2~srv')
    else:
        login = phone.classic(tersed.port, resume='~2~srv')
    _, session = await asyncio.gather(login, fake.session())
    assert session.resume.get('previd') == 'srv'
    assert session.resume.get('h') == '0'


async def too_high(phone, h, sent):
    """The stream error that XEP-0198 has for it."""
    error = await phone.expect(lambda e: e.tag.endswith('}error'))
    assert error.find(ERRORS + 'undefined-condition') is not None
    assert error.find(TOO_HIGH).attrib == {'h': str(h), 'send-count': str(sent)}
    await phone.peer.until_end()


async def test_client_that_acknowledges_what_it_was_not_sent(world):
    fake, tersed = await scripted(world)
    phone, _, session = await enter(fake, tersed)
    await session.send(message('one'))
    await hear(phone, 'one')
    await phone.send(ack(2))
    await too_high(phone, 2, 1)
    await asyncio.wait_for(session.ended.wait(), 10)
    assert session.acked == 0


async def test_server_that_acknowledges_what_it_was_not_sent(world):
    """It is told, and the client does not hear that its stanzas arrived."""
    fake, tersed = await scripted(world)
    phone, _, session = await enter(fake, tersed)
    await phone.send(message('one'))
    await session.bodies('one')
    await session.send(ack(7))
    error = await phone.expect(lambda e: e.tag.endswith('}error'))
    assert error.find(ERRORS + 'remote-connection-failed') is not None
    assert phone.acked <= 1
    error = await session.next()
    assert error.tag.endswith('}error')
    assert error.find(ERRORS + 'undefined-condition') is not None
    assert error.find(TOO_HIGH).attrib == {'h': '7', 'send-count': '1'}
    await asyncio.wait_for(session.ended.wait(), 10)
    assert session.footer


@pytest.mark.parametrize('stands', [True, False])
async def test_two_come_back_while_the_server_has_not_answered(world, stands):
    """The first waits to hear what the server has, and is still there, or lost
    again, when the second comes: by password, since the token is used up. The
    second gets it all, once."""
    fake, tersed = await scripted(world)
    phone, _, session = await enter(fake, tersed)
    session.mute = True
    await phone.send(message('up'))
    await session.bodies('up')
    await session.send(message('down'))
    await hear(phone, 'down')
    phone.handled -= 1  # it never made it
    await phone.drop()
    tersed.until_logged('event=move on=client-lost')
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(phone.comeback(tersed.port), 0.5)
    tersed.until_logged('to=resuming')
    first = phone.peer
    if not stands:
        await phone.drop()
    second = asyncio.create_task(phone.login(tersed.port, resume=phone.id))
    await asyncio.sleep(0.7)
    assert not second.done()
    session.mute = False  # it is asked once more
    await session.send(ack(1))
    success = await second
    assert success.find(SM + 'resumed').get('h') == '1'
    await hear(phone, 'down')
    if stands:
        await asyncio.wait_for(first.until_end(), 10)
    await session.send(message('more'))
    await hear(phone, 'more')
    await phone.drop()
    tersed.until_logged('event=move on=client-lost', 2)
    assert (await phone.comeback(tersed.port)).tag == SASL2 + 'success'


async def test_server_that_does_not_answer_keeps_its_session(world):
    """Whoever comes back hears of it after a while; the server gets no footer,
    so the session can be resumed there."""
    fake, tersed = await scripted(world, negotiate_timeout='1s')
    phone, _, session = await enter(fake, tersed)
    session.mute = True
    await phone.send(message('up'))
    await session.bodies('up')
    await phone.drop()
    tersed.until_logged('event=move on=client-lost')
    back = asyncio.create_task(phone.comeback(tersed.port))
    await asyncio.wait_for(session.ended.wait(), 10)
    assert not session.footer
    with pytest.raises(AssertionError, match='the connection ended'):
        await back
    assert phone.inbox[-1].find(ERRORS + 'remote-connection-failed') is not None


async def test_session_that_the_server_has_moved_is_not_gone_on_with(world):
    """Nothing is missing, so it could go on; but the server, asked, says that it
    is elsewhere."""
    fake, tersed = await scripted(world)
    phone, _, session = await enter(fake, tersed)
    await phone.drop()
    tersed.until_logged('event=move on=client-lost')
    session.mute = True
    back = asyncio.create_task(phone.comeback(tersed.port))
    await asyncio.sleep(0.5)
    tersed.until_logged('to=resuming')
    assert not back.done()
    await session.send(CONFLICT)
    with pytest.raises(AssertionError, match='the connection ended'):
        await back
    assert phone.inbox[-1].find(ERRORS + 'remote-connection-failed') is not None
    assert not [e for e in phone.inbox if e.tag == SASL2 + 'success']


# -- nothing before authentication ---------------------------------------------------


async def test_nothing_is_acted_on_before_authentication(world):
    """Who has no good token says in its first flight that all was received, and
    sends on: the session that it means does not move, drops nothing, and hears
    nothing of it."""
    fake, tersed = await scripted(world)
    phone, _, session = await enter(fake, tersed)
    await session.send(message('one') + message('two'))
    await hear(phone, 'one', 'two')
    thief = Phone('user', 'pw', FAKE)
    thief.id, thief.token = phone.id, 'A' * 32
    await thief.connect(tersed.port)
    thief.open()
    thief.authenticate('HT-SHA-256-NONE', b64(b'user\0' + hmac.digest(
        thief.token.encode(), b'Initiator', 'sha256')), phone.id, bind=False,
        count=2, extra="<fast xmlns='urn:xmpp:fast:0'/>")
    thief.write(ack(2), INACTIVE, message('stolen'))
    await thief.flush()
    failure = await thief.expect(lambda e: e.tag == SASL2 + 'failure')
    assert failure[0].tag.endswith('}not-authorized')
    thief.peer.close()
    # The same with a password that is wrong, which only the server can tell.
    fake.kind = Refusing
    wrong = Phone('user', 'wrong', FAKE)
    step = await wrong.login(tersed.port, resume=phone.id, count=2)
    assert step.tag == SASL2 + 'failure'
    wrong.peer.close()
    await session.send("<r xmlns='urn:xmpp:sm:3'/>" + message('three'))
    await hear(phone, 'three')
    assert session.acked == 0 and session.elements.empty()
    assert b'stolen' not in session.bytes and b'inactive' not in session.bytes
    phone.handled = 1  # 'two' and 'three' never made it: they are still here
    await phone.drop()
    tersed.until_logged('event=move on=client-lost')
    assert (await phone.comeback(tersed.port)).tag == SASL2 + 'success'
    await hear(phone, 'two', 'three')


class Refusing(Session):
    async def came(self, element):
        if element.tag == SASL + 'auth':
            await self.send("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
                            '<not-authorized/></failure>')


class Crossing(Managed):
    """Is slow to judge the first login of a connection that is not its first:
    <abort/> and the next login overtake it."""

    tries = 0

    def answer(self, element):
        if element.tag == SASL + 'abort':
            return f"<failure xmlns='{SASL[1:-1]}'><aborted/></failure>"
        if element.tag == SASL + 'auth' and self is not self.server.sessions[0]:
            self.tries += 1
            return '' if self.tries == 1 else None
        return super().answer(element)


async def test_success_of_an_earlier_try_proves_nothing_else(world):
    """A thief logs in as himself, and names somebody else before he is told."""
    fake, tersed = await scripted(world, kind=Crossing, resumes=0)
    phone, _, _ = await enter(fake, tersed)
    await phone.drop()
    tersed.until_logged('event=move on=client-lost')
    thief = Phone('thief', 'pw', FAKE)
    await thief.connect(tersed.port)
    thief.open()
    await thief.expect(lambda e: e.tag == FEATURES)
    thief.authenticate('PLAIN', b64(b'\0thief\0pw'))
    await thief.send("<abort xmlns='urn:xmpp:sasl:2'/>")
    await thief.expect(lambda e: e.tag == SASL2 + 'failure')
    thief.authenticate('PLAIN', b64(b'\0user\0wrong'), resume=phone.id,
                       count=phone.handled)
    # The server has to decide: this one does not look who it is.
    await asyncio.gather(thief.expect(lambda e: e.tag == SASL2 + 'success'),
                         fake.session())
    assert not tersed.logged('event=resumed')
    assert (await phone.comeback(tersed.port)).tag == SASL2 + 'success'


async def test_token_is_for_its_domain(world):
    fake = await world.fake(bound_features=BIND + MANAGED, kind=Managed)
    fake.resumes = None
    other = 'other.example.net'
    tersed = world.proxy(fake.port, {
        other: {'server': f'127.0.0.1:{fake.port}', 'starttls': 'off'}},
        log_level='debug')
    phone, _, _ = await enter(fake, tersed)
    await phone.drop()
    tersed.until_logged('event=move on=client-lost')
    phone.domain = other
    assert (await phone.comeback(tersed.port)).tag == SASL2 + 'failure'
    phone.domain = FAKE
    assert (await phone.comeback(tersed.port)).tag == SASL2 + 'success'


async def test_ids_of_two_servers_may_be_the_same(world):
    """Else whoever runs one of them could have the other's sessions not found."""
    options = {'bound_features': BIND + MANAGED, 'kind': Managed}
    fake, there = await world.fake(**options), await world.fake(**options)
    other = 'other.example.net'
    tersed = world.proxy(fake.port, {
        other: {'server': f'127.0.0.1:{there.port}', 'starttls': 'off'}},
        log_level='debug')
    phone, _, _ = await enter(fake, tersed)
    await phone.drop()
    tersed.until_logged('event=move on=client-lost')
    second = Phone('user', 'pw', other)
    success, _ = await asyncio.gather(second.login(tersed.port),
                                      there.session())
    assert success.tag == SASL2 + 'success' and second.id == phone.id
    assert (await phone.comeback(tersed.port)).tag == SASL2 + 'success'
    await second.drop()
    assert (await second.comeback(tersed.port)).tag == SASL2 + 'success'


async def test_token_ends_with_the_servers_stream(world):
    """An account is closed, say: the server's word is the last, for a phone
    that is away as well."""
    fake, tersed = await scripted(world)
    phone, _, session = await enter(fake, tersed)
    await phone.drop()
    tersed.until_logged('event=move on=client-lost')
    await session.send("<stream:error><not-authorized xmlns='urn:ietf:params:"
                       "xml:ns:xmpp-streams'/></stream:error></stream:stream>")
    await asyncio.wait_for(session.ended.wait(), 10)
    assert (await phone.comeback(tersed.port)).tag == SASL2 + 'failure'


async def test_stanza_in_the_flight_of_the_login_comes_after_it(world):
    """The server could not take it behind <auth/>. It counts like any other, and
    what follows it stays behind it."""
    fake, tersed = await scripted(world)
    phone = Phone('user', 'pw', FAKE)
    await phone.connect(tersed.port)
    phone.open()
    phone.authenticate('PLAIN', plain())
    phone.write(message('one'), message('two'))
    await phone.flush()
    await phone.expect(lambda e: e.tag == SASL2 + 'success')
    assert phone.trips == 1
    session = await fake.session()
    await session.bodies('one', 'two')
    assert session.handled == 2
    await told(phone, 2)
    await phone.send(message('three'))
    await session.bodies('three')


@pytest.mark.parametrize('by', ['password', 'token'])
async def test_stanza_in_the_flight_of_the_return_comes_after_it(world, by):
    """The same, to a session that was held."""
    fake, tersed = await scripted(world)
    phone, _, session = await enter(fake, tersed)
    await phone.drop()
    tersed.until_logged('event=move on=client-lost')
    await phone.connect(tersed.port)
    phone.open()
    proof = hmac.digest(phone.token.encode(), b'Initiator', 'sha256')
    mechanism, initial = {
        'password': ('PLAIN', plain()),
        'token': ('HT-SHA-256-NONE', b64(b'user\0' + proof))}[by]
    phone.authenticate(mechanism, initial, phone.id, bind=False)
    phone.write(message('one'), message('two'))
    await phone.flush()
    success = await phone.expect(lambda e: e.tag == SASL2 + 'success')
    assert success.find(SM + 'resumed').get('h') == '0'
    await session.bodies('one', 'two')
    assert session.handled == 2
    await told(phone, 2)


# -- a server that cannot do it -----------------------------------------------------


async def test_server_without_stream_management(world):
    """The login is as short; nothing is acknowledged, and nothing held."""
    fake, tersed = await scripted(world, bound=BIND + CSI)
    phone, success, session = await enter(fake, tersed)
    assert phone.trips == 1  # a script without a challenge
    bound = success.find(BIND2 + 'bound')
    assert bound.find(SM + 'enabled') is None
    assert bound.find(SM + 'failed') is not None
    assert phone.token is None
    await phone.send(message('up'))
    await session.bodies('up')
    await session.send(message('down'))
    await hear(phone, 'down')
    await phone.send(INACTIVE)
    assert (await session.next()).tag.endswith('}inactive')
    await phone.drop()
    await asyncio.wait_for(session.ended.wait(), 10)
    assert b'urn:xmpp:sm:3' not in session.bytes
    assert not tersed.logged('on=client-lost')
    # The id of a session that there was: a new one.
    phone, success, _ = await enter(fake, tersed, id='old', resume='old')
    assert success.find(SM + 'failed') is not None
    assert success.find(BIND2 + 'bound') is not None


@pytest.mark.parametrize('features,hears', [(BIND + MANAGED, False),
                                            (BIND + MANAGED + CSI, True)])
async def test_client_state_is_for_servers_that_know_it(world, features, hears):
    """Presence waits here either way. A server that knows XEP-0352 hears of
    each change, of a loss as well; one that does not, of none."""
    fake, tersed = await scripted(world, bound=features)
    phone, _, session = await enter(fake, tersed)
    await phone.send(INACTIVE, message('a'))
    if hears:
        assert (await session.next()).tag.endswith('}inactive')
    await session.bodies('a')
    await session.send('<presence/>' + message('b'))
    order = [(await phone.expect(lambda e: e.tag.startswith(CLIENT))).tag
             for _ in range(2)]
    assert order == [CLIENT + 'presence', CLIENT + 'message']
    await phone.send(ACTIVE, message('c'))
    if hears:
        assert (await session.next()).tag.endswith('}active')
    await session.bodies('c')
    await phone.drop()
    tersed.until_logged('event=move on=client-lost')
    if hears:
        assert (await session.next()).tag.endswith('}inactive')
    await phone.comeback(tersed.port)
    await phone.send(message('d'))
    if hears:
        assert (await session.next()).tag.endswith('}active')
    await session.bodies('d')


# -- limits of waiting ----------------------------------------------------------------


def bounds(wait=None, size=None):
    """`wait` and `wait_bytes` of terse.Frame, beside the header."""
    def field(number, value):
        return (b'' if value is None else
                varint(number << 3) + varint(value))
    return field(23, wait) + field(24, size)


def varint(n):
    return native(b'\0' * n)[:-n] if n else b'\0'


async def waits(phone, session, seconds):
    """How long presence waited, at most `seconds`."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await session.send('<presence/>')
    try:
        await phone.expect(lambda e: e.tag == CLIENT + 'presence', seconds)
    except asyncio.TimeoutError:
        return None
    return loop.time() - began


@pytest.mark.parametrize('said,operator,least,most', [
    (None, '60s', None, None),  # as the operator says
    (1, '60s', 0.9, 3),         # the client wants less
    (0, '60s', 0, 0.8),         # and nothing at all
    (60, '1s', 0.9, 3),         # it cannot have more
])
async def test_client_says_how_long_things_may_wait(world, said, operator,
                                                    least, most):
    fake, tersed = await scripted(world, coalesce=operator)
    phone, _, session = await enter(fake, tersed, bounds=bounds(said))
    await phone.send(INACTIVE, ACTIVE, INACTIVE, message('a'))
    await session.bodies('a')
    took = await waits(phone, session, most or 2)
    if most is None:
        assert took is None
        # What may not wait does not, and what waited goes before it.
        await session.send(message('now'))
        order = [(await phone.expect(lambda e: e.tag.startswith(CLIENT), 1)).tag
                 for _ in range(2)]
        assert order == [CLIENT + 'presence', CLIENT + 'message']
    else:
        assert took is not None and least <= took, took


async def test_client_says_how_much_may_wait(world):
    """And says it anew with each connection."""
    fake, tersed = await scripted(world, coalesce='60s', coalesce_bytes='8k')
    phone, _, session = await enter(fake, tersed, bounds=bounds(size=1500))
    await phone.send(INACTIVE, message('a'))
    await session.bodies('a')
    status = f'<presence><status>{os.urandom(300).hex()}</status></presence>'
    await session.send(status)
    with pytest.raises(asyncio.TimeoutError):
        await phone.expect(lambda e: e.tag == CLIENT + 'presence', 0.5)
    await session.send(status * 2)  # what a frame costs counts as well
    for _ in range(2):
        await phone.expect(lambda e: e.tag == CLIENT + 'presence', 5)
    await phone.drop()
    tersed.until_logged('event=move on=client-lost')
    phone.bounds = bounds(size=0)
    await phone.comeback(tersed.port)
    await phone.send(INACTIVE, message('b'))
    await session.bodies('b')
    assert await waits(phone, session, 5) is not None


# -- a server that speaks XEP-0388 itself ----------------------------------------------


def plain():
    return b64(b'\0user\0pw')


async def at_modern(fake, tersed, resume=None, first=(), handled=0):
    """A login with PLAIN, and stanzas in the same flight."""
    phone = Phone('user', 'pw', FAKE)
    phone.handled = handled
    await phone.connect(tersed.port)
    phone.open()
    await phone.flush()
    features = await phone.expect(lambda e: e.tag == FEATURES)
    phone.authenticate('PLAIN', plain(), resume)
    phone.write(*first)
    await phone.flush()
    success = await phone.expect(lambda e: e.tag == SASL2 + 'success')
    await phone.expect(lambda e: e.tag == FEATURES)
    phone.sent += len(first)
    return phone, features, success, await fake.session()


async def test_server_with_sasl2_of_its_own_is_not_doubled(world):
    """Features, tokens and ids are the server's, and so is the way back; what
    was agreed on along with the login is counted all the same, with what was
    sent behind <authenticate/>."""
    fake, tersed = await scripted(world, kind=Modern)
    phone, features, success, session = await at_modern(
        fake, tersed, first=[message('early')])
    offers = features.find(SASL2 + 'authentication')
    assert len(features.findall(SASL2 + 'authentication')) == 1
    assert len(list(offers.iter(FAST + 'fast'))) == 1
    assert [m.text for m in offers.findall(SASL2 + 'mechanism')] == [
        'PLAIN', 'HT-SHA-256-NONE']
    assert phone.id == 'modern' and phone.token == 'token-1'
    await session.bodies('early')
    await told(phone, 1)
    await phone.send(message('up'), "<r xmlns='urn:xmpp:sm:3'/>")
    await session.bodies('up')
    await told(phone, 2)
    # Down: only what the client has acknowledged.
    await session.send(message('down') + "<r xmlns='urn:xmpp:sm:3'/>")
    await hear(phone, 'down')
    await session.nothing()
    assert session.acked == 0
    await phone.send(ack(1))
    await session.until_acked(1)
    # What may wait waits, and the server knows.
    await phone.send(INACTIVE)
    assert (await session.next()).tag.endswith('}inactive')
    await session.send('<presence/>')
    with pytest.raises(asyncio.TimeoutError):
        await phone.expect(lambda e: e.tag == CLIENT + 'presence', 0.4)
    await session.send(message('now'))
    await phone.expect(lambda e: e.tag == CLIENT + 'presence')
    await hear(phone, 'now')
    # A count that is too high is still one.
    await phone.send(ack(9))
    await too_high(phone, 9, 3)


@pytest.mark.parametrize('by', ['token', 'password'])
async def test_server_with_sasl2_of_its_own_resumes(world, by):
    """By its own token in the first flight, or a password. Its old connection
    is not held, and ends without a footer; counts go on."""
    fake, tersed = await scripted(world, kind=Modern)
    phone, _, _, session = await at_modern(fake, tersed)
    await phone.send(message('one'))
    await session.bodies('one')
    await told(phone, 1)
    await session.send(message('two'))
    await hear(phone, 'two')
    await phone.drop()
    await asyncio.wait_for(session.ended.wait(), 10)
    assert not session.footer and not tersed.logged('on=client-lost')
    fake.resumes = 1
    if by == 'token':
        success = await phone.comeback(tersed.port)
        session = await fake.session()
        assert session.asked.get('mechanism') == 'HT-SHA-256-NONE'
        assert success.find(SM + 'resumed').get('h') == '1'
    else:
        again, _, success, session = await at_modern(
            fake, tersed, resume=phone.id, first=[message('three')],
            handled=phone.handled)
        again.sent = phone.sent + 1
        phone = again
        await session.bodies('three')
        await told(phone, 2)
    assert session.asked.find(SM + 'resume').get('previd') == 'modern'
    sent = phone.sent
    await phone.send(message('four'))
    await session.bodies('four')
    await told(phone, sent + 1)
    await session.send(message('five') + "<r xmlns='urn:xmpp:sm:3'/>")
    await hear(phone, 'five')
    await phone.send(ack(2))
    await session.until_acked(2)
