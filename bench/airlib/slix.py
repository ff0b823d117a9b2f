#!/usr/bin/python3
"""slix.py: slixmpp on the phone's side, told by a line of JSON what to do, and
answering each with another.

  {"do": "login", "jid", "password", "host", "port", "ca": PATH or null,
   "keepalive": SECONDS, "managed": BOOL, "first": JID or null, "body"}
        connects and logs in, with stream management if that is offered
        ("managed"); with "first" sends a message as soon as one can go. {"began", "sent"}: when, CLOCK_MONOTONIC
  {"do": "settle"}            roster, carbons, presence, as clients do then
  {"do": "lose"}              the connection is dead, without a word
  {"do": "return", "first", "body", "expect"}
        comes back by resumption and does the same; waits for a message that
        was missed
  {"do": "say", "first", "body", "expect"}
        as return, over a connection that somebody else has brought back
  {"do": "play", "whom", "factor", "start", "rest", "most"}  plays its part
  {"do": "active"}, {"do": "inactive"}                   XEP-0352
  {"do": "end"}"""
import asyncio
import copy
import json
import os
import socket
import struct
import sys
import time
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

import slixmpp
from slixmpp.stanza import Message

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from play import CLIENT, Player  # noqa: E402


class Xmpp(slixmpp.ClientXMPP):
    """slixmpp as it is, but that it tells what it received."""

    def __init__(self, owner, *args, **kwargs):
        self.owner = owner
        super().__init__(*args, **kwargs)

    def incoming_filter(self, xml):
        self.owner.got(copy.deepcopy(xml))
        return xml


class Phone:
    def __init__(self):
        self.player = None
        self.bodies, self.waiting = [], []

    def got(self, element):
        if element.tag != CLIENT + 'message':
            return
        body = element.findtext(CLIENT + 'body')
        if self.player:
            self.player.got(element)
        if body is not None:
            self.bodies.append(body)
            for text, future in self.waiting:
                if text == body and not future.done():
                    future.set_result(None)

    def send(self, xml):
        element = ET.fromstring(f'<s xmlns="jabber:client">{xml}</s>')[0]
        Message(stream=self.x, xml=element).send()

    async def expect(self, body):
        if body in self.bodies:
            return
        future = asyncio.get_running_loop().create_future()
        self.waiting.append((body, future))
        await asyncio.wait_for(future, 30)

    def until(self, *events):
        future = asyncio.get_running_loop().create_future()

        def done(name):
            def handle(_):
                if not future.done():
                    future.set_result(name)
            return handle
        for name in events:
            self.x.add_event_handler(name, done(name), disposable=True)
        return asyncio.wait_for(future, 40)

    def connect(self):
        self.x.connect(self.where, use_ssl=self.ca is not None,
                       force_starttls=False, disable_starttls=True)

    async def reach(self, event, ask):
        """Connects; sends a message as soon as one can go."""
        ready = self.until(event)
        began = time.monotonic()
        self.connect()
        await ready
        return {**await self.say(ask), 'began': began}

    async def say(self, ask):
        sent = time.monotonic()
        if ask.get('first'):
            self.send(f'<message to={quoteattr(ask["first"])} type="chat">'
                      f'<body>{ask["body"]}</body></message>')
        if ask.get('expect'):
            await self.expect(ask['expect'])
        return {'began': sent, 'sent': sent}

    async def login(self, ask):
        self.where, self.ca = (ask['host'], ask['port']), ask.get('ca')
        self.x = Xmpp(self, ask['jid'], ask['password'])
        self.x.whitespace_keepalive_interval = ask.get('keepalive', 300)
        self.managed = ask['managed']
        for plugin in ('xep_0280', 'xep_0352', 'xep_0198')[:2 + self.managed]:
            self.x.register_plugin(plugin)
        self.x.ca_certs = self.ca
        self.x.default_domain = self.x.boundjid.domain
        self.x.auto_reconnect = False
        return await self.reach('session_start', ask)

    async def settle(self, _):
        if self.managed and not self.x['xep_0198'].enabled_in:
            await self.until('sm_enabled')
        await self.x.get_roster()
        await self.x['xep_0280'].enable()
        self.x.send_presence()
        return {}

    async def lose(self, _):
        sock = self.x.transport.get_extra_info('socket')
        # So that the kernel forgets about it, too.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        struct.pack('ii', 1, 0))
        lost = self.until('disconnected')
        self.x.abort()
        await lost
        return {}

    async def back(self, ask):
        return await self.reach('session_resumed', ask)

    async def play(self, ask):
        self.player = Player('phone', ask['whom'], ask['factor'], self.send)
        await self.player.play(ask['start'], ask['rest'], ask['most'])
        return self.player.result()

    async def active(self, _):
        self.x['xep_0352'].send_active()
        return {}

    async def inactive(self, _):
        self.x['xep_0352'].send_inactive()
        return {}


async def main():
    loop, phone = asyncio.get_running_loop(), Phone()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        ask = json.loads(line)
        if ask['do'] == 'end':
            break
        word = {'return': 'back'}.get(ask['do'], ask['do'])
        try:
            answer = await getattr(phone, word)(ask)
        except Exception as error:  # the bench says it and ends
            answer = {'error': f'{ask["do"]}: {error!r}'}
        print(json.dumps(answer), flush=True)


if __name__ == '__main__':
    asyncio.run(main())
