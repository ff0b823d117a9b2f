/*
 * xml_skip.h: steps over the rest of an element that is not wanted, however it
 * is made, and takes no memory for it. It knows well-formed XML as RFC 6120
 * has it: tags, quotes, text and CDATA.
 */
#ifndef TERSE_XML_SKIP_H
#define TERSE_XML_SKIP_H

#include "terse.h"

enum xml_skip_at {
    SKIP_TEXT, /* between tags */
    SKIP_LESS, /* behind '<' */
    SKIP_TAG,  /* in a start tag, outside of quotes */
    SKIP_END,  /* in an end tag */
    SKIP_QUOT, /* in "" */
    SKIP_APOS, /* in '' */
    SKIP_BANG, /* behind "<!" */
    SKIP_CDATA /* behind "<![", up to "]]>" */
};

struct xml_skip {
    uint32_t depth; /* elements that are open */
    enum xml_skip_at at;
    uint8_t brackets; /* ']' in a row, up to 2 */
    bool slash;       /* the byte before was a '/' */
};

/* Begins within a start tag, outside of quotes, with `open` elements around it.
 */
void xml_skip_begin(struct xml_skip *skip, uint32_t open);
/* Steps over bytes until the outermost element is closed (*done) or there are
 * no more; *used says how many. TERSE_ERESTRICTED for what is in no stream. */
TERSE_NODISCARD enum terse_err xml_skip(struct xml_skip *skip, const char *p,
                                        size_t n, size_t *used, bool *done);

#endif
