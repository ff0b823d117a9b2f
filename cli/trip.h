/*
 * trip.h: takes XML text to frames and back, and has the result judged by
 * same.h. Used by every command that reads XML.
 */
#ifndef CLI_TRIP_H
#define CLI_TRIP_H

#include "codec/terse.h"
#include "same.h"

/* How one event of the text came through. */
enum trip_verdict {
    TRIP_SAME,    /* decoded to the same element */
    TRIP_REFUSED, /* forbidden by RFC 6120 section 11.1, and refused as such */
    TRIP_FAILED,  /* an error, or another element; `diff` says what */
};

/* One header, element or footer of the text, or the error that ended it. All
 * strings are borrowed for the callback. */
struct trip_item {
    enum trip_verdict verdict;
    enum terse_event event; /* an error that ends the text: TERSE_ELEMENT */
    enum terse_err err;     /* of reading, encoding or decoding */
    struct terse_error error;
    struct same_diff diff;  /* where verdict is not TRIP_SAME */
    struct terse_str frame; /* empty if there is none */
    struct terse_str xml;   /* decoded, on its own; empty if there is none */
};

typedef void (*trip_cb)(void *arg, const struct trip_item *item);

/* The objects that a trip needs, reused from one to the next. */
struct trip {
    struct terse_schema *schema;
    struct terse_reader *reader;
    struct terse_buf frame, xml, text;
    bool one_way; /* encode only: neither decode nor compare */

    /* of the current call */
    trip_cb cb;
    void *arg;
    bool own_header; /* the text's header is its own, not ours */
    unsigned events; /* that were told to cb */
    bool header_seen;
    xmlNode *want; /* the next element of the text */
    xmlNode *root;
};

/* The header of a stream that declares nothing unusual. */
extern const char trip_header[];

/* TERSE_OK, or TERSE_ENOMEM with nothing to free. */
TERSE_NODISCARD enum terse_err trip_init(struct trip *trip);
void trip_fini(struct trip *trip);

/* Takes xml through, as it would stand in a stream that began with `header`
 * (a start tag, with or without an XML declaration). Where xml starts with a
 * stream header of its own, that one counts. cb is called once for each
 * element, for a header or footer in xml, and once for an error that ends the
 * text. TERSE_ENOMEM if it cannot go on; TERSE_OK otherwise. */
TERSE_NODISCARD enum terse_err trip_run(struct trip *trip,
                                        struct terse_str header,
                                        struct terse_str xml, trip_cb cb,
                                        void *arg);

#endif
