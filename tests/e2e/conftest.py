"""Fixtures: the servers, once for all tests, and `world`, which makes clients
for one test and ends them.

A test may be a coroutine. It runs under a deadline, and its clients are closed
within its own loop.
"""
import asyncio
import inspect
import itertools
import logging
import os

import pytest

import servers
from bridges import Bridge
from drivers import (Client, Pair0Client, SlixmppClient, StropheClient,
                     XmlClient)
from servers import DOMAIN

logging.getLogger('slixmpp').setLevel(logging.CRITICAL)
os.environ.setdefault('E2E_DRIVERS', os.path.join(servers.BUILD, 'bin'))
DEADLINE = 90
_names = itertools.count(1)

# How a client reaches the server. The direct ways are the control: what holds
# there must hold through Terse.
WAYS = {
    'slixmpp-direct': (SlixmppClient, 'plain'),
    'slixmpp-terse': (SlixmppClient, 'agent'),
    'libstrophe-direct': (StropheClient, 'plain'),
    'libstrophe-terse': (StropheClient, 'agent'),
    'pair0-direct': (XmlClient, 'plain'),
    'pair0-terse': (Pair0Client, 'tersed'),
    'slixmpp-tls': (SlixmppClient, 'tls_agent'),
    'pair0-tls': (Pair0Client, 'tls_bridge'),
    'pair0-wss': (Pair0Client, 'wss_bridge'),
    'slixmpp-phone': (SlixmppClient, 'phone_agent'),
    'libstrophe-phone': (StropheClient, 'phone_agent'),
    'xml-phone': (XmlClient, 'phone_agent'),
}

# Entries that give their client a session of their own: it finds no stream
# management, and the resource that it gets is not the one it asked for.
PHONES = {'phone_agent'}

# Which of them each server is reached by. All to ejabberd; the second server
# changes nothing on the client's side, so there the control and three of ours.
SERVERS = {
    'ejabberd': list(WAYS),
    'prosody': ['slixmpp-direct', 'slixmpp-terse', 'pair0-terse',
                'pair0-tls', 'slixmpp-phone'],
}


def pytest_generate_tests(metafunc):
    if 'way' in metafunc.fixturenames:
        runs = [(server, way) for server in SERVERS
                for way in SERVERS[server]]
        # Of the session: else what depends on the server starts for each test.
        metafunc.parametrize('server,way', runs, indirect=True,
                             scope='session',
                             ids=['-'.join(run) for run in runs])


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}

    async def run():
        try:
            await asyncio.wait_for(pyfuncitem.obj(**arguments), DEADLINE)
        finally:
            if 'world' in arguments:
                await arguments['world'].close()
    asyncio.run(run())
    return True


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for server in list(_running):
            report.sections.append((type(server).__name__, server.logs()))


_running = []


def _run(server):
    _running.append(server)
    yield server
    _running.remove(server)
    fault = server.stop()
    if fault:
        pytest.fail(fault)


@pytest.fixture(scope='session')
def ejabberd():
    yield from _run(servers.Ejabberd())


@pytest.fixture(scope='session')
def prosody():
    yield from _run(servers.Prosody())


@pytest.fixture(scope='session')
def server(request):
    """The one that a test is for: ejabberd, where it does not say."""
    return request.getfixturevalue(getattr(request, 'param', 'ejabberd'))


class World:
    """Accounts and clients of one test."""

    def __init__(self, server, kind, port, phone=False):
        self.server, self.kind, self.port = server, kind, port
        self.phone = phone  # see PHONES
        self.clients = []

    def name(self, stem):
        """A name that no other test uses."""
        return f'{stem}-{next(_names)}'

    def account(self, stem, domain=DOMAIN):
        user = self.name(stem)
        self.server.add_user(user, domain)
        return user

    def client(self, kind=None, port=None) -> Client:
        client = (kind or self.kind)('127.0.0.1', port or self.port)
        self.clients.append(client)
        return client

    async def login(self, user, resource='e2e', domain=DOMAIN, **options):
        client = self.client()
        await client.login(user, options.pop('password', f'pw-{user}'),
                           domain, resource, **options)
        return client

    async def online(self, user, resource='e2e', **options):
        """A client that is logged in and available."""
        client = await self.login(user, resource, **options)
        await client.presence()
        await client.flush()
        return client

    async def close(self):
        faults = []
        for client in self.clients:
            try:
                await client.close()
            except Exception as error:
                faults.append(f'{client.jid}: close: {error!r}')
            faults += client.broken
        assert not faults, faults


@pytest.fixture(scope='session')
def tersed(server):
    yield from _run(servers.Tersed(servers.real_domains(server)).start())


@pytest.fixture(scope='session')
def agent(tersed):
    yield from _run(servers.Agent(tersed.port).start())


@pytest.fixture(scope='session')
def tls_agent(tersed):
    yield from _run(servers.Agent(tersed.port, tersed.certificate).start())


@pytest.fixture(scope='session')
def phone_agent(tersed):
    yield from _run(servers.Agent(tersed.port, tersed.certificate,
                                  phone=True).start())


@pytest.fixture(scope='session')
def tls_bridge(tersed):
    yield from _run(Bridge(tersed.port, tersed.certificate, DOMAIN,
                           'tls').start())


@pytest.fixture(scope='session')
def wss_bridge(tersed):
    yield from _run(Bridge(tersed.port, tersed.certificate, DOMAIN,
                           'wss').start())


@pytest.fixture
def way(request):
    return request.param


@pytest.fixture
def world(request, way, server):
    kind, entry = WAYS[way]
    port = (server.plain if entry == 'plain'
            else request.getfixturevalue(entry).port)
    return World(server, kind, port, entry in PHONES)
