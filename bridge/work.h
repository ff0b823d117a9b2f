/*
 * work.h: memory that a session needs while it works and not while it waits:
 * buffers of the thread that works, and XML parsers that sessions lend each
 * other. Inside bridge/ only.
 */
#ifndef BRIDGE_WORK_H
#define BRIDGE_WORK_H

#include "bridge/bridge.h"

/* What one callback works in. Nothing in it outlives the callback. */
struct work {
    struct terse_buf frame; /* encoded, before state */
    struct terse_buf wire;  /* behind state */
    struct terse_buf plain; /* received, state undone */
    struct terse_buf xml;   /* decoded */
    struct terse_work codec;
};

/* This thread's, with the caps of `bridge`; NULL for lack of memory. Freed with
 * the thread. */
struct work *work_of_thread(const struct bridge *bridge);
/* What a busy moment needed is not kept for the quiet that follows. */
void work_trim(struct terse_buf *buf);

/* Gives the reader a parser, if one that fits rests in the pool; else it will
 * make one. The pool may be NULL. */
void pool_borrow(struct bridge_pool *pool, struct terse_reader *reader);
/* Takes the reader's parser if it is between two elements. */
void pool_lend(struct bridge_pool *pool, struct terse_reader *reader);

#endif
