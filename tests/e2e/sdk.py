"""The C library as a client: session_driver, line by line."""
import asyncio
import os

import servers

DRIVER = os.path.join(servers.BUILD, 'bin', 'e2e-session_driver')


def fields(line):
    """'word a=1 text=all the rest' -> {'': 'word', 'a': '1', 'text': …}"""
    found, rest = {}, line
    found[''], _, rest = rest.partition(' ')
    while rest:
        name, _, rest = rest.partition('=')
        if name in ('text', 'body', 'xml', 'jid'):
            found[name], rest = rest, ''
        else:
            found[name], _, rest = rest.partition(' ')
    return found


class Sdk:
    def __init__(self, user, hosts, ca=None, jid=None, password=None,
                 **options):
        self.user, self.jid = user, jid
        self.password = password or f'pw-{user}'
        own = jid or f'{user}@{servers.DOMAIN}/sdk'
        self.arguments = [f'host={hosts}', f'jid={own}',
                          f'ca={ca}' if ca else 'clear=1',
                          *(f'{k}={v}' for k, v in options.items())]
        self.events, self.came = [], asyncio.Event()
        self.process = None

    async def start(self, connect=True):
        self.process = await asyncio.create_subprocess_exec(
            DRIVER, *self.arguments, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**servers.ENVIRONMENT, 'TERSE_PASSWORD': self.password},
            limit=1 << 22)
        self.reading = asyncio.create_task(self.read())
        if connect:
            await self.do('connect')
        return self

    async def read(self):
        while line := await self.process.stdout.readline():
            event = fields(line.decode().rstrip('\n'))
            if event[''] == 'ready':
                self.jid = event['jid']
            self.events.append(event)
            self.came.set()

    async def do(self, *lines):
        self.process.stdin.write(''.join(f'{x}\n' for x in lines).encode())
        await self.process.stdin.drain()

    def seen(self, kind, **values):
        return [e for e in self.events if e[''] == kind and
                all(e.get(k) == v for k, v in values.items())]

    async def until(self, kind, timeout=20, **values):
        """Takes the first event of that kind, of now or later."""
        async def wait():
            while not (found := self.seen(kind, **values)):
                self.came.clear()
                assert not self.reading.done(), self.events[-5:]
                await self.came.wait()
            self.events.remove(found[0])
            return found[0]
        try:
            return await asyncio.wait_for(wait(), timeout)
        except asyncio.TimeoutError:
            raise AssertionError(
                f'no {kind} {values} in {self.events[-8:]}') from None

    async def hear(self, *texts):
        """Exactly these bodies, in this order."""
        for text in texts:
            assert (await self.until('message'))['body'] == text

    async def status(self):
        await self.do('status')
        return await self.until('status')

    async def stop(self):
        """Ends it without a word; what went wrong, or None."""
        if self.process is None:
            return None
        if self.process.returncode is None:
            self.process.stdin.close()
            code = await asyncio.wait_for(self.process.wait(), 20)
        else:
            code = self.process.returncode
        await self.reading
        self.process = None
        return None if code in (0, -9) else f'session_driver ended with {code}'
