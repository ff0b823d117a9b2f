#!/usr/bin/python3
"""receiver.py TERSE.PROTO <WIRE >FRAMES

The state of a connection as who reads it has to keep it, from docs/wire.md and
the published schema alone: proof that a client can be written with nothing but
a Protobuf library and zlib. WIRE is what passed, each frame behind a byte `c` or
`s`, who sent it, and its length; FRAMES are the same frames without state.
"""
import base64
import os
import re
import sys
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from proto import Malformed, fields, load, must, put, put_varint, varint  # noqa: E402

STANZAS, OPEN = (1, 2, 3), 13
STATE = LIKE, KEEP, DEFLATED, ABOUT, HEARD, ENTER, ENTRY = *range(6, 12), 22
SLOTS, TEMPLATES, JOURNAL, BYTES = range(16, 20)  # and up: beside a header
AT_MOST = {SLOTS: 192, TEMPLATES: 128, JOURNAL: 46}
FRAME_MAX, SLOT_MAX, TEMPLATE_MAX = 1 << 20, 1023, 65535
FIELDS_MAX, LINKS_MAX, DEPTH_MAX = 64, 16, 32
BOOK_MIN, BOOK_MAX, ENTRY_MAX, ENTRY_DEPTH_MAX = 512, 3136, 255, 4
WAIT_BYTES, HEARD_MAX, HEARD_BYTES = 1500, 16, 900
PLAIN = re.compile(rb"[^\x00-\x08\x0b\x0c\x0e-\x1f]+")
MARKS = re.compile(rb"""(?P<define> \A[\x1c\x1d][\x20-\x7f] ) |
    (?P<enter> \A\x19 ) | (?P<plain> [^\x00-\x08\x0b\x0c\x0e-\x1f]+ ) |
    (?P<near> [\x01-\x08\x0e-\x18] ) | (?P<far> [\x1a\x1b][\x20-\x7f] ) |
    (?P<book> [\x1e\x1f](?:[\x20-\x5f]|[\x60-\x7f][\x20-\x7f]) ) |
    (?P<bad> . )""", re.S | re.X)


def unzigzag(value):
    return value >> 1 ^ -(value & 1)


def rare(value):
    """Whether it can make a link."""
    return value >= 1 << 32 if isinstance(value, int) else len(value) >= 4


class Connection:
    """Both directions, whose frames come as one end writes and reads them."""

    def __init__(self, schema):
        c, s = self.c, self.s = Direction(schema), Direction(schema)
        c.other, s.other, c.client, s.client = s, c, c, c

    def frame(self, direction, frame):
        return (self.c if direction == "c" else self.s).frame(frame)


