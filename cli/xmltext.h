/*
 * xmltext.h: what a piece of a stream's XML text is, told by its markup alone,
 * before any parser has seen it.
 */
#ifndef CLI_XMLTEXT_H
#define CLI_XMLTEXT_H

#include "codec/terse.h"

/* What RFC 6120 section 11.1 forbids and xml holds, whichever comes first: a
 * static string ("a comment", ...), or NULL. An XML declaration at the start
 * is allowed. */
const char *xmltext_forbidden(struct terse_str xml);

/* Whether xml is nothing but white space. */
bool xmltext_blank(struct terse_str xml);

/* Whether xml starts with a stream header: the start tag of an element called
 * `stream` that does not end in this text, or that is called stream:stream or
 * names the stream's namespace. *name is then its name as written, and *n the
 * bytes up to the tag's end, an XML declaration before it included. */
bool xmltext_header(struct terse_str xml, struct terse_str *name, size_t *n);

/* Whether xml ends in the end tag </name>, white space aside. */
bool xmltext_footer(struct terse_str xml, struct terse_str name);

/* Length of an XML declaration and white space at the start; 0 if none. */
size_t xmltext_declaration(struct terse_str xml);

#endif
