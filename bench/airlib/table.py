#!/usr/bin/python3
"""table.py: writes the tables of docs/bench.md anew, from $O/bench/air.json as
`make bench-air` has left it."""
import json
import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BEGIN, END = '<!-- measured: bench/airlib/table.py -->\n', '<!-- /measured -->'
NAMES = {'direct': 'slixmpp, TLS', 'zlib': 'slixmpp, zlib, no TLS',
         'agent': 'slixmpp, terse-agent', 'sdk': 'libterse-client'}


def logins(found):
    yield ('| until the first message is there | round trips after TCP and TLS '
           '| s | packets | bytes |')
    yield '|---|--:|--:|--:|--:|'
    for kind, ways in found['first'].items():
        for way, row in ways.items():
            yield (f'| {NAMES[kind]}: {way} | {row["after_tls"]:.0f} '
                   f'| {row["seconds"]:.2f} | {row["packets"]:.0f} '
                   f'| {row["bytes"]:,.0f} |')


def parts(found):
    talk, idle = found['conversation'], found['idle']
    yield f'conversation of {talk["direct"]["messages"]} messages', talk
    yield 'an hour, somebody looks', idle['active']
    yield 'an hour, nobody looks', idle['inactive']
    yield 'ten reconnects', found['reconnects']


def air(found):
    yield '| | packets | of TLS | without payload | bytes | of TLS | of zlib |'
    yield '|---|--:|--:|--:|--:|--:|--:|'
    for title, rows in parts(found):
        yield f'| **{title}** | | | | | | |'
        for kind, row in rows.items():
            yield (f'| {NAMES[kind]} | {row["packets"]:,} '
                   f'| {row["packets"] / rows["direct"]["packets"]:.2f} '
                   f'| {row["bare"]:,} | {row["bytes"]:,} '
                   f'| {row["bytes"] / rows["direct"]["bytes"]:.2f} '
                   f'| {row["bytes"] / rows["zlib"]["bytes"]:.2f} |')


def main():
    path = os.path.join(ROOT, os.environ.get('O', 'build'), 'bench',
                        'air.json')
    with open(path) as f:
        found = json.load(f)
    path = os.path.join(ROOT, 'docs', 'bench.md')
    with open(path, encoding='utf-8') as f:
        head, rest = f.read().split(BEGIN)
    lines = [*logins(found), '', *air(found)]
    with open(path, 'w', encoding='utf-8') as f:
        f.write(head + BEGIN + '\n'.join(lines) + '\n' + rest[rest.index(END):])


if __name__ == '__main__':
    main()
