"""What goes wrong, at random: with a phone's link, with a proxy, with the
connections between a proxy and the server."""
import asyncio
import signal

from links import DOWN, UP

# -- a phone's link


def link_of(world):
    """A phone, and its connection as the relay has it, if there is one."""
    phone = world.dice.choice(world.phones)
    return phone, phone.pipe()


async def reset(world):
    """Both ends are told."""
    phone, pipe = link_of(world)
    if pipe:
        pipe.cut()
    return phone.name


async def closed(world):
    """In good order, as far as TCP knows."""
    phone, pipe = link_of(world)
    if pipe:
        pipe.close()
    return phone.name


async def cut_in_the_middle(world):
    """Of a frame, a handshake, a burst."""
    phone, pipe = link_of(world)
    n = world.dice.randrange(1, 3000)
    if pipe:
        pipe.cut_after(n)
    return f'{phone.name}, after {n} bytes'


async def black(world):
    """Nothing passes, nobody is told; the phone has to find out."""
    phone, pipe = link_of(world)
    if pipe:
        pipe.blacken(UP, DOWN)
    return phone.name


async def black_one_way(world):
    phone, pipe = link_of(world)
    way = world.dice.choice((UP, DOWN))
    if pipe:
        pipe.blacken(way)
    return f'{phone.name}, {way}'


async def new_address(world):
    """The phone is told that it is in another network; tersed still has the
    connection of before."""
    phone, pipe = link_of(world)
    if pipe:
        pipe.blacken(UP, DOWN)
    phone.proxy.relay.move()
    phone.moving.set()
    return phone.name


async def other_proxy(world):
    """The phone goes there; the connection of before may still stand."""
    phone, pipe = link_of(world)
    if pipe and world.dice.random() < 0.5:
        pipe.blacken(UP, DOWN)
    phone.proxy = next(p for p in world.proxies if p is not phone.proxy)
    phone.moving.set()
    return f'{phone.name} to {phone.proxy.title}'


# -- a proxy


def some_proxy(world, most):
    """One, and for how long."""
    return world.dice.choice(world.proxies), world.dice.uniform(0, most)


async def killed(world):
    """kill -9, and it is started again."""
    proxy, seconds = some_proxy(world, 0.5)
    async with proxy.lock:
        await proxy.ends(signal.SIGKILL)
        await asyncio.sleep(seconds)
        await proxy.starts()
    return f'{proxy.title}, for {seconds:.1f} s'


async def told_to_end(world):
    """SIGTERM: it lets its sessions go."""
    proxy, seconds = some_proxy(world, 0.2)
    async with proxy.lock:
        await proxy.ends(signal.SIGTERM)
        await asyncio.sleep(seconds)
        await proxy.starts()
    return f'{proxy.title}, for {seconds:.1f} s'


async def stopped(world):
    """It does nothing for a while, and then goes on as if nothing had
    happened: its phones may have gone on elsewhere."""
    proxy, seconds = some_proxy(world, 3)
    async with proxy.lock:
        proxy.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        proxy.process.send_signal(signal.SIGCONT)
    return f'{proxy.title}, for {seconds:.1f} s'


# -- between a proxy and the server


def some_of(world):
    """A proxy, and some of its connections to the server."""
    proxy = world.dice.choice(world.proxies)
    pipes = proxy.server.living()
    if pipes and world.dice.random() < 0.6:
        pipes = [world.dice.choice(pipes)]
    return proxy, pipes


async def server_reset(world):
    proxy, pipes = some_of(world)
    for pipe in pipes:
        pipe.cut()
    return f'{proxy.title}, {len(pipes)} connections'


async def server_closed(world):
    proxy, pipes = some_of(world)
    for pipe in pipes:
        pipe.close()
    return f'{proxy.title}, {len(pipes)} connections'


async def server_cut_in_the_middle(world):
    proxy, pipes = some_of(world)
    n = world.dice.randrange(1, 4000)
    for pipe in pipes:
        pipe.cut_after(n)
    return f'{proxy.title}, {len(pipes)} connections, after {n} bytes'


async def server_black(world):
    proxy, pipes = some_of(world)
    ways = world.dice.choice(((UP, DOWN), (UP,), (DOWN,)))
    for pipe in pipes:
        pipe.blacken(*ways)
    return f'{proxy.title}, {len(pipes)} connections, {" and ".join(ways)}'


# Each, and how often in proportion.
KINDS = {reset: 5, closed: 3, cut_in_the_middle: 5, black: 4, black_one_way: 4,
         new_address: 5, other_proxy: 5, killed: 4, told_to_end: 1, stopped: 2,
         server_reset: 3, server_closed: 2, server_cut_in_the_middle: 3,
         server_black: 2}


def drawn(dice, count):
    """So many kinds; each of them at least once, if there are enough."""
    kinds = list(KINDS)[:count]
    kinds += dice.choices(list(KINDS), KINDS.values(), k=count - len(kinds))
    dice.shuffle(kinds)
    return kinds
