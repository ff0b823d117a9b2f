"""A scripted XMPP server and a relay, for what a real server does not do on
demand: dribble, stop reading, die in mid-stanza, flood."""
import asyncio
import ssl
from xml.etree import ElementTree as ET

STREAMS = 'http://etherx.jabber.org/streams'
FEATURES = (
    "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
    '<mechanism>PLAIN</mechanism></mechanisms>')
BOUND_FEATURES = (
    "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
    "<sm xmlns='urn:xmpp:sm:3'/>")


class Session:
    """One connection of the server. It logs its peer in by itself; from then
    on the test reads `elements` and calls `send`."""

    def __init__(self, server, reader, writer):
        self.server, self.reader, self.writer = server, reader, writer
        self.bytes = bytearray()     # all that came, in clear
        self.stream = bytearray()    # of the stream that is open
        self.elements = asyncio.Queue()
        self.footer = False          # the peer closed its stream
        self.ended = asyncio.Event()  # the peer closed its connection
        self.reading = asyncio.Event()
        self.reading.set()
        self.secured = False
        self.authenticated = False
        self.bound_jid = None

    def restart(self):
        self.parser = ET.XMLPullParser(('start', 'end'))
        self.depth = 0
        self.stream = bytearray()

    async def send(self, text, drain=True):
        """Sends text, in pieces as the server says."""
        data = text if isinstance(text, bytes) else text.encode()
        step = self.server.chunk or len(data)
        for i in range(0, len(data), step):
            self.writer.write(data[i:i + step])
            if self.server.chunk:
                await asyncio.sleep(0)
        if drain:
            await self.writer.drain()

    async def run(self):
        self.restart()
        try:
            while True:
                await self.reading.wait()
                data = await self.reader.read(65536)
                if not data:
                    break
                self.bytes += data
                self.stream += data
                await self.feed(data)
        except (OSError, ssl.SSLError):
            pass
        finally:
            self.ended.set()

    async def feed(self, data):
        self.parser.feed(data)
        parser = self.parser
        for event, element in parser.read_events():
            if event == 'start':
                self.depth += 1
                if self.depth == 1:
                    self.root = element
                    await self.opened(element)
                continue
            self.depth -= 1
            if self.depth == 0:
                self.footer = True
            elif self.depth == 1:
                await self.came(element)
                self.root.remove(element)
            if self.parser is not parser:
                return

    async def opened(self, header):
        await self.send(
            "<?xml version='1.0'?><stream:stream id='f1' version='1.0' "
            f"xml:lang='en' from='{header.get('to')}' xmlns='jabber:client' "
            f"xmlns:stream='{STREAMS}'>")
        if self.authenticated:
            features = self.server.bound_features
        elif self.server.tls and not self.secured:
            features = ("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>"
                        '<required/></starttls>')
        else:
            features = self.server.features
        await self.send(f'<stream:features>{features}</stream:features>')

    async def came(self, element):
        name = element.tag.partition('}')[2]
        if name == 'starttls':
            await self.send("<proceed xmlns='urn:ietf:params:xml:ns:"
                            "xmpp-tls'/>")
            await self.writer.start_tls(self.server.tls)
            self.secured = True
            self.restart()
        elif name == 'auth' and not self.authenticated:
            await self.send("<success xmlns='urn:ietf:params:xml:ns:"
                            "xmpp-sasl'/>")
            self.authenticated = True
            self.restart()
        elif len(element) and element[0].tag.endswith('xmpp-bind}bind'):
            self.bound_jid = self.server.jid
            await self.send(
                f"<iq type='result' id='{element.get('id')}'>"
                "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                f'<jid>{self.bound_jid}</jid></bind></iq>')
            self.bytes.clear()
            self.server.bound.put_nowait(self)
        else:
            self.elements.put_nowait(element)

    async def next(self, timeout=15):
        return await asyncio.wait_for(self.elements.get(), timeout)

    def close(self):
        self.writer.close()

    def abort(self):
        self.writer.transport.abort()


class FakeServer:
    jid = 'user@fake.example.net/r'

    def __init__(self, features=FEATURES, bound_features=BOUND_FEATURES,
                 tls=None, chunk=0, kind=Session):
        self.features, self.bound_features = features, bound_features
        self.tls, self.chunk, self.kind = tls, chunk, kind
        self.sessions = []
        self.bound = asyncio.Queue()
        self.tasks = []

    async def start(self, port=0):
        self.server = await asyncio.start_server(
            self.accepted, '127.0.0.1', port, reuse_address=True)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def accepted(self, reader, writer):
        session = self.kind(self, reader, writer)
        self.sessions.append(session)
        self.tasks.append(asyncio.current_task())
        await session.run()

    async def session(self, timeout=15):
        """The next session that has a resource bound."""
        return await asyncio.wait_for(self.bound.get(), timeout)

    async def close(self):
        self.server.close()
        for session in self.sessions:
            session.abort()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


class Relay:
    """Carries connections to a port, byte by byte: what goes to it (up), what
    comes from it (down), or both. Not towards a reader that uses expat:
    Debian's, since CVE-2023-52425, puts off tokens that come in many pieces
    until more comes, which in XMPP may be never."""

    def __init__(self, target, up=True, down=True):
        self.target, self.up, self.down = target, up, down
        self.carried = 0
        self.logs = []  # of each connection: what went up, what came down
        self.tasks = []

    async def start(self, port=0):
        self.server = await asyncio.start_server(self.accepted, '127.0.0.1',
                                                 port)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def accepted(self, reader, writer):
        self.tasks.append(asyncio.current_task())
        there = await asyncio.open_connection('127.0.0.1', self.target)
        up, down = bytearray(), bytearray()
        self.logs.append((up, down))
        await asyncio.gather(
            self.carry(reader, there[1], self.up, up),
            self.carry(there[0], writer, self.down, down),
            return_exceptions=True)

    async def carry(self, reader, writer, dribble, log):
        try:
            while data := await reader.read(4096):
                log += data
                step = 1 if dribble else len(data)
                for i in range(0, len(data), step):
                    writer.write(data[i:i + step])
                    self.carried += 1
                    await asyncio.sleep(0)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    async def close(self):
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


class RawPeer:
    """A bare TCP connection, for bytes that no library would send."""

    def __init__(self):
        self.received = bytearray()

    @classmethod
    async def dial(cls, port, tls=None):
        peer = cls()
        peer.reader, peer.writer = await asyncio.open_connection(
            '127.0.0.1', port, **(tls or {}))
        return peer

    async def send(self, data, chunk=0):
        if isinstance(data, str):
            data = data.encode()
        step = chunk or len(data) or 1
        for i in range(0, len(data), step):
            self.writer.write(data[i:i + step])
            if chunk:
                await asyncio.sleep(0)
        await self.writer.drain()

    async def until(self, what, timeout=15):
        """Reads until the bytes `what` have come."""
        async def read():
            while what not in self.received:
                data = await self.reader.read(65536)
                if not data:
                    raise AssertionError(
                        f'ended before {what!r}: {bytes(self.received)!r}')
                self.received += data
        await asyncio.wait_for(read(), timeout)

    async def until_end(self, timeout=15):
        """Reads all until the peer closes; returns it."""
        async def read():
            try:
                while data := await self.reader.read(65536):
                    self.received.extend(data)
            except ConnectionError:
                pass
        await asyncio.wait_for(read(), timeout)
        return bytes(self.received)

    def close(self):
        self.writer.close()
