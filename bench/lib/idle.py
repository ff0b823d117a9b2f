#!/usr/bin/python3
"""idle.py [N]: what an idle session costs tersed in memory (RSS), in clear.

N XMPP clients log in through terse-agent and tersed to a small server of our
own, all on loopback: SASL, bind, roster, presence, a message each way; then
silence. The agent is a real peer: it remembers what tersed remembers of the
connection, and knows heartbeats. Once with an empty roster, once with 20
contacts that are online. Prints a line of JSON for each.
"""
import json
import os
import re
import resource
import select
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(ROOT, os.environ.get('O', 'build'), 'bin')
DOMAIN = 'im.example.net'
WARM = 200
SASL = 'urn:ietf:params:xml:ns:xmpp-sasl'
HEADER = (f"<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' "
          "xmlns='jabber:client' "
          "xmlns:stream='http://etherx.jabber.org/streams'>")
ANSWER = HEADER.replace('to=', "id='15728640' xml:lang='en' from=")


CONTACTS = 20


def roster(user):
    items = ''.join(
        f"<item jid='contact{i}@{DOMAIN}' subscription='both'/>"
        for i in range(CONTACTS))
    presences = ''.join(
        f"<presence from='contact{i}@{DOMAIN}/phone' to='{user}@{DOMAIN}/idle'>"
        "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' "
        "node='http://conversations.im' ver='"
        f"{i:02d}PJvkCyYyTGXD4lkLTwKmXPaY='/></presence>" for i in range(CONTACTS))
    return (f"<iq type='result' id='r1' to='{user}@{DOMAIN}/idle'>"
            f"<query xmlns='jabber:iq:roster'>{items}</query></iq>{presences}"
            f"<message from='contact1@{DOMAIN}/phone' to='{user}@{DOMAIN}' "
            "type='chat' id='m1'><body>Are you there?</body></message>")


def server_step(heard, user):
    """What the server answers to what it heard, and what it waits for next."""
    if b'<auth' in heard:
        return f"<success xmlns='{SASL}'/>"
    if b'xmpp-bind' in heard:
        return (f"<iq type='result' id='b1'><bind xmlns='urn:ietf:params:xml:"
                f"ns:xmpp-bind'><jid>{user}@{DOMAIN}/idle</jid></bind></iq>")
    if b'jabber:iq:roster' in heard:
        return roster(user)
    return None


# What a client says, and what it waits for then.
CLIENT = [
    (HEADER, b'</stream:features>'),
    (f"<auth xmlns='{SASL}' mechanism='PLAIN'>AHUAcA==</auth>", b'<success'),
    (HEADER, b'</stream:features>'),
    ("<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
     '<resource>idle</resource></bind></iq>', b'</iq>'),
    ("<iq type='get' id='r1'><query xmlns='jabber:iq:roster'/></iq>",
     b'</message>'),
    (f"<presence/><message to='contact1@{DOMAIN}/phone' type='chat' id='m2'>"
     '<body>Yes</body></message>', None),
]


class World:
    def __init__(self):
        self.poll = select.epoll()
        self.listening = socket.create_server(('127.0.0.1', 0), backlog=4096)
        self.port = self.listening.getsockname()[1]
        self.listening.setblocking(False)
        self.poll.register(self.listening, select.EPOLLIN)
        self.servers, self.clients = {}, {}
        self.done = 0

    def client(self, port):
        s = socket.create_connection(('127.0.0.1', port), 30)
        s.setblocking(False)
        self.clients[s.fileno()] = [s, 0, b'']
        self.poll.register(s, select.EPOLLIN)
        s.send(CLIENT[0][0].encode())

    def client_reads(self, state):
        s, step, _ = state
        data = s.recv(65536)
        assert data, 'a client was hung up on'
        state[2] = (state[2] + data)[-4096:]
        if CLIENT[step][1] and CLIENT[step][1] in state[2]:
            state[1], state[2] = step + 1, b''
            s.send(CLIENT[step + 1][0].encode())
            if step + 2 == len(CLIENT):
                self.done += 1

    def server_reads(self, fd):
        state = self.servers[fd]
        data = state[0].recv(65536)
        if not data:
            self.poll.unregister(fd)
            del self.servers[fd]
            return
        state[1] += data
        if b'<stream:stream' in state[1]:
            end = state[1].index(b'>', state[1].index(b'<stream:stream'))
            features = ("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
                        "<sm xmlns='urn:xmpp:sm:3'/>" if state[2] else
                        f"<mechanisms xmlns='{SASL}'><mechanism>PLAIN"
                        '</mechanism></mechanisms>')
            state[0].send((ANSWER + f'<stream:features>{features}'
                           '</stream:features>').encode())
            state[1], state[2] = state[1][end + 1:], True
        answer = server_step(state[1], f'user{fd}')
        if answer:
            state[1] = b''
            state[0].send(answer.encode())

    def run(self, until):
        while not until():
            events = self.poll.poll(20)
            assert events, f'nothing moves; {self.done} are logged in'
            for fd, _ in events:
                if fd == self.listening.fileno():
                    s, _ = self.listening.accept()
                    s.setblocking(False)
                    self.servers[s.fileno()] = [s, b'', False]
                    self.poll.register(s, select.EPOLLIN)
                elif fd in self.clients:
                    self.client_reads(self.clients[fd])
                elif fd in self.servers:
                    self.server_reads(fd)


def rss(pid):
    with open(f'/proc/{pid}/status') as f:
        return int(re.search(r'VmRSS:\s+(\d+)', f.read()).group(1))


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def wait(port):
    for _ in range(200):
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit('a program does not listen')


def options():
    """What tells the agent to do without TLS, and with no session of its own,
    if it needs to be told."""
    text = subprocess.run([f'{BIN}/terse-agent', '--help'],
                          capture_output=True, text=True).stdout
    return [option for option in ('--clear', '--transparent')
            if option in text]


def main():
    global CONTACTS
    for CONTACTS in (0, 20):
        measure()


def measure():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    world, programs = World(), []
    conf = tempfile.NamedTemporaryFile('w', suffix='.conf')
    port, entry = free_port(), free_port()
    conf.write(f'[tersed]\nlisten = 127.0.0.1:{port}\nlog_level = error\n'
               'max_per_address = 1000000\nmax_connections = 1000000\n'
               'connect_rate = 1000000\n'
               f'[domain {DOMAIN}]\nserver = 127.0.0.1:{world.port}\n'
               'starttls = off\n')
    conf.flush()
    try:
        for command in ([f'{BIN}/tersed', conf.name],
                        [f'{BIN}/terse-agent', '--proxy', f'127.0.0.1:{port}',
                         '--listen', f'127.0.0.1:{entry}', *options()]):
            programs.append(subprocess.Popen(command,
                                             stderr=subprocess.DEVNULL))
        wait(port)
        wait(entry)
        started = time.monotonic()
        measured = []
        for upto in (WARM, n):
            while len(world.clients) < upto:
                for _ in range(min(50, upto - len(world.clients))):
                    world.client(entry)
                world.run(lambda: world.done == len(world.clients))
            time.sleep(2)
            measured.append(rss(programs[0].pid))
        took = time.monotonic() - started - 4
        per = (measured[1] - measured[0]) / (n - WARM)
        print(json.dumps({'sessions': n, 'contacts': CONTACTS, 'kb_per_session': round(per, 2),
                          'rss_kb': measured[1], 'login_s': round(took, 1)}))
    finally:
        for program in programs:
            program.kill()
            program.wait()


if __name__ == '__main__':
    main()
