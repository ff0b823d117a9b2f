"""Two tersed behind HAProxy in front of ejabberd, from the files of
deploy/haproxy/ and deploy/ejabberd.yml, and in front of Prosody: no store is
shared, and nothing is lost when one dies."""
import asyncio
import os
import signal
import socket
import ssl

import pytest

import balanced
import servers
from drivers import XmlClient
from phone import CLIENT, SASL2, SM, Phone
from servers import DOMAIN
from test_agent import logged
from test_proxy_limits import until
from test_session import Stage, kill

pytestmark = pytest.mark.skipif(not balanced.PATH, reason='no haproxy here')
PHONE = '127.0.0.2'  # an address of its own


@pytest.fixture(params=['ejabberd', 'prosody'])
def world(request):
    scene = Stage()
    scene.server = request.getfixturevalue(request.param)
    return scene


async def cluster(world, host=DOMAIN):
    folder = world.directory()
    certificate = servers.certificate(os.path.join(folder, 'pem'), DOMAIN)
    secret = os.path.join(folder, 'secret')
    with open(secret, 'wb') as f:
        f.write(os.urandom(32))
    proxies = [world.run(balanced.Deployed(
        name, getattr(world.server, 'deployed', world.server.starttls),
        world.server.ca, certificate, secret, host))
        for name in ('one', 'two')]
    world.certificate = certificate
    world.context = ssl.create_default_context(cafile=certificate)
    world.balancer = world.run(balanced.Haproxy(proxies))
    await until(lambda: ready(world.balancer.port))
    return proxies


def ready(port):
    """Whether HAProxy has somebody to pass a connection on to."""
    try:
        with socket.create_connection(('127.0.0.1', port), 2) as s:
            s.settimeout(0.2)
            return s.recv(1) != b''
    except TimeoutError:
        return True  # it waits for our first word
    except OSError:
        return False


async def phone_of(world, stem):
    user = world.account(stem)
    phone = Phone(user, f'pw-{user}', DOMAIN)
    phone.tls = {'ssl': world.context, 'server_hostname': DOMAIN,
                 'local_addr': (PHONE, 0)}
    success = await phone.login(world.balancer.port)
    assert success.tag == SASL2 + 'success'
    assert phone.trips == 2
    await phone.send('<presence/>')
    await phone.expect(lambda e: e.tag == CLIENT + 'presence')
    host, _, port = phone.location.partition(':')
    assert host == DOMAIN  # which the tests' resolver does not know
    phone.back = int(port)
    return phone


async def say(phone, other, *texts):
    await phone.send(*(f"<message to='{other.jid}' type='chat'><body>{t}</body>"
                       '</message>' for t in texts))


async def hear(phone, *texts):
    for text in texts:
        got = await phone.expect(
            lambda e: e.findtext(CLIENT + 'body') is not None)
        assert got.findtext(CLIENT + 'body') == text


async def test_phone_comes_back_through_the_other_after_kill(world):
    """The one it was on gets kill -9. It still dials where it was told to, and
    HAProxy knows better: what the other one does not know, the server does."""
    proxies = await cluster(world)
    phone = await phone_of(world, 'phone')
    friend = await phone_of(world, 'friend')
    assert phone.back != friend.back  # leastconn: one on each
    dead = next(p for p in proxies if p.location == phone.back)
    await say(friend, phone, 'one', 'two')
    await hear(phone, 'one', 'two')
    phone.handled -= 1  # 'two' never made it
    await say(phone, friend, 'up one')
    await hear(friend, 'up one')
    dead.process.send_signal(signal.SIGKILL)
    dead.process.wait()
    await say(friend, phone, 'three')
    failure = await phone.comeback(phone.back)
    assert failure.tag == SASL2 + 'failure'  # it knows no such token
    success = await phone.login(phone.back, resume=phone.id)
    assert int(success.find(SM + 'resumed').get('h')) == phone.sent
    assert phone.trips == 2
    await hear(phone, 'two', 'three')
    await say(phone, friend, 'up two')
    await hear(friend, 'up two')
    # The one that died comes again, and new phones get there.
    dead.start()
    third = await phone_of(world, 'third')
    while third.back != dead.location:
        await asyncio.sleep(0.3)
        third = await phone_of(world, 'third')
    await say(third, phone, 'from the new one')
    await hear(phone, 'from the new one')


