"""Form IDENT, read and not written: docs/wire.md, "Ids", in Python."""
DIGITS = "0123456789"
LOWER = "abcdefghijklmnopqrstuvwxyz"
CHARS = (DIGITS + LOWER + LOWER.upper() + "-_" +
         " !\"#$%&'()*+,./:;<=>?@[\\]^`{|}~")
CLASSES = (DIGITS, CHARS[:16], DIGITS + "abcdef-", DIGITS + "ABCDEF-",
           CHARS[:36], CHARS[:64], CHARS)
CHARS_MAX, BYTES_MAX = 128, 112


def unpack(data):
    """The id, or None if the bytes are malformed."""
    if not data or data[0] == 0 or len(data) > BYTES_MAX:
        return None
    n, out = int.from_bytes(data, "big"), ""
    while n and len(out) <= CHARS_MAX:
        n, head = divmod(n, 14)
        chars = CLASSES[head % 7]
        if head < 7:
            start = len(out)
            while n:
                n, digit = divmod(n - 1, len(chars))
                out += chars[digit]
            return out if start < len(out) <= CHARS_MAX else None
        n, more = divmod(n, 32)
        for _ in range(more + 1):
            n, digit = divmod(n, len(chars))
            out += chars[digit]
    return None
