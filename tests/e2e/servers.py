"""The programs under test and the real server, as processes.

Each is started on ports found free, in a directory of its own, waited for by
polling, and ended by its pid. What tersed and terse-agent print on stderr is
kept: it is shown when a test fails, and a sanitizer's report in it is a
failure of its own.
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, os.environ.get('O', 'build'))
DOMAIN = 'im.example.net'
# One port block is BLOCK ports wide; blocks are tried from FIRST on.
FIRST, LAST, BLOCK = 25000, 25900, 100
SANITIZER = re.compile(
    r'ERROR: AddressSanitizer|runtime error:|LeakSanitizer|ThreadSanitizer')
START_TIMEOUT = 20
# A sanitizer keeps freed memory back: little of it, so that what a program
# really needs still shows.
ENVIRONMENT = {'ASAN_OPTIONS': 'quarantine_size_mb=4:'
                               'thread_local_quarantine_size_kb=64',
               'TSAN_OPTIONS': f'suppressions={ROOT}/tests/tsan.supp:'
                               'print_suppressions=0',
               **os.environ}


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def free_block():
    """The base of a block of free ports, and the lock that keeps it ours."""
    for base in range(FIRST, LAST, BLOCK):
        lock = socket.socket()
        try:
            lock.bind(('127.0.0.1', base + BLOCK - 1))
            for port in (1, 22, 25, 26, 27, 80):
                with socket.socket() as s:
                    s.bind(('127.0.0.1', base + port))
        except OSError:
            lock.close()
            continue
        return base, lock
    raise RuntimeError('no free block of ports')


def wait_port(port, alive, what):
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if not alive():
            raise RuntimeError(f'{what} ended while it started')
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f'{what} does not listen after {START_TIMEOUT} s')


class Server:
    """A private XMPP server (server/NAME-up.sh)."""

    name = None
    opened = None  # what its log says of a new session, before the JID

    def __init__(self):
        self.base, self.lock = free_block()
        self.dir = tempfile.mkdtemp(prefix=f'terse-e2e-{self.name}-')
        self.plain, self.starttls = self.base + 26, self.base + 22
        self.ca = os.path.join(self.dir, 'tls', 'ca.crt')
        self.log = os.path.join(self.dir, 'log', f'{self.name}.log')
        try:
            subprocess.run([self.script('up'), self.dir, str(self.base)],
                           env={**os.environ, 'DOMAIN': DOMAIN, 'USERS': ''},
                           check=True, timeout=90)
        except BaseException:
            self.stop()
            raise

    def script(self, name):
        return os.path.join(HERE, 'server', f'{self.name}-{name}.sh')

    def add_user(self, user, domain=DOMAIN):
        subprocess.run([self.script('adduser'), self.dir, domain, user],
                       check=True, timeout=20)

    def logs(self):
        return read_tail(self.log)

    def stop(self):
        subprocess.run([self.script('down'), self.dir, '--kill', '--rm'],
                       check=False, timeout=30)
        self.lock.close()


class Ejabberd(Server):
    name = 'ejabberd'
    opened = 'Opened c2s session for '

    def __init__(self):
        super().__init__()
        self.proxied = self.base + 25
        self.deployed = self.base + 27  # deploy/ejabberd.yml, with its shaper


class Prosody(Server):
    name = 'prosody'
    opened = 'Resource bound: '


def read_tail(path, size=6000):
    try:
        with open(path, errors='replace') as f:
            return f.read()[-size:]
    except OSError:
        return ''


def certificate(path, *names):
    """Writes a certificate that is its own authority, with its key, to path;
    returns it."""
    key = path + '.key'
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
         'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
         '/CN=terse test', '-addext',
         'subjectAltName=' + ','.join(f'DNS:{n}' for n in names),
         '-keyout', key, '-out', path + '.new'],
        check=True, stderr=subprocess.DEVNULL, timeout=20)
    with open(path + '.new', 'a') as out, open(key) as f:
        out.write(f.read())
    os.replace(path + '.new', path)
    return path


class Program:
    """One of our own programs. Subclasses say how it is called."""

    name = None

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix=f'terse-e2e-{self.name}-')
        self.port = free_port()
        self.log = os.path.join(self.dir, 'log')
        self.process = None

    def arguments(self):
        raise NotImplementedError

    def start(self):
        path = os.path.join(BUILD, 'bin', self.name)
        if not os.path.exists(path):
            raise RuntimeError(f'{path} is not built')
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen(
                [path, *self.arguments()], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
                env=ENVIRONMENT)
        try:
            wait_port(self.port, self.alive, self.name)
        except RuntimeError:
            print(self.logs())
            self.stop()
            raise
        return self

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def logs(self):
        return f'--- {self.name}\n{read_tail(self.log)}'

    def memory(self, field='VmRSS'):
        """KiB of memory, by the kernel's account."""
        with open(f'/proc/{self.process.pid}/status') as f:
            return int(re.search(rf'^{field}:\s+(\d+) kB', f.read(),
                                 re.M).group(1))

    def logged(self, text):
        """The lines of the log that hold text."""
        with open(self.log, errors='replace') as f:
            return [line for line in f if text in line]

    def until_logged(self, text, count=1, timeout=15):
        """Waits for that many of them; returns the last."""
        deadline = time.monotonic() + timeout
        while len(found := self.logged(text)) < count:
            assert time.monotonic() < deadline, f'{text}: {found}'
            time.sleep(0.02)
        return found[-1]

    def reload(self):
        """Has it read its configuration again."""
        count = len(self.logged('event=reloaded'))
        self.process.send_signal(signal.SIGHUP)
        self.until_logged('event=reloaded', count + 1)

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout=20):
        return self.process.wait(timeout)

    def faults(self):
        """What is wrong with how it ran, or None."""
        with open(self.log, errors='replace') as f:
            found = SANITIZER.search(text := f.read())
        if found:
            return f'{self.name}: {text[found.start():][:4000]}'
        return None

    def stop(self):
        """Ends it. Returns what was wrong with how it ran, or None."""
        fault = None
        if self.process:
            if self.alive():
                self.terminate()
            try:
                code = self.wait()
                if code != 0:
                    fault = f'{self.name} ended with {code}'
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                fault = f'{self.name} did not end on SIGTERM'
            self.process = None
        fault = self.faults() or fault if os.path.exists(self.log) else fault
        if fault:
            print(self.logs())
        shutil.rmtree(self.dir, ignore_errors=True)
        return fault


