#!/usr/bin/python3
"""receiver.py TERSE.PROTO <WIRE >FRAMES

A connection's state as who reads it has to keep it, from docs/wire.md and the
published schema alone: proof that a client can be written with nothing but a
Protobuf library and zlib. WIRE is what passed, in its order, each frame behind a
byte `c` or `s`, who sent it, and its length; FRAMES are the same frames without
state.
"""
import base64
import re
import subprocess
import sys
import tempfile
import zlib

from google.protobuf import descriptor_pb2

STANZAS, OPEN = (1, 2, 3), 13
LIKE, KEEP, DEFLATED, ABOUT, HEARD, ENTER, ENTRY = STATE = range(6, 13)
SLOTS, TEMPLATES, JOURNAL, BYTES = range(16, 20)  # and up: beside a header
AT_MOST = {SLOTS: 192, TEMPLATES: 128, JOURNAL: 46}
FRAME_MAX, SLOT_MAX, TEMPLATE_MAX = 1 << 20, 1023, 65535
FIELDS_MAX, LINKS_MAX, DEPTH_MAX = 64, 16, 32
ENTRY_MAX, ENTRY_DEPTH_MAX, BOOK_MIN = 255, 4, 512
WAIT_BYTES, HEARD_MAX, HEARD_BYTES = 1500, 16, 900
RARE = 1 << 32  # a number that can make a link, as 4 bytes can
MARKS = re.compile(rb"""(?P<define> \A[\x1c\x1d][\x20-\x7f] ) |
    (?P<enter> \A\x19 ) | (?P<plain> [^\x00-\x08\x0b\x0c\x0e-\x1f]+ ) |
    (?P<near> [\x01-\x08\x0e-\x18] ) | (?P<far> [\x1a\x1b][\x20-\x7f] ) |
    (?P<book> [\x1e\x1f](?:[\x20-\x5f]|[\x60-\x7f][\x20-\x7f]) ) |
    (?P<bad> . )""", re.S | re.X)


class Malformed(Exception):
    pass


def must(condition, what):
    if not condition:
        raise Malformed(what)


# ---- Protobuf's wire format: a stock library does not tell the order ---------

def varint(data, at):
    value = shift = 0
    while True:
        must(at < len(data) and shift < 70, "varint")
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 128:
            must(data[at - 1] or shift == 7, "overlong varint")
            must(value < 1 << 64, "varint")
            return value, at


def put_varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def unzigzag(value):
    return value >> 1 ^ -(value & 1)


def fields(data):
    """(number, value), in order; a value is an int or bytes."""
    out, at = [], 0
    while at < len(data):
        tag, at = varint(data, at)
        must(tag >> 3 and tag & 7 in (0, 2), "tag")
        value, at = varint(data, at)
        if tag & 7:
            must(value <= len(data) - at, "length")
            value, at = data[at:at + value], at + value
        out.append((tag >> 3, value))
    return out


def put(number, value):
    if isinstance(value, int):
        return put_varint(number << 3) + put_varint(value)
    return put_varint(number << 3 | 2) + put_varint(len(value)) + value


def rare(value):
    return value >= RARE if isinstance(value, int) else len(value) >= 4


# ---- the schema ---------------------------------------------------------------

class Field:
    def __init__(self, desc, note):
        self.inner = desc.type_name[7:] if desc.type == desc.TYPE_MESSAGE else ""
        self.bytes = desc.type in (desc.TYPE_MESSAGE, desc.TYPE_STRING,
                                   desc.TYPE_BYTES)
        self.string = desc.type == desc.TYPE_STRING
        self.desc, self.note = desc, note
        # What it stands for, and how: fields that differ in form only are one
        # item.
        self.item, self.form, more = re.fullmatch(
            r"(.*?)(?:(?:^|, )([A-Z][A-Z0-9_]*))?((?:^|; )(?:private|since).*)?",
            note).groups()
        self.private = "private" in (more or "")
        self.place = desc.number
        self.base64 = None  # the number of its item's field of that form


def load(path):
    """The descriptor of terse.proto, and by message its fields by number."""
    folder, name = re.fullmatch(r"(?:(.*)/)?([^/]*)", path).groups()
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["protoc", "-I" + (folder or "."), "--include_source_info",
                        "--descriptor_set_out=" + out.name, name], check=True)
        file = descriptor_pb2.FileDescriptorSet.FromString(out.read()).file[0]
    notes = {tuple(at.path): at.trailing_comments.strip()
             for at in file.source_code_info.location}
    schema = {
        message.name: {field.number: Field(field, notes.get((4, i, 2, j), ""))
                       for j, field in enumerate(message.field)}
        for i, message in enumerate(file.message_type)}
    for known in schema.values():
        places = {}
        for number, field in sorted(known.items()):
            if field.private and not field.inner:
                field.place = places.setdefault(field.item, number)
            field.base64 = next(
                (n for n, other in known.items() if other.form == "BASE64" and
                 (other.item, other.private) == (field.item, False)), None)
    return file, schema


