"""What comes out on the far side is the same infoset that went in, as two
unrelated XML parsers see it; in both directions, over every way in."""
import glob
import json
import os
import re

import pytest

import servers
from drivers import XmlClient
from infoset import by_expat, by_libxml2
from test_limits import world  # noqa: F401 (a fixture)

# Elements that the connection itself would act on.
STREAM_LEVEL = re.compile(r'<(\?|/|[\w-]+:stream|stream:|features|starttls|'
                          r'proceed|auth|challenge|response|success|failure|'
                          r'abort|open|close|compress|handshake|error)\b')

STANZAS = [
    '<message/>', '<presence/>', "<iq type='get' id=''/>",
    "<message to='a@b/c' from='d@e/f' type='chat' id='1' xml:lang='de'>"
    '<body>x</body></message>',
    '<message><body/></message>', '<message><body></body><body> </body>'
    '<body>\n</body></message>',
    '<message>text<body>a</body>text<body>b</body> </message>',
    '<message>\n  <body>a</body>\n  <subject>s</subject>\n</message>',
    "<message type='chat '><body>a</body></message>",
    "<message type='CHAT' id='00A'/>", "<message id='a0'/>",
    "<message id='0'/>", "<message id='18446744073709551615'/>",
    "<message id='18446744073709551616'/>", "<message id='-1'/>",
    "<message id='6ba7b810-9dad-11d1-80b4-00c04fd430c8'/>",
    "<message id='6BA7B810-9DAD-11D1-80B4-00C04FD430C8'/>",
    "<message id='6ba7b8109dad11d180b400c04fd430c8'/>",
    '<message><body>&lt;&gt;&amp;&quot;&apos;&#x1F980;&#13;&#10;&#9;</body>'
    '</message>',
    "<message a='&lt;&gt;&amp;&quot;&apos;&#x1F980;&#13;&#10;&#9;'/>",
    "<message a='raw\n\tspace'/>",
    '<message><body><![CDATA[<not> & ]]]]><![CDATA[> markup]]></body>'
    '</message>',
    '<presence><show>away</show><status>x</status><priority>5</priority>'
    '</presence>',
    '<presence><show> away</show><priority>+5</priority></presence>',
    '<presence><show>AWAY</show><priority>05</priority></presence>',
    '<presence><priority>-128</priority><priority>127</priority></presence>',
    '<presence><show><x/></show><status>a<b/>c</status></presence>',
    "<iq type='set' id='r'><query xmlns='jabber:iq:roster' ver=''>"
    "<item jid='a@b' name='' subscription='both'><group>g</group><group/>"
    '</item></query></iq>',
    "<iq type='result' id='x'><query xmlns='jabber:iq:roster'/>"
    "<query xmlns='jabber:iq:roster'/></iq>",
    "<x:message xmlns:x='jabber:client' x:id='1' id='1'><x:body>p</x:body>"
    '</x:message>',
    "<message xmlns:a='urn:1' xmlns:b='urn:1'><a:e b:x='1'/><b:e a:y='2'/>"
    '</message>',
    "<message><e xmlns=''><f xmlns='urn:2'><g xmlns=''/></f></e></message>",
    "<foo xmlns='urn:example:foo' bar='baz'>text<empty/>more</foo>",
    "<foo xmlns=''/>", '<stranger/>',
    "<r xmlns='urn:xmpp:sm:3'/>", "<a xmlns='urn:xmpp:sm:3' h='4294967295'/>",
    "<a xmlns='urn:xmpp:sm:3' h='01'/>", "<a xmlns='urn:xmpp:sm:3' h='x'/>",
    "<inactive xmlns='urn:xmpp:csi:0'/>", "<active xmlns='urn:xmpp:csi:0' "
    "note='no'/>",
    "<message><received xmlns='urn:xmpp:receipts' id='1'/>"
    "<request xmlns='urn:xmpp:receipts'/><request xmlns='urn:xmpp:receipts'>"
    ' </request></message>',
    "<message><composing xmlns='http://jabber.org/protocol/chatstates'/>"
    "<paused xmlns='http://jabber.org/protocol/chatstates'/></message>",
    "<message><delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z'/>"
    "<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25.000Z'/>"
    "<delay xmlns='urn:xmpp:delay' stamp='20020910T23:08:25'/>"
    "<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25+02:00'>why"
    '</delay></message>',
    '<message>' + '<d>' * 60 + 'deep' + '</d>' * 60 + '</message>',
    "<message " + ' '.join(f"a{i}='{i}'" for i in range(120)) + '/>',
    '<message><élan ünï="1">ok</élan></message>',
    '<message><body>\u00a0\u200b\ufeff\ufffd\U0010fffd</body></message>',
]


