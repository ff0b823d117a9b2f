"""What XMPP programs do, over every way to reach a real server.

Each scenario is written once; the ways that go straight to the server are the
control for those that go through Terse.
"""
import asyncio
from xml.etree import ElementTree as ET

import pytest

from drivers import (CLIENT, LANG, MUC, ROSTER, SM, STANZA_ERROR, Gone,
                     LoginRefused, PlainClient, StropheClient, bare,
                     condition, parse)
from servers import DOMAIN

DISCO = '{http://jabber.org/protocol/disco#info}'
CARBONS = '{urn:xmpp:carbons:2}'
FORWARD = '{urn:xmpp:forward:0}'
MAM = '{urn:xmpp:mam:2}'
PUBSUB = 'http://jabber.org/protocol/pubsub'
TUNE = 'http://jabber.org/protocol/tune'

# What the servers, as the tests have them, do each in its own way.
DIFFERENCES = {
    'ejabberd': {
        'name of the software': 'ejabberd',
        'error for a domain that is not': 'remote-server-not-found',
        'error for a stranger': 'not-authorized',
    },
    'prosody': {
        'name of the software': 'Prosody',
        'error for a domain that is not': 'not-allowed',  # s2s is off
        'error for a stranger': 'forbidden',
    },
}

TEXTS = [
    'Good morning, how are you?',
    'Grüße aus Köln – „schön“, daß du da bist',
    'Привет, как дела? Ёжик',
    'こんにちは、元気ですか',
    'שלום עולם and مرحبا بالعالم',
    'नमस्ते दुनिया',
    '👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 𝒳𝓂𝓅𝓅 𐍈',
    '<b>&amp; "quoted" \'single\' ]]> <!-- no --> &#x26;',
    '  two  leading spaces, a\ttab,\na line end, and trailing  ',
    'cafe\u0301 and café, zero\u200bwidth, nbsp\u00a0, \u2028 separator',
    'true', '007', '0', '-0', '1.0', 'null', '\\n \\ \\\\',
    'c2lnbmVk', '6ba7b810-9dad-11d1-80b4-00c04fd430c8',
    '6BA7B810-9DAD-11D1-80B4-00C04FD430C8', 'jabber:client', 'x' * 20000,
]


def differs(world, what):
    """What this server does of that."""
    return DIFFERENCES[world.server.name][what]


def message_from(jid, body=None, kind=None):
    def fits(e):
        return (e.tag == CLIENT + 'message' and e.get('type') != 'error' and
                (e.get('from') == jid or bare(e.get('from')) == jid) and
                (kind is None or e.get('type') == kind) and
                (body is None or e.findtext(CLIENT + 'body') == body))
    return fits


def language(e):
    """Its xml:lang; libstrophe forgets the namespaces of attributes."""
    return e.get(LANG) or e.get('lang')


def presence_from(jid, kind=None):
    def fits(e):
        return (e.tag == CLIENT + 'presence' and e.get('type') == kind and
                (e.get('from') == jid or bare(e.get('from')) == jid))
    return fits


def push(jid):
    """A roster push about jid."""
    def fits(e):
        item = e.find(f'{ROSTER}query/{ROSTER}item')
        return (e.tag == CLIENT + 'iq' and e.get('type') == 'set' and
                item is not None and item.get('jid') == jid)
    return fits


def error_of(reply):
    """The condition of an error reply."""
    assert reply.get('type') == 'error', ET.tostring(reply)
    return condition(reply.find(CLIENT + 'error'), STANZA_ERROR)


# -- login ------------------------------------------------------------------


@pytest.mark.parametrize('mechanism,label', [('SCRAM-SHA-1', 'sha1'),
                                             ('SCRAM-SHA-256', 'sha256')])
async def test_login_scram_succeeds(world, mechanism, label):
    domain = f'{label}.{DOMAIN}'  # a domain that offers this mechanism only
    user = world.account('scram', domain)
    client = await world.login(user, 'phone', domain, mechanism=mechanism)
    if world.phone:
        assert client.jid.startswith(f'{user}@{domain}/terse.')
    else:
        assert client.jid == f'{user}@{domain}/phone'
    await client.flush()


