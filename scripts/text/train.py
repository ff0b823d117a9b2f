#!/usr/bin/python3
"""Trains schemas/text.model, the static model for short text.

  train.py fetch DIR         download and unpack the packages (apt-get download)
  train.py train DIR FILE    train on them and on chat.txt, write the model

Needs Debian's python3-numpy and gcc. docs/text.md tells what comes out.
"""

import ctypes
import glob
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

import collect

HERE = os.path.dirname(os.path.abspath(__file__))

TEXT_BYTES = int(os.environ.get("TEXT_BYTES", 7_000_000))
PIECES = int(os.environ.get("PIECES", 9_500))  # bytes included
CLASSES = int(os.environ.get("CLASSES", 96))  # class 0 is the end of a text
PIECE_MAX = 16  # bytes
SEED_PIECES = PIECES * 3
ONE = 1 << 16  # probabilities are in 1/65536

CHATS = 20  # how often chat.txt is counted in the end
SPARE = 0.05  # what every byte is counted beyond what was seen


def fetch(root):
    debs = os.path.join(root, "deb")
    os.makedirs(debs, exist_ok=True)
    subprocess.run(["apt-get", "download"] + collect.PACKAGES, cwd=debs,
                   check=True)
    for deb in glob.glob(debs + "/*.deb"):
        name = os.path.basename(deb).split("_")[0]
        subprocess.run(["dpkg-deb", "-x", deb, os.path.join(root, "x", name)],
                       check=True)


def library():
    out = os.path.join(tempfile.mkdtemp(), "cut.so")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", out,
                    os.path.join(HERE, "cut.c")], check=True)
    lib = ctypes.CDLL(out)
    lib.cut_all.restype = ctypes.c_int64
    return lib


def pointer(array):
    return None if array is None else array.ctypes.data_as(ctypes.c_void_p)


def pack(texts):
    at = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(t) for t in texts], out=at[1:])
    return np.frombuffer(b"".join(texts) + b"\0", np.uint8), at


class Model:
    """pieces[i] with class of[i] and costs in bits. Piece 0 is the end."""

    def __init__(self, lib, pieces):
        self.lib = lib
        self.pieces = [b""] + pieces
        self.of = np.ones(len(self.pieces), np.int32)
        self.of[0] = 0
        self.classes = 2
        self.trans = np.zeros((2, 2), np.float32)
        self.cost = np.full(len(self.pieces), 12, np.float32)

    def cut(self, texts, skips=None, end=True, costs=None):
        blob, at = texts
        pblob, pat = pack(self.pieces)
        self.lib.cut_pieces(pointer(pblob), pointer(pat), len(self.pieces))
        out = np.empty(len(blob) + len(at), np.int32)
        trans = np.ascontiguousarray(self.trans, np.float32)
        n = self.lib.cut_all(
            pointer(blob), pointer(at), len(at) - 1, pointer(self.of),
            pointer(self.cost), pointer(trans), self.classes, pointer(skips),
            0 if end else -1, pointer(out), pointer(costs))
        return out[:n].copy()

    def count(self, ids):
        """Costs of pieces from how often they came; no classes yet."""
        n = np.bincount(ids, minlength=len(self.pieces)).astype(float)
        self.n = n
        p = n + SPARE
        self.cost = np.log2(p[1:].sum() / p).astype(np.float32)
        self.cost[0] = 0

    def keep(self, mask):
        mask[0] = True
        self.pieces = [p for p, k in zip(self.pieces, mask) if k]
        self.of = self.of[mask]
        self.cost = self.cost[mask]
        if hasattr(self, "n"):
            self.n = self.n[mask]


BYTES = [bytes([i]) for i in range(256)]


def grow(lib, texts):
    """Pieces joined from neighbours, the most frequent first."""
    lines, packed = texts
    seen = {}
    for line in lines:
        for c in line.decode():
            seen[c] = seen.get(c, 0) + 1
    chars = [c.encode() for c, n in seen.items() if n >= 8 and ord(c) > 127]
    prefixes = {c[:-1] for c in (x.encode() for x in seen) if len(c) > 1}
    prefixes |= {c[:-2] for c in (x.encode() for x in seen) if len(c) > 3}
    model = Model(lib, sorted(set(BYTES + chars) | prefixes))
    while len(model.pieces) < SEED_PIECES:
        ids = model.cut(packed)
        model.count(ids)
        a, b = ids[:-1].astype(np.int64), ids[1:].astype(np.int64)
        pair = (a * len(model.pieces) + b)[(a > 0) & (b > 0)]
        key, n = np.unique(pair, return_counts=True)
        have = set(model.pieces)
        new, cost = [], []
        for i in np.argsort(-n, kind="stable"):
            if n[i] < 12 or len(new) >= len(model.pieces) * 0.35:
                break
            x, y = divmod(int(key[i]), len(model.pieces))
            p = model.pieces[x] + model.pieces[y]
            if len(p) <= PIECE_MAX and p not in have:
                have.add(p)
                new.append(p)
                cost.append(np.log2(len(ids) / n[i]))
        if len(new) < len(model.pieces) // 50:
            break
        model.pieces += new
        k = len(model.pieces) - len(model.of)
        model.of = np.append(model.of, np.ones(k, np.int32))
        model.cost = np.append(model.cost, np.float32(cost))
        log(f"{len(model.pieces)} pieces")
    return model


