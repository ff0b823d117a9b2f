"""The others: a client by plain XML on the server's own machine, whose packets
nobody counts. Partner of a conversation, and contacts that come and go."""
import asyncio
import base64
import itertools
from xml.etree import ElementTree as ET

CLIENT = '{jabber:client}'
HEADER = ("<stream:stream xmlns='jabber:client' to='{}' version='1.0' "
          "xmlns:stream='http://etherx.jabber.org/streams'>")


class Plain(asyncio.Protocol):
    def __init__(self, user, domain, resource):
        self.user, self.domain, self.resource = user, domain, resource
        self.parser, self.depth = ET.XMLPullParser(('start', 'end')), 0
        self.hooks = []    # called with each element
        self.waiting = []  # (predicate, future)
        self.ids = itertools.count(1)
        self.transport = None

    def data_received(self, data):
        self.parser.feed(data)
        for event, element in self.parser.read_events():
            if event == 'start':
                self.depth += 1
                if self.depth == 1:
                    self.root = element
                continue
            self.depth -= 1
            if self.depth == 1:
                self.got(element)
                self.root.clear()

    def got(self, element):
        for one in [one for one in self.waiting if one[0](element)]:
            self.waiting.remove(one)
            if not one[1].done():
                one[1].set_result(element)
        for hook in self.hooks:
            hook(element)

    def send(self, xml):
        self.transport.write(xml.encode())

    def expect(self, fits, timeout=30):
        future = asyncio.get_running_loop().create_future()
        self.waiting.append((fits, future))
        return asyncio.wait_for(future, timeout)

    def body(self, text, timeout=30):
        return self.expect(lambda e: e.findtext(CLIENT + 'body') == text,
                           timeout)

    def begin(self):
        self.parser, self.depth = ET.XMLPullParser(('start', 'end')), 0
        self.send(HEADER.format(self.domain))
        return self.expect(lambda e: e.tag.endswith('}features'))

    async def login(self, port):
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_connection(
            lambda: self, '127.0.0.1', port)
        await self.begin()
        secret = f'\0{self.user}\0pw-{self.user}'.encode()
        self.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
                  "mechanism='PLAIN'>"
                  f'{base64.b64encode(secret).decode()}</auth>')
        await self.expect(lambda e: e.tag.endswith('}success'))
        await self.begin()
        await self.iq("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                      f'<resource>{self.resource}</resource></bind>')
        return self

    async def iq(self, payload):
        ident = f'i{next(self.ids)}'
        self.send(f"<iq type='set' id='{ident}'>{payload}</iq>")
        answer = await self.expect(lambda e: e.get('id') == ident and
                                   e.tag == CLIENT + 'iq')
        assert answer.get('type') == 'result', ET.tostring(answer)
        return answer

    def stop(self):
        if self.transport:
            self.transport.abort()
