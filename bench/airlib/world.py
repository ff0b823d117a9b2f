"""What the bench starts: ejabberd, tersed, contacts, and phones of each kind.
Each is ended by its stop(), and by the end of the bench's namespaces."""
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from xml.etree import ElementTree as ET

import peers
import plain
import play
from peers import BIN, DOMAIN, servers
from sdk import fields

HERE = os.path.dirname(os.path.abspath(__file__))
LISTENERS = '''  - # TLS from the first byte, as phones use it.
    port: {tls}
    ip: "0.0.0.0"
    module: ejabberd_c2s
    tls: true
    shaper: none
    access: c2s
  - # XEP-0138, which is not offered together with TLS.
    port: {zlib}
    ip: "0.0.0.0"
    module: ejabberd_c2s
    zlib: true
    shaper: none
    access: c2s
'''
SHOWS = ('away', 'dnd', 'xa', 'chat')


class Ejabberd(servers.Ejabberd):
    """With two more listeners, where the phones' lines lead."""

    def __init__(self):
        with tempfile.NamedTemporaryFile('w', suffix='.yml') as more:
            # Nobody else takes ports in this namespace.
            self.tls, self.zlib = (servers.FIRST + n for n in (23, 24))
            more.write(LISTENERS.format(tls=self.tls, zlib=self.zlib))
            more.flush()
            os.environ['LISTENERS'] = more.name
            super().__init__()

    def api(self, command, **arguments):
        request = urllib.request.Request(
            f'http://127.0.0.1:{self.base + 80}/api/{command}',
            json.dumps(arguments).encode())
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def add_users(self, users):
        for user in users:
            self.api('register', user=user, host=DOMAIN,
                     password=f'pw-{user}')

    def befriend(self, one, other):
        for a, b in ((one, other), (other, one)):
            self.api('add_rosteritem', localuser=a, localhost=DOMAIN, user=b,
                     host=DOMAIN, nick=b.capitalize(), group='', subs='both')


class Tersed(peers.Tersed):
    """Listens on all addresses; clock: how much faster its time runs."""

    TIMES = {'ack_delay': 3, 'ack_timeout': 60, 'coalesce': 60,
             'heartbeat': 300}

    def __init__(self, behind, certificate, clock=1, **options):
        super().__init__(behind, certificate=certificate, **{
            'sasl2': 'on', 'hold': '10m', **{
                name: f'{round(1000 * seconds / clock)}ms'
                for name, seconds in self.TIMES.items()}, **options})

    def arguments(self):
        words = super().arguments()
        with open(words[-1]) as f:
            text = f.read()
        self.write('conf', text.replace(
            f'listen = 127.0.0.1:{self.port}', f'listen = *:{self.port}'))
        return words


class Contacts:
    """Accounts that come and go, in a rhythm, one after the other."""

    def __init__(self, names):
        self.all = [plain.Plain(name, DOMAIN, 'desk') for name in names]

    def presence(self, i, turn):
        kind, show = '', ''
        if turn % 2 == 0 and i % 3 == 0:
            kind = " type='unavailable'"
        elif turn % 2 == 0:
            show = f'<show>{SHOWS[i % len(SHOWS)]}</show>'
        return (f'<presence{kind}>{show}<priority>5</priority>'
                "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' "
                "node='https://client.example' "
                f"ver='{'QgayPKawpkPSDYmwT/WM94uAlu0='}'/></presence>")

    async def login(self, port):
        for some in range(0, len(self.all), 20):
            await asyncio.gather(*(one.login(port) for one in
                                   self.all[some:some + 20]))
        for i, one in enumerate(self.all):
            one.send(self.presence(i, 1))

    async def move(self, seconds, turns):
        """Each goes and comes, `turns` changes in all, evenly spread."""
        total, start = len(self.all) * turns, time.monotonic()
        for n in range(total):
            turn, i = divmod(n, len(self.all))
            await asyncio.sleep(start + n * seconds / total -
                                time.monotonic())
            self.all[i].send(self.presence(i, turn))
        await asyncio.sleep(start + seconds - time.monotonic())
        return total

    def stop(self):
        for one in self.all:
            one.stop()


