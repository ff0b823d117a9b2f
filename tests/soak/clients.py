"""Clients that behave: they chat, leave and return; or they lose their
connection and resume their stream (XEP-0198), so that nothing is lost then
either. Some remember what tersed remembers (docs/wire.md, State)."""
import asyncio
import random

from ledger import body_of
from receiver import Connection
from servers import DOMAIN

TIMEOUT = 60
BOUNDS = {'slots': 48, 'templates': 64, 'journal': 32, 'bytes': 20000}
NOBODY = 'nobody'
OPEN_MAX = 2000      # messages on their way, of all clients
QUIET = 1            # seconds in which what is on its way arrives
ASK = 5              # stanzas after which to ask what was handled
DIALLING_MAX = 12    # logins at a time, of all clients


class Lost(Exception):
    """The connection ended, and not by us."""


class Session:
    """One connection: frames in and out, a login, stream management."""

    def __init__(self, world, wire, state):
        self.world, self.wire, self.pb = world, wire, world.pb
        self.state = Connection(world.kinds) if state else None
        self.control = asyncio.Queue()  # what is no stanza, and iqs
        self.closing = self.closed = False
        self.reading = asyncio.ensure_future(self.read())

    async def send(self, **fields):
        await self.send_frame(self.pb.Frame(**fields).SerializeToString())

    async def send_frame(self, frame):
        if self.state:
            self.state.frame('c', frame)
        try:
            await self.wire.send(frame)
        except Exception as error:
            raise Lost(f'while it sent: {error!r}') from None

    async def read(self):
        why = 'connection ended'
        try:
            while (data := await self.wire.receive()) is not None:
                if self.state:
                    data = self.state.frame('s', data)
                frame = self.pb.Frame.FromString(data)
                name = frame.ListFields()[0][0].name
                if name == 'stream_error':
                    why = f'stream error {frame.stream_error}'
                elif name == 'close':
                    self.closed = True
                await self.got(name, frame)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            why = repr(error)
        self.control.put_nowait(('gone', why))

    async def got(self, name, frame):
        self.control.put_nowait((name, frame))

    async def until(self, wanted, also=()):
        """The next frame of that name; what else comes is passed over."""
        while True:
            name, frame = await asyncio.wait_for(self.control.get(), TIMEOUT)
            if name == 'gone':
                raise Lost(f'{frame}, while it waited for {wanted}')
            if name == wanted or name in also:
                return name, getattr(frame, name)

    async def authenticate(self, user, password):
        """Returns the features after login; None where it is refused."""
        bounds = BOUNDS if self.state else {}
        opening = self.pb.Open(to=DOMAIN, version='1.0')
        await self.send(open=opening, **bounds)
        await self.until('stream_features')
        await self.send(sasl_auth=self.pb.SaslAuth(
            mechanism='PLAIN', data_base64=f'\0{user}\0{password}'.encode()))
        name, _ = await self.until('sasl_success', ('sasl_failure',))
        if name == 'sasl_failure':
            return None
        await self.send(open=opening)
        return (await self.until('stream_features'))[1]

    async def bind(self, resource):
        await self.send(iq=self.pb.Iq(type=self.pb.SET, id='bind',
                                      bind=self.pb.Bind(resource=resource)))
        _, iq = await self.until('iq')
        if not iq.HasField('bind'):
            raise Lost(f'not bound: {iq}')
        return iq.bind.jid

    async def stanza(self, **fields):
        await self.send(**fields)

    async def ask(self, ident, **query):
        await self.stanza(iq=self.pb.Iq(type=self.pb.GET, id=ident, **query))
        while (iq := (await self.until('iq'))[1]).id != ident:
            pass
        return iq

    async def leave(self):
        """Closes the stream, and reads until the other side has, too."""
        self.closing = True
        await self.send(close=self.pb.Close())
        await asyncio.wait_for(self.reading, TIMEOUT)
        self.wire.close()
        if not (self.closed and self.wire.ended_well()):
            raise Lost('no good end')

    def drop(self):
        self.reading.cancel()
        self.wire.abort()


class ChatSession(Session):
    """What comes goes into the books of its client."""

    def __init__(self, client, wire):
        self.client = client
        super().__init__(client.world, wire, client.state)
        self.stanza = client.stanza  # which keeps them until acknowledged

    async def got(self, name, frame):
        if name in ('message', 'presence', 'iq') and self.client.counting:
            self.client.handled += 1
        if name == 'message':
            self.client.got_message(frame.message)
        elif name == 'sm_request':
            await self.send(sm_ack=self.client.handled)
        elif name == 'sm_ack':
            self.client.acknowledged(frame.sm_ack)
        else:
            self.control.put_nowait((name, frame))


