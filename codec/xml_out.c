/* xml_out.c: see xml_out.h. */
#include "xml_out.h"

#include <string.h>

#include "str.h"

void xml_raw(struct xml_out *out, struct terse_str s) {
    struct terse_buf *buf = out->buf;
    if (out->err != TERSE_OK || s.n == 0)
        return;
    size_t end = buf->off + buf->len;
    if (s.n > buf->cap - end || s.n > buf->max || buf->len > buf->max - s.n) {
        out->err = terse_buf_append(buf, s.p, s.n);
        return;
    }
    memcpy(buf->data + end, s.p, s.n); /* most pieces are a few bytes */
    buf->len += s.n;
}

/* What stands for a character; NULL for itself. '\r' would be read back as a
 * line feed (XML 1.0 section 2.11), "]]>" must not occur in text. */
static const char *escape(char c, bool attr) {
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '\r':
        return "&#13;";
    case '\'':
        return attr ? "&apos;" : NULL;
    case '\n':
        return attr ? "&#10;" : NULL;
    case '\t':
        return attr ? "&#9;" : NULL;
    default:
        return NULL;
    }
}

/* The characters that escape() has something for: 1 in text, 2 in attributes.
 * One look per character, since letters and digits come in no order that a
 * processor could foresee. */
static const uint8_t special[256] = {
    ['&'] = 3,  ['<'] = 3,  ['>'] = 3,  ['\r'] = 3,
    ['\''] = 2, ['\n'] = 2, ['\t'] = 2,
};

static void escaped(struct xml_out *out, struct terse_str s, bool attr) {
    const unsigned which = attr ? 2 : 1;
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (!(special[(uint8_t)s.p[i]] & which))
            continue;
        const char *as = escape(s.p[i], attr);
        xml_raw(out, (struct terse_str){s.p + from, i - from});
        xml_lit(out, as);
        from = i + 1;
    }
    if (from < s.n)
        xml_raw(out, (struct terse_str){s.p + from, s.n - from});
}

void xml_text(struct xml_out *out, struct terse_str s) {
    escaped(out, s, false);
}

void xml_attr_value(struct xml_out *out, struct terse_str s) {
    escaped(out, s, true);
}