async def test_phone_comes_back_to_the_one_that_holds_it(world):
    """Each time in one round trip, though HAProxy would send a new phone to the
    other one; both see the phone's own address."""
    proxies = await cluster(world)
    phones = [await phone_of(world, 'phone') for _ in range(3)]
    for turn in range(3):
        for phone in phones:
            await phone.drop()
        for phone, other in zip(phones, phones[1:] + phones[:1]):
            success = await phone.comeback(phone.back)
            assert success.tag == SASL2 + 'success', turn
            assert phone.trips == 1
        for phone, other in zip(phones, phones[1:] + phones[:1]):
            await say(phone, other, f'turn {turn}')
            await hear(other, f'turn {turn}')
    for proxy in proxies:
        assert proxy.logged(f'event=proxied peer={PHONE}')
        assert not proxy.logged('event=resumed peer=127.0.0.1')


async def sdk_of(world, stem):
    sdk = await world.sdk(world.account(stem),
                          f'127.0.0.1:{world.balancer.port}',
                          ca=world.certificate)
    ready = await sdk.until('ready')
    assert ready['host'].endswith(f':{world.balancer.port}')
    await sdk.until('delivery', number='1', **{'is': 'acked'})
    return sdk


async def back(sdk, proxies):
    """Where it is, after its address has changed; and at what cost."""
    await sdk.do('hint changed')
    ready = await sdk.until('ready')
    assert ready['resumed'] == 'yes'
    port = int(ready['host'].rpartition(':')[2])
    return next((p for p in proxies if p.location == port), None), ready


async def test_sdk_comes_back_to_the_one_that_holds_it(world):
    """Again and again, though HAProxy would send a new client to whoever has
    less to do; and when that one is dead, the other one goes on."""
    proxies = await cluster(world, '127.0.0.1')
    sdks = [await sdk_of(world, f'sdk{i}') for i in range(3)]
    homes = {}
    for turn in range(3):
        for i, sdk in enumerate(sdks):
            home, ready = await back(sdk, proxies)
            assert ready['trips'] == '1' and home, (turn, ready)
            assert homes.setdefault(i, home) is home
    dead = homes[0]
    kill(world, dead)
    lost = [sdk for sdk, home in zip(sdks, homes.values())
            if home is dead]
    for sdk in lost:
        ready = await sdk.until('ready')
        # At the same entry, which leads to the other one now.
        assert ready['resumed'] == 'yes' and ready['trips'] == '3'
    for one, other in zip(sdks, sdks[1:] + sdks[:1]):
        await one.do(f'send {other.jid} id from-{one.user}')
        await other.hear(f'from-{one.user}')


async def test_agent_comes_back_without_a_password(world):
    """After SCRAM it has none, and a token is good at one of them alone: that is
    where it goes. A program whose tersed is gone is told, soon, and can log in
    through the other one."""
    proxies = await cluster(world, '127.0.0.1')
    own = world.run(servers.Agent(
        world.balancer.port, world.certificate, phone=True,
        options=['--log-level', 'debug']))

    async def program(stem):
        client = world.client(XmlClient, own.port)
        user = world.account(stem)
        await client.login(user, f'pw-{user}', DOMAIN, 'old')
        await client.presence()
        await client.flush()
        return client

    programs = [await program(f'old{i}') for i in range(4)]
    for turn in range(3):
        own.hint()
        await logged(own, 'event=resumed by=token', 4 * (turn + 1))
        for one, other in zip(programs, programs[1:] + programs[:1]):
            await one.message(other.jid, f'turn {turn}')
            got = await other.expect(lambda e: e.findtext(CLIENT + 'body'))
            assert got.findtext(CLIENT + 'body') == f'turn {turn}'
    assert not own.logged('event=refused')
    count = len(proxies[0].logged('event=logged-in'))
    assert 0 < count < 4
    kill(world, proxies[0])
    await logged(own, 'event=failed condition=remote-connection-failed', count)
    last = await program('last')
    here = [one for one in programs if not one.gone]
    assert len(here) == 4 - count
    for one in here:
        await last.message(one.jid, 'still here')
        got = await one.expect(lambda e: e.findtext(CLIENT + 'body'))
        assert got.findtext(CLIENT + 'body') == 'still here'


def visit(world, port, ticket=None):
    """TLS 1.2, where Python gives the ticket out at once."""
    with socket.create_connection(('127.0.0.1', port), 10) as s:
        with world.context.wrap_socket(s, server_hostname=DOMAIN,
                                       session=ticket) as tls:
            return tls.session_reused, tls.session


async def test_ticket_of_one_is_good_at_the_other(world):
    proxies = await cluster(world)
    world.context.maximum_version = ssl.TLSVersion.TLSv1_2
    reused, ticket = await asyncio.to_thread(visit, world, proxies[0].location)
    assert not reused
    reused, _ = await asyncio.to_thread(visit, world, proxies[1].location,
                                        ticket)
    assert reused
