"""The published schema is enough: a session in which nothing of ours runs on
the client's side. Frames are made and read by Google's Protobuf library, and
go over nng's pair0 framing, by hand."""
import asyncio
import importlib.util
import os
import subprocess

import pytest

import servers
from fake_server import RawPeer
from servers import DOMAIN

SP_HELLO = b'\0SP\0\0\x10\0\0'


@pytest.fixture(scope='module')
def schema(tmp_path_factory):
    """terse.proto, compiled by stock protoc."""
    out = str(tmp_path_factory.mktemp('schema'))
    subprocess.run(['protoc', f'-I{servers.BUILD}/gen', f'--python_out={out}',
                    'terse.proto'], check=True)
    spec = importlib.util.spec_from_file_location(
        'terse_pb2', os.path.join(out, 'terse_pb2.py'))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Stock:
    """Frames over SP, by the schema alone."""

    def __init__(self, schema):
        self.schema = schema
        self.data = bytearray()

    async def dial(self, port):
        self.peer = await RawPeer.dial(port)
        await self.peer.send(SP_HELLO)
        assert await self.peer.reader.readexactly(8) == SP_HELLO

    async def send(self, **fields):
        frame = self.schema.Frame(**fields).SerializeToString()
        await self.peer.send(len(frame).to_bytes(8, 'big') + frame)

    async def receive(self):
        head = await self.peer.reader.readexactly(8)
        body = await self.peer.reader.readexactly(int.from_bytes(head, 'big'))
        frame = self.schema.Frame.FromString(body)
        # Nothing was unknown: without what is, it is as long as it came.
        known = self.schema.Frame.FromString(body)
        known.DiscardUnknownFields()
        assert known.ByteSize() == frame.ByteSize()
        return frame

    async def until(self, field):
        while True:
            frame = await asyncio.wait_for(self.receive(), 15)
            if frame.HasField(field):
                return getattr(frame, field)


async def test_stock_protobuf_logs_in_and_chats(schema, ejabberd, tersed):
    user = f'stock-{os.getpid()}'
    ejabberd.add_user(user)
    stock = Stock(schema)
    await stock.dial(tersed.port)
    try:
        await stock.send(open=schema.Open(to=DOMAIN, version='1.0'))
        opened = await stock.until('open')
        assert getattr(opened, 'from') == DOMAIN
        features = await stock.until('stream_features')
        assert features.HasField('mechanisms')
        assert not features.HasField('starttls')
        await stock.send(sasl_auth=schema.SaslAuth(
            mechanism='PLAIN', data_base64=f'\0{user}\0pw-{user}'.encode()))
        await stock.until('sasl_success')
        await stock.send(open=schema.Open(to=DOMAIN, version='1.0'))
        features = await stock.until('stream_features')
        assert features.HasField('bind') and features.HasField('sm')

        await stock.send(iq=schema.Iq(type=schema.SET, id='b1',
                                      bind=schema.Bind(resource='stock')))
        jid = (await stock.until('iq')).bind.jid
        assert jid == f'{user}@{DOMAIN}/stock'
        await stock.send(presence=schema.Presence(show=schema.DND, priority=3))
        seen = await stock.until('presence')
        assert (seen.show, seen.priority) == (schema.DND, 3)

        # It said no revision, so English comes plain, too: see Message.body_packed
        text = 'The schema is all that I have got <&> 图式而已 🧾'
        await stock.send(message=schema.Message(
            to=jid, type=schema.CHAT, id='m1', body=text,
            chat_state=schema.STATE_ACTIVE, receipt_request=True))
        seen = await stock.until('message')
        assert (getattr(seen, 'from'), seen.body) == (jid, text)
        assert seen.type == schema.CHAT
        assert seen.chat_state == schema.STATE_ACTIVE
        assert seen.receipt_request

        await stock.send(iq=schema.Iq(type=schema.GET, id='r1',
                                      roster=schema.Roster()))
        answer = await stock.until('iq')
        assert answer.type == schema.RESULT and answer.HasField('roster')
        await stock.send(close=schema.Close())
        await stock.until('close')
    finally:
        stock.peer.close()