class Chatter:
    """An account and the client that uses it."""

    def __init__(self, world, number, way, managed, state):
        self.world, self.pb, self.ledger = world, world.pb, world.ledger
        self.name, self.way = world.names[number], way
        self.managed, self.state = managed, state
        self.random = random.Random(number)
        self.session = self.old = None
        self.refusals = set()  # messages whose refusal is yet to come
        self.counting = False
        self.resumption = None
        self.handled = self.acked = 0
        self.unacked = []

    def got_message(self, message):
        ident = message.id
        if message.type == self.pb.MESSAGE_ERROR:
            self.refusals.discard(ident)
            self.ledger.refused(ident)
            return
        # What ejabberd stored for who was away may overtake, or be overtaken
        # by, what it passes on; a stream that is resumed has its order.
        self.ledger.delivered(self.name, ident, message.body,
                              self.managed or not message.HasField('delay'))

    def acknowledged(self, h):
        count = (h - self.acked) % (1 << 32)
        if count > len(self.unacked):
            self.ledger.fault('acknowledged', f'{self.name}: {h}')
            return
        self.acked = h
        del self.unacked[:count]

    # -- going on line and off

    async def online(self):
        async with self.world.dialling:
            wire = await asyncio.wait_for(self.world.port.dial(*self.way),
                                          TIMEOUT)
            self.session = ChatSession(self, wire)
            if await self.session.authenticate(self.name,
                                               f'pw-{self.name}') is None:
                raise Lost('login refused')
            if self.resumption:
                await self.resume()
            else:
                await self.begin()

    async def begin(self):
        """ejabberd loses what it stores for a client in the moment in which it
        looks for what it has stored, so then nobody writes to this one."""
        session = self.session
        self.world.turning.add(self.name)
        jid = await session.bind('soak')
        if jid != f'{self.name}@{DOMAIN}/soak':
            raise Lost(f'bound to {jid}')
        if self.managed:
            await session.send(sm_enable=self.pb.SmEnable(resume=True))
            self.counting = True
            _, self.resumption = await session.until('sm_enabled')
        await self.stanza(iq=self.pb.Iq(type=self.pb.GET, id='roster',
                                        roster=self.pb.Roster()))
        await session.until('iq')
        if not self.managed:
            await asyncio.sleep(QUIET)
        await self.stanza(presence=self.pb.Presence(priority=1))
        await session.until('presence')
        await session.ask('first', ping=self.pb.Ping())
        self.world.turning.discard(self.name)
        self.ledger.counts['logins'] += 1

    async def resume(self):
        how = self.resumption
        which = next(kind for kind in ('id', 'id_base64', 'id_uuid')
                     if how.HasField(kind))
        await self.session.send(sm_resume=self.pb.SmResume(
            h=self.handled, **{which.replace('id', 'previd', 1):
                               getattr(how, which)}))
        name, answer = await self.session.until('sm_resumed', ('sm_failed',))
        if name == 'sm_failed':
            raise Lost(f'not resumed: {answer}')
        self.acknowledged(answer.h)
        if self.old:
            self.old.drop()
        self.old = None
        for frame in list(self.unacked):
            await self.session.send_frame(frame)
        self.ledger.counts['resumed'] += 1

    async def stanza(self, **fields):
        frame = self.pb.Frame(**fields).SerializeToString()
        if self.managed:
            self.unacked.append(frame)
        await self.session.send_frame(frame)
        if self.managed and len(self.unacked) % ASK == 0:
            await self.session.send(sm_request=True)

    async def away(self):
        if self.managed and self.random.random() < 0.5:
            # In another network: the old connection still stands.
            self.session.reading.cancel()
            self.old = self.session
            self.ledger.counts['moved'] += 1
        elif self.managed:
            self.session.drop()
        else:
            await self.leave()
        self.session = None
        self.ledger.counts['dropped' if self.managed else 'left'] += 1

    async def leave(self):
        """In good order: it is away first, and closes when all that was on its
        way has come. What ejabberd has routed to a stream that ends meanwhile
        it drops."""
        self.world.turning.add(self.name)
        await self.stanza(presence=self.pb.Presence(
            type=self.pb.UNAVAILABLE))
        await asyncio.sleep(QUIET)
        for _ in range(10 * TIMEOUT):
            if not self.refusals and not self.ledger.owed(self.name):
                break
            await asyncio.sleep(0.1)
        await self.session.ask('last', ping=self.pb.Ping())
        if self.managed:
            await self.session.send(sm_ack=self.handled)
        await self.session.leave()
        self.world.turning.discard(self.name)

    # -- chatting

    async def chat(self, seconds):
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end and not self.world.over:
            await asyncio.sleep(self.random.uniform(0.2, 1.8) *
                                self.world.pause)
            if self.session.reading.done():
                raise Lost(str(self.session.control.get_nowait()))
            if len(self.ledger.open) < OPEN_MAX:
                for _ in range(self.random.choice((1, 1, 1, 4))):
                    await self.say()

    async def say(self):
        to = NOBODY
        if self.random.random() > 0.03:
            to = self.random.choice(self.world.names)
            if to in self.world.turning:
                return
        ident = self.ledger.sends(self.name, to, to == NOBODY)
        if to == NOBODY:
            self.refusals.add(ident)
        await self.stanza(message=self.pb.Message(
            to=f'{to}@{DOMAIN}', type=self.pb.CHAT, id=ident,
            body=body_of(ident)))

    async def live(self):
        low, high = self.world.session
        while not self.world.over:
            await self.online()
            await self.world.started.wait()
            await self.chat(self.random.uniform(low, high))
            if not self.world.over:
                await self.away()
                await asyncio.sleep(self.random.uniform(0, self.world.away))
        # Now all get what was kept for them while they were away.
        if self.session is None:
            await self.online()
        await self.world.settled.wait()
        await self.leave()

    async def run(self):
        try:
            await self.live()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.ledger.fault('client', f'{self.name} {self.way}: {error!r}')
        finally:
            for session in filter(None, (self.session, self.old)):
                session.drop()
