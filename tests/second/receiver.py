#!/usr/bin/python3
"""receiver.py TERSE.PROTO [BOUNDS] <WIRE >FRAMES

The receiver's side of a connection's state, from docs/wire.md and the published
schema alone: proof that a client can be written with nothing but a Protobuf
library and zlib. WIRE is what came in one direction, each frame after its
length; FRAMES are the same frames without state. BOUNDS are what this end
remembers: slots, their bytes, templates, their bytes.
"""
import re
import subprocess
import sys
import tempfile
import zlib

from google.protobuf import descriptor_pb2

BOUNDS = (128, 4000, 64, 12000)
STANZAS, LIKE, KEEP, DEFLATED, OPEN = (1, 2, 3), 6, 7, 8, 13
BESIDE = 16  # slots, and up: to revision, 20, and what is not known yet
SLOT_MAX, FIELDS_MAX, LINKS_MAX, DEPTH_MAX = 1023, 64, 16, 32


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


# ---- the schema ---------------------------------------------------------------

class Field:
    def __init__(self, desc, note):
        self.inner = desc.type_name[7:] if desc.type == desc.TYPE_MESSAGE else ""
        self.bytes = desc.type in (desc.TYPE_MESSAGE, desc.TYPE_STRING,
                                   desc.TYPE_BYTES)
        self.string = desc.type == desc.TYPE_STRING
        self.private = bool(re.search(r"(^|; )private\b", note))
        self.desc, self.note = desc, note
        # What it stands for, without its form: private fields of one item share
        # a place.
        self.item = re.sub(r"(, [A-Z][A-Z0-9_]*|^[A-Z][A-Z0-9_]*)?(; .*)?$", "",
                           re.sub("^private.*", "", note))
        self.place = desc.number


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
        for number in sorted(known):
            field = known[number]
            if field.private and not field.inner:
                field.place = places.setdefault(field.item, number)
    return file, schema


# ---- state ----------------------------------------------------------------------

class Receiver:
    """One direction of one connection."""

    def __init__(self, schema, bounds=BOUNDS):
        self.schema, self.bounds = schema, bounds
        self.slots, self.templates = {}, {}  # n: bytes; n: (number, bytes)
        self.said = {}  # beside the other end's header, by number of the field

    def known(self, kind, data):
        """Of each field of a message: what the schema says, number, value."""
        for number, value in fields(data):
            field = self.schema[kind].get(number)
            must(field and field.bytes == isinstance(value, bytes), "field")
            yield field, number, value

    def text(self, text):
        """A string with its slots filled in, and perhaps one defined."""
        marks = iter(re.findall(
            rb"(^[\x1c\x1d][ -\x7f])|([\x01-\x08\x0e-\x19])|"
            rb"([\x1a\x1b][ -\x7f])|([^\x00-\x08\x0b\x0c\x0e-\x1f]+)|([\x00-\xff])",
            text))
        define, out = None, b""
        for first, one, two, plain, bad in marks:
            must(not bad, "mark")
            if first:
                define = (first[0] - 0x1c) * 96 + first[1] - 0x20
            elif plain:
                out += plain
            else:
                n = (two and (two[0] - 0x1a) * 96 + two[1] - 0x20 + 20 or
                     one[0] - (1 if one[0] < 9 else 6))
                must(n in self.slots, "empty slot")
                out += self.slots[n]
        if define is not None:
            slots = {**self.slots, define: out}
            must(define < self.bounds[0] and len(out) <= SLOT_MAX and
                 sum(map(len, slots.values())) <= self.bounds[1], "slot")
            self.slots = slots
        return out

    def texts(self, kind, data):
        """A message with the slots of all its public strings filled in."""
        out = b""
        for field, number, value in self.known(kind, data):
            if field.inner:
                value = self.texts(field.inner, value)
            elif field.string and not field.private:
                value = self.text(value)
            out += put(number, value)
        return out

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

    def merge(self, kind, old, patch, links, depth=1):
        """What the patch makes of a template."""
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
                value = self.merge(field.inner, value, new or b"", links,
                                   depth + 1)
            elif new is not None:
                rare = (value >= 1 << 32 if isinstance(value, int) else
                        len(value) >= 4)
                if (not field.private and rare and new != value and
                        len(links) < LINKS_MAX):
                    links.append((value, new))
                value = new
            elif field.private:
                continue
            else:
                value = next((n for o, n in links if o == value), value)
            out += put(number, value)
        return out + b"".join(put(*n[1:]) for n in news)

    def keep(self, n, number, content):
        content = self.strip(self.schema[  # of Frame, what `number` holds
            "Frame"][number].inner, content)
        others = sum(len(t[1]) for m, t in self.templates.items() if m != n)
        must(n < self.bounds[2] and len(content) <= self.bounds[3] // 2 and
             others + len(content) <= self.bounds[3], "template")
        self.templates[n] = (number, content)

    def frame(self, frame):
        """What came, as it would be on a connection without state."""
        parts = fields(frame)
        must(parts, "empty frame")
        if parts[0][0] == OPEN:  # and what the other end will remember
            must(all(n >= BESIDE for n, _ in parts[1:]), "beside a header")
            self.said.update(parts[1:])
            return put(*parts[0])
        if parts[0][0] == DEFLATED:
            must(len(parts) == 1, "more than deflated")
            z = zlib.decompressobj(-15)
            frame = z.decompress(parts[0][1], 1 << 20)
            must(z.eof and not z.unused_data, "deflated")
            parts = fields(frame)
            must(parts and parts[0][0] != DEFLATED, "deflated twice")
        contents = [p for p in parts if p[0] in STANZAS]
        marks = [p for p in parts if p[0] in (LIKE, KEEP)]
        if not marks and (not contents or len(parts) > 1):
            return frame
        must(len(marks) < 2 and len(contents) < 2 and
             len(marks) + len(contents) == len(parts), "parts")
        mark, n = marks[0] if marks else (0, 0)
        must(mark != KEEP or contents, "nothing to keep")
        must(mark != LIKE or n in self.templates, "no such template")
        number, old = self.templates[n] if mark == LIKE else (contents[0][0], b"")
        kind = self.schema["Frame"][number].inner
        new = b""
        if contents:
            must(contents[0][0] == number, "another stanza")
            new = self.texts(kind, contents[0][1])
        if mark == LIKE:
            new = self.merge(kind, old, new, [])
        if mark:
            self.keep(n, number, new)
        return put(number, new)


def split(data):
    """The frames of a file."""
    at = 0
    while at < len(data):
        size, at = varint(data, at)
        must(size <= len(data) - at, "end of file")
        yield data[at:at + size]
        at += size


if __name__ == "__main__":
    receiver = Receiver(load(sys.argv[1])[1],
                        *[tuple(map(int, a.split(","))) for a in sys.argv[2:3]])
    for came in split(sys.stdin.buffer.read()):
        plain = receiver.frame(came)
        sys.stdout.buffer.write(put_varint(len(plain)) + plain)
