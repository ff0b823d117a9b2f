/*
 * deflate.h: one large frame, deflated by itself or behind a dictionary.
 */
#ifndef TERSE_DEFLATE_H
#define TERSE_DEFLATE_H

#include "terse.h"

/* Appends `in`, deflated (RFC 1951), to out: TERSE_ELIMIT if it would not be
 * smaller. dict: bytes that both ends have, which it may repeat; may be empty.
 */
TERSE_NODISCARD enum terse_err
deflate_pack(struct terse_str in, struct terse_str dict, struct terse_buf *out);

/* The reverse; TERSE_EFRAME if `in` is no deflated data or more than that,
 * TERSE_ELIMIT at out's bound. */
TERSE_NODISCARD enum terse_err deflate_unpack(struct terse_str in,
                                              struct terse_str dict,
                                              struct terse_buf *out);

#endif