class Phone:
    """A phone: its namespace, its account and the program that it runs; this
    one runs slixmpp (slix.py)."""

    tls = True  # on the air
    managed = True  # XEP-0198 is the client's

    def __init__(self, air, user, clock=1):
        self.air, self.user, self.clock = air, user, clock
        self.jid = f'{user}@{DOMAIN}'
        self.process, self.beside = None, []

    async def start(self, server):
        self.log, self.beside = server.log, []
        await self.prepare(server)
        await self.launch()
        return self

    async def launch(self):
        self.process = await self.air.start(
            sys.executable, os.path.join(HERE, 'slix.py'),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            limit=1 << 20)

    async def prepare(self, server):
        """Sets where it connects to, and starts what stands beside it."""
        raise NotImplementedError

    async def add(self, port, *words):
        """A process beside the phone's, which listens on its loopback."""
        process = await self.air.start(
            *words, stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log)
        self.beside.append(process)
        for _ in range(200):
            check = await self.air.start(
                sys.executable, '-c', 'import socket, sys; sys.exit(bool('
                f'socket.socket().connect_ex(("127.0.0.1", {port}))))')
            if await check.wait() == 0:
                return
            await asyncio.sleep(0.05)
        raise RuntimeError(f'{words[0]} does not listen')

    async def ask(self, what, **more):
        self.process.stdin.write(
            (json.dumps({'do': what, **more}) + '\n').encode())
        line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError(f'{self.user}: its client ended')
        answer = json.loads(line)
        if 'error' in answer:
            raise RuntimeError(f'{self.user}: {answer["error"]}')
        return answer

    async def login(self, **more):
        return await self.ask(
            'login', jid=f'{self.jid}/phone', password=f'pw-{self.user}',
            host=self.where[0], port=self.where[1], ca=self.ca,
            keepalive=300 / self.clock, managed=self.managed, **more)

    def elsewhere(self, _):
        """Other ways back than return: {name: tersed}."""
        return {}

    async def stop(self):
        for process in (self.process, *self.beside):
            if process and process.returncode is None:
                process.terminate()
                await process.wait()


class Direct(Phone):
    """To ejabberd by TLS."""

    async def prepare(self, server):
        self.where = self.air.server, server.ejabberd.tls
        self.ca = server.ejabberd.ca


class Zlib(Phone):
    """To ejabberd by zlib, without TLS."""

    tls = False

    async def prepare(self, server):
        self.where, self.ca = ('127.0.0.1', 5222), None
        await self.add(5222, sys.executable, os.path.join(HERE, 'deflate.py'),
                       '5222', self.air.server, str(server.ejabberd.zlib))


class Agent(Phone):
    """Through terse-agent on the phone, to tersed. The agent manages the
    session; slixmpp does not know that connections come and go."""

    managed = False

    async def prepare(self, server):
        self.where, self.ca = ('127.0.0.1', 5222), None
        proxy = server.tersed(self.clock)
        await self.add(5222, f'{BIN}/terse-agent', '--listen',
                       '127.0.0.1:5222', '--proxy',
                       f'{self.air.server}:{proxy.port}', '--ca-file',
                       server.ca, '--heartbeat',
                       str(max(1, round(1680 / self.clock))), '--ack-delay',
                       str(max(1, round(20 / self.clock))))


    def elsewhere(self, _):
        return {'login, the agent knows the domain': None}

    async def restart(self, _):
        self.process.kill()
        await self.process.wait()
        await self.launch()

    async def ask(self, what, **more):
        if what == 'again':
            return await self.login(**more)
        if what == 'lose':
            return {}  # nobody has told slixmpp
        if what == 'return':
            # As a system tells a program that the network is another one.
            self.beside[0].send_signal(signal.SIGUSR1)
            what = 'say'
        return await super().ask(what, **more)