@pytest.mark.parametrize('label', ['sha1', 'sha256'])
async def test_login_wrong_password_is_not_authorized(world, label):
    domain = f'{label}.{DOMAIN}'
    user = world.account('scram', domain)
    with pytest.raises(LoginRefused) as refused:
        await world.login(user, domain=domain, password='wrong')
    assert refused.value.condition == 'not-authorized'


async def test_login_password_of_any_script_succeeds(world):
    password = 'Пароль-ß-密码'
    client = await world.login(world.name('script'), password=password,
                               register=True)
    await client.flush()


# -- roster and presence ----------------------------------------------------


async def test_roster_set_push_remove(world):
    user = world.account('alice')
    phone = await world.online(user, 'phone')
    desk = await world.online(user, 'desk')
    assert len(await phone.roster()) == 0
    await desk.roster()
    friend = f'friend@{DOMAIN}'

    reply = await phone.roster_set(friend, 'Frédéric & Søn <3', ['Työ', 'a b'])
    assert reply.get('type') == 'result'
    for client in (phone, desk):
        item = (await client.expect(push(friend), 'push'))[0][0]
        assert item.get('name') == 'Frédéric & Søn <3'
        assert item.get('subscription') == 'none'
        assert {g.text for g in item} == {'Työ', 'a b'}

    items = list(await desk.roster())
    assert [i.get('jid') for i in items] == [friend]
    assert {g.text for g in items[0]} == {'Työ', 'a b'}

    reply = await desk.roster_remove(friend)
    assert reply.get('type') == 'result'
    for client in (phone, desk):
        item = (await client.expect(push(friend), 'push'))[0][0]
        assert item.get('subscription') == 'remove'
    assert len(await phone.roster()) == 0


async def befriend(alice, bob):
    """Both see each other's presence from then on."""
    a, b = bare(alice.jid), bare(bob.jid)
    for one, other, one_jid, other_jid in ((alice, bob, a, b),
                                           (bob, alice, b, a)):
        await one.presence(other_jid, 'subscribe')
        await other.expect(presence_from(one_jid, 'subscribe'), 'subscribe')
        await other.presence(one_jid, 'subscribed')
        await one.expect(presence_from(other_jid, 'subscribed'), 'subscribed')
        await one.expect(presence_from(other_jid), 'presence')


async def test_presence_subscription_and_show(world):
    alice = await world.online(world.account('alice'))
    bob = await world.online(world.account('bob'))
    await alice.roster()
    await bob.roster()
    await befriend(alice, bob)
    for client, other in ((alice, bob), (bob, alice)):
        items = list(await client.roster())
        assert [(i.get('jid'), i.get('subscription')) for i in items] == [
            (bare(other.jid), 'both')]

    for show, status, priority in (
            ('away', 'Zurück um 5 – bis gleich', 5), ('dnd', '🔕', -1),
            ('xa', ' <gone> & "out" ', 127), ('chat', None, 0)):
        await alice.presence(show=show, status=status, priority=priority)
        seen = await bob.expect(
            lambda e: presence_from(alice.jid)(e) and
            e.findtext(CLIENT + 'show') == show, show)
        assert seen.findtext(CLIENT + 'status') == status
        assert int(seen.findtext(CLIENT + 'priority') or 0) == priority

    await alice.presence(kind='unavailable', status='bye')
    seen = await bob.expect(presence_from(alice.jid, 'unavailable'), 'bye')
    assert seen.findtext(CLIENT + 'status') == 'bye'

    await bob.presence(bare(alice.jid), 'unsubscribe')
    item = (await bob.expect(
        lambda e: push(bare(alice.jid))(e) and
        e[0][0].get('subscription') == 'from', 'push'))[0][0]
    assert item.get('ask') is None