def prune(model, packed, want, step):
    """Drops the pieces that save least until `want` are left."""
    while True:
        for _ in range(2):
            ids = model.cut(packed)
            model.recount(ids) if model.classes > 2 else model.count(ids)
        if len(model.pieces) <= want:
            return
        single = np.array([len(p) <= 1 for p in model.pieces])
        other = np.zeros(len(model.pieces), np.float32)
        skips = np.arange(len(model.pieces), dtype=np.int32)
        saved = (model.of, model.trans, model.classes, model.cost)
        if model.classes > 2:  # as if there were none, with its own frequency
            flat = np.log2(model.n.sum() / (model.n + SPARE))
            model.of = np.where(np.arange(len(flat)) == 0, 0, 1).astype(
                np.int32)
            model.trans, model.classes = np.zeros((2, 2), np.float32), 2
            model.cost = flat.astype(np.float32)
        model.cut(pack(model.pieces), skips, end=False, costs=other)
        loss = model.n * np.maximum(other - model.cost, 0)
        model.of, model.trans, model.classes, model.cost = saved
        loss[single] = np.inf
        target = max(want, int(len(model.pieces) * step))
        mask = np.zeros(len(loss), bool)
        mask[np.argsort(-loss, kind="stable")[:target]] = True
        model.keep(mask)
        log(f"{len(model.pieces)} pieces, {bits(model, packed):.4f} bits/byte")


def bits(model, packed):
    costs = np.zeros(len(packed[1]) - 1, np.float32)
    model.cut(packed, costs=costs)
    return costs.sum(dtype=float) / packed[1][-1]


# ---- classes ---------------------------------------------------------------


def edges(ids):
    """(piece, next piece) all along, texts beginning and ending with 0."""
    a = np.concatenate([[0], ids[:-1]]).astype(np.int64)
    return a, ids.astype(np.int64)


def recount(self, ids):
    a, b = edges(ids)
    n = np.bincount(ids, minlength=len(self.pieces)).astype(float)
    self.n = n
    c = self.classes
    t = np.bincount(self.of[a] * c + self.of[b],
                    minlength=c * c).reshape(c, c).astype(float)
    # A class pair that was not seen gets a share by the class's frequency.
    share = t.sum(0) / t.sum()
    t += 2 * share + 0.01
    self.trans = np.log2(t.sum(1, keepdims=True) / t).astype(np.float32)
    p = n + SPARE
    total = np.bincount(self.of, weights=p, minlength=c)
    self.cost = np.log2(total[self.of] / p).astype(np.float32)
    self.cost[0] = 0


Model.recount = recount


def first_classes(model, ids, lang_of_text, langs):
    """By the language a piece comes in most, and by where a word begins."""
    text = np.cumsum(ids == 0) - (ids == 0)
    lang = lang_of_text[text]
    w = len(model.pieces)
    n = np.bincount(ids * langs + lang, minlength=w * langs).reshape(w, langs)
    main = n.argmax(1)
    kind = np.array([2 if p[-1:] == b" " else 1 if p[:1] == b" " else 0
                     for p in model.pieces])
    start = main * 3 + kind
    # The most frequent groups get a class of their own.
    weight = np.bincount(start, weights=n.sum(1), minlength=langs * 3)
    order = np.argsort(-weight)
    new = np.full(langs * 3, CLASSES - 1)
    new[order[:CLASSES - 2]] = np.arange(1, CLASSES - 1)
    of = new[start].astype(np.int32)
    of[0] = 0
    model.of = of
    model.classes = CLASSES