def recorded():
    """Stanzas of the corpora, where they are; each as it stands in a stream."""
    found = []
    for pattern in ('tests/corpus/**/*.jsonl', '../shared/corpus/xep/*.jsonl'):
        for path in sorted(glob.glob(os.path.join(servers.ROOT, pattern),
                                     recursive=True)):
            with open(path) as f:
                found += [json.loads(line) for line in f if line.strip()]
    stanzas = []
    for record in found:
        xml = record.get('xml')
        if not xml or record.get('ctx') or STREAM_LEVEL.match(xml.lstrip()):
            continue
        if '<!' in xml or '<?' in xml or 'xmpp-bind' in xml:
            continue
        try:
            if len([e for e in by_expat(xml) if not isinstance(e, str)]) == 1:
                stanzas.append(xml.strip())
        except Exception:
            continue
    return stanzas


def sample(stanzas, count=1500):
    return stanzas[::max(1, len(stanzas) // count)]


def same(sent, came):
    """Compares lists of elements by both parsers."""
    assert len(came) == len(sent)
    for a, b in zip(sent, came):
        if a != b:
            raise AssertionError(f'sent:\n{a}\ncame:\n{b}')


def elements(children):
    """Elements only: white space between stanzas is no content."""
    return [e for e in children if not isinstance(e, str)]


END = "<message id='the-end'/>"


@pytest.mark.parametrize('corpus', ['written', 'recorded'])
@pytest.mark.parametrize('entry', ['agent', 'pair0'])
async def test_server_gets_what_client_sent(world, entry, corpus):
    stanzas = STANZAS if corpus == 'written' else sample(recorded())
    if not stanzas:
        pytest.skip('no corpus here')
    fake = await world.fake()
    world.proxy(fake.port)
    client, session = (
        await world.pair(fake) if entry == 'pair0' else
        await world.pair(fake, XmlClient, world.agent().port))
    for xml in stanzas:
        await client.send(xml)
    await client.send(END)
    while (await session.next()).get('id') != 'the-end':
        pass
    came = session.bytes.decode()
    came = came[:came.rindex('<message')]
    sent = ''.join(stanzas)
    for read in (by_expat, by_libxml2):
        same(elements(read(sent)), elements(read(came)))


@pytest.mark.parametrize('corpus', ['written', 'recorded'])
@pytest.mark.parametrize('entry', ['agent', 'pair0'])
async def test_client_gets_what_server_sent(world, entry, corpus):
    stanzas = STANZAS if corpus == 'written' else sample(recorded())
    if not stanzas:
        pytest.skip('no corpus here')
    fake = await world.fake()
    world.proxy(fake.port)
    client, session = (
        await world.pair(fake) if entry == 'pair0' else
        await world.pair(fake, XmlClient, world.agent().port))
    client.keep = []
    client.respond = lambda element: None
    for xml in stanzas:
        await session.send(xml)
    await session.send(END)
    await client.expect(lambda e: e.get('id') == 'the-end')
    for read in (by_expat, by_libxml2):
        came = [elements(read(xml))[0] for xml in client.keep[:-1]]
        same(elements(read(''.join(stanzas))), came)
