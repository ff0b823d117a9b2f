/*
 * xml_out.h: the only place that writes XML. What it writes is well-formed as
 * long as it is given names and text that text.h approves of: everything that
 * XML gives a meaning is escaped here.
 */
#ifndef TERSE_XML_OUT_H
#define TERSE_XML_OUT_H

#include <string.h>

#include "str.h"

/* Appends to buf, between xml_begin and xml_end its only user; does nothing
 * once err is an error. */
struct xml_out {
    struct terse_buf *buf;
    uint8_t *p, *end; /* room that buf has and may fill; none on an error */
    enum terse_err err;
};

void xml_begin(struct xml_out *out, struct terse_buf *buf);
/* Until then buf->len is what it was. */
void xml_end(struct xml_out *out);

/* How many bytes buf has by now. */
static inline size_t xml_size(const struct xml_out *out) {
    const struct terse_buf *buf = out->buf;
    return out->p ? (size_t)(out->p - buf->data) - buf->off : buf->len;
}

/* What xml_raw does where there is no room. */
void xml_more(struct xml_out *out, struct terse_str s);

/* Inline, so that the length of a literal is known when it is compiled: most
 * pieces are a few bytes. */
static inline void xml_raw(struct xml_out *out, struct terse_str s) {
    if (s.n > (size_t)(out->end - out->p)) {
        xml_more(out, s);
    } else if (s.n > 0) {
        memcpy(out->p, s.p, s.n);
        out->p += s.n;
    }
}
static inline void xml_lit(struct xml_out *out, const char *s) {
    xml_raw(out, str_of(s));
}
/* Text between tags. */
void xml_text(struct xml_out *out, struct terse_str s);
/* Text in an attribute with single quotes, without them. White space becomes
 * references, since attribute values are normalised (XML 1.0 section 3.3.3). */
void xml_attr_value(struct xml_out *out, struct terse_str s);

/* Makes what was written since buf had `from` bytes text, or with `attr` a
 * value of an attribute. */
void xml_escape(struct xml_out *out, size_t from, bool attr);

#endif