async def test_presence_of_two_resources_is_kept_apart(world):
    user = world.account('alice')
    phone = await world.online(user, 'phone ☎')
    desk = await world.login(user, 'desk')
    await desk.presence(show='xa', priority=3)
    seen = await phone.expect(presence_from(desk.jid), 'presence of desk')
    assert seen.findtext(CLIENT + 'show') == 'xa'
    await desk.expect(presence_from(phone.jid), 'presence of phone')
    await desk.close()
    await phone.expect(presence_from(desk.jid, 'unavailable'), 'leave')


# -- chat --------------------------------------------------------------------


async def test_chat_any_text_arrives_as_sent(world):
    alice = await world.online(world.account('alice'))
    bob = await world.online(world.account('bob'))
    for text in TEXTS:
        await alice.message(bob.jid, text)
    got = [(await bob.expect(message_from(alice.jid), text[:30]))
           .findtext(CLIENT + 'body') for text in TEXTS]
    assert got == TEXTS
    for text in TEXTS:
        await bob.message(alice.jid, text)
    got = [(await alice.expect(message_from(bob.jid), text[:30]))
           .findtext(CLIENT + 'body') for text in TEXTS]
    assert got == TEXTS


async def test_chat_language_thread_subject_id_arrive(world):
    alice = await world.online(world.account('alice'))
    bob = await world.online(world.account('bob'))
    for ident in ('6ba7b810-9dad-11d1-80b4-00c04fd430c8', '00ff', '12', 'Ü/1',
                  'ABCDEF', '007'):
        await alice.message(
            bob.jid, 'Guten Tag', ident=ident, lang='de-AT', thread='t & <1>',
            subject='Überschrift', kind='normal',
            extra="<body xml:lang='fr'>Bonjour</body>"
                  "<body xml:lang='zh-Hant'>你好</body>")
        seen = await bob.expect(message_from(alice.jid), 'message')
        assert seen.get('id') == ident
        assert seen.get('type') in (None, 'normal')
        assert seen.findtext(CLIENT + 'thread') == 't & <1>'
        assert seen.findtext(CLIENT + 'subject') == 'Überschrift'
        bodies = {language(b) or language(seen): b.text
                  for b in seen.findall(CLIENT + 'body')}
        assert bodies == {'de-AT': 'Guten Tag', 'fr': 'Bonjour',
                          'zh-Hant': '你好'}


async def test_chat_states_receipts_markers_arrive(world):
    alice = await world.online(world.account('alice'))
    bob = await world.online(world.account('bob'))
    await alice.message(
        bob.jid, 'hi', ident='m1',
        extra="<active xmlns='http://jabber.org/protocol/chatstates'/>"
              "<request xmlns='urn:xmpp:receipts'/>"
              "<markable xmlns='urn:xmpp:chat-markers:0'/>"
              "<origin-id xmlns='urn:xmpp:sid:0' id='m1'/>")
    seen = await bob.expect(message_from(alice.jid), 'message')
    tags = [e.tag for e in seen]
    for tag in ('{http://jabber.org/protocol/chatstates}active',
                '{urn:xmpp:receipts}request',
                '{urn:xmpp:chat-markers:0}markable',
                '{urn:xmpp:sid:0}origin-id'):
        assert tag in tags
    await bob.message(alice.jid, extra="<received xmlns='urn:xmpp:receipts' "
                                       "id='m1'/>")
    receipt = await alice.expect(message_from(bob.jid), 'receipt')
    assert receipt.find('{urn:xmpp:receipts}received').get('id') == 'm1'


async def test_chat_to_nobody_gives_error(world):
    alice = await world.online(world.account('alice'))
    nobody = f'{world.name("nobody")}@{DOMAIN}'
    await alice.message(nobody, 'hello?', ident='lost')
    seen = await alice.expect(
        lambda e: e.tag == CLIENT + 'message' and e.get('id') == 'lost',
        'error')
    assert error_of(seen) == 'service-unavailable'


CUSTOM = (
    "<custom xmlns='urn:example:custom:0' plain='1' spaced='  a  b ' "
    "q='&lt;&amp;&quot;&apos;' xmlns:y='urn:example:attr' "
    "emoji='🦊' empty=''>\n  text before <child/> between "
    "<y:child lang='eo'>ĉu</y:child>"
    "<child xmlns='urn:example:inner'><deep><deeper/></deep>"
    "<iq xmlns='jabber:client' type='get' id='x'/></child>"
    "<x xmlns='jabber:x:data' type='form'><field var='a' type='boolean'>"
    "<value>1</value></field></x> after&#13;\t</custom>")


