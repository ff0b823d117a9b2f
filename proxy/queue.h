/*
 * queue.h: frames on the way to a client, in order: those that wait to be sent,
 * and behind a client that acknowledges, those it has not acknowledged. No I/O;
 * guarded by whoever embeds it.
 */
#ifndef PROXY_QUEUE_H
#define PROXY_QUEUE_H

#include "codec/terse.h"

struct queue_frame;

struct queue {
    struct queue_frame *first, *last;
    struct queue_frame *unsent; /* the first that was not taken */
    size_t frames, bytes;       /* of all, with what their memory costs */
    size_t waiting;             /* of those, bytes that were not taken */
    bool keeps;                 /* what was taken stays until acknowledged */
};

void queue_clear(struct queue *queue);
/* Takes the buffer's memory. stanza: it counts when the client acknowledges.
 * TERSE_ENOMEM: the buffer is as it was. */
TERSE_NODISCARD enum terse_err queue_put(struct queue *queue,
                                         struct terse_buf *frame, bool stanza);
/* The next that waits, borrowed until the next call for this queue; false:
 * there is none. */
bool queue_take(struct queue *queue, struct terse_str *frame);
/* The client has acknowledged n stanzas more. Drops them. */
void queue_acked(struct queue *queue, uint32_t n);
/* All stanzas that are there wait again, for a new connection. */
void queue_rewind(struct queue *queue);
/* From here on nothing is kept: what was taken goes, what waits stays. */
void queue_keep_none(struct queue *queue);

#endif
