/* xml_out.c: see xml_out.h. */
#include "xml_out.h"

#include <string.h>

#include "str.h"

void xml_raw(struct xml_out *out, struct terse_str s) {
    if (out->err == TERSE_OK)
        out->err = terse_buf_append(out->buf, s.p, s.n);
}

void xml_lit(struct xml_out *out, const char *s) { xml_raw(out, str_of(s)); }

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

static void escaped(struct xml_out *out, struct terse_str s, bool attr) {
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] > '>')
            continue;
        const char *as = escape(s.p[i], attr);
        if (!as)
            continue;
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