# The same, with attributes that have a namespace and elements that have none.
CUSTOM_NAMES = CUSTOM.replace("lang='eo'", "xml:lang='eo'").replace(
    "empty=''", "y:typed='true' y:empty='' empty='1'").replace(
        '<deep>', "<deep xmlns=''>")


@pytest.mark.parametrize('payload', [CUSTOM, CUSTOM_NAMES],
                         ids=['plain', 'names'])
async def test_chat_unknown_payload_arrives_whole(world, payload):
    if payload is CUSTOM_NAMES and world.kind is StropheClient:
        pytest.skip("libstrophe forgets attributes' namespaces and xmlns=''")
    alice = await world.online(world.account('alice'))
    bob = await world.online(world.account('bob'))
    for one, other in ((alice, bob), (bob, alice)):
        await one.send(f"<message to='{other.jid}' type='headline'>{payload}"
                       '</message>')
        seen = await other.expect(message_from(one.jid), 'payload')
        came = seen.find('{urn:example:custom:0}custom')
        sent = parse(f'<message>{payload}</message>')[0]
        assert ET.canonicalize(ET.tostring(came)) == ET.canonicalize(
            ET.tostring(sent))


# -- group chat --------------------------------------------------------------


def status_codes(presence):
    return {s.get('code') for s in presence.iter(f'{{{MUC}#user}}status')}


async def test_group_chat(world):
    room = f"{world.name('room')}@conference.{DOMAIN}"
    alice = await world.online(world.account('alice'))
    bob = await world.online(world.account('bob'))
    carol = await world.online(world.account('carol'))

    await alice.join(room, 'Алиса')
    own = await alice.expect(presence_from(f'{room}/Алиса'), 'own presence')
    assert {'110', '201'} <= status_codes(own)
    await bob.join(room, 'bob')
    await bob.expect(presence_from(f'{room}/Алиса'), 'occupant')
    own = await bob.expect(presence_from(f'{room}/bob'), 'own presence')
    assert '110' in status_codes(own)
    await alice.expect(presence_from(f'{room}/bob'), 'bob enters')

    await carol.join(room, 'bob')
    refused = await carol.expect(presence_from(f'{room}/bob', 'error'),
                                 'conflict')
    assert error_of(refused) == 'conflict'

    await alice.message(room, subject='Тема <дня>', kind='groupchat')
    for client in (alice, bob):
        seen = await client.expect(
            lambda e: message_from(room, kind='groupchat')(e) and
            e.findtext(CLIENT + 'subject') == 'Тема <дня>', 'subject')
        assert seen.get('from') == f'{room}/Алиса'

    await alice.message(room, 'hello, all', kind='groupchat', ident='g1')
    await bob.message(room, '你好 👋', kind='groupchat', ident='g2')
    for client in (alice, bob):
        for nick, ident, body in (('Алиса', 'g1', 'hello, all'),
                                  ('bob', 'g2', '你好 👋')):
            seen = await client.expect(
                message_from(f'{room}/{nick}', body, 'groupchat'), body)
            assert seen.get('id') == ident

    await bob.leave(room, 'bob')
    left = await bob.expect(presence_from(f'{room}/bob', 'unavailable'),
                            'own leave')
    assert '110' in status_codes(left)
    await alice.expect(presence_from(f'{room}/bob', 'unavailable'), 'leave')
    await bob.message(room, 'still here?', kind='groupchat', ident='g3')
    refused = await bob.expect(lambda e: e.get('id') == 'g3', 'error')
    assert error_of(refused) == 'not-acceptable'


# -- iq ------------------------------------------------------------------------


