"""A page in a headless Chromium: skipped where there is none, since it is
large; `make check-browser` installs it."""
import asyncio
import contextlib
import http.server
import json
import os
import queue
import shutil
import signal
import subprocess
import threading
import time

import pytest

from drivers import CLIENT
from test_limits import (FAKE, HEADER, Scene, frame_of, message, xml_of)

HERE = os.path.dirname(os.path.abspath(__file__))
CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
pytestmark = pytest.mark.skipif(
    not CHROMIUM, reason='there is no chromium: make check-browser')


@pytest.fixture
def world():
    return Scene()


class Site(http.server.ThreadingHTTPServer):
    """Serves the page, and what it is to send; hears what happens to it."""

    daemon_threads = True

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.events = queue.Queue()
        self.origin = f'http://127.0.0.1:{self.server_address[1]}'
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == '/':
            with open(os.path.join(HERE, 'page.html'), 'rb') as f:
                self.answer('text/html', f.read())
        elif self.path == '/frames.json':
            self.answer('application/json',
                        json.dumps(self.server.task).encode())
        else:
            self.send_error(404)

    def do_POST(self):
        size = int(self.headers['Content-Length'])
        self.server.events.put(self.rfile.read(size).decode())
        self.answer('text/plain', b'')

    def answer(self, kind, body):
        self.send_response(200)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def open_page(world, site):
    process = subprocess.Popen(
        [CHROMIUM, '--headless', '--no-sandbox', '--disable-gpu',
         '--disable-dev-shm-usage', '--ignore-certificate-errors',
         f'--user-data-dir={world.directory()}', '--remote-debugging-port=0',
         site.origin + '/'], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True)

    def end():
        process.terminate()
        process.wait(20)
        # Its helpers outlive it, and write into its directory until they end.
        with contextlib.suppress(ProcessLookupError):
            for _ in range(100):
                os.killpg(process.pid, signal.SIGKILL)
                time.sleep(0.05)
    world.exits.callback(end)


async def event(site, begin):
    """The next of the page's events that begins so (or so)."""
    while True:
        said = await asyncio.to_thread(site.events.get, timeout=60)
        if said.startswith(begin):
            return said


LOGIN = [(0, HEADER.format(FAKE)),
         (2, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
             "mechanism='PLAIN'>AHUAcA==</auth>"),
         (3, HEADER.format(FAKE)),
         (5, "<iq type='set' id='b'><bind xmlns='"
             "urn:ietf:params:xml:ns:xmpp-bind'/></iq>"),
         (6, message('from the page'))]


def site_of(world, port, frames=LOGIN):
    site = Site()
    world.exits.callback(site.close)
    site.task = {'url': f'wss://localhost:{port}/terse', 'frames': [
        {'after': after, 'hex': frame_of(xml).hex()} for after, xml in frames]}
    return site


async def test_page_logs_in_chats_and_closes(world):
    fake = await world.fake()
    site = site_of(world, 0)
    tersed = world.proxy(fake.port, ws_origins=site.origin)
    site.task['url'] = f'wss://localhost:{tersed.port}/terse'
    open_page(world, site)
    # permessage-deflate was offered and declined.
    assert await event(site, 'open') == 'open terse.v1 '
    session = await fake.session(60)
    seen = await session.next()
    assert seen.findtext(CLIENT + 'body') == 'from the page'
    await session.send(message('to the page'))
    while b'to the page' not in xml_of(bytes.fromhex(
            (await event(site, 'frame')).split()[1])):
        pass
    await session.send(message('bye!'))
    assert await event(site, 'close') == 'close 1000 true '
    await asyncio.wait_for(session.ended.wait(), 10)


async def test_page_sees_why_it_was_closed(world):
    fake = await world.fake()
    site = site_of(world, 0, [(0, HEADER.format('elsewhere.example'))])
    tersed = world.proxy(fake.port, ws_origins=site.origin)
    site.task['url'] = f'wss://localhost:{tersed.port}/terse'
    open_page(world, site)
    assert await event(site, 'close') == 'close 1008 true host-unknown'


async def test_page_of_another_site_is_refused(world):
    fake = await world.fake()
    site = site_of(world, 0)
    tersed = world.proxy(fake.port, ws_origins='https://another.example')
    site.task['url'] = f'wss://localhost:{tersed.port}/terse'
    open_page(world, site)
    # The page tells both at once: either may be here first.
    told = {await event(site, ('error', 'close')) for _ in range(2)}
    assert told == {'error', 'close 1006 false '}, told
    assert not fake.sessions
