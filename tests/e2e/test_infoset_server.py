"""What one client gets from another by a real server is the same infoset,
whether both reach it directly or through Terse.

A server may rewrite what it passes on; the direct way shows where, and the
comparison holds Terse to just that.
"""
import pytest

from conftest import World
from drivers import Pair0Client, XmlClient
from infoset import by_expat, by_libxml2
from servers import DOMAIN
from test_infoset import STANZAS, elements, recorded, same, sample


REFERENCES = '&lt;&gt;&amp;&quot;&apos;&#x1F980;&#13;&#10;&#9;'
# What each server itself does not pass on as it was sent: it writes a carriage
# return as it is, in text or in attributes too, and parsers read a line feed.
REWRITTEN = {
    'ejabberd': {f'<message><body>{REFERENCES}</body></message>'},
    'prosody': {f'<message><body>{REFERENCES}</body></message>',
                f"<message a='{REFERENCES}'/>"},
}


async def passed_on(world, kind, port, users, stanzas):
    """What the second user gets of what the first sends, in two sessions."""
    one, other = world.client(kind, port), world.client(kind, port)
    for client, user in zip((one, other), users):
        await client.login(user, f'pw-{user}', DOMAIN, 'e2e')
    other.keep = []
    other.respond = lambda element: None
    # A headline is neither archived nor copied: nothing of the server's own
    # is added that differs from one time to the next.
    for i, xml in enumerate(stanzas):
        await one.send(f"<message type='headline' to='{other.jid}' id='s{i}'>"
                       f'{xml}</message>')
    await one.send(f"<message type='headline' to='{other.jid}' id='end'/>")
    await other.expect(lambda e: e.get('id') == 'end', 'the end')
    await one.close()
    await other.close()
    assert len(other.keep) == len(stanzas) + 1
    return other.keep


def content(xml):
    """The elements in the one that `xml` is."""
    return elements(elements(by_expat(xml))[0][2])


@pytest.fixture
def world(server):
    return World(server, XmlClient, server.plain)


@pytest.mark.parametrize('corpus', ['written', 'recorded'])
@pytest.mark.parametrize('server', ['ejabberd', 'prosody'], indirect=True,
                         scope='session')
async def test_client_gets_what_it_gets_directly(world, server, tersed, agent,
                                                 corpus):
    stanzas = STANZAS if corpus == 'written' else sample(recorded())
    users = world.account('alice'), world.account('bob')
    direct = await passed_on(world, XmlClient, server.plain, users, stanzas)
    rewritten = {sent for sent, xml in zip(stanzas, direct)
                 if elements(by_expat(sent)) != content(xml)}
    assert rewritten == (REWRITTEN[server.name] if corpus == 'written'
                         else set())
    for kind, port in ((XmlClient, agent.port), (Pair0Client, tersed.port)):
        came = await passed_on(world, kind, port, users, stanzas)
        for read in (by_expat, by_libxml2):
            same([elements(read(xml)) for xml in direct],
                 [elements(read(xml)) for xml in came])
