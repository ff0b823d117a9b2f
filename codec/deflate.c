/* deflate.c: see deflate.h. */
#include "deflate.h"

#include <limits.h>
#include <zlib.h>

#include "buf.h"

enum {
    PIECE = 4096,
    BITS_LEAST = 9, /* of zlib's window; smaller ones take it less time */
    BITS_MOST = 15,
};

/* The bits of the smallest window that holds n bytes. */
static int window_bits(size_t n) {
    int bits = BITS_LEAST;
    while (bits < BITS_MOST && n > (size_t)1 << bits)
        bits++;
    return bits;
}

static bool set_dictionary(z_stream *z, struct terse_str dict,
                           int (*set)(z_stream *, const Bytef *, uInt)) {
    return dict.n == 0 || set(z, (const Bytef *)dict.p, (uInt)dict.n) == Z_OK;
}

enum terse_err deflate_pack(struct terse_str in, struct terse_str dict,
                            struct terse_buf *out) {
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in.p, .avail_in = (uInt)in.n};
    if (in.n < 2 || in.n > INT_MAX || dict.n > INT_MAX)
        return TERSE_ELIMIT;
    enum terse_err err = buf_room(out, in.n - 1);
    if (err != TERSE_OK)
        return err;
    int bits = window_bits(in.n + dict.n);
    if (deflateInit2(&z, 9, Z_DEFLATED, -bits, bits - 6, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return TERSE_ENOMEM;
    if (!set_dictionary(&z, dict, deflateSetDictionary)) {
        deflateEnd(&z);
        return TERSE_ENOMEM;
    }
    z.next_out = out->data + out->off + out->len;
    z.avail_out = (uInt)in.n - 1;
    int done = deflate(&z, Z_FINISH);
    if (done == Z_STREAM_END)
        out->len += z.total_out;
    deflateEnd(&z);
    return done == Z_STREAM_END ? TERSE_OK : TERSE_ELIMIT;
}

/* Inflates into out piece by piece, so that a bomb fails at out's bound. */
static enum terse_err inflate_all(z_stream *z, struct terse_buf *out) {
    for (;;) {
        size_t room = out->max - out->len;
        if (room > PIECE)
            room = PIECE;
        if (room == 0)
            return TERSE_ELIMIT;
        enum terse_err err = buf_room(out, room);
        if (err != TERSE_OK)
            return err;
        z->next_out = out->data + out->off + out->len;
        z->avail_out = (uInt)room;
        int done = inflate(z, Z_NO_FLUSH);
        out->len += room - z->avail_out;
        if (done == Z_STREAM_END)
            return z->avail_in == 0 ? TERSE_OK : TERSE_EFRAME;
        if (done == Z_MEM_ERROR)
            return TERSE_ENOMEM;
        if (done != Z_OK || (z->avail_in == 0 && z->avail_out > 0))
            return TERSE_EFRAME;
    }
}

enum terse_err deflate_unpack(struct terse_str in, struct terse_str dict,
                              struct terse_buf *out) {
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in.p, .avail_in = (uInt)in.n};
    if (in.n == 0 || in.n > INT_MAX)
        return TERSE_EFRAME;
    if (inflateInit2(&z, -15) != Z_OK)
        return TERSE_ENOMEM;
    enum terse_err err = TERSE_ENOMEM;
    if (set_dictionary(&z, dict, inflateSetDictionary))
        err = inflate_all(&z, out);
    inflateEnd(&z);
    return err;
}