class Library(Phone):
    """libterse-client, told what to do by lines (session_driver.c)."""

    ACK = 20  # its default, in seconds

    async def start(self, server):
        self.log, self.beside, self.lines = server.log, [], []
        self.proxy, self.ca = server.tersed(self.clock), server.ca
        self.saved = os.path.join(server.folder, self.user)
        self.player, self.bodies, self.events = None, [], asyncio.Queue()
        self.process = None
        return self

    async def open(self, proxy, *options):
        self.process = await self.air.start(
            os.path.join(BIN, 'e2e-session_driver'),
            f'host={self.air.server}:{proxy.port}', f'jid={self.jid}/phone',
            f'ca={self.ca}', 'carbons=1', 'whole=1', 'quiet=1',
            f'ack_ms={round(1000 * self.ACK / self.clock)}',
            f'heartbeat_ms={round(1680000 / self.clock)}',
            f'answer_ms={round(15000 / self.clock)}', *options,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            env={**os.environ, 'TERSE_PASSWORD': f'pw-{self.user}'},
            limit=1 << 20)
        self.reading = asyncio.ensure_future(self.read())

    async def read(self):
        while line := await self.process.stdout.readline():
            event = fields(line.decode().rstrip('\n'))
            if event[''] == 'stanza':
                self.got(ET.fromstring(
                    event['xml'].replace('\\n', '\n').replace('\\\\', '\\')))
            elif event[''] in ('ready', 'answer', 'exported', 'closed',
                               'failed'):
                self.events.put_nowait(event)

    def got(self, element):
        self.bodies.append(element.findtext(play.CLIENT + 'body'))
        if self.player:
            self.player.got(element)

    async def until(self, kind):
        while True:
            event = await asyncio.wait_for(self.events.get(), 30)
            if event[''] == kind:
                return event
            if event[''] in ('closed', 'failed'):
                raise RuntimeError(f'{self.user}: {event}')

    def tell(self, *lines):
        self.process.stdin.write(''.join(f'{x}\n' for x in lines).encode())

    def send(self, xml):
        """What is said in one go leaves in one go, as a program would have it
        that handles a stanza."""
        if not self.lines:
            asyncio.get_running_loop().call_soon(self.flush)
        self.lines.append('xml ' + xml)

    def flush(self):
        lines, self.lines = self.lines, []
        self.tell('cork', *lines, 'uncork')

    async def login(self, **more):
        await self.open(self.proxy)
        return await self.reach('connect', **more)

    async def ask(self, what, **more):
        return await getattr(self, 'do_' + what)(**more)

    async def reach(self, *lines, first=None, body=None, expect=None):
        """The message waits in the outbox until it can go."""
        while not self.events.empty():
            self.events.get_nowait()
        began = time.monotonic()
        self.tell(*lines, *([f'xml <message to="{first}" type="chat"><body>'
                             f'{body}</body></message>'] if first else []))
        await self.until('ready')
        while expect and expect not in self.bodies:
            await asyncio.sleep(0.01)
        return {'began': began}

    async def do_settle(self):
        self.tell('iq get - <query xmlns="jabber:iq:roster" ver=""/>')
        await self.until('answer')
        self.tell('xml <presence/>')

    async def do_lose(self):
        pass

    async def do_return(self, **more):
        return await self.reach('hint changed', **more)

    def elsewhere(self, server):
        return {'return, without ticket': self.proxy,
                'return, another proxy': server.tersed(self.clock, 'second')}

    async def restart(self, proxy):
        """Another program, without TLS tickets, goes on with the session."""
        self.tell(f'export {self.saved}')
        await self.until('exported')
        self.process.kill()
        await self.process.wait()
        await self.reading
        await self.open(proxy, f'restore={self.saved}')

    async def do_again(self, **more):
        return await self.reach('connect', **more)

    async def do_play(self, whom, factor, start, most, rest):
        self.player = play.Player('phone', whom, factor, self.send)
        await self.player.play(start, rest, most)
        return self.player.result()

    async def do_active(self):
        self.tell('active')

    async def do_inactive(self):
        self.tell('inactive')


KINDS = {'direct': Direct, 'zlib': Zlib, 'agent': Agent, 'sdk': Library}
TITLES = {'direct': 'slixmpp, TLS', 'zlib': 'slixmpp, zlib, no TLS',
          'agent': 'slixmpp, terse-agent', 'sdk': 'libterse-client'}