async def test_iq_results(world):
    alice = await world.online(world.account('alice'))
    bob = await world.online(world.account('bob'))
    reply = await alice.disco_info(DOMAIN)
    features = {f.get('var') for f in reply.iter(DISCO + 'feature')}
    assert {'urn:xmpp:ping', 'http://jabber.org/protocol/disco#info'} <= (
        features)
    assert ('server', 'im') in {(i.get('category'), i.get('type'))
                                for i in reply.iter(DISCO + 'identity')}
    reply = await alice.version(DOMAIN)
    assert reply.findtext('.//{jabber:iq:version}name') == (
        differs(world, 'name of the software'))
    assert (await alice.ping(DOMAIN)).get('type') == 'result'

    # From one client to another, and back.
    bob.software = ('e2e', '1.0')
    reply = await alice.version(bob.jid)
    assert reply.get('from') == bob.jid
    assert reply.findtext('.//{jabber:iq:version}name') == 'e2e'
    assert reply.findtext('.//{jabber:iq:version}version') == '1.0'
    assert (await alice.ping(bob.jid)).get('type') == 'result'


async def test_iq_set_stores_and_get_returns(world):
    alice = await world.online(world.account('alice'))
    note = ("<notes xmlns='urn:example:notes'><n at='1'> a &lt; b </n>"
            '<n/>\n</notes>')
    reply = await alice.iq('set', "<query xmlns='jabber:iq:private'>"
                           f'{note}</query>')
    assert reply.get('type') == 'result'
    reply = await alice.iq('get', "<query xmlns='jabber:iq:private'>"
                           "<notes xmlns='urn:example:notes'/></query>")
    came = reply.find('.//{urn:example:notes}notes')
    assert ET.canonicalize(ET.tostring(came)) == ET.canonicalize(
        ET.tostring(parse(note)))


async def test_iq_errors(world):
    alice = await world.online(world.account('alice'))
    bob = await world.online(world.account('bob'))
    unknown = "<query xmlns='urn:example:unknown'/>"
    assert error_of(await alice.iq('get', unknown, DOMAIN)) in (
        'service-unavailable', 'feature-not-implemented')
    reply = await alice.iq('set', unknown, bob.jid)
    assert error_of(reply) in ('service-unavailable',
                               'feature-not-implemented')
    assert reply.get('from') == bob.jid
    reply = await alice.ping(f'{bare(bob.jid)}/away')
    assert error_of(reply) == 'service-unavailable'
    reply = await alice.iq('get', "<query xmlns='jabber:iq:version'/>",
                           'nowhere.invalid')
    assert error_of(reply) == differs(world, 'error for a domain that is not')


# -- in-band registration -----------------------------------------------------


async def test_registration_register_login_cancel(world):
    user = world.name('new')
    client = await world.login(user, register=True)
    assert bare(client.jid) == f'{user}@{DOMAIN}'
    await client.presence()
    await client.flush()
    again = await world.login(user, 'second')
    await again.close()
    try:
        reply = await client.unregister()
        assert reply.get('type') == 'result'
    except Gone:
        pass  # ejabberd may end the stream before its answer is out
    await client.expect_gone()
    with pytest.raises(LoginRefused) as refused:
        await world.login(user)
    assert refused.value.condition == 'not-authorized'


# -- two resources, carbons ----------------------------------------------------


async def test_carbons_of_received_and_sent(world):
    user = world.account('alice')
    phone = await world.online(user, 'phone')
    desk = await world.online(user, 'desk')
    bob = await world.online(world.account('bob'))
    for client in (phone, desk):
        assert (await client.carbons()).get('type') == 'result'

    def carbon(kind, body):
        def fits(e):
            held = e.find(f'{CARBONS}{kind}/{FORWARD}forwarded/'
                          f'{CLIENT}message')
            return held is not None and held.findtext(CLIENT + 'body') == body
        return fits

    await bob.message(phone.jid, 'to the phone ☎', ident='c1')
    await phone.expect(message_from(bob.jid, 'to the phone ☎'), 'message')
    copy = await desk.expect(carbon('received', 'to the phone ☎'), 'carbon')
    assert copy.get('from') == bare(desk.jid)
    held = copy.find(f'.//{FORWARD}forwarded/{CLIENT}message')
    assert (held.get('from'), held.get('to'), held.get('id')) == (
        bob.jid, phone.jid, 'c1')

    await phone.message(bob.jid, 'from the phone', ident='c2')
    await bob.expect(message_from(phone.jid, 'from the phone'), 'message')
    copy = await desk.expect(carbon('sent', 'from the phone'), 'carbon')
    held = copy.find(f'.//{FORWARD}forwarded/{CLIENT}message')
    assert (held.get('from'), held.get('to')) == (phone.jid, bob.jid)
    await phone.flush()
    assert not phone.seen(carbon('sent', 'from the phone'))


