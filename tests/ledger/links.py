"""Links that break: a relay in front of a port, whose connections can be cut,
closed, cut in the middle of something, or go black, so that neither end hears a
word of it."""
import asyncio
import contextlib
import itertools
import os
import ssl

CHUNK = 65536
UP, DOWN = 'up', 'down'
LOG_MAX = 32 << 20  # bytes of one log


class Calm:
    """Keeps a server from racing with itself (witness.py): nothing is passed to
    it while it takes up a stream again, and before that it says of each other
    stream that it is done with all that came."""

    LEAST, MOST = 0.1, 1.5  # seconds
    ASK = b"<r xmlns='urn:xmpp:sm:3'/>"

    def __init__(self, slow=1):
        self.slow, self.turn, self.pipes = slow, asyncio.Lock(), []

    async def settled(self, pipe):
        others = [p for p in self.pipes if p is not pipe and p.may_ask()]
        for other in others:
            other.asked(1)
            other.far[1].write(self.ASK)
        # Who was cut off cannot be asked.
        await asyncio.sleep(self.LEAST * self.slow)
        waits = [asyncio.ensure_future(p.answered.wait()) for p in others]
        if waits:
            await asyncio.wait(waits, timeout=self.MOST * self.slow)
        for wait in waits:
            wait.cancel()

    async def passing(self, pipe, data, write):
        async with self.turn:
            resumes = b'<resume ' in data
            if resumes:
                await self.settled(pipe)
                if pipe.near[0].exception() or pipe.near[0].at_eof():
                    return  # given up meanwhile; it is we who made it late
                pipe.resumed.clear()
            pipe.asked(data.count(b'<r '))
            await write()
            pipe.whole = data.endswith(b'>')
            if resumes:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(pipe.resumed.wait(),
                                           self.MOST * self.slow)

    def came(self, pipe, data):
        if b'<resumed' in data or b'<enabled' in data:
            pipe.counts = True
        if b'<resumed' in data or b'<failed' in data:
            pipe.resumed.set()
        pipe.asked(-data.count(b'<a '))


class Pipe:
    """One connection through a relay: near is who dialled."""

    def __init__(self, near, far, log, calm=None):
        self.near, self.far, self.log = near, far, log
        self.calm, self.resumed = calm, asyncio.Event()
        self.answered = asyncio.Event()
        self.counts = self.whole = self.deaf = False
        self.questions = 0
        self.black = set()          # directions that nothing passes
        self.left = None            # bytes until it is cut
        self.over = False
        self.port = near[1].get_extra_info('peername')[1]

    def asked(self, more):
        """So many questions more are open."""
        self.questions = max(0, self.questions + more)
        if self.questions:
            self.answered.clear()
        else:
            self.answered.set()

    def may_ask(self):
        """Between two elements, a server that counts."""
        return (self.counts and self.whole and not self.over and
                not self.deaf)

    async def run(self):
        await asyncio.gather(self.carry(UP, self.near[0], self.far[1]),
                             self.carry(DOWN, self.far[0], self.near[1]))

    async def carry(self, way, source, sink):
        try:
            while data := await source.read(CHUNK):
                if self.left is not None:
                    data = data[:self.left]
                    self.left -= len(data)
                if self.calm and way == DOWN:
                    self.calm.came(self, data)
                if way in self.black:
                    continue  # it was on its way, and is lost
                await self.carry_on(way, data, sink)
                if self.left == 0:
                    self.cut()
        except (OSError, RuntimeError):
            pass
        self.deaf |= way == DOWN
        if not self.black:  # of what is black nobody is told
            with contextlib.suppress(OSError, RuntimeError):
                sink.close()
            self.over = True

    async def carry_on(self, way, data, sink):
        async def write():
            self.log(way, data)
            sink.write(data)
            await sink.drain()
        if self.calm and way == UP:
            await self.calm.passing(self, data, write)
        else:
            await write()

    def cut(self):
        """Both ends get a reset."""
        self.over = True
        for _, writer in (self.near, self.far):
            writer.transport.abort()

    def close(self):
        """Both ends get an end, in good order."""
        self.over = True
        for _, writer in (self.near, self.far):
            writer.close()

    def cut_after(self, n):
        self.left = n

    def blacken(self, *ways):
        self.black |= set(ways)


def files(folder, name, number=itertools.count(1)):
    """Makes logs of bytes: a file for each connection and direction."""
    def begin():
        path = f'{folder}/{name}-{next(number):04}'

        def log(way, data):
            with open(f'{path}.{way}', 'ab') as f:
                if f.tell() < LOG_MAX:
                    f.write(data)
        return log
    return begin


def ending_tls(server):
    """With the certificate of a private server (tests/e2e/servers.py)."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(os.path.join(server.dir, 'tls', 'server.pem'))
    return context


class Relay:
    """Carries connections to a port, from one address of 127/8 after the
    other. logs: makes what each connection's bytes are shown to. tls: it ends
    here, and goes on in clear. calm: of a server."""

    def __init__(self, target, *logs, tls=None, calm=None):
        self.target, self.logs, self.tls = target, logs, tls
        self.calm = calm
        self.address = 2
        self.refused = 0
        self.pipes, self.tasks = [], set()

    async def start(self):
        self.server = await asyncio.start_server(
            self.accepted, '127.0.0.1', 0, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    def move(self):
        """Who connects from now on has another address."""
        self.address = self.address % 250 + 1

    def logger(self):
        logs = [begin() for begin in self.logs]

        def log(way, data):
            for each in logs:
                each(way, data)
        return log

    async def accepted(self, reader, writer):
        task = asyncio.current_task()
        self.tasks.add(task)
        try:
            far = await asyncio.open_connection(
                '127.0.0.1', self.target,
                local_addr=(f'127.0.1.{self.address}', 0))
        except OSError:
            self.refused += 1
            writer.transport.abort()
            self.tasks.discard(task)
            return
        pipe = Pipe((reader, writer), far, self.logger(), self.calm)
        known = [self.pipes] + ([self.calm.pipes] if self.calm else [])
        for pipes in known:
            pipes.append(pipe)
        try:
            await pipe.run()
        finally:
            for pipes in known if not pipe.black else ():
                pipes.remove(pipe)
            self.tasks.discard(task)

    def living(self):
        return [p for p in self.pipes if not p.over and not p.black]

    async def close(self):
        self.server.close()
        for pipe in self.pipes:
            pipe.cut()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
