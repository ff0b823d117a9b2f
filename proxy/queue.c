/* queue.c: see queue.h. */
#include "proxy/queue.h"

#include <stdlib.h>

struct queue_frame {
    struct queue_frame *next;
    struct terse_buf bytes;
    bool stanza, taken;
};

static size_t cost(const struct queue_frame *frame) {
    return sizeof(*frame) + frame->bytes.cap;
}

static void drop_first(struct queue *queue) {
    struct queue_frame *frame = queue->first;

    queue->first = frame->next;
    if (!queue->first)
        queue->last = NULL;
    if (queue->unsent == frame)
        queue->unsent = frame->next;
    queue->frames--;
    queue->bytes -= cost(frame);
    if (!frame->taken)
        queue->waiting -= cost(frame);
    terse_buf_fini(&frame->bytes);
    free(frame);
}

void queue_clear(struct queue *queue) {
    while (queue->first)
        drop_first(queue);
}

static void append(struct queue *queue, struct queue_frame *frame) {
    if (queue->last)
        queue->last->next = frame;
    else
        queue->first = frame;
    queue->last = frame;
    if (!queue->unsent)
        queue->unsent = frame;
    queue->frames++;
    queue->bytes += cost(frame);
    queue->waiting += cost(frame);
}

enum terse_err queue_put(struct queue *queue, struct terse_buf *buf,
                         bool stanza) {
    struct queue_frame *frame = calloc(1, sizeof(*frame));

    if (!frame)
        return TERSE_ENOMEM;
    frame->bytes = *buf;
    frame->stanza = stanza;
    terse_buf_init(buf, buf->max);
    append(queue, frame);
    return TERSE_OK;
}

/* What was taken and will not be needed again stands at the front. */
static void trim(struct queue *queue) {
    while (queue->first && queue->first->taken &&
           !(queue->keeps && queue->first->stanza))
        drop_first(queue);
}

bool queue_take(struct queue *queue, struct terse_str *out) {
    struct queue_frame *frame;

    trim(queue);
    frame = queue->unsent;
    if (!frame)
        return false;
    queue->unsent = frame->next;
    frame->taken = true;
    queue->waiting -= cost(frame);
    out->p = (const char *)terse_buf_data(&frame->bytes);
    out->n = frame->bytes.len;
    return true;
}

void queue_acked(struct queue *queue, uint32_t n) {
    trim(queue);
    while (n > 0 && queue->first) {
        if (queue->first->stanza)
            n--;
        drop_first(queue);
        trim(queue);
    }
}

void queue_rewind(struct queue *queue) {
    struct queue old = *queue;

    queue->first = queue->last = queue->unsent = NULL;
    queue->frames = queue->bytes = queue->waiting = 0;
    while (old.first) {
        struct queue_frame *frame = old.first;

        old.first = frame->next;
        frame->next = NULL;
        if (frame->taken && !frame->stanza) {
            terse_buf_fini(&frame->bytes);
            free(frame);
            continue;
        }
        frame->taken = false;
        append(queue, frame);
    }
}

void queue_keep_none(struct queue *queue) {
    queue->keeps = false;
    trim(queue);
}