class Tersed(Program):
    """A tersed. domains: {name: {option: value}}; options: [tersed]'s own."""

    name = 'tersed'

    def __init__(self, domains, **options):
        super().__init__()
        self.domains = domains
        self.certificate = certificate(os.path.join(self.dir, 'tersed.pem'),
                                       *domains)
        self.options = {'certificate': self.certificate,
                        'listen': f'127.0.0.1:{self.port}',
                        'drain_timeout': '3s', 'close_timeout': '2s',
                        **options}

    def arguments(self):
        path = os.path.join(self.dir, 'tersed.conf')
        with open(path, 'w') as f:
            for section, options in (('tersed', self.options), *(
                    (f'domain {name}', options)
                    for name, options in self.domains.items())):
                f.write(f'[{section}]\n')
                f.writelines(f'{k} = {v}\n' for k, v in options.items())
        return [path]


def real_domains(server, port=None):
    """The domains of a real server, over verified STARTTLS."""
    return {name: {'server': f'127.0.0.1:{port or server.starttls}',
                   'ca_file': server.ca, 'starttls': 'required'}
            for name in (DOMAIN, f'sha1.{DOMAIN}', f'sha256.{DOMAIN}')}


class Agent(Program):
    """A terse-agent in front of a tersed's port, or of several. It passes all
    as it is, unless `phone`: then it is a phone's client towards tersed."""

    name = 'terse-agent'

    def __init__(self, proxy_port, ca=None, phone=False, options=()):
        super().__init__()
        self.ports = (proxy_port if isinstance(proxy_port, (list, tuple))
                      else [proxy_port])
        self.ca, self.phone, self.options = ca, phone, options

    def arguments(self):
        return ['--listen', f'127.0.0.1:{self.port}',
                '--proxy', ','.join(f'127.0.0.1:{p}' for p in self.ports),
                *(['--ca-file', self.ca] if self.ca else ['--clear']),
                *([] if self.phone else ['--transparent']),
                *self.options]

    def hint(self):
        """The network has changed."""
        self.process.send_signal(signal.SIGUSR1)
