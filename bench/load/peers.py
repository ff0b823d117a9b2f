"""What the benchmarks of tersed start, drive and read: bench-sink, bench-load,
HAProxy, nginx, tersed. Each process is ended by its pid."""
import json
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(HERE)),
                                'tests', 'e2e'))
import servers  # noqa: E402

BIN = os.path.join(servers.BUILD, 'bin')
OUT = os.path.join(servers.BUILD, 'bench')
DOMAIN = servers.DOMAIN
TICK = os.sysconf('SC_CLK_TCK')
# As much as one process is let have; where limits are tersed's own, they are
# out of the way of what is measured.
OPEN_WIDE = {
    'log_level': 'warn', 'max_connections': '1000000',
    'max_per_address': '1000000', 'connect_rate': '1000000',
    'stanza_rate': '1000000', 'stanza_burst': '10000000',
    'byte_rate': '1024M', 'byte_burst': '1024M'}


def raise_limit(sessions):
    """Lets what is started have two descriptors for each session. How many
    sessions it can have then."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    want = max(hard, 2 * sessions + 500)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (want, want))
    except (OSError, ValueError):  # not root
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        want = hard
    return min(sessions, (want - 200) // 2)


def end_on_sigterm():
    """So that what was started is ended, too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


# ---- processes ---------------------------------------------------------------

def children(pid):
    try:
        with open(f'/proc/{pid}/task/{pid}/children') as f:
            found = [int(word) for word in f.read().split()]
    except OSError:
        return []
    return found + [pid for child in found for pid in children(child)]


