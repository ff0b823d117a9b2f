"""Form PACKED, read and not written: docs/text.md in Python."""
import re
from bisect import bisect_right
from itertools import accumulate


def load(path):
    """Where the shares of each class begin, by the class before; the pieces of
    each class, and where their shares begin."""
    lines = [x.rstrip("\n") for x in open(path, encoding="utf-8")][1:]
    n = int(lines[1].split()[1])
    after = [[0, *accumulate(map(int, x.split()))] for x in lines[2:2 + n]]
    pieces, starts = [[] for _ in range(n)], [[0] for _ in range(n)]
    for line in lines[3 + n:]:
        c, share, text = line.split(" ", 2)
        pieces[int(c)].append(re.sub(
            rb"\\x(..)", lambda m: bytes([int(m[1], 16)]), text.encode()))
        starts[int(c)].append(starts[int(c)][-1] + int(share))
    return after, pieces, starts


def unpack(model, packed):
    """The text, or None if the bytes are malformed."""
    after, pieces, starts = model
    x, at, c, out = 0, 0, 0, b""
    while packed and packed[0] and len(out) < 32 * len(packed) + 32:
        for table in after, starts:  # first the class, then the piece in it
            while x < 1 << 24 and at < len(packed):
                x, at = x << 8 | packed[at], at + 1
            start = table[c]
            i = bisect_right(start, x & 65535) - 1
            x = (start[i + 1] - start[i]) * (x >> 16) + (x & 65535) - start[i]
            if table is starts:
                out += pieces[c][i]
            elif i == 0:
                return out if x == 0 and at == len(packed) else None
            else:
                c = i
    return None
