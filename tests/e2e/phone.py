"""A client for phones, with no library at all: XEP-0388 with XEP-0386, XEP-0198
and XEP-0484, each flight of frames in one write. It counts round trips: how
often it had to wait for an answer to what it had sent."""
import asyncio
import base64
import hashlib
import hmac
import os
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

from fake_server import RawPeer
from test_limits import HEADER, frame_of, native, split_frames, xml_of

SASL2 = '{urn:xmpp:sasl:2}'
SASL = '{urn:ietf:params:xml:ns:xmpp-sasl}'
BIND2 = '{urn:xmpp:bind:0}'
FAST = '{urn:xmpp:fast:0}'
SM = '{urn:xmpp:sm:3}'
CLIENT = '{jabber:client}'
FEATURES = '{http://etherx.jabber.org/streams}features'
AGENT = 'd4565fa7-4d72-4749-b3d3-740edbf87770'


def b64(data):
    return base64.b64encode(data).decode()


class Scram:
    """RFC 5802, without channel binding."""

    def __init__(self, user, password, name='sha256'):
        self.password, self.name = password.encode(), name
        self.bare = f'n={user},r={b64(os.urandom(12))}'

    def first(self):
        return b64(b'n,,' + self.bare.encode())

    def final(self, challenge):
        first = base64.b64decode(challenge).decode()
        parts = dict(p.split('=', 1) for p in first.split(','))
        salted = hashlib.pbkdf2_hmac(self.name, self.password,
                                     base64.b64decode(parts['s']),
                                     int(parts['i']))
        key = hmac.digest(salted, b'Client Key', self.name)
        bare = f'c=biws,r={parts["r"]}'
        auth = f'{self.bare},{first},{bare}'.encode()
        signature = hmac.digest(hashlib.new(self.name, key).digest(), auth,
                                self.name)
        proof = bytes(a ^ b for a, b in zip(key, signature))
        server = hmac.digest(salted, b'Server Key', self.name)
        self.expected = b64(b'v=' + b64(
            hmac.digest(server, auth, self.name)).encode())
        return b64(f'{bare},p={b64(proof)}'.encode())


