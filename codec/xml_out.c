/* xml_out.c: see xml_out.h. */
#include "xml_out.h"

#include <string.h>

#include "buf.h"
#include "str.h"

void xml_begin(struct xml_out *out, struct terse_buf *buf) {
    *out = (struct xml_out){.buf = buf};
    if (!buf->data || buf->len > buf->max)
        return;
    size_t room = buf->cap - buf->off - buf->len;
    if (room > buf->max - buf->len)
        room = buf->max - buf->len;
    out->p = buf->data + buf->off + buf->len;
    out->end = out->p + room;
}

void xml_end(struct xml_out *out) { out->buf->len = xml_size(out); }

/* Goes on behind what buf holds now, unless err is an error. */
static void go_on(struct xml_out *out, enum terse_err err) {
    xml_begin(out, out->buf);
    out->err = err;
    if (err != TERSE_OK)
        out->end = out->p;
}

void xml_more(struct xml_out *out, struct terse_str s) {
    if (out->err != TERSE_OK)
        return;
    xml_end(out);
    go_on(out, terse_buf_append(out->buf, s.p, s.n));
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

static bool is_special(char c, bool attr) {
    return special[(uint8_t)c] & (attr ? 2 : 1);
}

static void escaped(struct xml_out *out, struct terse_str s, bool attr) {
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_special(s.p[i], attr))
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

/* Replaces what is special among the n bytes at p by what stands for it, from
 * the last to the first; behind them is room for the `more` that takes. */
static void spread(char *p, size_t n, size_t more, bool attr) {
    size_t to = n + more;
    while (n < to) { /* what is in front of the first stays */
        char c = p[--n];
        const char *as = is_special(c, attr) ? escape(c, attr) : NULL;
        size_t len = as ? strlen(as) : 1;
        to -= len;
        memcpy(p + to, as ? as : &c, len);
    }
}

void xml_escape(struct xml_out *out, size_t from, bool attr) {
    struct terse_buf *buf = out->buf;
    size_t more = 0, n = out->err == TERSE_OK ? xml_size(out) - from : 0;
    const char *p = (const char *)out->p - n;
    for (size_t i = 0; i < n; i++)
        if (is_special(p[i], attr))
            more += strlen(escape(p[i], attr)) - 1;
    if (more == 0)
        return;
    xml_end(out);
    enum terse_err err = buf_room(buf, more);
    if (err == TERSE_OK) {
        spread((char *)buf->data + buf->off + from, n, more, attr);
        buf->len += more;
    }
    go_on(out, err);
}
