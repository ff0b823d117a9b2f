"""Frames as a stock Protobuf library reads them, but in the order in which their
fields came, and what terse.proto says about fields (docs/wire.md)."""
import re
import subprocess
import tempfile

from google.protobuf import descriptor_pb2


class Malformed(Exception):
    pass


def must(condition, what):
    if not condition:
        raise Malformed(what)


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


class Field:
    def __init__(self, desc, note):
        self.inner = desc.type_name[7:] if desc.type == desc.TYPE_MESSAGE else ""
        self.bytes = desc.type in (desc.TYPE_MESSAGE, desc.TYPE_STRING,
                                   desc.TYPE_BYTES)
        self.string = desc.type == desc.TYPE_STRING
        self.desc, self.note = desc, note
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
        of_base64 = {field.item: number for number, field in known.items()
                     if field.form == "BASE64" and not field.private}
        for number, field in sorted(known.items()):
            field.base64 = of_base64.get(field.item)
            if field.private and not field.inner:
                field.place = places.setdefault(field.item, number)
    return file, schema
