/* text.h: which bytes XML can carry. */
#ifndef TERSE_TEXT_H
#define TERSE_TEXT_H

#include "terse.h"

/* Whether s is UTF-8 (RFC 3629) of characters that XML 1.0 allows (production
 * 2, Char). */
bool text_is_xml(struct terse_str s);

/* What a look at eight bytes at a time says of s. */
enum text_look {
    TEXT_CALM = 1,   /* printable ASCII without '&', '<', '>' */
    TEXT_CALMER = 2, /* nor '\'': nothing of it is ever escaped */
};
unsigned text_look(struct terse_str s);

/* How many bytes of s come before a last character that is not all there. */
size_t text_whole(struct terse_str s);

/* Whether s is an NCName (Namespaces in XML 1.0, production 4). */
bool text_is_ncname(struct terse_str s);

/* Whether s may be a namespace name: XML text without white space and control
 * characters, which some servers use as separators inside. */
bool text_is_namespace(struct terse_str s);

#endif
