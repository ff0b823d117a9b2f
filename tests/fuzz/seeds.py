#!/usr/bin/env python3
"""Writes what fuzzing starts from: tests/fuzz/seeds.py DIR makes DIR/xml (one
element or more per file, from tests/vectors and the first elements of each
recorded session), DIR/frame and DIR/peer (empty: the fuzzers of these names
fill them) and DIR/words.dict, libFuzzer's dictionary of the well-known
strings and of the fields that are about state."""

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
                b"&lt;", b"&#13;", b"</stream:stream>", b"\r\n")


# Of Frame: like, keep, deflated, about, heard, enter, entry, with a small value;
# and marks of strings: a new entry of the book, a reference to one, a slot.
STATE = (b"\x30\x00", b"\x38\x00", b"\x42\x02\x03\x00", b"\x48\x00", b"\x48\x01",
         b"\x48\x02", b"\x50\x01", b"\x58\x01", b"\x58\x00", b"\x62\x01a",
         b"\x19", b"\x1e\x20", b"\x1f\x20", b"\x1e\x60\x20", b"\x1c\x20",
         b"\x1d\x20", b"\x1a\x20", b"\x1b\x20")


def main():
    out = sys.argv[1]
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
