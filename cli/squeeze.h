/*
 * squeeze.h: what general compressors make of one direction of a connection.
 */
#ifndef CLI_SQUEEZE_H
#define CLI_SQUEEZE_H

#include "codec/terse.h"

#include <zlib.h>

struct squeeze {
    uint64_t zlib9; /* bytes at level 9 with a sync flush after each element,
                       over all connections so far */
    uint64_t xz;    /* bytes of each finished connection, by `xz -9e` */

    z_stream stream;
    bool open;              /* stream is in use */
    struct terse_buf whole; /* this connection's bytes, for xz */
};

void squeeze_init(struct squeeze *squeeze);
void squeeze_fini(struct squeeze *squeeze);
/* Adds one element's n bytes. */
TERSE_NODISCARD enum terse_err squeeze_add(struct squeeze *squeeze,
                                           const void *p, size_t n);
/* The connection ends here; the next element starts a new one. */
TERSE_NODISCARD enum terse_err squeeze_end(struct squeeze *squeeze);

#endif
