"""Phones: clients that log in by XEP-0388, keep what they send until it is
acknowledged (XEP-0198), and come back to their session by a token (XEP-0484) or
by their password, to whatever proxy is there. All of it is Python's and the
published schema's."""
import asyncio
import collections
import functools
import hmac
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

import websockets

from ledger import body_of
from phone import FAST, SASL2, SM, Scram, b64
from receiver import Connection
from servers import DOMAIN
from test_limits import HEADER, frame_of, xml_of
from wires import WAYS, Port

BOUNDS = {'slots': 48, 'templates': 64, 'journal': 32, 'bytes': 20000}
WINDOW = 12        # stanzas that may be unacknowledged
BREATH = 0.05      # seconds between attempts to come back
# A phone takes a connection for dead on which nothing was acknowledged, or its
# login not answered, for so long.
PATIENCE = 1.5
TYPED = ('message', 'presence', 'iq', 'sm_ack', 'sm_request')


class Lost(Exception):
    """The connection is of no more use."""


class Outbox:
    """Stanzas in the order in which they were sent; those that the server has
    acknowledged go."""

    def __init__(self):
        self.frames = collections.deque()
        self.acked = 0

    def acknowledged(self, h):
        n = (h - self.acked) % (1 << 32)
        if n > len(self.frames):
            return False
        for _ in range(n):
            self.frames.popleft()
        self.acked = h
        return True


@functools.lru_cache(1000)
def encoded(xml):
    return frame_of(xml)


class Talker:
    """What all kinds of phones have: an account, and what it has to say."""

    def __init__(self, world, name):
        self.world, self.pb, self.ledger = world, world.pb, world.ledger
        self.name, self.dice = name, world.dice_of(name)
        self.proxy = world.proxies[0]
        self.room = asyncio.Event()     # the outbox has some
        self.ready = asyncio.Event()    # logged in
        self.over = False

    async def say_all(self, count):
        """So many messages to its peer, at no steady pace."""
        await self.ready.wait()
        await self.peer.ready.wait()
        for _ in range(count):
            while len(self.outbox.frames) >= WINDOW:
                self.room.clear()
                await self.room.wait()
            self.message(self.ledger.sends(self.name, self.peer.name))
            if self.dice.random() < 0.2:
                self.client_state(self.dice.choice(('active', 'inactive')))
            await asyncio.sleep(self.dice.choice((0, 0, 0, 0.01, 0.04)))


