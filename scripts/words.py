#!/usr/bin/env python3
"""The static dictionary, schemas/terse/words.proto: append only.

  words.py append LIST...      append the words of LIST, one a line ("-" is
                               standard input), that are not there yet
  words.py census DIR          print candidates, the most frequent first, from
                               census-all-elements.csv, census-all-namespaces
                               .csv and priority-namespaces.csv in DIR
  words.py check               that numbers, names and values are unique

A word, once it has a number, keeps it for ever: what is in the file is never
touched. Numbers below 128 take one byte, those below 16384 two.
"""
import collections
import csv
import os
import re
import sys

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                    "..", "schemas", "terse", "words.proto")
ENTRY = re.compile(r'^\s*(W_\w+)\s*=\s*(\d+)\s*'
                   r'\[\(terse\.value\)\s*=\s*"((?:[^"\\]|\\.)*)"\];', re.M)
MAX_BYTES = 96  # of a word; a longer one is too special to be met again
CLIENT = "jabber:client"
# A namespace, an element or an attribute is worth a word if as many documents
# or stanzas of the census have it.
MIN_NAMESPACE, MIN_ELEMENT, MIN_ATTRIBUTE = 3, 4, 4


def read():
    with open(FILE, encoding="utf-8") as f:
        text = f.read()
    return text, [(n, int(i), v) for n, i, v in ENTRY.findall(text)]


def name_of(word, taken):
    base = "W_" + (re.sub(r"[^A-Z0-9]+", "_", word.upper()).strip("_") or "EMPTY")
    name, i = base, 2
    while name in taken:
        name, i = "%s_%d" % (base, i), i + 1
    return name


def line_of(name, number, word):
    line = '  %s = %d [(terse.value) = "%s"];\n' % (name, number, word)
    if len(line) > 81:
        line = line.replace(" [(", "\n      [(", 1)
    return line


def append(paths):
    text, entries = read()
    names = {n for n, _, _ in entries}
    values = {v for _, _, v in entries}
    number = max(i for _, i, _ in entries)
    out = []
    for path in paths:
        with (sys.stdin if path == "-" else open(path, encoding="utf-8")) as f:
            words = f.read().split("\n")
        for word in words:
            if word in values or not 0 < len(word.encode()) <= MAX_BYTES:
                continue
            if not re.fullmatch(r'[!#-\[\]-~]+', word):
                print("skipped: %r" % word, file=sys.stderr)
                continue
            number += 1
            name = name_of(word, names)
            names.add(name)
            values.add(word)
            out.append(line_of(name, number, word))
    end = text.rindex("}")
    with open(FILE, "w", encoding="utf-8") as f:
        f.write(text[:end] + "".join(out) + text[end:])
    print("%d appended, %d in all" % (len(out), number + 1))


def rows(directory, name):
    with open(os.path.join(directory, name), encoding="utf-8",
              newline="") as f:
        yield from csv.DictReader(f)


def census(directory):
    score = collections.Counter()
    for row in rows(directory, "priority-namespaces.csv"):
        score[row["namespace"]] += 1000 + 10 * int(row["clients_of_10"] or 0)
    for row in rows(directory, "census-all-namespaces.csv"):
        n = int(row["sources(xeps)"])
        if n >= MIN_NAMESPACE and "example" not in row["namespace"]:
            score[row["namespace"]] += n
    elements, attributes = collections.Counter(), collections.Counter()
    for row in rows(directory, "census-all-elements.csv"):
        n = int(row["sources"])
        elements[row["element"]] += n
        for pair in row["attributes(name:count)"].split():
            attribute, _, count = pair.rpartition(":")
            attributes[attribute] += min(int(count), 3 * n)
    for word, n in elements.items():
        if n >= MIN_ELEMENT:
            score[word] += n
    for word, n in attributes.items():
        if n >= MIN_ATTRIBUTE and ":" not in word:
            score[word] += n
    for word, _ in sorted(score.items(), key=lambda kv: (-kv[1], kv[0])):
        print(word)


def check():
    _, entries = read()
    for what, column in ("name", 0), ("number", 1), ("value", 2):
        for v, n in collections.Counter(e[column] for e in entries).items():
            if n > 1:
                sys.exit("words.proto: %s %s is there %d times" % (what, v, n))
    if [e[1] for e in entries] != list(range(len(entries))):
        sys.exit("words.proto: numbers are not 0, 1, 2, … in order")
    print("%d words" % len(entries))


def main(args):
    if len(args) >= 2 and args[0] == "append":
        append(args[1:])
    elif len(args) == 2 and args[0] == "census":
        census(args[1])
    elif args == ["check"]:
        check()
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
