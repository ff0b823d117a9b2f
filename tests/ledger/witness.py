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
        for name in (b'id', b'h')}
STANZAS = (b'message', b'presence', b'iq')


def attr(tag, name):
    found = ATTR[name].search(tag)
    return (found[1] or found[2] or b'').decode() if found else ''


class Stream:
    """One connection to the server; its counts are those of XEP-0198."""

    def __init__(self, witness):
        self.witness = witness
        self.rest = {'up': b'', 'down': b''}
        self.count = {'up': None, 'down': None}
        # What of it <resume/> and <resumed/> said, and <a/>.
        self.base = {'up': 0, 'down': 0}
        self.acked = {'up': 0, 'down': 0}

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
            if name == b'message' and (ident := attr(tag, b'id')):
                self.witness.saw(self, way, ident, self.count[way])
        elif name in (b'enable', b'enabled'):
            self.count[way] = 0
        elif name == b'a':
            self.acked[other] = int(attr(tag, b'h') or 0)
        else:  # it says what came the other way
            h = int(attr(tag, b'h') or 0)
            self.base[other] = self.count[other] = self.acked[other] = h


class Witness:
    """Of all connections. A message's id says whose it is."""

    def __init__(self):
        self.clock = itertools.count()
        self.seen = collections.defaultdict(list)

    def stream(self):
        return Stream(self).log

    def saw(self, stream, way, ident, count):
        self.seen[way, ident].append((next(self.clock), stream, count))

    def sent_as_new(self, way, ident):
        """How often it was sent as a stanza that the other end could not have:
        what comes again on a connection that went on with the stream from before
        it does not count. None: some count is not known."""
        new, last = 0, None
        for _, stream, count in self.seen[way, ident]:
            if count is None:
                return None
            if last is None or stream is last[0] or count <= stream.base[way]:
                new += 1
            elif last[1] <= stream.base[way]:
                new += 1  # it was known that it had come
            last = stream, count
        return new

    def twice(self, ident):
        """Whether the server made two of one."""
        up, down = (self.sent_as_new(way, ident) for way in ('up', 'down'))
        return up == 1 and down is not None and down > 1

    def lost(self, ident):
        """Whether the server had it, said so, and never sent it on."""
        return not self.seen['down', ident] and any(
            count is not None and count <= stream.acked['up']
            for _, stream, count in self.seen['up', ident])

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