class Phone(Talker):
    """A phone in Python."""

    with_state = False

    def __init__(self, world, name):
        super().__init__(world, name)
        self.agent = f'd4565fa7-4d72-4749-b3d3-{name:0>12}'
        self.outbox, self.handled, self.told = Outbox(), 0, 0
        self.id = self.jid = self.token = self.token_of = None
        self.wire = self.up = None
        self.turn = asyncio.Lock()
        self.moving = asyncio.Event()   # the network has changed
        self.progress = 0               # when something was acknowledged

    # -- frames

    async def put(self, frame):
        async with self.turn:  # state goes by the order of frames
            if self.state:
                self.state.frame('c', frame)
            try:
                await self.wire.send(frame)
            except (OSError, websockets.WebSocketException) as error:
                raise Lost(f'while it sent: {error!r}') from None

    async def say(self, *elements):
        for xml in elements:
            await self.put(encoded(xml))

    async def get(self):
        """The next frame: ('message', its fields) and so on, or ('xml', an
        element)."""
        while True:
            try:
                frame = await self.wire.receive()
            except (OSError, websockets.WebSocketException) as error:
                raise Lost(f'while it read: {error!r}') from None
            if frame is None:
                raise Lost('the connection ended')
            if self.state:
                frame = self.state.frame('s', frame)
            if not frame:
                continue  # a heartbeat
            fields = self.pb.Frame.FromString(frame).ListFields()
            name = fields[0][0].name if fields else ''
            if name in TYPED:
                return name, fields[0][1]
            if name in ('open', 'close', 'stream_features'):
                continue
            element = ET.fromstring(xml_of(frame))
            if name == 'stream_error':
                raise Lost(f'stream error {[e.tag for e in element]}')
            return 'xml', element

    async def step(self):
        """The next element of the login."""
        while True:
            kind, element = await asyncio.wait_for(self.get(), self.patience())
            if kind == 'xml' and element.tag.startswith(SASL2):
                return element
            if kind in ('message', 'presence', 'iq'):
                self.ledger.fault('early', f'{self.name}: {kind} before it is '
                                  'logged in')

    def patience(self):
        return PATIENCE * self.world.slow

    # -- the login

    async def dial(self):
        way = self.dice.choice(WAYS)
        self.state = Connection(self.world.kinds) if self.with_state else None
        port = Port(self.proxy.relay.port, self.proxy.certificate)
        self.wire = await asyncio.wait_for(port.dial(*way),
                                           5 * self.patience())
        opening = self.pb.Frame(
            open=self.pb.Open(to=DOMAIN, version='1.0'),
            **(BOUNDS if self.with_state else {})).SerializeToString()
        await self.put(opening if self.with_state
                       else encoded(HEADER.format(DOMAIN)))
        return way

    def authenticate(self, mechanism, initial, *more):
        resume = (f"<resume xmlns='urn:xmpp:sm:3' h='{self.handled}' "
                  f'previd={quoteattr(self.id)}/>' if self.id else '')
        return ("<authenticate xmlns='urn:xmpp:sasl:2' "
                f"mechanism='{mechanism}'><initial-response>{initial}"
                f"</initial-response><user-agent id='{self.agent}'/>" +
                resume + ''.join(more) + '</authenticate>')

    async def by_token(self):
        token, self.token = self.token, None  # it is good for one time
        proof = hmac.digest(token.encode(), b'Initiator', 'sha256')
        await self.say(self.authenticate(
            'HT-SHA-256-NONE', b64(self.name.encode() + b'\0' + proof),
            "<fast xmlns='urn:xmpp:fast:0'/>"))
        return await self.step()

    async def by_password(self):
        scram = Scram(self.name, f'pw-{self.name}')
        bind = ("<bind xmlns='urn:xmpp:bind:0'><tag>phone</tag>"
                "<enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>")
        await self.say(self.authenticate(
            'SCRAM-SHA-256', scram.first(), bind,
            "<request-token xmlns='urn:xmpp:fast:0' "
            "mechanism='HT-SHA-256-NONE'/>"))
        step = await self.step()
        if step.tag == SASL2 + 'challenge':
            await self.say("<response xmlns='urn:xmpp:sasl:2'>"
                           f'{scram.final(step.text)}</response>')
            step = await self.step()
        return step

    def choose(self):
        """Mostly the proxy of before."""
        if not self.proxy.up or self.dice.random() < 0.3:
            self.proxy = self.dice.choice(self.world.proxies)
        if self.dice.random() < 0.5:
            self.proxy.relay.move()

    async def connect(self):
        self.choose()
        token = self.token and self.token_of is self.proxy
        await self.dial()
        step = await (self.by_token() if token else self.by_password())
        how = 'token' if token else 'password'
        if token and step.tag == SASL2 + 'failure':
            self.ledger.counts['tokens refused'] += 1
            raise Lost('its token was refused')
        if step.tag != SASL2 + 'success':
            raise Lost(f'not logged in: {[e.tag for e in step]}')
        await self.logged_in(step, how)

    async def logged_in(self, success, how):
        token = success.find(FAST + 'token')
        if token is not None:
            self.token, self.token_of = token.get('token'), self.proxy
        resumed = success.find(SM + 'resumed')
        enabled = next(success.iter(SM + 'enabled'), None)
        if resumed is not None:
            h = int(resumed.get('h'))
            self.world.say(self.name, 'resumed', how, self.proxy.title,
                           f'h={h} handled={self.handled} '
                           f'unacked={len(self.outbox.frames)}')
            self.ledger.counts[f'resumed by {how}'] += 1
            if not self.outbox.acknowledged(h):
                self.ledger.fault('h', f'{self.name} was told {h} after '
                                  f'{self.outbox.acked}')
        elif enabled is not None:
            if self.id:
                self.ledger.fault('session', f'{self.name} has lost it')
            self.id = enabled.get('id')
            self.jid = success.findtext(SASL2 + 'authorization-identifier')
            self.handled = self.outbox.acked = 0
            self.world.say(self.name, 'bound', self.jid, self.id)
        else:
            raise Lost('no stream management')
        self.told = self.handled
        again, self.unsent = list(self.outbox.frames), asyncio.Queue()
        self.ledger.counts['sent again'] += len(again)
        for frame in again:
            await self.put(frame)
        self.progress = self.world.now()
        self.up = self.wire
        self.room.set()

    # -- what comes

    async def acknowledge(self):
        self.told = self.handled
        await self.put(self.pb.Frame(sm_ack=self.handled).SerializeToString())

    def got(self, kind, value):
        if kind == 'sm_ack':
            if value != self.outbox.acked:
                self.progress = self.world.now()
            if not self.outbox.acknowledged(value):
                self.ledger.fault('h', f'{self.name} was told {value} after '
                                  f'{self.outbox.acked}')
            if len(self.outbox.frames) < WINDOW:
                self.room.set()
        if kind in ('sm_ack', 'sm_request', 'xml'):
            return
        self.handled = (self.handled + 1) % (1 << 32)
        if kind == 'message':
            self.got_message(value)

    def got_message(self, message):
        if message.type == self.pb.MESSAGE_ERROR:
            self.ledger.fault('refused', f'{self.name}: {message.id}')
        elif message.receipt:
            self.ledger.receipted(self.name, message.receipt)
        elif message.HasField('body'):
            self.ledger.delivered(self.name, message.id, message.body, True)
            self.queue(message=self.pb.Message(
                to=self.peer.jid, type=self.pb.CHAT, id=f'r-{message.id}',
                receipt=message.id))

    def queue(self, **fields):
        frame = self.pb.Frame(**fields).SerializeToString()
        self.outbox.frames.append(frame)
        self.unsent.put_nowait(frame)

    # -- life

    def pipe(self):
        """Its connection, as the relay knows it; None: there is none."""
        return next((p for p in self.proxy.relay.living()
                     if self.wire and p.port == self.wire.near_port()), None)

    async def read(self):
        while True:
            kind, value = await self.get()
            self.got(kind, value)
            if kind == 'sm_request' or (self.told != self.handled and
                                        self.dice.random() < 0.2):
                await self.acknowledge()

    async def write(self):
        while True:
            await self.put(await self.unsent.get())

    async def watch(self):
        """Whether it is still there: what was sent has to be acknowledged."""
        while True:
            try:
                await asyncio.wait_for(self.moving.wait(), 0.1)
                raise Lost('the network has changed')
            except asyncio.TimeoutError:
                pass
            if self.outbox.frames and (self.world.now() - self.progress >
                                       self.patience()):
                raise Lost('nothing was acknowledged')
            if self.told != self.handled:
                await self.acknowledge()
            if not self.outbox.frames:
                self.progress = self.world.now()

    async def visit(self):
        """From one connection's beginning to its end."""
        self.moving.clear()
        await self.connect()
        self.ready.set()
        tasks = [asyncio.ensure_future(t)
                 for t in (self.read(), self.write(), self.watch())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
        for error in done:
            if not isinstance(error, asyncio.CancelledError):
                raise error

    async def run(self):
        self.unsent = asyncio.Queue()
        self.queue(presence=self.pb.Presence(priority=1))
        while not self.over:
            try:
                await self.visit()
            except (Lost, OSError, EOFError, asyncio.TimeoutError,
                    websockets.WebSocketException) as error:
                self.world.say(self.name, 'lost', repr(error))
                self.ledger.counts['connections lost'] += 1
            self.hang_up()
            await asyncio.sleep(self.dice.uniform(0.2, 2) * BREATH)

    def hang_up(self):
        """Mostly without a word, so that the other side may not hear of it."""
        self.up = None
        if self.wire:
            self.wire.abort()
        self.wire = None

    def message(self, ident):
        self.queue(message=self.pb.Message(
            to=self.peer.jid, type=self.pb.CHAT, id=ident, body=body_of(ident),
            receipt_request=True))

    def client_state(self, name):
        """Whether it is looked at; that counts for nothing."""
        if self.up and self.unsent.empty():
            self.unsent.put_nowait(encoded(f"<{name} xmlns='urn:xmpp:csi:0'/>"))

    async def leave(self):
        self.over = True
        if self.up:
            await self.acknowledge()
            await self.put(self.pb.Frame(
                close=self.pb.Close()).SerializeToString())

    async def end(self):
        """Whatever is left of it."""
        self.hang_up()


class StatefulPhone(Phone):
    """It remembers what tersed remembers (docs/wire.md, State)."""

    with_state = True
