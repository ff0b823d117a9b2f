/* deflate.h: raw DEFLATE (RFC 1951) of one piece, with nothing kept. */
#ifndef TERSE_DEFLATE_H
#define TERSE_DEFLATE_H

#include "terse.h"

/* Appends to out what in deflates to. TERSE_ENOMEM; TERSE_ELIMIT over out's
 * bound, or if it gets no smaller: out is as it was then. */
TERSE_NODISCARD enum terse_err deflate_pack(struct terse_str in,
                                            struct terse_buf *out);

/* Appends to out what in inflates to. TERSE_EFRAME if it is not exactly one
 * whole deflated piece, TERSE_ELIMIT over out's bound. */
TERSE_NODISCARD enum terse_err deflate_unpack(struct terse_str in,
                                              struct terse_buf *out);

#endif
