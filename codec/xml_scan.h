/*
 * xml_scan.h: looks at a stream's bytes before libxml2 does, for what libxml2
 * lets through, pays too much for or waits behind: UTF-8 that is not the
 * shortest form in CDATA, start tags with so many attributes that comparing
 * each with each takes seconds, and a bare '&' or a quote in an end tag, where
 * it would wait for a ';' or '>' that may never come.
 */
#ifndef TERSE_XML_SCAN_H
#define TERSE_XML_SCAN_H

#include "terse.h"

enum xml_scan_at {
    SCAN_TEXT,   /* between tags */
    SCAN_LESS,   /* behind '<' */
    SCAN_TAG,    /* in a tag, outside of quotes */
    SCAN_END,    /* in an end tag */
    SCAN_QUOT,   /* in "" */
    SCAN_APOS,   /* in '' */
    SCAN_CDATA,  /* behind "<!", up to "]]>" */
    SCAN_PROLOG, /* behind "<?", up to '>' */
};

/* All zero but max_attrs: the start of a stream, or behind any tag of it. */
struct xml_scan {
    uint32_t max_attrs; /* attributes and declarations in one tag */
    uint32_t attrs;     /* in this tag, so far */
    enum xml_scan_at at;
    uint8_t brackets;    /* ']' in a row, up to 2 */
    uint8_t ref;         /* bytes since an '&' whose ';' is due, and it */
    uint8_t more;        /* bytes that the character at hand still takes */
    uint8_t least, most; /* between which its next byte must be */
    size_t loose;        /* how many bytes at the end of the last n were looked
                            at as a whole: see xml_scan_left */
};

/* Looks at the next n bytes; returns how many are fine. Less than n: *err says
 * why: TERSE_EENCODING, TERSE_ELIMIT or TERSE_EXML. */
size_t xml_scan(struct xml_scan *scan, const char *p, size_t n,
                enum terse_err *err);

/* Where all n bytes were fine, and libxml2 has read them but for the last
 * `left`, which begin between tags: looks at those of them that xml_scan only
 * looked at as a whole. Returns and sets the same. */
size_t xml_scan_left(struct xml_scan *scan, const char *p, size_t n,
                     size_t left, enum terse_err *err);

#endif