class Phone:
    bounds = b''  # fields of Frame beside its header
    tls = {}      # asyncio.open_connection's options for it

    def __init__(self, user, password, domain, agent=AGENT):
        self.user, self.password = user, password
        self.domain, self.agent = domain, agent
        self.id = self.token = self.jid = self.location = None
        self.handled = self.sent = self.acked = 0
        self.counting = False
        self.peer, self.inbox = None, []

    async def connect(self, port):
        self.peer = await RawPeer.dial(port, self.tls)
        self.out, self.known = b'TRS1', 0
        # What was counted as heard was heard.
        self.inbox = [e for e in self.inbox if e.tag == CLIENT + 'message']
        self.trips, self.waiting = 0, False
        self.counting = False

    def open(self):
        self.out += native(frame_of(HEADER.format(self.domain)) + self.bounds)

    def write(self, *elements):
        for xml in elements:
            self.out += native(frame_of(xml))
            if self.counting and xml.startswith(('<message', '<presence',
                                                 '<iq')):
                self.sent = (self.sent + 1) % 2 ** 32

    async def flush(self):
        if self.out:
            data, self.out = self.out, b''
            self.waiting = True
            await self.peer.send(data)

    async def send(self, *elements):
        self.write(*elements)
        await self.flush()

    def got(self, xml):
        if xml.startswith((b'<stream:stream', b'</', b'<?xml')) or not xml:
            return
        element = ET.fromstring(xml)
        if element.tag == SM + 'a':
            self.acked = int(element.get('h'))
        elif self.counting and element.tag.startswith(CLIENT):
            self.handled = (self.handled + 1) % 2 ** 32
        if element.tag == SASL2 + 'success':
            self.success(element)
        elif element.tag == SM + 'enabled':
            self.id = element.get('id')
            self.handled = self.sent = self.acked = 0
            self.counting = True
        elif element.tag == SM + 'resumed':
            self.acked = int(element.get('h'))
            self.counting = True
        self.inbox.append(element)

    def success(self, element):
        resumed, enabled = (next(element.iter(SM + name), None)
                            for name in ('resumed', 'enabled'))
        token = element.find(FAST + 'token')
        if token is not None:
            self.token = token.get('token')
        if enabled is not None:
            self.id, self.location = enabled.get('id'), enabled.get('location')
            self.handled = self.sent = self.acked = 0
            self.counting = True
        if resumed is not None:
            self.acked = int(resumed.get('h'))
            self.counting = True
        self.jid = element.findtext(SASL2 + 'authorization-identifier')

    async def expect(self, fits, timeout=15):
        """Takes the first element that fits out of what came or comes."""
        async def read():
            while True:
                for i, element in enumerate(self.inbox):
                    if fits(element):
                        return self.inbox.pop(i)
                await self.flush()
                if self.waiting:
                    self.trips += 1
                    self.waiting = False
                data = await self.peer.reader.read(65536)
                assert data, 'the connection ended'
                self.peer.received += data
                frames, _ = split_frames(self.peer.received, native)
                for frame in frames[self.known:]:
                    if frame[0] == 0x6a:  # open, and bounds beside it
                        frame = frame[:2 + frame[1]]
                    self.got(xml_of(frame))
                self.known = len(frames)
        return await asyncio.wait_for(read(), timeout)

    async def body(self, text, timeout=15):
        return await self.expect(lambda e: e.findtext(CLIENT + 'body') == text,
                                 timeout)

    def authenticate(self, mechanism, initial, resume=None, bind=True,
                     extra='', count=None):
        agent = (f'<user-agent id={quoteattr(self.agent)}/>'
                 if self.agent else '')
        h = self.handled if count is None else count
        self.write(
            f"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{mechanism}'>"
            f'<initial-response>{initial}</initial-response>{agent}'
            + ("<bind xmlns='urn:xmpp:bind:0'><tag>phone</tag>"
               "<enable xmlns='urn:xmpp:carbons:2'/>"
               "<enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>"
               if bind else '')
            + (f"<resume xmlns='urn:xmpp:sm:3' h='{h}' "
               f'previd={quoteattr(resume)}/>' if resume else '')
            + extra + '</authenticate>')

    async def login(self, port, resume=None, token=True, **options):
        """SCRAM, from the first flight on. The <success/>, or <failure/>."""
        await self.connect(port)
        self.open()
        scram = Scram(self.user, self.password)
        extra = ("<request-token xmlns='urn:xmpp:fast:0' "
                 "mechanism='HT-SHA-256-NONE'/>" if token else '')
        self.authenticate('SCRAM-SHA-256', scram.first(), resume,
                          extra=extra, **options)
        step = await self.expect(lambda e: e.tag.startswith(SASL2))
        if step.tag != SASL2 + 'challenge':
            return step
        self.write("<response xmlns='urn:xmpp:sasl:2'>"
                   f'{scram.final(step.text)}</response>')
        step = await self.expect(lambda e: e.tag.startswith(SASL2))
        if step.tag == SASL2 + 'success':
            assert (step.findtext(SASL2 + 'additional-data') ==
                    scram.expected), 'who is that server?'
            await self.expect(lambda e: e.tag == FEATURES)
        return step

    async def classic(self, port, resume=None):
        """SASL as RFC 6120 has it, then XEP-0198 by itself: <resumed/>,
        <enabled/> or <failed/>."""
        await self.connect(port)
        self.open()
        await self.expect(lambda e: e.tag == FEATURES)
        initial = b64(f'\0{self.user}\0{self.password}'.encode())
        await self.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
                        f"mechanism='PLAIN'>{initial}</auth>")
        step = await self.expect(lambda e: e.tag.startswith(SASL))
        assert step.tag == SASL + 'success', step.tag
        await self.send(HEADER.format(self.domain))
        await self.expect(lambda e: e.tag == FEATURES)
        if resume:
            await self.send(f"<resume xmlns='urn:xmpp:sm:3' h='{self.handled}' "
                            f'previd={quoteattr(resume)}/>')
        else:
            await self.send(
                "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:"
                "xmpp-bind'/></iq>")
            bound = await self.expect(lambda e: e.get('id') == 'b')
            self.jid = bound.findtext('.//{urn:ietf:params:xml:ns:xmpp-bind}jid')
            await self.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
        return await self.expect(lambda e: e.tag in (
            SM + 'resumed', SM + 'enabled', SM + 'failed'))

    async def comeback(self, port, token=None, user=None, resume=None,
                       count=None, early=True):
        """By a token. The <success/>, or <failure/>."""
        token, sent = token or self.token, self.sent
        await self.connect(port)
        proof = hmac.digest(token.encode(), b'Initiator', 'sha256')
        self.open()
        if not early:
            await self.expect(lambda e: e.tag == FEATURES)
        self.authenticate('HT-SHA-256-NONE',
                          b64((user or self.user).encode() + b'\0' + proof),
                          resume or self.id, bind=False, count=count,
                          extra="<fast xmlns='urn:xmpp:fast:0'/>")
        step = await self.expect(lambda e: e.tag in (SASL2 + 'success',
                                                     SASL2 + 'failure'))
        if step.tag == SASL2 + 'success':
            assert step.findtext(SASL2 + 'additional-data') == b64(
                hmac.digest(token.encode(), b'Responder', 'sha256'))
            await self.expect(lambda e: e.tag == FEATURES)
        assert self.sent == sent
        return step

    async def drop(self):
        """Loses the connection and says nothing."""
        self.peer.writer.transport.abort()
        await asyncio.sleep(0.02)

    async def logout(self):
        await self.send('</stream:stream>')
        await self.peer.until_end()
