"""What a session costs tersed whose client is away: a server and phones of our
own log in by XEP-0388, a few at a time, and each phone is lost. Then the server
has something for all of them."""
import os
import select
import socket
import ssl
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), 'load'))
from peers import BIN, DOMAIN, Tersed, memory  # noqa: E402

WARM, BATCH = 200, 50
SASL = 'urn:ietf:params:xml:ns:xmpp-sasl'
STREAM = "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
HEADER = f"<stream:stream to='{DOMAIN}' version='1.0' {STREAM}>"
ANSWER = (f"<?xml version='1.0'?><stream:stream from='{DOMAIN}' id='1' "
          f"version='1.0' {STREAM}><stream:features>")
# user, NUL before it and the password: of the first flight's PLAIN.
AUTHENTICATE = (
    "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>"
    '<initial-response>AHVzZXIAcHc=</initial-response>'
    "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/>"
    "<bind xmlns='urn:xmpp:bind:0'><tag>phone</tag>"
    "<enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>"
    "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>"
    '</authenticate>')
MARK = b'/mark'  # of the JID that is bound: the client has <success/>
MESSAGE = (
    "<message xmlns='jabber:client' from='contact@{d}/phone' to='user{n}@{d}' "
    "type='chat' id='6f2c9a{i:04d}-{n}'><body>See you at the station at {i:02d}, "
    "I hope that the train is on time</body><request xmlns='urn:xmpp:receipts'/>"
    "<active xmlns='http://jabber.org/protocol/chatstates'/></message>")


def native(xml):
    frame = subprocess.run([f'{BIN}/terse', 'encode'], input=xml.encode(),
                           check=True, capture_output=True).stdout
    n, head = len(frame), b''
    while n > 127:
        head, n = head + bytes([n & 127 | 128]), n >> 7
    return head + bytes([n]) + frame


class Server(threading.Thread):
    """Lets everybody in, binds, and manages each stream by an id of its own."""

    def __init__(self, pem=None):
        super().__init__(daemon=True)
        self.context = None
        if pem:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(pem)
        self.listening = socket.create_server(('127.0.0.1', 0), backlog=4096)
        self.port = self.listening.getsockname()[1]
        self.poll = select.epoll()
        self.poll.register(self.listening, select.EPOLLIN)
        self.peers = {}  # of each descriptor: socket, what came, step

    def run(self):
        while True:
            for fd, _ in self.poll.poll():
                if fd == self.listening.fileno():
                    self.accept()
                elif fd in self.peers:
                    self.read(fd)

    def accept(self):
        s, _ = self.listening.accept()
        if self.context:
            s.settimeout(20)
            s = self.context.wrap_socket(s, server_side=True)
        s.settimeout(0)
        self.peers[s.fileno()] = [s, b'', 0]
        self.poll.register(s, select.EPOLLIN)
        self.read(s.fileno())

    def read(self, fd):
        peer = self.peers[fd]
        try:
            data = peer[0].recv(65536)
        except (ssl.SSLWantReadError, BlockingIOError):
            return
        except OSError:
            data = b''
        if not data:
            self.poll.unregister(fd)
            self.peers.pop(fd)[0].close()
            return
        peer[1] += data
        while answer := self.step(fd, peer):
            peer[0].send(answer.encode())

    def step(self, fd, peer):
        """What it says to what came, if that is the next thing."""
        wanted, answer = [
            (b'<stream:stream', ANSWER + f"<mechanisms xmlns='{SASL}'>"
             '<mechanism>PLAIN</mechanism></mechanisms></stream:features>'),
            (b'</auth>', f"<success xmlns='{SASL}'/>"),
            (b'<stream:stream', ANSWER + "<bind xmlns='urn:ietf:params:xml:ns:"
             "xmpp-bind'/><sm xmlns='urn:xmpp:sm:3'/></stream:features>"),
            (b'</iq>', "<iq type='result' id='terse-bind'><bind xmlns='urn:ietf:"
             f"params:xml:ns:xmpp-bind'><jid>user{fd}@{DOMAIN}/mark</jid></bind>"
             '</iq>'),
            (b'<enable', "<enabled xmlns='urn:xmpp:sm:3' resume='true' "
             f"id='g2gCbQAAABkzMjc2OTE1MzYyNDg1NjE4OTY2{fd:06d}'/>"),
            (None, None)][peer[2]]
        if not wanted or wanted not in peer[1]:
            return None
        peer[1] = peer[1][peer[1].index(wanted) + len(wanted):]
        peer[2] += 1
        return answer

    def tell_all(self, count):
        for fd, (s, _, _) in list(self.peers.items()):
            s.settimeout(20)
            s.sendall(''.join(MESSAGE.format(d=DOMAIN, n=fd, i=i)
                              for i in range(count)).encode())
            s.settimeout(0)


def come_and_go(port, n, flight):
    phones = []
    for _ in range(n):
        phone = socket.create_connection(('127.0.0.1', port), 20)
        phone.sendall(flight)
        phones.append(phone)
    for phone in phones:
        heard = b''
        while MARK not in heard:
            data = phone.recv(65536)
            if not data:
                raise RuntimeError(f'a phone was hung up on: {heard!r}')
            heard += data
    for phone in phones:
        phone.close()


def measure(world, n, pem=None, ca=None, stanzas=10):
    """KB of each, and of each stanza that waits; with TLS to the server if there
    is a certificate."""
    server = Server(pem)
    server.start()
    tersed = Tersed(server.port, ca=ca, hold='60m')
    if pem:
        tersed.domain['tls'] = 'direct'
    world.start(tersed)
    flight = b'TRS1' + native(HEADER) + native(AUTHENTICATE)
    seen = []
    for upto in (WARM, n):
        while (left := upto - len(server.peers)) > 0:
            come_and_go(tersed.port, min(left, BATCH), flight)
        time.sleep(1)
        seen.append(memory(tersed.pid))
    server.tell_all(stanzas)
    time.sleep(3)
    full = memory(tersed.pid)
    if len(server.peers) != n:
        raise RuntimeError(f'held: {len(server.peers)} of {n}')
    tersed.stop()
    return {'sessions': n, 'kb_per_session': (seen[1] - seen[0]) / (n - WARM),
            'stanzas': stanzas,
            'kb_per_stanza': (full - seen[1]) / (n * stanzas)}
