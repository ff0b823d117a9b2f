"""A frame without state as XML, from the published schema alone: the comment
behind a field says what it stands for (docs/wire.md, "From XML to fields").
Gives an element of xml.etree, so that one can compare it."""
import base64
import os
import re
import sys
import xml.etree.ElementTree as ET
from datetime import datetime, timedelta

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ident  # noqa: E402
import pack  # noqa: E402
from proto import Malformed, fields, load, must  # noqa: E402

CLIENT, XML = "jabber:client", "http://www.w3.org/XML/1998/namespace"
ATTRIBUTE = re.compile(r"attribute (xml:)?([^\s,;]+)(?: of namespace '(.*?)')?")
CHILD = re.compile(r"<(\S+) xmlns='(.*?)'(?: (\S+)='\.\.\.')?(/?>)(text)?")
FORM = re.compile(r", ([A-Z][A-Z0-9_]*)(?:; .*)?$|^([A-Z][A-Z0-9_]*)(?:; .*)?$")
UNITS = {"DATETIME": 1, "DATETIME_MILLI": 1000, "DATETIME_MICRO": 1000000}


def plain(text):
    """A string of a comment, without its quotes and escapes."""
    return re.sub(rb"\\([0-7]{3}|.)",
                  lambda m: bytes([int(m[1], 8)]) if m[1].isdigit() else m[1],
                  text.encode()).decode()


def date(value, unit):
    at = (datetime(2020, 1, 1) + timedelta(
        microseconds=value * (1000000 // unit))).isoformat(
            timespec={1: "seconds", 1000: "milliseconds",
                      1000000: "microseconds"}[unit])
    return at + "Z"


class Reader:
    def __init__(self, proto, model):
        file, self.schema = load(proto)
        self.model = pack.load(model)
        notes = {tuple(at.path): at.trailing_comments.strip()
                 for at in file.source_code_info.location}
        self.enums = {"." + file.package + "." + enum.name: {
            value.number: plain(re.match('"(.*)"', notes[5, i, 2, j])[1])
            for j, value in enumerate(enum.value)}
            for i, enum in enumerate(file.enum_type)}

    def text(self, field, value):
        """The characters of a value."""
        if field.desc.type == field.desc.TYPE_ENUM:
            must(value in self.enums[field.desc.type_name], "no such value")
            return self.enums[field.desc.type_name][value]
        found = FORM.search(field.note)
        form = found and (found[1] or found[2])
        if field.desc.type in (field.desc.TYPE_SINT32, field.desc.TYPE_SINT64):
            value = value >> 1 ^ -(value & 1)
        if form in UNITS:
            return date(value, UNITS[form])
        if form == "UUID":
            return re.sub("(.{8})(....)(....)(....)(.{12})", r"\1-\2-\3-\4-\5",
                          value.hex())
        if form == "HEX":
            return value.hex()
        if form == "BASE64":
            return base64.b64encode(value).decode()
        if form == "PACKED":
            value = pack.unpack(self.model, value)
            must(value is not None, "packed")
        if form == "IDENT":
            value = ident.unpack(value)
            must(value is not None, "ident")
            return value
        if form == "BOOLEAN":
            return "true" if value else "false"
        return str(value) if isinstance(value, int) else value.decode()

    def add(self, kind, data, to, ns):
        """Adds the items of a message to element `to`, whose namespace is ns."""
        for number, value in fields(data):
            field = self.schema[kind][number]
            must(field.bytes == isinstance(value, bytes), "wire type")
            if field.inner == "Element":
                self.element(value, to, ns)
            elif field.inner == "Attr":
                self.attribute(value, to)
            elif not self.item(field, value, to) and number > 4:
                text(to, self.text(field, value))  # of a generic element

    def item(self, field, value, to):
        """Adds what a field stands for; False if its comment does not say."""
        found = ATTRIBUTE.match(field.note)
        if found:
            name = f"{{{XML}}}{found[2]}" if found[1] else found[2]
            name = f"{{{plain(found[3])}}}{name}" if found[3] else name
            must(name not in to.attrib, "attribute twice")
            to.set(name, self.text(field, value))
        elif re.match(r"text\b", field.note):
            text(to, self.text(field, value))
        elif field.note.startswith("one of these"):
            ns = re.search("xmlns='(.*?)'", field.note)[1]
            ET.SubElement(to, f"{{{ns}}}{self.text(field, value)}")
        elif CHILD.match(field.note):
            name, ns, attr, _, leaf = CHILD.match(field.note).groups()
            child = ET.SubElement(to, f"{{{plain(ns)}}}{plain(name)}")
            if field.inner:
                self.add(field.inner, value, child, plain(ns))
            elif attr:
                child.set(attr, self.text(field, value))
            elif leaf:
                text(child, self.text(field, value))
        else:
            return False
        return True

    def names(self, kind, data):
        """name and ns of an Element or Attr, None where absent."""
        out = {"name": None, "ns": None}
        for number, value in fields(data):
            if number <= 4:
                field = self.schema[kind][number]
                out[field.desc.name.split("_")[0]] = self.text(field, value)
        return out["name"], out["ns"]

    def element(self, data, to, ns):
        name, own = self.names("Element", data)
        if name is not None:
            ns = ns if own is None else own
            to = ET.SubElement(to, f"{{{ns}}}{name}" if ns else name)
        self.add("Element", data, to, ns)

    def attribute(self, data, to):
        name, ns = self.names("Attr", data)
        value = [self.text(self.schema["Attr"][number], value)
                 for number, value in fields(data) if number > 4]
        to.set(f"{{{ns}}}{name}" if ns else name, value[0])

    def frame(self, data):
        """The element, or None for a header or footer."""
        top = ET.Element("top")
        self.add("Frame", data, top, CLIENT)
        must(len(top) == 1 and not top.text, "not one element")
        return top[0]


def text(to, characters):
    if len(to):
        to[-1].tail = (to[-1].tail or "") + characters
    else:
        to.text = (to.text or "") + characters


def same(a, b):
    """Whether two elements are the same XML, but for prefixes."""
    return (a.tag == b.tag and a.attrib == b.attrib and
            (a.text or "") == (b.text or "") and len(a) == len(b) and
            all(same(c, d) and (c.tail or "") == (d.tail or "")
                for c, d in zip(a, b)))