# ---- state ----------------------------------------------------------------------

class Direction:
    """What one direction of a connection remembers. Names of schemas: `kind` is
    a message's."""

    def __init__(self, schema):
        self.schema, self.other = schema, None
        self.said = None  # beside its first header, by number of the field
        self.slots, self.book, self.templates = {}, [], {}
        self.journal, self.gone, self.heard, self.on = [], 0, 0, False

    def bound(self, number):
        """What the other end, which receives, said."""
        said = (self.other.said or {}).get(number, 0)
        return min(said, AT_MOST.get(number, said))

    def fits(self):
        """Fails where more is remembered than may be."""
        must(sum(len(text) + 16 for text in self.slots.values()) +
             sum(came + 4 for came, _, _ in self.book) +
             sum(len(stripped) + 32 for _, stripped, _ in
                 self.templates.values()) <= self.bound(BYTES), "bytes")

    def known(self, kind, data):
        """Of each field of a message: what the schema says, number, value."""
        for number, value in fields(data):
            field = self.schema[kind].get(number)
            must(field and field.bytes == isinstance(value, bytes), "field")
            yield field, number, value

    def own(self, kind, data, name):
        """An attribute of the stanza itself, in whatever form; or None."""
        return next((value for field, _, value in self.known(kind, data)
                     if field.item == "attribute " + name), None)

    # -- strings

    def text(self, text):
        """What a string stands for; remembers what it says."""
        out, first, deep, slots = b"", None, 0, False
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
                out, deep = out + book[n][1], max(deep, book[n][2])
            else:
                n = (19 + 96 * (mark[0] - 0x1a) + mark[1] - 0x20
                     if what == "far" else mark[0] - (1 if mark[0] < 9 else 6))
                must(n in self.slots, "empty slot")
                out, slots = out + self.slots[n], True
            must(len(out) <= FRAME_MAX, "string")
        if first == b"\x19":
            must(not slots, "slot in the book")
            self.enter(text[1:], out, deep + 1)
        elif first:
            n = 96 * (first[0] - 0x1c) + first[1] - 0x20
            must(n < self.bound(SLOTS) and len(out) <= SLOT_MAX, "slot")
            self.slots[n] = out
            self.fits()
        return out

    def begin(self, domain):
        """The bounds are known: the book begins with the domain."""
        if 1 <= len(domain) <= ENTRY_MAX:
            self.enter(domain, domain, 1)

    def enter(self, came, text, deep):
        must(len(text) <= ENTRY_MAX and deep <= ENTRY_DEPTH_MAX and
             self.bound(BYTES) >= BOOK_MIN, "entry")
        self.book.append((len(came), text, deep))
        self.fits()

    def texts(self, kind, data):
        """A message with all its public strings filled in."""
        out = b""
        for field, number, value in self.known(kind, data):
            if field.inner:
                value = self.texts(field.inner, value)
            elif field.string and not field.private:
                came, value = value, self.text(value)
                if came != value and field.base64 and len(value) <= 64:
                    raw = base64_of(value)
                    if raw:
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

    def keep(self, n, number, stripped, entry):
        must(n < self.bound(TEMPLATES) and len(stripped) <= TEMPLATE_MAX,
             "template")
        self.templates[n] = (number, stripped, entry)
        self.fits()

    def merge(self, kind, old, patch, links, most, depth=1):
        """What the patch makes of a template; at most `most` links."""
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
                long = (field.form == "BASE64" and not field.private and
                        len(value) >= 32)
                if long:
                    front, at = varint(new, 0)
                    must(front <= len(value), "front")
                    new = value[:front] + new[at:]
                elif isinstance(value, int) and value >= RARE:
                    new = (value + unzigzag(new)) % (1 << 64)
                if (not field.private and not long and rare(value) and
                        new != value and len(links) < most):
                    links.append((value, new))
                value = new
            elif field.private:
                continue
            elif rare(value):
                value = next((n for o, n in links if o == value), value)
            out += put(number, value)
        return out + b"".join(put(*n[1:]) for n in news)

    # -- journal

    def record(self, kind, stanza):
        """A stanza enters, if it can."""
        name, address = (self.own(kind, stanza, a) for a in ("id", "from"))
        if name is None or not rare(name) or (
                isinstance(name, bytes) and len(name) > 80):
            return
        if address is None:
            address = self.own(kind, stanza, "to") or b""
        self.journal.append((name, address if len(address) <= 120 else b""))
        must(len(self.journal) - self.heard <= self.bound(JOURNAL) and
             self.counts(self.heard) <= WAIT_BYTES, "journal")

    def counts(self, first, end=None):
        """The bytes of entries."""
        return sum((8 if isinstance(name, int) else len(name)) + len(address)
                   for name, address in self.journal[first:end])

    def hear(self, count):
        """The other direction tells that it heard of so many entries."""
        must(count <= len(self.journal), "heard")
        self.heard = max(self.heard, count)
        while (self.heard - self.gone > HEARD_MAX or
               self.counts(self.gone, self.heard) > HEARD_BYTES):
            self.gone += 1

    def answer(self, kind, data, entry):
        """Fills empty attributes of a stanza with those of an entry."""
        name, address = entry
        has = {"attribute id": name, "attribute from": address,
               "attribute to": address}
        out = b""
        for field, number, value in self.known(kind, data):
            new = has.get(field.item, 0)
            if value == b"" and isinstance(new, bytes) and len(new) >= 4:
                value = new
            out += put(number, value)
        return out

    # -- frames

    def header(self, parts):
        """A stream's header, and what stands beside it."""
        number, content = parts[0]
        must(number == OPEN and all(n >= SLOTS for n, _ in parts[1:]),
             "beside a header")
        must(self.said is None or len(parts) == 1, "bounds again")
        if self.said is None:
            self.said = dict(parts[1:])
            must(len(self.said) == len(parts) - 1, "bounds twice")
            self.domain = self.own("Open", content, "to") or b""
            if self.other.bound(BYTES) >= BOOK_MIN:
                self.other.begin(self.client.domain)
        return put(number, content)

    def frame(self, frame, inside=False):
        """What came, as it would be on a connection without state."""
        parts = fields(frame)
        state = {n: value for n, value in parts if n in STATE}
        contents = [part for part in parts if part[0] not in STATE]
        must(parts and len(state) + len(contents) == len(parts), "parts")
        must(all(isinstance(value, bytes) == (n in (DEFLATED, ENTRY))
                 for n, value in state.items()), "wire type")
        if contents and contents[0][0] == OPEN:
            must(not state and not inside, "beside a header")
            return self.header(contents)
        must(LIKE not in state or state[LIKE] in self.templates,
             "no such template")
        if DEFLATED in state:
            must(not inside and not contents and
                 state.keys() <= {DEFLATED, LIKE}, "more than deflated")
            z = zlib.decompressobj(-15, zdict=self.templates[state[LIKE]][1]
                                   if LIKE in state else b"")
            frame = z.decompress(state[DEFLATED], FRAME_MAX)
            must(z.eof and not z.unused_data, "deflated")
            return self.frame(frame, True)
        must(len(contents) == 1 or not contents and LIKE in state, "elements")
        self.on = bool(state.get(ENTER, self.on))
        self.other.hear(self.other.heard + state.get(HEARD, 0))
        if LIKE in state or contents[0][0] in STANZAS:
            return self.stanza(state, contents)
        must(state.keys() <= {HEARD, ENTER}, "no stanza")
        return put(*contents[0])

    def stanza(self, state, contents):
        number, old, before = (self.templates[state[LIKE]] if LIKE in state else
                               (contents[0][0], b"", None))
        kind = self.schema["Frame"][number].inner
        new, entry, links = b"", None, []
        if contents:
            must(contents[0][0] == number, "another stanza")
            new = self.texts(kind, contents[0][1])
        if ENTRY in state:
            must(MARKS.fullmatch(state[ENTRY]).lastgroup == "plain", "mark")
            self.enter(state[ENTRY], state[ENTRY], 1)
        if ABOUT in state:
            n = self.other.heard + unzigzag(state[ABOUT] >> 1)
            must(self.other.gone <= n < len(self.other.journal), "about nothing")
            entry = self.other.journal[n]
            self.other.hear(n + 1)
            new = self.answer(kind, new, entry)
            links = [pair for pair in zip(before or (), entry) if b"" not in pair]
        if LIKE in state:
            new = self.merge(kind, old, new, links, len(links) + LINKS_MAX)
        must(len(new) <= FRAME_MAX, "frame")
        if LIKE in state or KEEP in state:
            must(len(state.keys() & {LIKE, KEEP}) == 1, "like and keep")
            self.keep(state.get(KEEP, state.get(LIKE)), number,
                      self.strip(kind, new), entry)
        if self.on and state.get(ABOUT, 1) & 1:
            self.record(kind, new)
        return put(number, new)


def base64_of(text):
    """What a string is BASE64 of, or None."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return raw if base64.b64encode(raw) == text else None


class Connection:
    """Both directions, `c` and `s`, whose frames come in the order of the end
    that reads and writes them."""

    def __init__(self, schema):
        c, s = Direction(schema), Direction(schema)
        c.other, s.other, c.client, s.client = s, c, c, c
        self.directions = {"c": c, "s": s}

    def frame(self, direction, frame):
        return self.directions[direction].frame(frame)


def split(data):
    """What is in a file: direction and frame."""
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
