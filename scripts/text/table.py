#!/usr/bin/python3
"""Turns the model for short text into the C tables that codec/pack.c uses.

  table.py schemas/text.model >text_model.c
"""

import bisect
import math
import re
import sys

ONE = 1 << 16


def read(path):
    """The rows of class shares, and [(class, share, bytes)]."""
    with open(path, encoding="utf-8") as f:
        lines = [x.rstrip("\n") for x in f if not x.startswith("# ")]
    if lines[0] != "model 1":
        sys.exit(f"{path}: not a model 1")
    classes = int(lines[1].split()[1])
    rows = [list(map(int, x.split())) for x in lines[2:2 + classes]]
    pieces = []
    for line in lines[3 + classes:]:
        k, share, text = line.split(" ", 2)
        text = re.sub(rb"\\x(..)", lambda m: bytes([int(m[1], 16)]),
                      text.encode())
        pieces.append((int(k), int(share), text))
    return rows, pieces


def check(rows, pieces):
    texts = [t for _, _, t in pieces]
    assert texts == sorted(set(texts)), "pieces: sorted, none twice"
    assert {bytes([i]) for i in range(256)} <= set(texts), "every byte"
    assert all(1 <= len(t) <= 16 for t in texts) and len(rows) <= 255
    assert sum(map(len, texts)) < ONE and len(texts) < ONE - 1
    for row in rows:
        assert len(row) == len(rows) and sum(row) == ONE and min(row) >= 1
    for k in range(1, len(rows)):
        shares = [s for c, s, _ in pieces if c == k]
        assert sum(shares) == ONE and min(shares) >= 1, f"class {k}"
    assert all(k > 0 for k, _, _ in pieces), "class 0 is the end"


def cost(share):
    """In 1/16 bit."""
    return min(255, round(16 * math.log2(ONE / share)))


def starts(shares):
    out, at = [], 0
    for s in shares:
        out.append(at)
        at += s
    return out


SLOTS = 64  # shares of 1/SLOTS, each with where its search begins


def near(starts):
    """For each slot of shares the last of `starts` (ascending, the first is 0)
    that is not behind its first; one more, the last of all."""
    step = ONE // SLOTS
    return ([bisect.bisect_right(starts, i * step) - 1 for i in range(SLOTS)]
            + [len(starts) - 1])


def trie(pieces):
    """Rows base, check, 1 + piece, class, cost. From a node the byte b leads to
    the node base + b, if that one's check is the node it came from. A first
    byte is its own node."""
    texts = {t: i for i, (_, _, t) in enumerate(pieces)}
    children = {}
    for t in texts:
        for n in range(1, len(t)):
            children.setdefault(t[:n], set()).add(t[n])
    taken, base = (1 << 256) - 1, {}  # a bit for each node
    # Those with most children first: they are the hardest to place.
    for prefix in sorted(children, key=lambda p: (-len(children[p]), p)):
        not_at = 1
        for b in children[prefix]:
            not_at |= taken >> b
        at = (~not_at & (not_at + 1)).bit_length() - 1
        base[prefix] = at
        for b in children[prefix]:
            taken |= 1 << at + b
    size = max(base.values()) + 256
    assert size < ONE
    rows = [(0, ONE - 1, 0, 0, 0)] * size
    node = {bytes([b]): b for b in range(256)}
    for prefix in sorted({t[:n] for t in texts for n in range(1, len(t) + 1)},
                         key=len):
        parent = prefix[:-1]
        if parent:
            node[prefix] = base[parent] + prefix[-1]
        k, share, i = 0, ONE, -1
        if prefix in texts:
            i = texts[prefix]
            k, share, _ = pieces[i]
        rows[node[prefix]] = (base.get(prefix, 0),
                              node[parent] if parent else ONE - 1,
                              i + 1, k, cost(share))
    return rows


def array(kind, name, values):
    print(f"const {kind} {name}[] = {{")
    for i in range(0, len(values), 16):
        print("    " + " ".join(f"{v}," for v in values[i:i + 16]))
    print("};")


def main(path):
    rows, pieces = read(path)
    check(rows, pieces)
    start = [0] * len(pieces)
    members, first = [], [0]
    for k in range(len(rows)):
        of = [i for i, p in enumerate(pieces) if p[0] == k]
        for i, s in zip(of, starts([pieces[i][1] for i in of])):
            start[i] = s
        members += of
        first.append(len(members))
    print("/* Written by scripts/text/table.py. */")
    print('#include "codec/pack_model.h"')
    print(f"const struct pack_model_size pack_size = "
          f"{{{len(rows)}, {len(pieces)}}};")
    array("uint8_t", "pack_text", [b for _, _, t in pieces for b in t])
    array("uint16_t", "pack_at",
          starts([len(t) for _, _, t in pieces] + [0]))
    print("const struct pack_node pack_trie[] = {")
    for row in trie(pieces):
        print("    {" + ", ".join(map(str, row)) + "},")
    print("};")
    array("uint16_t", "pack_start", start)
    array("uint16_t", "pack_last", [s - 1 for _, s, _ in pieces])
    array("uint16_t", "pack_members", members)
    in_class = [start[i] for i in members]
    array("uint16_t", "pack_member_start", in_class)
    array("uint16_t", "pack_member_near",
          [0] * (SLOTS + 1)
          + [first[k] + x for k in range(1, len(rows))
             for x in near(in_class[first[k]:first[k + 1]])])
    array("uint8_t", "pack_class_near",
          [x for r in rows for x in near(starts(r))])
    array("uint16_t", "pack_class_start", [s for r in rows for s in starts(r)])
    array("uint8_t", "pack_class_cost", [cost(s) for r in rows for s in r])


if __name__ == "__main__":
    main(sys.argv[1])
