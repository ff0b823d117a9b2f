/*
 * xml_out.h: the only place that writes XML. What it writes is well-formed as
 * long as it is given names and text that text.h approves of: everything that
 * XML gives a meaning is escaped here.
 */
#ifndef TERSE_XML_OUT_H
#define TERSE_XML_OUT_H

#include "str.h"

/* All append to buf, and do nothing once *err is an error. */
struct xml_out {
    struct terse_buf *buf;
    enum terse_err err;
};

void xml_raw(struct xml_out *out, struct terse_str s);
/* Inline, so that the length of a literal is known when it is compiled. */
static inline void xml_lit(struct xml_out *out, const char *s) {
    xml_raw(out, str_of(s));
}
/* Text between tags. */
void xml_text(struct xml_out *out, struct terse_str s);
/* Text in an attribute with single quotes, without them. White space becomes
 * references, since attribute values are normalised (XML 1.0 section 3.3.3). */
void xml_attr_value(struct xml_out *out, struct terse_str s);

#endif