# -- stream management ----------------------------------------------------------


def needs_stream_management(world):
    if world.phone:
        pytest.skip('the agent manages the stream, and offers none of it: '
                    'test_agent.py')


async def test_stream_management_resumes_after_lost_connection(world):
    needs_stream_management(world)
    alice = await world.online(world.account('alice'))
    bob = await world.online(world.account('bob'), 'phone', manage=True)
    await alice.roster()
    await bob.roster()
    await befriend(alice, bob)
    await alice.message(bob.jid, 'before')
    await bob.expect(message_from(alice.jid, 'before'), 'message')

    for turn in range(2):
        jid = bob.jid
        await bob.drop()
        texts = [f'while away {turn}.{i} 🚇' for i in range(5)]
        for text in texts:
            await alice.message(jid, text)
        await alice.flush()
        await bob.resume()
        assert bob.jid == jid
        got = [(await bob.expect(message_from(alice.jid), text))
               .findtext(CLIENT + 'body') for text in texts]
        assert got == texts
        await bob.message(alice.jid, f'back {turn}')
        await alice.expect(message_from(jid, f'back {turn}'), 'back')
        assert not alice.seen(presence_from(jid, 'unavailable'))

    # A clean end is no loss: now the others are told.
    await bob.close()
    await alice.expect(presence_from(jid, 'unavailable'), 'unavailable')


async def test_stream_management_unacknowledged_comes_again(world):
    needs_stream_management(world)
    if not issubclass(world.kind, PlainClient):
        pytest.skip('this library acknowledges by itself, at once')
    alice = await world.online(world.account('alice'))
    bob = await world.online(world.account('bob'), 'phone', manage=True)
    bob.acknowledges = False
    await alice.message(bob.jid, 'twice')
    await bob.expect(message_from(alice.jid, 'twice'), 'message')
    # It came; say on resumption that it did not.
    bob.handled -= 1
    await bob.drop()
    await bob.resume()
    again = await bob.expect(message_from(alice.jid, 'twice'), 'it again')
    assert again.find('{urn:xmpp:delay}delay') is not None


async def test_stream_management_counts_what_was_sent(world):
    needs_stream_management(world)
    if not issubclass(world.kind, PlainClient):
        pytest.skip('this library counts by itself')
    bob = await world.login(world.account('bob'), 'phone', manage=True)
    for i in range(20):
        await bob.message(bob.jid, f'note {i}')
    await bob.send("<r xmlns='urn:xmpp:sm:3'/>")
    answer = await bob.expect(lambda e: e.tag == SM + 'a', 'a')
    assert answer.get('h') == '20'


# -- archive ---------------------------------------------------------------------


async def test_archive_query_returns_what_was_said(world):
    alice = await world.online(world.account('alice'))
    bob = await world.online(world.account('bob'))
    for i in range(3):
        await alice.message(bob.jid, f'keep {i} €', ident=f'k{i}')
        await bob.expect(message_from(alice.jid, f'keep {i} €'), 'message')
    reply = await bob.iq(
        'set', "<query xmlns='urn:xmpp:mam:2' queryid='q1'>"
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' "
        "type='hidden'><value>urn:xmpp:mam:2</value></field><field var='with'>"
        f'<value>{bare(alice.jid)}</value></field></x>'
        "<set xmlns='http://jabber.org/protocol/rsm'><max>10</max></set>"
        '</query>')
    fin = reply.find(MAM + 'fin')
    assert fin.findtext('.//{http://jabber.org/protocol/rsm}count') == '3'
    held = [e.find(f'{MAM}result/{FORWARD}forwarded/{CLIENT}message')
            for e in bob.seen(lambda e: e.find(MAM + 'result') is not None)]
    assert [m.findtext(CLIENT + 'body') for m in held] == [
        'keep 0 €', 'keep 1 €', 'keep 2 €']