def cpu(pid):
    """Seconds of user and system time of a process and its children."""
    total = 0
    for one in (pid, *children(pid)):
        with open(f'/proc/{one}/stat') as f:
            fields = f.read().rpartition(')')[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def memory(pid, field='VmRSS'):
    """KiB of a process, by the kernel's account."""
    with open(f'/proc/{pid}/status') as f:
        return int(re.search(rf'^{field}:\s+(\d+) kB', f.read(), re.M).group(1))


class Process:
    """A program with a port and a directory of its own."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix='terse-bench-')
        self.port = servers.free_port()
        self.process = None

    def start(self):
        path = os.path.join(self.dir, 'log')
        with open(path, 'ab') as log:
            self.process = subprocess.Popen(
                self.arguments(), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True)
        try:
            servers.wait_port(self.port, lambda: self.process.poll() is None,
                              type(self).__name__)
        except RuntimeError:
            print(servers.read_tail(path), file=sys.stderr)
            self.stop()
            raise
        return self

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                for pid in (*children(self.pid), self.pid):
                    os.kill(pid, 9)
                self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, 'w') as f:
            f.write(text)
        return path


class Sink(Process):
    def __init__(self, *options):
        super().__init__()
        self.options = options

    def arguments(self):
        return [f'{BIN}/bench-sink', *self.options, f'127.0.0.1:{self.port}']


class Haproxy(Process):
    def __init__(self, behind):
        super().__init__()
        self.behind = behind

    def arguments(self):
        return ['/usr/sbin/haproxy', '-db', '-f', self.write('conf', f'''
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
    maxconn 6000
frontend clients
    bind 127.0.0.1:{self.port} backlog 4096
    default_backend servers
backend servers
    server xmpp 127.0.0.1:{self.behind}
''')]


class Nginx(Process):
    def __init__(self, behind):
        super().__init__()
        self.behind = behind

    def arguments(self):
        os.chmod(self.dir, 0o755)
        return ['/usr/sbin/nginx', '-e', 'stderr', '-p', self.dir, '-c',
                self.write('conf', f'''
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
pid {self.dir}/pid;
worker_processes auto;
events {{ worker_connections 8192; }}
stream {{
    proxy_timeout 1h;
    server {{
        listen 127.0.0.1:{self.port} backlog=4096;
        proxy_pass 127.0.0.1:{self.behind};
    }}
}}
''')]


def options_of_tersed():
    sample = subprocess.run([f'{BIN}/tersed', '--sample-config'], check=True,
                            capture_output=True, text=True).stdout
    return set(re.findall(r'^;? ?(\w+) =', sample, re.M))


KNOWN = options_of_tersed()
# Whether this build speaks TLS to clients.
FRONT_TLS = {'certificate', 'key'} <= KNOWN


class Tersed(Process):
    def __init__(self, behind, certificate=None, ca=None, **options):
        super().__init__()
        self.options = {**OPEN_WIDE, **options}
        if certificate:
            self.options['certificate'] = certificate
            # Tickets outlive a restart; any file will do here.
            self.options['ticket_secret'] = certificate
        self.domain = {'server': f'127.0.0.1:{behind}',
                       **({'ca_file': ca} if ca else {'starttls': 'off'})}

    def arguments(self):
        lines = ['[tersed]', f'listen = 127.0.0.1:{self.port}',
                 *(f'{k} = {v}' for k, v in self.options.items()
                   if k in KNOWN),
                 f'[domain {DOMAIN}]',
                 *(f'{k} = {v}' for k, v in self.domain.items())]
        return [f'{BIN}/tersed', self.write('conf', '\n'.join(lines) + '\n')]


class Load:
    """bench-load, told what to do and asked what it saw."""

    def __init__(self, port, *options):
        self.process = subprocess.Popen(
            [f'{BIN}/bench-load', *options, f'127.0.0.1:{port}'], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            start_new_session=True)

    def tell(self, *words):
        self.process.stdin.write(' '.join(map(str, words)) + '\n')
        self.process.stdin.flush()

    def heard(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError('bench-load ended')
        return json.loads(line)

    def ask(self, *words):
        self.tell(*words)
        return self.heard()

    def login(self, n, parallel=64):
        got = self.ask('login', n, parallel)
        if got['up'] != n:
            raise RuntimeError(f'logged in: {got["up"]} of {n}')
        return got

    def run(self, *words):
        """A measurement in which nothing may be lost."""
        got = self.ask(*words)
        if got['lost'] or got['unanswered']:
            raise RuntimeError(f'{words}: {got}')
        return got

    def stop(self):
        if self.process.poll() is not None:
            return
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class World:
    """What was started; ends it, the last one first."""

    def __init__(self):
        self.all = []

    def add(self, thing):
        self.all.append(thing)
        return thing

    def start(self, process):
        return self.add(process.start())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        while self.all:
            try:
                self.all.pop().stop()
            except Exception as error:  # the others have to end, too
                print(f'bench: {error}', file=sys.stderr)


def certificate(world):
    """A certificate with its key, and itself as authority: (pem, ca)."""
    where = world.add(Process()).dir
    key, ca, pem = (os.path.join(where, n) for n in ('key', 'ca', 'pem'))
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
         'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
         f'/CN={DOMAIN}', '-addext', f'subjectAltName=DNS:{DOMAIN}',
         '-keyout', key, '-out', ca], check=True, capture_output=True)
    with open(pem, 'w') as f:
        for path in (ca, key):
            with open(path) as part:
                f.write(part.read())
    return pem, ca


# ---- figures ------------------------------------------------------------------

def median(values):
    return statistics.median(values)


def ratio(ours, theirs):
    """The median of the ratios, round by round: what disturbs a machine for a
    while disturbs neighbours in a round alike."""
    return median(a / b for a, b in zip(ours, theirs))


def table(title, head, rows):
    print(f'\n{title}')
    cells = [head, *([c if isinstance(c, str) else f'{c:,.4g}' if abs(c) < 100
                      else f'{c:,.0f}' for c in row] for row in rows)]
    widths = [max(len(r[i]) for r in cells) for i in range(len(head))]
    for row in cells:
        print('  ' + '  '.join(
            c.ljust(w) if i == 0 else c.rjust(w)
            for i, (c, w) in enumerate(zip(row, widths))).rstrip())
    sys.stdout.flush()


def save(name, figures):
    os.makedirs(OUT, exist_ok=True)
    path = os.path.join(OUT, f'{name}.json')
    figures['load_average'] = os.getloadavg()[0]
    figures['processors'] = os.cpu_count()
    with open(path, 'w') as f:
        json.dump(figures, f, indent=1)
        f.write('\n')
    print(f'\nwritten: {path}')


class Clock:
    """A benchmark's time: what is left out when it runs out says so."""

    def __init__(self, seconds):
        self.end = time.monotonic() + seconds

    def left(self):
        return self.end - time.monotonic()
