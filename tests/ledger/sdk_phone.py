"""libterse-client as a phone: session_driver, line by line. It comes back, keeps
what is not acknowledged, and asks who is silent, all by itself."""
import asyncio
import os
from types import SimpleNamespace
from xml.sax.saxutils import escape

import servers
from ledger import body_of
from phones import PATIENCE, Talker
from sdk import fields

RECEIPTS = 'urn:xmpp:receipts'


class SdkPhone(Talker):
    def __init__(self, world, name):
        super().__init__(world, name)
        self.process, self.up, self.jid = None, False, None
        # What is not acknowledged: numbers, and commands that have none yet.
        self.outbox = SimpleNamespace(frames=set())
        self.posted = self.commands = 0
        self.early = set()
        self.moving = SimpleNamespace(set=self.hint)
        self.sessions = 0

    # -- what it is told

    async def watch(self):
        """The library asks whether the proxy is there; whether the server is
        behind it only the acknowledgements tell."""
        seen, since = None, 0
        while not self.over:
            await asyncio.sleep(0.2)
            now = sorted(self.outbox.frames, key=str)[:1]
            if now != seen or not now or not self.up:
                seen, since = now, self.world.now()
            elif self.world.now() - since > (4 * PATIENCE *
                                             self.world.slow):
                self.world.say(self.name, 'not acknowledged: hint')
                self.ledger.counts['hints'] += 1
                since = self.world.now()
                self.hint()

    def do(self, line):
        if self.process and self.process.returncode is None:
            self.process.stdin.write(f'{line}\n'.encode())

    def hint(self):
        self.do('hint changed')

    def post(self, xml):
        self.commands += 1
        self.outbox.frames.add(f'command {self.commands}')
        self.do(f'xml {xml}')

    def message(self, ident):
        self.post(f"<message to='{self.peer.jid}' type='chat' id='{ident}'>"
                  f'<body>{escape(body_of(ident))}</body>'
                  f"<request xmlns='{RECEIPTS}'/></message>")

    def receipt(self, ident):
        self.post(f"<message to='{self.peer.jid}' type='chat' id='r-{ident}'>"
                  f"<received xmlns='{RECEIPTS}' id='{ident}'/></message>")

    def client_state(self, name):
        self.do(name)

    # -- what it tells

    def on_posted(self, event):
        self.posted += 1
        self.outbox.frames.discard(f'command {self.posted}')
        if event['number'] not in self.early:
            self.outbox.frames.add(event['number'])

    def on_delivery(self, event):
        number = event['number']
        if event['is'] == 'acked':
            self.early.add(number)
            self.outbox.frames.discard(number)
            self.room.set()
        elif event['is'] in ('failed', 'unacked'):
            self.ledger.fault('delivery', f'{self.name}: {event}')

    def on_message(self, event):
        ident = event['id']
        if event['type'] == 'error':
            self.ledger.fault('refused', f'{self.name}: {ident}')
        elif ident.startswith('r-'):
            self.ledger.receipted(self.name, ident[2:])
        else:
            self.ledger.delivered(self.name, ident, event['body'], True)
            self.receipt(ident)

    def on_ready(self, event):
        self.up, self.jid = True, event['jid']
        self.world.say(self.name, *(f'{k}={v}' for k, v in event.items()))
        if event['resumed'] == 'yes':
            how = 'token' if event['mechanism'].startswith('HT-') else (
                'password')
            self.ledger.counts[f'resumed by {how}'] += 1
        else:
            self.sessions += 1
            if self.sessions > 1:
                self.ledger.fault('session', f'{self.name} has lost it')
        self.ready.set()

    def on_lost(self, event):
        self.up = False
        self.ledger.counts['connections lost'] += 1
        self.world.say(self.name, *(f'{k}={v}' for k, v in event.items()))

    def on_failed(self, event):
        if self.over:
            return  # it was told to close
        self.ledger.fault('sdk', f'{self.name}: {event}')

    def on_closed(self, event):
        self.up = False
        if not self.over:
            self.ledger.fault('sdk', f'{self.name}: {event}')

    # -- life

    def authority(self):
        """One file with the certificates of all proxies."""
        path = os.path.join(self.world.folder, f'{self.name}.pem')
        with open(path, 'w') as out:
            for proxy in self.world.proxies:
                with open(proxy.certificate) as f:
                    out.write(f.read().partition('-----BEGIN PRIVATE')[0])
        return path

    async def run(self):
        hosts = ','.join(f'127.0.0.1:{p.relay.port}'
                         for p in self.world.proxies)
        patience = int(1000 * PATIENCE * self.world.slow)
        errors = open(os.path.join(self.world.folder, f'{self.name}.err'), 'w')
        with errors:
            self.process = await asyncio.create_subprocess_exec(
                os.path.join(servers.BUILD, 'bin', 'e2e-session_driver'),
                f'host={hosts}', f'jid={self.name}@{servers.DOMAIN}/sdk',
                f'ca={self.authority()}', f'device=phone-of-{self.name}',
                'presence=1', 'quiet=1', 'trace=1', 'resend=yes', 'ack_ms=100',
                f'answer_ms={patience}', f'login_ms={patience * 3}',
                f'connect_ms={patience}', 'retry_least_ms=20',
                'retry_most_ms=200', stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE, stderr=errors, limit=1 << 22,
                env={**servers.ENVIRONMENT,
                     'TERSE_PASSWORD': f'pw-{self.name}'})
        self.do('connect')
        self.watching = asyncio.ensure_future(self.watch())
        while line := await self.process.stdout.readline():
            event = fields(line.decode().rstrip('\n'))
            heard = getattr(self, 'on_' + event[''], None)
            if heard:
                heard(event)

    def pipe(self):
        """Its connection, as the relays know it: the newest that is no other
        phone's."""
        others = [p.wire.near_port() for p in self.world.phones
                  if p is not self and getattr(p, 'wire', None)]
        pipes = [pipe for proxy in self.world.proxies
                 for pipe in proxy.relay.living() if pipe.port not in others]
        return pipes[-1] if pipes else None

    async def leave(self):
        self.over = True
        self.do('close')

    async def end(self):
        """Whatever is left of it."""
        if self.process is None:
            return
        self.watching.cancel()
        if self.process.returncode is None:
            self.process.stdin.close()
        try:
            code = await asyncio.wait_for(self.process.wait(), 10)
        except asyncio.TimeoutError:
            self.process.kill()
            code = await self.process.wait()
        if code:
            self.ledger.fault('sdk', f'{self.name} ended with {code}')
