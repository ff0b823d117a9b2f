"""What a login costs ejabberd when it comes through tersed: SCRAM-SHA-256 by
XEP-0388, and the session is resumed or a new one made; and what it costs when a
phone comes back to a session that tersed has held."""
import asyncio
import os
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), 'load')]
from peers import DOMAIN, Tersed, cpu  # noqa: E402
import servers  # noqa: E402
from phone import SASL2, SM, Phone  # noqa: E402


class Running:
    """ejabberd, to be stopped as the others are."""

    def __init__(self):
        self.server = servers.Ejabberd()
        with open(os.path.join(self.server.dir, 'pid')) as f:
            self.pid = int(f.read())

    def stop(self):
        self.server.stop()


async def each(phones, do):
    for phone in phones:
        step = await do(phone)
        if step.tag != SASL2 + 'success':
            raise RuntimeError(f'{phone.user}: {step.tag}')
        yield step


async def all_ways(ejabberd, port, other, phones):
    figures = {}

    async def spent(name, do):
        before = cpu(ejabberd.pid)
        steps = [step async for step in each(phones, do)]
        await asyncio.sleep(0.5)
        figures[name] = 1000 * (cpu(ejabberd.pid) - before) / len(phones)
        return steps

    async def all_drop():
        for phone in phones:
            await phone.drop()
        await asyncio.sleep(0.5)

    await spent('warm', lambda p: p.login(port))
    await all_drop()
    await spent('new', lambda p: p.login(port))
    await all_drop()
    await spent('token', lambda p: p.comeback(port))
    steps = await spent('resumed', lambda p: p.login(other, resume=p.id))
    del figures['warm']  # which Erlang has yet to compile, perhaps
    if any(step.find(SM + 'resumed') is None for step in steps):
        raise RuntimeError('a session was not resumed')
    return figures


DEVICES = 6  # of each user: ejabberd lets it have ten


def measure(world, users=10):
    """CPU of ejabberd in milliseconds for each."""
    ejabberd = world.add(Running())
    server = ejabberd.server
    names = [f'bench{i}' for i in range(users)]
    for name in names:
        server.add_user(name)
    one, two = (world.start(Tersed(server.starttls, ca=server.ca))
                for _ in range(2))
    phones = [Phone(name, f'pw-{name}', DOMAIN, f'device-{i}')
              for name in names for i in range(DEVICES)]
    return {'logins': len(phones), **asyncio.run(
        all_ways(ejabberd, one.port, two.port, phones))}
