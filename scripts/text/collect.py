"""Collects the training text: lines "language<TAB>text".

From packages of Debian 12, which `train.py fetch` downloads and unpacks (they
are not installed), and from chat.txt beside this file, which is ours.
"""

import gettext
import glob
import os
import random
import re

# What the text is taken from; docs/text.md names the licences.
PACKAGES = [
    "wesnoth-1.16-data", "colobot-common", "minetest-data", "pidgin-data",
    "gajim", "dino-im-common", "hexchat-common", "fortunes", "fortunes-de",
    "fortunes-es", "fortunes-it", "fortunes-pl", "fortunes-ru",
    "fortunes-cs", "fortunes-zh", "fortunes-br", "gnome-user-docs",
]

# Share of the training text. Languages that are not here are left out.
SHARES = {
    "en": 36, "de": 7, "fr": 6, "es": 7, "pt": 5, "it": 5, "nl": 4, "pl": 4,
    "tr": 4, "ru": 6, "uk": 3, "el": 2.5, "ar": 3, "he": 2, "fa": 1.5,
    "hi": 2, "zh": 5, "ja": 4, "ko": 3, "vi": 2.5, "id": 2.5, "sv": 3,
    "cs": 2, "hu": 1.5, "fi": 1.5, "da": 1.5, "nb": 1.5, "ro": 1.5, "bg": 1,
    "sr": 1, "ca": 1, "th": 1,
}

NAMES = {"pt_BR": "pt", "zh_CN": "zh", "zh_TW": "zh", "nb_NO": "nb",
         "es_419": "es", "en_GB": "en", "sk": "cs", "hr": "sr",
         "sr@latin": "sr"}

MARKUP = re.compile(r"[<>{}|\\_%$@~^#*=\[\]]|--|https?:|&\w+;|\b[A-Z]{4,}")
SPACE = re.compile(r"\s+")
SENTENCE = re.compile(r"(?<=[.!?…。！？।؟])[\s]+|(?<=[。！？])")


def language(name):
    name = NAMES.get(name, name)
    return name if name in SHARES else None


def sentences(text):
    for paragraph in re.split(r"\n\s*\n|\n(?=\s)", text):
        parts = [p for p in SENTENCE.split(SPACE.sub(" ", paragraph)) if p]
        i = 0
        while i < len(parts):
            n = random.choice((1, 1, 2, 3))
            line = " ".join(parts[i:i + n]).strip(" \"'“”„«»")
            i += n
            if 4 <= len(line) <= 300 and not MARKUP.search(line):
                yield line


def catalogues(root):
    english = set()
    for path in sorted(glob.glob(root + "/**/*.mo", recursive=True)):
        lang = language(path.split("/")[-3])
        if not lang:
            continue
        try:
            with open(path, "rb") as f:
                catalogue = gettext.GNUTranslations(f)._catalog
        except (OSError, UnicodeDecodeError):
            continue
        for key, text in sorted(catalogue.items(), key=str):
            if isinstance(key, tuple):
                key = key[0]
            key = key.split("^")[-1]
            if not key or not text or len(text) < 12 and lang != "zh":
                continue
            if key not in english:
                english.add(key)
                for line in sentences(key):
                    yield "en", line
            if text != key:
                for line in sentences(text):
                    yield lang, line


def fortunes(root):
    langs = {"fortunes": "en", "fortunes-br": "pt"}
    for path in sorted(glob.glob(root + "/fortunes*/**/fortunes/**",
                                 recursive=True)):
        if not os.path.isfile(path) or path.endswith((".dat", ".u8")):
            continue
        package = path[len(root):].split("/")[1]
        lang = langs.get(package, package[-2:])
        try:
            with open(path, encoding="utf-8") as f:
                text = f.read()
        except UnicodeDecodeError:
            continue
        for one in re.split(r"\n%\n", text):
            for line in sentences(re.sub(r"\n\s*--.*", "", one, flags=re.S)):
                yield lang, line


def pages(root):
    for lang in ("hi", "ko", "ja", "th", "id", "vi", "fa", "ar", "he", "hu",
                 "fi", "ro", "sr", "el", "uk", "tr"):
        for path in sorted(glob.glob(
                f"{root}/gnome-user-docs/usr/share/help/{lang}*/**/*.page",
                recursive=True)):
            with open(path, encoding="utf-8") as f:
                text = f.read()
            for p in re.findall(r"<p>([^<]*)</p>|<title>([^<]*)</title>",
                                text):
                for line in sentences("".join(p)):
                    yield lang, line


def chat(path):
    with open(path, encoding="utf-8") as f:
        for line in f:
            lang, _, text = line.rstrip("\n").partition("\t")
            if text:
                yield lang, text


def casual(line):
    """Half of the book's lines, as one would type them."""
    if random.random() < 0.6:
        line = line.replace("’", "'").replace("…", "...")
    if random.random() < 0.25:
        line = line.rstrip(".")
    if random.random() < 0.2:
        line = line[:1].lower() + line[1:]
    return line


def collect(root, here, size):
    """About `size` bytes of lines, by SHARES; some of each language from
    chat.txt, which is repeated a little."""
    random.seed(1)
    books, chats = {}, {}
    for source in (catalogues, fortunes, pages):
        for lang, line in source(root):
            if lang in SHARES:
                books.setdefault(lang, set()).add(line)
    for lang, line in chat(here + "/chat.txt"):
        chats.setdefault(lang, []).append(line)
    out = []
    total = sum(SHARES.values())
    for lang, share in SHARES.items():
        want = size * share / total
        own = chats.get(lang, []) + chats.get("any", [])
        have = sum(len(x.encode()) for x in own)
        times = min(6, want * 0.3 / have) if have else 0
        for i, line in enumerate(own):
            n = int(times) + (random.random() < times % 1)
            out += [(lang, line)] * n
        left = want - have * times
        lines = sorted(books.get(lang, ()))
        random.shuffle(lines)
        for line in lines:
            if left <= 0:
                break
            line = casual(line)
            left -= len(line.encode())
            out.append((lang, line))
    random.shuffle(out)
    return out


if __name__ == "__main__":
    import sys
    size = {}
    for lang, line in collect(sys.argv[1], os.path.dirname(
            os.path.abspath(__file__)), int(sys.argv[2])):
        size[lang] = size.get(lang, 0) + len(line.encode())
    print(size)
