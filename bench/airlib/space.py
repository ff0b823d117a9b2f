"""Network namespaces: the bench has one of its own, where the servers are, and
each phone has another. Between the two there are two tun devices and a
Line (line.py), which carries their packets from one to the other, late. What a
phone's device has carried is counted by the kernel: IP packets, as they would
be on the air."""
import asyncio
import ctypes
import fcntl
import json
import os
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
NEWNET = 0x40000000
SET_DEVICE = 0x400454ca  # TUNSETIFF
TUN, NO_INFO = 0x0001, 0x1000
PORTS = 'net.ipv4.ip_local_port_range'
libc = ctypes.CDLL(None, use_errno=True)


def inside():
    """Whether this process has its namespaces; else it becomes one that has.
    The end of the first process in there is the end of all that it started."""
    if os.environ.pop('AIR_INSIDE', None):
        run('ip', 'link', 'set', 'lo', 'up')
        return True
    if not os.path.exists('/dev/net/tun'):
        sys.exit('bench: the kernel has no /dev/net/tun')
    os.environ['AIR_INSIDE'] = '1'
    user = [] if os.geteuid() == 0 else ['--map-root-user']
    # A shell as the first one in there: it takes leave of those whose parents
    # have ended.
    os.execvp('unshare', ['unshare', *user, '--net', '--pid', '--fork',
                          '--kill-child', 'sh', '-c', '"$@"; exit $?', 'air',
                          sys.executable, *sys.argv])


def run(*words):
    subprocess.run(words, check=True, timeout=20)


def call(function, *args):
    if function(*args) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def device(name):
    """A tun device in the namespace where we are."""
    fd = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, SET_DEVICE,
                struct.pack('16sH22x', name.encode(), TUN | NO_INFO))
    # No address of its own making, so no packets of its own either.
    run('ip', 'link', 'set', name, 'addrgenmode', 'none')
    return fd


class Air:
    """A phone's namespace, and its way to the servers."""

    def __init__(self, number):
        self.number, self.last = number, 2
        self.server = f'10.77.{number}.1'
        home = os.open('/proc/self/ns/net', os.O_RDONLY)
        self.near = device(f'phone{number}')
        run('ip', 'addr', 'add', f'{self.server}/24', 'dev', f'phone{number}')
        run('ip', 'link', 'set', f'phone{number}', 'up')
        call(libc.unshare, NEWNET)
        try:
            self.space = os.open('/proc/thread-self/ns/net', os.O_RDONLY)
            self.far = device('air')
            run('ip', 'link', 'set', 'lo', 'up')
            run('ip', 'addr', 'add', f'{self.address}/24', 'dev', 'air')
            run('ip', 'link', 'set', 'air', 'up')
            # Stays this namespace's, wherever we are when we read it.
            self.table = open('/proc/thread-self/net/dev')
        finally:
            call(libc.setns, home, 0)
            os.close(home)

    @property
    def address(self):
        return f'10.77.{self.number}.{self.last}'

    def enter(self):
        """In a child, before exec."""
        call(libc.setns, self.space, 0)

    async def start(self, *words, **options):
        return await asyncio.create_subprocess_exec(
            *words, preexec_fn=self.enter, **options)

    def move(self):
        """Another address: nothing that comes for the old one arrives, and
        connections from there are dead without having heard so."""
        old, self.last = self.address, self.last % 200 + 2
        for words in (('del', f'{old}/24'), ('add', f'{self.address}/24')):
            subprocess.run(['ip', 'addr', *words, 'dev', 'air'], check=True,
                           preexec_fn=self.enter, timeout=20)

    def counted(self):
        """What the kernel has counted on the phone's device."""
        self.table.seek(0)
        for line in self.table:
            name, _, rest = line.strip().partition(':')
            if name == 'air':
                field = [int(word) for word in rest.split()]
                return {'down_packets': field[1], 'down_bytes': field[0],
                        'up_packets': field[9], 'up_bytes': field[8]}
        raise RuntimeError('no such device: air')


class Line:
    """The process that carries the packets of all phones (line.py)."""

    def __init__(self, delay, keep=None):
        self.delay, self.keep = delay, keep
        self.process = None

    def start(self, airs):
        words = [f'{air.number}:{air.far}:{air.near}:{air.address}'
                 for air in airs]
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, 'line.py'), str(self.delay),
             self.keep or '-', *words], text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            pass_fds=[fd for air in airs for fd in (air.far, air.near)])
        return self

    def tell(self, *words):
        self.process.stdin.write(' '.join(map(str, words)) + '\n')
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError('the line broke')
        return json.loads(answer)

    def move(self, air):
        """The phone is elsewhere, and has another address."""
        self.tell('address', air.number, '-')
        air.move()
        self.tell('address', air.number, air.address)

    def counted(self, air):
        return {**air.counted(), **self.tell('count', air.number)}

    def stop(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait(10)


def since(before, now):
    return {name: now[name] - before[name] for name in now}
