"""Frames over each binding, in clear and in TLS, by Python's own libraries and
the published schema: nothing of ours is on this side."""
import asyncio
import base64
import contextlib
import importlib.util
import os
import subprocess
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

import websockets

from bridges import SP_HELLO, trusting
from servers import DOMAIN

LIMIT = 1 << 16
WAYS = [(binding, tls) for binding in ('native', 'sp', 'ws')
        for tls in (False, True)]


def schema(build, out):
    """terse.proto, compiled by stock protoc."""
    subprocess.run(['protoc', f'-I{build}/gen', f'--python_out={out}',
                    'terse.proto'], check=True)
    spec = importlib.util.spec_from_file_location(
        'terse_pb2', os.path.join(out, 'terse_pb2.py'))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def varint(n):
    head = b''
    while n > 127:
        head, n = head + bytes([n & 127 | 128]), n >> 7
    return head + bytes([n])


async def connect(port, context=None, name=DOMAIN):
    name = {'ssl': context, 'server_hostname': name} if context else {}
    return await asyncio.open_connection('127.0.0.1', port, limit=LIMIT,
                                         **name)


def abort(transport):
    # Python's TLS cannot abort what it has closed.
    with contextlib.suppress(AttributeError):
        transport.abort()


class Native:
    """One frame behind its length as a varint."""

    hello, answer = b'TRS1', b''

    @classmethod
    async def dial(cls, port, context=None, name=DOMAIN):
        it = cls()
        it.reader, it.writer = await connect(port, context, name)
        it.writer.write(it.hello)
        it.data, it.at = b'', 0
        if it.answer and await it.reader.readexactly(8) != it.answer:
            raise ConnectionError('no greeting of SP')
        return it

    @staticmethod
    def framed(frame):
        return varint(len(frame)) + frame

    def head(self):
        """Where the frame begins and how long it is, if that came."""
        n = shift = 0
        for i in range(self.at, len(self.data)):
            n |= (self.data[i] & 127) << shift
            shift += 7
            if self.data[i] < 128:
                return i + 1, n
        return None

    async def send(self, frame):
        self.writer.write(self.framed(frame))
        await self.writer.drain()

    async def receive(self):
        """The next frame; None where the connection has ended."""
        while True:
            head = self.head()
            if head and sum(head) <= len(self.data):
                self.at = sum(head)
                return self.data[head[0]:self.at]
            more = await self.reader.read(LIMIT)
            if not more:
                return None
            self.data, self.at = self.data[self.at:] + more, 0

    def near_port(self):
        return self.writer.get_extra_info('sockname')[1]

    def abort(self):
        abort(self.writer.transport)

    def close(self):
        self.writer.close()

    def ended_well(self):
        return True


class Sp(Native):
    """One frame behind its length in 8 bytes."""

    hello = answer = SP_HELLO

    @staticmethod
    def framed(frame):
        return len(frame).to_bytes(8, 'big') + frame

    def head(self):
        end = self.at + 8
        if end > len(self.data):
            return None
        return end, int.from_bytes(self.data[self.at:end], 'big')


class Ws:
    """One frame in a binary message of WebSocket."""

    @classmethod
    async def dial(cls, port, context=None, name=DOMAIN):
        it = cls()
        options = ({'ssl': context, 'server_hostname': name} if context
                   else {})
        it.ws = await websockets.connect(
            f'{"wss" if context else "ws"}://127.0.0.1:{port}/terse',
            subprotocols=['terse.v1'], compression=None, max_size=1 << 24,
            ping_interval=None, open_timeout=60, close_timeout=10, **options)
        return it

    async def send(self, frame):
        await self.ws.send(frame)

    async def receive(self):
        try:
            return await self.ws.recv()
        except websockets.ConnectionClosed:
            return None

    def near_port(self):
        return self.ws.transport.get_extra_info('sockname')[1]

    def abort(self):
        abort(self.ws.transport)

    def close(self):
        self.ws.transport.close()

    def ended_well(self):
        return self.ws.close_code == 1000


KINDS = {'native': Native, 'sp': Sp, 'ws': Ws}


class Port:
    """Where tersed listens, and how to get there."""

    def __init__(self, port, ca, name=DOMAIN):
        self.port, self.name = port, name
        self.contexts = {'native': trusting(ca, 'terse/1'),
                         'sp': trusting(ca, 'terse/1'),
                         'ws': trusting(ca, 'http/1.1')}

    async def dial(self, binding, tls):
        return await KINDS[binding].dial(
            self.port, self.contexts[binding] if tls else None, self.name)


# -- the control: the same clients, without tersed


SASL, SM = 'urn:ietf:params:xml:ns:xmpp-sasl', 'urn:xmpp:sm:3'
BIND, STREAMS = ('urn:ietf:params:xml:ns:xmpp-bind',
                 'http://etherx.jabber.org/streams')


