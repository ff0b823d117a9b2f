"""What runs tersed in production: systemd's notifications and watchdog, and
deploy/'s files for HAProxy. (deploy/ejabberd.yml is in test_proxy_flow.py; what
needs no running program is in tests/check/65-deploy.)"""
import asyncio
import os
import signal
import socket
import time

import pytest

import balanced
import servers
from drivers import CLIENT
from test_limits import FAKE, Scene, message
from test_proxy_flow import round_trip
from test_proxy_limits import until, watched


@pytest.fixture
def world():
    return Scene()


class Supervisor:
    """The end of $NOTIFY_SOCKET that systemd has."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.settimeout(10)

    def next(self, skip='WATCHDOG=1'):
        """The next notification that is not `skip`, as a dict."""
        while True:
            text = self.socket.recv(4096).decode()
            if text != skip:
                return dict(line.split('=', 1) for line in text.splitlines())


@pytest.fixture
def notify(tmp_path, monkeypatch):
    path = str(tmp_path / 'notify')
    monkeypatch.setitem(servers.ENVIRONMENT, 'NOTIFY_SOCKET', path)
    supervisor = Supervisor(path)
    yield supervisor
    supervisor.socket.close()


async def test_systemd_is_told_how_it_goes(world, notify):
    fake = await world.fake()
    tersed = world.proxy(fake.port)
    assert notify.next() == {'READY': '1'}
    tersed.process.send_signal(signal.SIGHUP)
    reloading = notify.next()
    assert reloading['RELOADING'] == '1'
    monotonic = int(reloading['MONOTONIC_USEC']) / 1e6
    assert abs(monotonic - time.monotonic()) < 5
    assert notify.next()['READY'] == '1'
    # A configuration that is wrong: said, and the old one stays in force.
    conf = os.path.join(tersed.dir, 'tersed.conf')
    with open(conf) as f:
        good = f.read()
    with open(conf, 'w') as f:
        f.write('[tersed]\nnonsense = 1\n')
    tersed.process.send_signal(signal.SIGHUP)
    assert notify.next()['RELOADING'] == '1'
    again = notify.next()
    assert again['READY'] == '1' and 'wrong' in again['STATUS']
    with open(conf, 'w') as f:
        f.write(good)
    await round_trip(*await world.pair(fake), 'still')
    tersed.terminate()
    assert notify.next() == {'STOPPING': '1'}


async def test_watchdog_is_fed(world, notify, monkeypatch):
    monkeypatch.setitem(servers.ENVIRONMENT, 'WATCHDOG_USEC', '400000')
    fake = await world.fake()
    world.proxy(fake.port)
    assert notify.next() == {'READY': '1'}
    fed = []
    for _ in range(5):
        assert notify.next(skip=None) == {'WATCHDOG': '1'}
        fed.append(time.monotonic())
    gaps = [b - a for a, b in zip(fed, fed[1:])]
    assert all(0.05 < gap < 0.4 for gap in gaps), gaps


async def test_reload_keeps_connections(world):
    """New limits are for new clients; who is here stays."""
    fake = await world.fake()
    tersed = watched(world, fake.port)
    client, session = await world.pair(fake)
    tersed.options['max_connections'] = '1'
    tersed.arguments()  # writes the file
    tersed.process.send_signal(signal.SIGHUP)
    hits = 'tersed_limit_hits_total{limit="max_connections"}'

    async def refused_one():
        reader, writer = await asyncio.open_connection('127.0.0.1',
                                                       world.port)
        await asyncio.wait_for(reader.read(), 10)
        writer.close()
    await asyncio.sleep(0.5)
    await refused_one()
    assert tersed.metric(hits) >= 1
    await round_trip(client, session, 'stays')


@pytest.mark.skipif(not balanced.PATH, reason='no haproxy here')
async def test_haproxy_sends_clients_to_who_is_ready(world):
    """deploy/haproxy/haproxy.cfg with two tersed: one that drains or has no server
    gets no more clients, one that is back gets some."""
    fakes = [await world.fake(), await world.fake()]
    proxies = [watched(world, fake.port, drain_timeout='10s',
                       proxy_protocol_from='127.0.0.1')
               for fake in fakes]
    haproxy = world.run(balanced.Haproxy(proxies))
    world.port = haproxy.port
    await until(lambda: all(p.get('/readyz')[0] == 200 for p in proxies))

    async def where():
        """Which server a new client gets to."""
        client = await world.log_in()
        session = await next_session(fakes)
        await round_trip(client, session, 'through')
        # Now, since without HAProxy it could not take its leave.
        await client.close()
        world.clients.remove(client)
        return fakes.index(session.server)
    await asyncio.sleep(0.5)
    assert {await where() for _ in range(4)} == {0, 1}
    proxies[0].terminate()
    await asyncio.sleep(0.5)
    for _ in range(3):
        assert await where() == 1
    # While they still can: a pair0 socket without a peer waits for one.
    for client in world.clients:
        await client.close()


async def next_session(fakes):
    """The next session that has logged in, at any of the servers."""
    waiting = [asyncio.create_task(fake.session()) for fake in fakes]
    done, pending = await asyncio.wait(waiting,
                                       return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return done.pop().result()
