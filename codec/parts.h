/*
 * parts.h: a frame as far as state goes: which fields about state it has, and
 * what it carries.
 */
#ifndef TERSE_PARTS_H
#define TERSE_PARTS_H

#include "wire.h"

/* Fields of Frame that are about state. */
enum {
    FRAME_LIKE = 6, /* merge this onto template n, which becomes the result */
    FRAME_KEEP = 7, /* this becomes template n */
    FRAME_DEFLATED = 8, /* a whole frame, deflated; behind template `like` */
    FRAME_ABOUT = 9,    /* which entry of the other journal this answers */
    FRAME_HEARD = 10,   /* so many more entries of it were heard of */
    FRAME_ENTER = 11,   /* whether stanzas enter this direction's journal */
    FRAME_OPEN = 13,    /* the header: nothing about state but bounds */
    FRAME_ENTRY = 22,   /* goes into the book, behind those of the content */
    FRAME_STATE_LAST = FRAME_ENTRY,
};

/* The stanzas: what state is for. */
enum { FRAME_MESSAGE = 1, FRAME_STANZA_MAX = 3 };

struct parts {
    bool has[FRAME_STATE_LAST + 1];
    uint64_t value[FRAME_STATE_LAST + 1];
    struct terse_str deflated, entry;
    struct wire_field content; /* the first field that is not about state */
    struct terse_str whole;    /* the same with its tag */
    uint32_t contents;         /* how many such fields there are */
};

/* False if the bytes are malformed, or a field about state comes twice or has
 * another type. Borrowed from frame. */
bool parts_read(struct terse_str frame, struct parts *out);

/* Whether the content is one stanza and nothing else. */
bool parts_stanza(const struct parts *parts);

/* Whether any field about state is there. */
bool parts_state(const struct parts *parts);

/* Append a varint field; a field of bytes. Errors are out's. */
TERSE_NODISCARD enum terse_err parts_put_number(struct terse_buf *out,
                                                uint32_t number, uint64_t v);
TERSE_NODISCARD enum terse_err parts_put(struct terse_buf *out, uint32_t number,
                                         struct terse_str bytes);

static inline struct terse_str str_of_buf(const struct terse_buf *buf) {
    return (struct terse_str){(const char *)terse_buf_data(buf), buf->len};
}

#endif
