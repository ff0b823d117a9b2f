"""Sessions that last, in front of a server that follows a script."""
import asyncio

import pytest

from fake_server import BOUND_FEATURES
from phone import SASL2, Phone, b64
from test_limits import FAKE, HEADER, Scene

CSI = '{urn:xmpp:csi:0}'
SM = '{urn:xmpp:sm:3}'


@pytest.fixture
def world():
    return Scene()


async def log_in(phone, fake, port):
    """The phone by PLAIN, and the server's side of it."""
    await phone.connect(port)
    phone.write(HEADER.format(FAKE))
    phone.authenticate(
        'PLAIN', b64(b'\0user\0pw'), extra="<request-token "
        "xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>")
    success = asyncio.create_task(
        phone.expect(lambda e: e.tag == SASL2 + 'success'))
    session = await fake.session()
    carbons = await session.next()
    await session.send(f"<iq type='result' id='{carbons.get('id')}'/>")
    assert (await session.next()).tag == SM + 'enable'
    await session.send("<enabled xmlns='urn:xmpp:sm:3' id='x' resume='true'/>")
    assert await success is not None
    return session


async def test_server_that_holds_back_its_ack_from_the_inactive(world):
    """Prosody does so, where <inactive/> comes before its <a/> has left: who
    waits for that before he says <active/> waits for ever."""
    fake = await world.fake(
        bound_features=BOUND_FEATURES + "<csi xmlns='urn:xmpp:csi:0'/>")
    tersed = world.proxy(fake.port)
    phone = Phone('user', 'pw', FAKE)
    session = await log_in(phone, fake, tersed.port)
    await phone.send("<message to='a@b'><body>hi</body></message>")
    assert (await session.next()).tag.endswith('}message')
    assert (await session.next()).tag == SM + 'r'
    await phone.drop()
    assert (await session.next()).tag == CSI + 'inactive'
    back = asyncio.create_task(phone.comeback(tersed.port))
    assert (await session.next(5)).tag == CSI + 'active'
    await session.send("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    assert (await back).tag == SASL2 + 'success'
    assert phone.acked == 1
