"""The conversation of talk.jsonl, and how a client plays its part. Phone and
peer play by these rules, whatever their wire is: what they say is the same,
down to the ids.

A line is something that one of the two does, `at` seconds after the start:
types, pauses (XEP-0085), or sends a message. Whoever gets a message confirms
its receipt at once (XEP-0184), and `read` seconds later that it was seen
(XEP-0333). All that is divided by the clock's factor; no two things that do
not cause each other are nearer than 2 seconds of that clock."""
import asyncio
import json
import os
import random
import time
import uuid
from xml.sax.saxutils import escape, quoteattr

TALK = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'talk.jsonl')
CLIENT = '{jabber:client}'
RECEIPTS = 'urn:xmpp:receipts'
MARKERS = 'urn:xmpp:chat-markers:0'
STATES = 'http://jabber.org/protocol/chatstates'


def talk():
    with open(TALK, encoding='utf-8') as f:
        return [json.loads(line) for line in f]


def seeing(event):
    return event.get('read', 0)


class Player:
    """send(xml) sends a stanza; got(element) is to be called with each that
    came. whom: the other one's bare JID."""

    def __init__(self, who, whom, factor, send):
        self.who, self.whom, self.factor, self.send = who, whom, factor, send
        self.random = random.Random(who)
        self.sent = self.confirmed = self.seen = 0
        self.bodies = []
        self.reads = [seeing(e) for e in talk()
                      if e['what'] == 'message' and e['who'] != who]

    def id(self):
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def message(self, inside, to=None):
        ident = self.id()
        self.send(f'<message to={quoteattr(to or self.whom)} type="chat" '
                  f'id="{ident}">{inside.format(id=ident)}</message>')

    def state(self, name):
        self.message(f'<{name} xmlns="{STATES}"/>'
                     '<no-store xmlns="urn:xmpp:hints"/>')

    def say(self, body):
        text = escape(body).replace('{', '{{').replace('}', '}}')
        self.sent += 1
        self.message(f'<body>{text}</body><active xmlns="{STATES}"/>'
                     f'<request xmlns="{RECEIPTS}"/>'
                     f'<markable xmlns="{MARKERS}"/>'
                     '<origin-id xmlns="urn:xmpp:sid:0" id="{id}"/>')

    def got(self, element):
        if element.tag != CLIENT + 'message':
            return
        if element.find(f'{{{RECEIPTS}}}received') is not None:
            self.confirmed += 1
        if element.find(f'{{{MARKERS}}}displayed') is not None:
            self.seen += 1
        body = element.findtext(CLIENT + 'body')
        if body is None or element.find(f'{{{RECEIPTS}}}request') is None:
            return
        read = self.reads[len(self.bodies) % len(self.reads)]
        self.bodies.append(body)
        ident = quoteattr(element.get('id')).strip('"')
        self.message(f'<received xmlns="{RECEIPTS}" id="{ident}"/>'
                     '<store xmlns="urn:xmpp:hints"/>',
                     element.get('from'))
        marker = (f'<displayed xmlns="{MARKERS}" id="{ident}"/>'
                  '<store xmlns="urn:xmpp:hints"/>')
        if read:
            asyncio.get_running_loop().call_later(
                read / self.factor, self.message, marker)
        else:
            self.message(marker)

    async def play(self, start, rest, most=None):
        """From `start` (of time.monotonic) on, until `rest` seconds after the
        last line of either."""
        for event in talk()[:most]:
            if event['who'] != self.who:
                continue
            await asyncio.sleep(start + event['at'] / self.factor -
                                time.monotonic())
            if event['what'] == 'message':
                self.say(event['body'])
            else:
                self.state(event['what'])
        await asyncio.sleep(start + length(self.factor, most) + rest -
                            time.monotonic())

    def result(self):
        return {'sent': self.sent, 'confirmed': self.confirmed,
                'seen': self.seen, 'bodies': self.bodies}


def length(factor, most=None):
    return talk()[:most][-1]['at'] / factor