def to_xml(pb, frame):
    """Of what the soak's clients send."""
    kind, value = frame.ListFields()[0]
    name = kind.name
    if name == 'open':
        return (f"<?xml version='1.0'?><stream:stream to='{value.to}' "
                f"version='1.0' xmlns='jabber:client' xmlns:stream='{STREAMS}'>")
    if name == 'close':
        return '</stream:stream>'
    if name == 'sasl_auth':
        data = base64.b64encode(value.data_base64).decode()
        return f"<auth xmlns='{SASL}' mechanism='PLAIN'>{data}</auth>"
    if name == 'iq':
        payload = (
            f"<bind xmlns='{BIND}'><resource>{value.bind.resource}</resource>"
            '</bind>' if value.HasField('bind') else
            "<query xmlns='jabber:iq:roster'/>" if value.HasField('roster')
            else "<ping xmlns='urn:xmpp:ping'/>")
        way = 'set' if value.type == pb.SET else 'get'
        return f"<iq type='{way}' id='{value.id}'>{payload}</iq>"
    if name == 'presence':
        return ("<presence type='unavailable'/>" if value.HasField('type')
                else '<presence><priority>1</priority></presence>')
    if name == 'message':
        return (f"<message to='{value.to}' type='chat' id='{value.id}'><body>"
                f'{escape(value.body)}</body></message>')
    return {'sm_enable': f"<enable xmlns='{SM}' resume='true'/>",
            'sm_request': f"<r xmlns='{SM}'/>",
            'sm_ack': f"<a xmlns='{SM}' h='{value}'/>",
            'sm_resume': f"<resume xmlns='{SM}' h='{getattr(value, 'h', 0)}' "
                         f"previd={quoteattr(getattr(value, 'previd', ''))}/>",
            }[name]


def from_xml(pb, element):
    """Of what the server sends, as far as the clients look at it."""
    name = element.tag.partition('}')[2]
    frame = pb.Frame()
    if name == 'message':
        error = element.get('type') == 'error'
        frame.message.type = pb.MESSAGE_ERROR if error else pb.CHAT
        frame.message.id = element.get('id', '')
        frame.message.body = element.findtext('{jabber:client}body', '')
        if element.find('{urn:xmpp:delay}delay') is not None:
            frame.message.delay.SetInParent()
    elif name == 'iq':
        frame.iq.id = element.get('id', '')
        if jid := element.findtext(f'{{{BIND}}}bind/{{{BIND}}}jid'):
            frame.iq.bind.jid = jid
    elif name == 'enabled':
        frame.sm_enabled.id = element.get('id')
    elif name == 'resumed':
        frame.sm_resumed.h = int(element.get('h'))
    elif name == 'a':
        frame.sm_ack = int(element.get('h'))
    elif name == 'r':
        frame.sm_request = True
    else:
        names = {'features': 'stream_features', 'success': 'sasl_success',
                 'failure': 'sasl_failure', 'error': 'stream_error',
                 'presence': 'presence', 'failed': 'sm_failed'}
        field = names[name]
        if frame.DESCRIPTOR.fields_by_name[field].message_type:
            getattr(frame, field).SetInParent()
        else:
            setattr(frame, field, b'' if field == 'sasl_success' else '')
    return frame


class Xml:
    """A server itself, for who speaks frames."""

    @classmethod
    async def dial(cls, pb, port):
        it = cls()
        it.pb, it.came, it.ended = pb, [], False
        it.reader, it.writer = await connect(port)
        return it

    async def send(self, frame):
        frame = self.pb.Frame.FromString(frame)
        if frame.HasField('open'):
            self.parser, self.depth = ET.XMLPullParser(('start', 'end')), 0
        self.writer.write(to_xml(self.pb, frame).encode())
        await self.writer.drain()

    def feed(self, data):
        # Nothing comes behind <success/> before the next header.
        self.parser.feed(data)
        for event, element in self.parser.read_events():
            self.depth += 1 if event == 'start' else -1
            if event == 'end' and self.depth == 1:
                self.came.append(from_xml(self.pb, element))
            elif event == 'end' and self.depth == 0:
                self.came.append(self.pb.Frame(close=self.pb.Close()))

    async def receive(self):
        while not self.came:
            data = await self.reader.read(LIMIT)
            if not data:
                return None
            self.feed(data)
        return self.came.pop(0).SerializeToString()

    def abort(self):
        abort(self.writer.transport)

    def close(self):
        self.writer.close()

    def ended_well(self):
        return True


class Straight:
    """Where a server listens, as Port."""

    def __init__(self, pb, port):
        self.pb, self.port = pb, port

    async def dial(self, *_):
        return await Xml.dial(self.pb, self.port)
