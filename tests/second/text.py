#!/usr/bin/python3
"""text.py FRAMES: `terse encode --text` says what protoc says.

FRAMES holds frames, each after its length as a varint. Each goes through
`terse decode | terse encode --text`; stock protoc must read that text, and
write the bytes of a message equal to the frame. A sample, since each takes a
few processes: of each length in bytes, the first.
"""
import os
import subprocess
import sys

O = os.environ.get("O", "build")
PROTOC = ["protoc", f"-I{O}/gen", "terse.proto"]


def frames(path):
    data, at = open(path, "rb").read(), 0
    while at < len(data):
        size = shift = 0
        while True:
            byte = data[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        yield data[at:at + size]
        at += size


def run(args, data):
    return subprocess.run(args, input=data, stdout=subprocess.PIPE,
                          check=True).stdout


def canonical(frame):
    """protoc's own text: fields by number, so order on the wire is no part."""
    return run(PROTOC + ["--decode=terse.Frame"], frame)


sample = {}
for frame in frames(sys.argv[1]):
    sample.setdefault(len(frame), frame)
bad = 0
for frame in list(sample.values())[:60]:
    xml = run([f"{O}/bin/terse", "decode"], frame)
    text = run([f"{O}/bin/terse", "encode", "--text"], xml)
    again = run(PROTOC + ["--encode=terse.Frame"], text)
    if canonical(again) != canonical(frame):
        bad += 1
        print(f"frame {frame.hex()}: --text gives another message:\n"
              + text.decode())
print(f"{min(len(sample), 60)} frames as text, read by protoc, {bad} differ")
sys.exit(1 if bad or not sample else 0)
