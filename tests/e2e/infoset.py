"""An element as nested tuples, read by one of two unrelated XML parsers:
(name, attributes, children); names are (namespace, local), text is str.

Two elements are the same if these are equal: names, the set of attributes, the
order of all children, every character of text. Prefixes, quotes, the spelling
of characters and where a namespace is declared are no part of it.
"""
import ctypes
from xml.parsers import expat

STREAM = ("<stream xmlns='jabber:client' "
          "xmlns:stream='http://etherx.jabber.org/streams'>")


def _join(children):
    """Runs of text become one string each."""
    joined = []
    for child in children:
        if isinstance(child, str) and joined and isinstance(joined[-1], str):
            joined[-1] += child
        else:
            joined.append(child)
    return tuple(joined)


class _Builder:
    def __init__(self):
        self.open = [('', frozenset(), [])]

    def start(self, name, attributes):
        self.open.append((name, frozenset(attributes), []))

    def text(self, text):
        self.open[-1][2].append(text)

    def end(self):
        name, attributes, children = self.open.pop()
        self.open[-1][2].append((name, attributes, _join(children)))

    def result(self):
        """The children of the one element that was read."""
        return self.open[0][2][0][2]


def by_expat(xml):
    """The elements in `xml`, which stands in a stream."""
    builder = _Builder()
    parser = expat.ParserCreate('UTF-8', '\n')
    parser.StartElementHandler = lambda name, attributes: builder.start(
        _split(name), ((_split(k), v) for k, v in attributes.items()))
    parser.EndElementHandler = lambda name: builder.end()
    parser.CharacterDataHandler = builder.text
    parser.Parse(f'{STREAM}{xml}</stream>'.encode(), True)
    return builder.result()


def _split(name):
    ns, _, local = name.rpartition('\n')
    return ns, local


# -- libxml2, by its text reader ------------------------------------------------

_ELEMENT, _TEXT, _CDATA, _SPACE, _WHITESPACE, _END = 1, 3, 4, 13, 14, 15
_OPTIONS = 1 << 19 | 1 << 5 | 1 << 6  # XML_PARSE_HUGE, NOERROR, NOWARNING


def _library():
    lib = ctypes.CDLL('libxml2.so.2')
    lib.xmlReaderForMemory.restype = ctypes.c_void_p
    lib.xmlReaderForMemory.argtypes = [ctypes.c_char_p, ctypes.c_int,
                                       ctypes.c_char_p, ctypes.c_char_p,
                                       ctypes.c_int]
    for name in ('ConstLocalName', 'ConstNamespaceUri', 'ConstValue'):
        function = getattr(lib, 'xmlTextReader' + name)
        function.restype = ctypes.c_char_p
        function.argtypes = [ctypes.c_void_p]
    for name in ('Read', 'NodeType', 'IsEmptyElement', 'IsNamespaceDecl',
                 'MoveToNextAttribute', 'MoveToElement'):
        getattr(lib, 'xmlTextReader' + name).argtypes = [ctypes.c_void_p]
    lib.xmlFreeTextReader.argtypes = [ctypes.c_void_p]
    lib.xmlFreeTextReader.restype = None
    return lib


def by_libxml2(xml):
    """The same by libxml2."""
    lib = _library()
    data = f'{STREAM}{xml}</stream>'.encode()
    reader = lib.xmlReaderForMemory(data, len(data), None, b'UTF-8',
                                    _OPTIONS)
    builder = _Builder()

    def value(name):
        return (getattr(lib, 'xmlTextReader' + name)(reader) or b'').decode()

    def names():
        return value('ConstNamespaceUri'), value('ConstLocalName')
    try:
        while (got := lib.xmlTextReaderRead(reader)) == 1:
            kind = lib.xmlTextReaderNodeType(reader)
            if kind == _ELEMENT:
                empty = lib.xmlTextReaderIsEmptyElement(reader)
                name, attributes = names(), []
                while lib.xmlTextReaderMoveToNextAttribute(reader) == 1:
                    if not lib.xmlTextReaderIsNamespaceDecl(reader):
                        attributes.append((names(), value('ConstValue')))
                lib.xmlTextReaderMoveToElement(reader)
                builder.start(name, attributes)
                if empty:
                    builder.end()
            elif kind == _END:
                builder.end()
            elif kind in (_TEXT, _CDATA, _SPACE, _WHITESPACE):
                builder.text(value('ConstValue'))
        assert got == 0, f'libxml2 cannot read {xml[:200]}'
    finally:
        lib.xmlFreeTextReader(reader)
    return builder.result()