class Direction:
    """What one direction remembers. `kind` is a message of the schema."""

    def __init__(self, schema):
        self.schema, self.said, self.domain = schema, None, b""
        self.slots, self.book, self.templates = {}, [], {}
        self.journal, self.gone, self.heard, self.on = [], 0, 0, False

    def bound(self, number):
        """What the end said that receives."""
        said = (self.other.said or {}).get(number, 0)
        return min(said, AT_MOST.get(number, said))

    def fits(self):
        must(sum(len(text) + 16 for text in self.slots.values()) +
             sum(came + 4 for came, _, _ in self.book) +
             sum(len(kept) + 32 for _, kept, _ in self.templates.values()) <=
             self.bound(BYTES), "over the bytes")

    def known(self, kind, data):
        """Of each field of a message: what the schema says, number, value."""
        for number, value in fields(data):
            field = self.schema[kind].get(number)
            must(field and field.bytes == isinstance(value, bytes), "field")
            yield field, number, value

    def attribute(self, kind, data, name):
        return next((value for field, _, value in self.known(kind, data)
                     if field.item == "attribute " + name), None)

    # -- strings

    def text(self, text):
        """What a string stands for."""
        out, first, depth, slots = b"", b"", 0, False
        for found in MARKS.finditer(text):
            what, mark = found.lastgroup, found[0]
            must(what != "bad", "mark")
            if what == "plain":
                out += mark
            elif what in ("define", "enter"):
                first = mark
            elif what == "book":
                n = (mark[1] - 0x20 if len(mark) == 2 else
                     64 + 96 * (mark[1] - 0x60) + mark[2] - 0x20)
                book = (self if mark[0] == 0x1e else self.other).book
                must(n < len(book), "no such entry")
                out, depth = out + book[n][1], max(depth, book[n][2])
            else:
                n = (19 + 96 * (mark[0] - 0x1a) + mark[1] - 0x20
                     if what == "far" else mark[0] - (1 if mark[0] < 9 else 6))
                must(n in self.slots, "empty slot")
                out, slots = out + self.slots[n], True
            must(len(out) <= FRAME_MAX, "frame too large")
        if first == b"\x19":
            must(not slots, "slot in an entry")
            self.enter(text[1:], out, depth + 1)
        elif first:
            n = 96 * (first[0] - 0x1c) + first[1] - 0x20
            must(n < self.bound(SLOTS) and len(out) <= SLOT_MAX, "slot")
            self.slots[n] = out
            self.fits()
        return out

    def enter(self, came, text, depth):
        must(self.bound(BYTES) >= BOOK_MIN and len(self.book) < BOOK_MAX and
             0 < len(text) <= ENTRY_MAX and depth <= ENTRY_DEPTH_MAX, "entry")
        must(PLAIN.fullmatch(text), "mark in an entry")
        self.book.append((len(came), text, depth))
        self.fits()

    def texts(self, kind, data):
        """A message with all its public strings filled in."""
        out = b""
        for field, number, value in self.known(kind, data):
            if field.inner:
                value = self.texts(field.inner, value)
            elif field.string and not field.private:
                came, value = value, self.text(value)
                raw = from_base64(value) if came != value and field.base64 else b""
                if 0 < len(raw) <= 64:
                    number, value = field.base64, raw
            out += put(number, value)
        return out

    # -- templates

    def strip(self, kind, data, depth=1):
        """A message with nothing private in it but places."""
        must(depth <= DEPTH_MAX, "template too deep")
        out = b""
        for field, number, value in self.known(kind, data):
            if field.inner:
                value = self.strip(field.inner, value, depth + 1)
            elif field.private:
                number = field.place
                value = b"" if self.schema[kind][number].bytes else 0
            out += put(number, value)
        return out

    def keep(self, n, number, kept, entry):
        must(n < self.bound(TEMPLATES) and len(kept) <= TEMPLATE_MAX, "template")
        self.templates[n] = (number, kept, entry)
        self.fits()

    def merge(self, kind, old, patch, links, most, depth=1):
        """What the patch makes of a template; `most` links at most."""
        news = [(field.place, number, value)
                for field, number, value in self.known(kind, patch)]
        must(len(news) <= FIELDS_MAX and depth <= DEPTH_MAX, "patch too large")
        out = b""
        for field, number, value in self.known(kind, old):
            at = next((i for i, n in enumerate(news) if n[0] == number), None)
            new = None
            if at is not None:
                _, number, new = news.pop(at)
            if field.inner:
                value = self.merge(field.inner, value, new or b"", links, most,
                                   depth + 1)
            elif new is not None:
                value = self.patched(field, value, new, links, most)
            elif field.private:
                continue
            elif rare(value):
                value = next((n for o, n in links if o == value), value)
            out += put(number, value)
        return out + b"".join(put(*n[1:]) for n in news)

    def patched(self, field, old, new, links, most):
        if field.private:
            return new
        if field.form == "BASE64" and len(old) >= 32:
            front, at = varint(new, 0)
            must(front <= len(old), "front")
            return old[:front] + new[at:]
        if isinstance(old, int) and rare(old):
            new = (old + unzigzag(new)) % (1 << 64)
        if rare(old) and new != old and len(links) < most:
            links.append((old, new))
        return new

    # -- journal

    def record(self, kind, stanza):
        """A stanza enters, if it can."""
        name = self.attribute(kind, stanza, "id")
        if name is None or not rare(name) or (
                isinstance(name, bytes) and len(name) > 80):
            return
        address = self.attribute(kind, stanza, "from")
        if address is None:
            address = self.attribute(kind, stanza, "to") or b""
        self.journal.append((name, address if len(address) <= 120 else b""))
        must(len(self.journal) - self.heard <= self.bound(JOURNAL) and
             self.counts(self.heard) <= WAIT_BYTES, "journal")

    def counts(self, first, end=None):
        return sum((8 if isinstance(name, int) else len(name)) + len(address)
                   for name, address in self.journal[first:end])

    def hear(self, count):
        """The other direction heard of so many entries."""
        must(count <= len(self.journal), "heard")
        self.heard = max(self.heard, count)
        while (self.heard - self.gone > HEARD_MAX or
               self.counts(self.gone, self.heard) > HEARD_BYTES):
            self.gone += 1

    def answer(self, kind, data, entry):
        """Fills empty attributes of a stanza with those of an entry."""
        values = dict(zip(("id", "from", "to"), (*entry, entry[1])))
        out = b""
        for field, number, value in self.known(kind, data):
            new = values.get(field.item.removeprefix("attribute "), 0)
            if value == b"" and isinstance(new, bytes) and rare(new):
                value = new
            out += put(number, value)
        return out

    # -- frames

    def header(self, parts):
        must(all(n >= SLOTS for n, _ in parts[1:]), "beside a header")
        if self.said is None:  # later ones are passed over
            self.said = dict(parts[1:])
            self.domain = self.attribute("Open", parts[0][1], "to") or b""
            domain, other = self.client.domain, self.other
            if other.bound(BYTES) >= BOOK_MIN and 0 < len(domain) <= ENTRY_MAX:
                other.enter(domain, domain, 1)
        return put(*parts[0])

    def frame(self, frame, inside=False):
        """What came, as it would be on a connection without state."""
        parts = fields(frame)
        must(parts, "empty frame")
        state = {n: value for n, value in parts if n in STATE}
        content = [part for part in parts if part[0] not in STATE]
        must(len(state) + len(content) == len(parts), "state twice")
        must(all(isinstance(value, bytes) == (n in (DEFLATED, ENTRY))
                 for n, value in state.items()), "wire type")
        if content and content[0][0] == OPEN:
            must(not state and not inside, "beside a header")
            return self.header(content)
        must(LIKE not in state or state[LIKE] in self.templates, "like nothing")
        if DEFLATED in state:
            must(not inside and not content and state.keys() <= {DEFLATED, LIKE},
                 "more than deflated")
            return self.frame(self.inflate(state), True)
        must(len(content) == 1 or not content and LIKE in state, "elements")
        must(state.get(ENTER, 0) < 2, "enter")
        self.on = bool(state.get(ENTER, self.on))
        self.other.hear(self.other.heard + state.get(HEARD, 0))
        if LIKE in state or content[0][0] in STANZAS:
            return self.stanza(state, content)
        must(state.keys() <= {HEARD, ENTER}, "no stanza")
        return put(*content[0])

    def inflate(self, state):
        z = zlib.decompressobj(-15, zdict=self.templates[state[LIKE]][1]
                               if LIKE in state else b"")
        try:
            frame = z.decompress(state[DEFLATED], FRAME_MAX)
        except zlib.error as error:
            raise Malformed("deflated") from error
        must(z.eof and not z.unused_data, "deflated")
        return frame

    def stanza(self, state, content):
        number, old, before = (self.templates[state[LIKE]] if LIKE in state else
                               (content[0][0], b"", None))
        kind = self.schema["Frame"][number].inner
        new, entry, links = b"", None, []
        if content:
            must(content[0][0] == number, "another stanza")
            new = self.texts(kind, content[0][1])
        if ENTRY in state:
            self.enter(state[ENTRY], state[ENTRY], 1)
        if ABOUT in state:
            n = self.other.heard + unzigzag(state[ABOUT] >> 1)
            must(self.other.gone <= n < len(self.other.journal), "about nothing")
            entry = self.other.journal[n]
            self.other.hear(n + 1)
            new = self.answer(kind, new, entry)
            links = [pair for pair in zip(before or (), entry)
                     if type(pair[0]) is type(pair[1]) and b"" not in pair]
        if LIKE in state:
            new = self.merge(kind, old, new, links, len(links) + LINKS_MAX)
        must(len(new) <= FRAME_MAX, "frame too large")
        if LIKE in state or KEEP in state:
            must(not (LIKE in state and KEEP in state), "like and keep")
            self.keep(state.get(KEEP, state.get(LIKE)), number,
                      self.strip(kind, new), entry)
        if self.on and state.get(ABOUT, 1) & 1:
            self.record(kind, new)
        return put(number, new)


def from_base64(text):
    """What this is the BASE64 of; nothing if it is not."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return b""
    return raw if base64.b64encode(raw) == text else b""


def split(data):
    """The frames of a file, each with its direction."""
    at = 0
    while at < len(data):
        direction = chr(data[at])
        must(direction in "cs", "direction")
        size, at = varint(data, at + 1)
        must(size <= len(data) - at, "end of file")
        yield direction, data[at:at + size]
        at += size


if __name__ == "__main__":
    connection = Connection(load(sys.argv[1])[1])
    for who, came in split(sys.stdin.buffer.read()):
        without = connection.frame(who, came)
        sys.stdout.buffer.write(who.encode() + put_varint(len(without)) + without)