def recluster(model, ids, rounds, rng):
    """Moves pieces to the class in which they cost least, half at a time."""
    c, w = model.classes, len(model.pieces)
    a, b = edges(ids)
    n = np.bincount(ids, minlength=w).astype(float)
    for r in range(rounds):
        before = np.bincount(b * c + model.of[a],
                             minlength=w * c).reshape(w, c)
        after = np.bincount(a * c + model.of[b],
                            minlength=w * c).reshape(w, c)
        t = np.bincount(model.of[a] * c + model.of[b],
                        minlength=c * c).reshape(c, c) + 0.3
        total = t.sum(0)
        row = np.log2(t.sum(1, keepdims=True) / t)  # [from, to]
        # cost of piece in class k: entering, leaving, and its share there
        score = before @ row + after @ row.T
        score += n[:, None] * np.log2(total)[None, :]
        score[:, 0] = np.inf
        best = score.argmin(1).astype(np.int32)
        move = rng.random(w) < 0.5
        move[0] = False
        changed = int((best != model.of)[move].sum())
        model.of = np.where(move, best, model.of).astype(np.int32)
        if changed < w // 500:
            break
    model.recount(ids)


def log(text):
    print(f"{time.time() - START:6.1f} s  {text}", file=sys.stderr, flush=True)


def shares(weights, least):
    """Whole numbers in proportion to weights, each >= least, sum ONE."""
    w = np.asarray(weights, float)
    out = np.maximum(least, np.floor(w / w.sum() * ONE)).astype(int)
    while out.sum() != ONE:
        rest = ONE - out.sum()
        big = out.argmax()
        if rest > 0 or out[big] + rest > ONE // 2 or len(out) == 1:
            out[big] += rest
        else:  # take from all in proportion
            room = out - least
            take = np.minimum(room, np.ceil(room * -rest / room.sum()))
            for i in np.argsort(-room):
                if rest == 0:
                    break
                x = int(min(take[i], -rest))
                out[i] -= x
                rest += x
    return out


def escape(piece):
    try:
        text = piece.decode()
        if all(c.isprintable() and c != "\\" for c in text):
            return text
    except UnicodeDecodeError:
        pass
    return "".join(chr(b) if 32 <= b < 127 and b != 92 else f"\\x{b:02x}"
                   for b in piece)


def write(model, path):
    """The classes, then the pieces in the order of their bytes."""
    used, model.of = np.unique(model.of, return_inverse=True)
    model.trans = model.trans[np.ix_(used, used)]
    c = len(used)
    freq = np.zeros(len(model.pieces), int)
    for k in range(c):
        of = np.flatnonzero(model.of == k)
        if len(of):
            freq[of] = shares(2.0 ** -model.cost[of], 1)
    with open(path, "w", encoding="utf-8") as f:
        f.write("# Terse's model for short text, see docs/text.md. Written "
                "by scripts/text/train.py.\nmodel 1\n")
        f.write(f"classes {c}\n")
        for k in range(c):
            f.write(" ".join(map(str, shares(2.0 ** -model.trans[k], 1))) +
                    "\n")
        f.write(f"pieces {len(model.pieces) - 1}\n")
        for i in sorted(range(1, len(model.pieces)),
                        key=lambda i: model.pieces[i]):
            f.write(f"{model.of[i]} {freq[i]} {escape(model.pieces[i])}\n")


def train(root, path):
    lines = collect.collect(os.path.join(root, "x"), HERE, TEXT_BYTES)
    langs = sorted({lang for lang, _ in lines})
    lang_of_text = np.array([langs.index(lang) for lang, _ in lines])
    texts = [line.encode() for _, line in lines]
    packed = pack(texts)
    log(f"{len(texts)} texts, {packed[1][-1]} bytes")
    model = grow(library(), (texts, packed))
    rng = np.random.default_rng(1)
    prune(model, packed, int(PIECES * 1.5), 0.75)
    ids = model.cut(packed)
    first_classes(model, ids, lang_of_text, len(langs))
    model.recount(ids)
    for _ in range(3):
        recluster(model, ids, 20, rng)
        ids = model.cut(packed)
        log(f"{bits(model, packed):.4f} bits/byte")
    prune(model, packed, PIECES, 0.85)
    for _ in range(4):
        ids = model.cut(packed)
        recluster(model, ids, 20, rng)
        log(f"{bits(model, packed):.4f} bits/byte")
    # Books gave the pieces; chats have more to say on how often they come.
    texts += [line.encode() for _, line in
              collect.chat(os.path.join(HERE, "chat.txt"))] * CHATS
    model.recount(model.cut(pack(texts)))
    write(model, path)


START = time.time()
if __name__ == "__main__":
    if sys.argv[1] == "fetch":
        fetch(sys.argv[2])
    else:
        train(sys.argv[2], sys.argv[3])
