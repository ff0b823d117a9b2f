"""What the server itself has done, by the bytes between it and tersed.

A server that goes on with a stream (XEP-0198) while the old connection's process
still works has two races of its own. Stanzas that this process handles after it
has handed over its count are handled, but not counted: they come again, since
their sender was told so. And what is routed to it at that moment is routed once
more, behind what is newer. Both show on the wire, and only there."""
import collections
import itertools
import re

TAG = re.compile(
    rb"<(message|presence|iq|enable|enabled|resume|resumed|a)(?=[\s/>])([^>]*)>")
ATTR = {name: re.compile(rb"""\s%s=(?:'([^']*)'|"([^"]*)")""" % name)
        for name in (b'id', b'h', b'previd', b'type')}
STANZAS = (b'message', b'presence', b'iq')


def attr(tag, name):
    found = ATTR[name].search(tag)
    return (found[1] or found[2] or b'').decode() if found else ''


class Stream:
    """One connection to the server; its counts are those of XEP-0198, None
    without."""

    def __init__(self, witness):
        self.witness = witness
        self.rest = {'up': b'', 'down': b''}
        self.count = {'up': None, 'down': None}
        # What of it <resume/> and <resumed/> said, and <a/>; also <resumed/> of
        # the connection that went on with it.
        self.base = {'up': 0, 'down': 0}
        self.acked = {'up': 0, 'down': 0}
        # The connection that it goes on with, and which goes on with it.
        self.before = self.after = None
        self.asked = {}       # when which iq went up
        self.answered = -1    # when the latest went up that was answered

    def log(self, way, data):
        data = self.rest[way] + data
        for tag in TAG.finditer(data):
            self.saw(way, tag[1], tag[2])
        # What is not complete yet.
        open_tag = data.rfind(b'<')
        whole = data.rfind(b'>') > open_tag
        self.rest[way] = b'' if whole or open_tag < 0 else data[open_tag:]

    def saw(self, way, name, tag):
        other = 'down' if way == 'up' else 'up'
        if name in STANZAS:
            if self.count[way] is not None:
                self.count[way] += 1
            ident = attr(tag, b'id')
            if name == b'message' and ident:
                self.witness.saw(self, way, ident, self.count[way])
            elif name == b'iq':
                self.saw_iq(way, ident, attr(tag, b'type'))
        elif name in (b'enable', b'enabled'):
            self.count[way] = 0
            if way == 'down':
                self.witness.latest[attr(tag, b'id')] = self
        elif name == b'a':
            self.acked[other] = int(attr(tag, b'h') or 0)
        else:  # it says what came the other way
            h = int(attr(tag, b'h') or 0)
            self.base[other] = self.count[other] = self.acked[other] = h
            if way == 'down':
                previd = attr(tag, b'previd')
                self.before = self.witness.latest.get(previd)
                self.witness.latest[previd] = self
                if self.before:
                    self.before.acked['up'] = h
                    self.before.after = self

    def saw_iq(self, way, ident, kind):
        if way == 'up':
            self.asked[ident] = next(self.witness.clock)
        elif kind in ('result', 'error'):
            self.answered = max(self.answered, self.asked.pop(ident, -1))

    def goes_on_with(self, earlier):
        stream = self.before
        while stream and stream is not earlier:
            stream = stream.before
        return stream is not None


class Witness:
    """Of all connections. A message's id says whose it is."""

    def __init__(self):
        self.clock = itertools.count()
        self.seen = collections.defaultdict(list)
        self.latest = {}  # the connection of a stream that can be resumed

    def stream(self):
        return Stream(self).log

    def saw(self, stream, way, ident, count):
        self.seen[way, ident].append((next(self.clock), stream, count))

    def sent_as_new(self, way, ident):
        """How often it was sent as a stanza that the other end could not have:
        what comes again on a connection that goes on with the stream of the one
        before does not count, if it was not known that it had come."""
        new, last = 0, None
        for _, stream, count in self.seen[way, ident]:
            again = (last and stream.goes_on_with(last[0]) and
                     count is not None and last[1] is not None and
                     min(count, last[1]) > stream.base[way])
            new += not again
            last = stream, count
        return new

    def twice(self, ident):
        """Whether the server made two of one."""
        up, down = (self.sent_as_new(way, ident) for way in ('up', 'down'))
        return up == 1 and down > 1

    def lost(self, ident):
        """Whether the server had it, said so, and never sent it on. It says so by
        its count, or by an answer to what came after it."""
        return not self.arrives(ident) and any(
            clock < stream.answered or
            (count is not None and count <= stream.acked['up'])
            for clock, stream, count in self.seen['up', ident])

    def arrives(self, ident):
        """Whether the server sent it on, and again where it was told that it had
        not come."""
        if not self.seen['down', ident]:
            return False
        _, stream, count = self.seen['down', ident][-1]
        return not (count is not None and stream.after and
                    stream.after.base['down'] < count)

    def by_server(self, kind, ident, newer=''):
        """Whether what is wrong with a message is the server's doing. What it
        made two of is answered twice, too."""
        if kind == 'twice':
            return self.twice(ident) or self.twice(ident.removeprefix('r-'))
        if kind == 'out of order':
            return self.disorder(ident, newer)
        return kind == 'lost' and self.lost(ident)

    def disorder(self, ident, newer):
        """Whether the server sent `newer` first: on one connection, or ever."""
        first, ever = {}, {}
        for i in (ident, newer):
            for clock, stream, _ in self.seen['down', i]:
                first.setdefault((stream, i), clock)
                ever.setdefault(i, clock)
        return (len(ever) == 2 and ever[newer] < ever[ident]) or any(
            i == ident and first.get((stream, newer), clock) < clock
            for (stream, i), clock in first.items())
