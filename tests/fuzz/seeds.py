#!/usr/bin/env python3
"""Writes what fuzzing starts from: tests/fuzz/seeds.py DIR makes DIR/xml (one
element or more per file, from tests/vectors and the first elements of each
recorded session), DIR/ws and DIR/ends (requests, WebSocket frames and PROXY
headers), DIR/proxy_mobile (what phones say), DIR/frame and DIR/peer (empty: the fuzzers of these names fill them)
and DIR/words.dict, libFuzzer's dictionary of the well-known strings and of the
fields that are about state."""

import json
import os
import re
import sys

PER_SESSION = 25
LARGEST = 4096


def vectors():
    for name in sorted(os.listdir("tests/vectors")):
        with open(os.path.join("tests/vectors", name), encoding="utf-8") as file:
            for line in file:
                if line.startswith("xml: "):
                    yield line[5:].rstrip("\n")


def sessions():
    for name in sorted(os.listdir("tests/corpus")):
        if not name.endswith(".jsonl"):
            continue
        taken = 0
        with open(os.path.join("tests/corpus", name), encoding="utf-8") as file:
            for line in file:
                record = json.loads(line)
                if record.get("kind") in ("stream-open", "stream-close"):
                    continue
                if not record.get("xml", "").lstrip().startswith("<"):
                    continue
                yield record["xml"]
                taken += 1
                if taken == PER_SESSION:
                    break


def quoted(data):
    return "".join(
        chr(b) if 0x20 <= b < 0x7F and b not in b'"\\' else "\\x%02x" % b
        for b in data
    )


def words():
    with open("schemas/terse/words.proto", encoding="utf-8") as file:
        for text in re.findall(r'\(terse\.value\) = "([^"]+)"', file.read()):
            yield text.encode()
    yield from (b"<![CDATA[", b"]]>", b"xmlns='", b"xml:lang='", b"</", b"/>",
                b"&lt;", b"&#13;", b"</stream:stream>", b"\r\n", b"websocket", b"terse.v1",
                b"Sec-WebSocket-Key: ", b"PROXY TCP4 ", b"\x82\x80")


REQUEST = (b"GET /terse HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
           b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
           b"Sec-WebSocket-Protocol: terse.v1\r\n"
           b"Origin: https://a.example\r\n\r\n")


def streams():
    """For ws_fuzz: a byte that says how to cut, and what a client sends."""
    zero = b"\0\0\0\0"  # a mask
    frames = (b"\x82\x83" + zero + b"abc", b"\x02\x81" + zero + b"a",
              b"\x80\x81" + zero + b"b", b"\x89\x84" + zero + b"ping",
              b"\x88\x82" + zero + b"\x03\xe8", b"\x82\xfe\x01\x00" + zero +
              bytes(256))
    for how in (0, 1, 16, 17, 32, 48, 49):
        yield bytes([how]) + REQUEST
        yield bytes([how]) + b"".join(frames)
        yield bytes([how]) + b"TRS1\x03abc\x00"
        yield bytes([how]) + b"\0SP\0\0\x10\0\0" + bytes(7) + b"\3abc"


def headers():
    """For ends_fuzz."""
    sign = b"\r\n\r\n\0\r\nQUIT\n"
    yield from (b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 5333\r\n",
                b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", b"PROXY UNKNOWN x\r\n",
                sign + b"\x21\x11\0\x0c" + bytes(12),
                sign + b"\x21\x21\0\x24" + bytes(36), sign + b"\x20\0\0\0",
                b"2001:db8::/32", b"192.0.2.0/24")


AUTHENTICATE = (
    b"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='%s'><initial-response>%s"
    b"</initial-response><user-agent id='d4565fa7'><software>x</software>"
    b"</user-agent><bind xmlns='urn:xmpp:bind:0'><tag>phone</tag><enable "
    b"xmlns='urn:xmpp:carbons:2'/><inactive xmlns='urn:xmpp:csi:0'/><enable "
    b"xmlns='urn:xmpp:sm:3' resume='true'/></bind><resume xmlns='urn:xmpp:sm:3' "
    b"h='%d' previd='%s'/><request-token xmlns='urn:xmpp:fast:0' "
    b"mechanism='HT-SHA-256-NONE'/><fast xmlns='urn:xmpp:fast:0' "
    b"invalidate='true'/></authenticate>")


def mobile():
    """For proxy_mobile_fuzz: a byte of `enum mobile_input`, and what it says."""
    plain = b"AGFsaWNlAHNlY3JldA=="
    scram = b"biwsbj1hPTJDbGk9M0RjZSxyPWFiYw=="
    token = b"YWxpY2UAAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    for first in ((b"PLAIN", plain), (b"SCRAM-SHA-256", scram),
                  (b"HT-SHA-256-NONE", token)):
        yield b"\0" + AUTHENTICATE % (*first, 4294967295, b"~7~g2gCbQAA")
    for session in (b"g2gCbQAAABJwaG9u", b"~3~abc", b"~0~~5~x", b"~", b"~~",
                    b"~4294967295~x", b"~4294967296~x", b"~ 1~x"):
        yield b"\1" + session
    yield from (b"\2" + plain, b"\3" + scram, b"\4" + token)
    for base in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x80"):
        yield b"\5" + base + bytes(
            n for op in (*range(12), 1, 0, 2, 6, 3, 4, 5, 7, 9, 7)
            for n in (op, 3))


# Of Frame: like, keep, deflated, about, heard, enter, entry, with a small value;
# and marks of strings: a new entry of the book, a reference to one, a slot.
STATE = (b"\x30\x00", b"\x38\x00", b"\x42\x02\x03\x00", b"\x48\x00", b"\x48\x01",
         b"\x48\x02", b"\x50\x01", b"\x58\x01", b"\x58\x00", b"\xb2\x01\x01a",
         b"\x19", b"\x1e\x20", b"\x1f\x20", b"\x1e\x60\x20", b"\x1c\x20",
         b"\x1d\x20", b"\x1a\x20", b"\x1b\x20")


def main():
    out = sys.argv[1]
    for part, source in (("ws", streams), ("ends", headers),
                         ("proxy_mobile", mobile)):
        os.makedirs(os.path.join(out, part), exist_ok=True)
        for i, data in enumerate(source()):
            with open(os.path.join(out, part, str(i)), "wb") as file:
                file.write(data)
    for part in ("xml", "frame", "peer"):
        os.makedirs(os.path.join(out, part), exist_ok=True)
    seen = set()
    for source in (vectors, sessions):
        for xml in source():
            data = xml.encode()
            if len(data) > LARGEST or data in seen:
                continue
            path = os.path.join(out, "xml", "%s-%d" % (source.__name__, len(seen)))
            seen.add(data)
            with open(path, "wb") as file:
                file.write(data)
    with open(os.path.join(out, "words.dict"), "w", encoding="ascii") as file:
        for data in [*words(), *STATE]:
            file.write('"%s"\n' % quoted(data))


main()