# -- personal eventing, client state ---------------------------------------------


async def test_personal_event_is_kept_for_contacts_only(world):
    alice = await world.online(world.account('alice'))
    bob = await world.online(world.account('bob'))
    await alice.roster()
    await bob.roster()
    await befriend(alice, bob)
    tune = (f"<tune xmlns='{TUNE}'><artist>Sigur Rós</artist>"
            '<title>Ágætis &amp; byrjun</title><length>475</length></tune>')
    reply = await alice.iq(
        'set', f"<pubsub xmlns='{PUBSUB}'><publish node='{TUNE}'>"
        f"<item id='now ♪'>{tune}</item></publish></pubsub>")
    assert reply.get('type') == 'result'

    get = f"<pubsub xmlns='{PUBSUB}'><items node='{TUNE}'/></pubsub>"
    reply = await bob.iq('get', get, bare(alice.jid))
    item = reply.find(f'.//{{{PUBSUB}}}item')
    assert item.get('id') == 'now ♪'
    assert ET.canonicalize(ET.tostring(item[0])) == ET.canonicalize(
        ET.tostring(parse(tune)))
    carol = await world.online(world.account('carol'))
    assert error_of(await carol.iq('get', get, bare(alice.jid))) == (
        differs(world, 'error for a stranger'))


async def test_client_state_holds_nothing_back_for_good(world):
    alice = await world.online(world.account('alice'))
    bob = await world.online(world.account('bob'))
    await alice.roster()
    await bob.roster()
    await befriend(alice, bob)
    for turn in range(2):
        await bob.send("<inactive xmlns='urn:xmpp:csi:0'/>")
        await bob.flush()
        show = ('away', 'dnd')[turn]
        await alice.presence(show=show)
        await alice.message(bob.jid, f'awake? {turn}')
        await bob.expect(message_from(alice.jid, f'awake? {turn}'), 'message')
        await bob.send("<active xmlns='urn:xmpp:csi:0'/>")
        await bob.expect(lambda e: presence_from(alice.jid)(e) and
                         e.findtext(CLIENT + 'show') == show, show)


# -- many at once -----------------------------------------------------------------


async def test_large_stanza_of_200_kb_arrives(world):
    alice = await world.online(world.account('alice'))
    bob = await world.online(world.account('bob'))
    text = ('Ωμέγα 🦣 0123456789 ' * 100 + ' <&> ') * 80
    assert 200_000 < len(text.encode()) < 300_000
    await alice.message(bob.jid, text)
    await bob.message(alice.jid, text)
    for client, other in ((alice, bob), (bob, alice)):
        seen = await client.expect(message_from(other.jid), '200 KB')
        assert seen.findtext(CLIENT + 'body') == text


async def test_thousand_stanzas_in_one_write_arrive_in_order(world):
    alice = await world.online(world.account('alice'))
    bob = await world.online(world.account('bob'))
    await alice.send_at_once(
        f"<message to='{bob.jid}' type='headline' id='n{i}'><body>{i}</body>"
        '</message>' for i in range(1000))
    got = [(await bob.expect(message_from(alice.jid), f'{i}'))
           .findtext(CLIENT + 'body') for i in range(1000)]
    assert got == [str(i) for i in range(1000)]


async def test_many_clients_at_once(world):
    names = [world.account('crowd') for _ in range(8)]
    clients = await asyncio.gather(*(world.online(n) for n in names))
    for i, client in enumerate(clients):
        for j in range(10):
            await client.message(clients[i - 1].jid, f'{i}: {j}')
    for i, client in enumerate(clients):
        sender = (i + 1) % len(clients)
        got = [(await client.expect(message_from(clients[sender].jid), 'chat'))
               .findtext(CLIENT + 'body') for _ in range(10)]
        assert got == [f'{sender}: {j}' for j in range(10)]
