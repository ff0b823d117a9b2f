/* buf.c: the buffer of terse.h, and how the encoder fills it from its end. */
#include "buf.h"

#include <stdlib.h>
#include <string.h>

void terse_buf_init(struct terse_buf *buf, size_t max) {
    *buf = (struct terse_buf){.max = max};
}

void terse_buf_fini(struct terse_buf *buf) {
    free(buf->data);
    terse_buf_init(buf, buf->max);
}

void terse_buf_reset(struct terse_buf *buf) {
    buf->off = 0;
    buf->len = 0;
}

/* A capacity that holds `need` bytes and keeps growing cheap. */
static size_t capacity(const struct terse_buf *buf, size_t need) {
    size_t cap = buf->cap < 64 ? 64 : buf->cap;
    while (cap < need)
        cap *= 2;
    return cap;
}

enum terse_err buf_room(struct terse_buf *buf, size_t n) {
    if (n > buf->max || buf->len > buf->max - n)
        return TERSE_ELIMIT;
    if (buf->off + buf->len + n <= buf->cap)
        return TERSE_OK;
    if (buf->off > 0) {
        memmove(buf->data, buf->data + buf->off, buf->len);
        buf->off = 0;
        if (buf->len + n <= buf->cap)
            return TERSE_OK;
    }
    size_t cap = capacity(buf, buf->len + n);
    uint8_t *data = realloc(buf->data, cap);
    if (!data)
        return TERSE_ENOMEM;
    buf->data = data;
    buf->cap = cap;
    return TERSE_OK;
}

enum terse_err terse_buf_append(struct terse_buf *buf, const void *p,
                                size_t n) {
    enum terse_err err = buf_room(buf, n);
    if (err == TERSE_OK && n > 0) {
        memcpy(buf->data + buf->off + buf->len, p, n);
        buf->len += n;
    }
    return err;
}

enum terse_err buf_room_front(struct terse_buf *buf, size_t n) {
    if (n > buf->max || buf->len > buf->max - n)
        return TERSE_ELIMIT;
    if (buf->data && buf->off >= n)
        return TERSE_OK;
    size_t cap = capacity(buf, buf->len + n);
    uint8_t *data = malloc(cap);
    if (!data)
        return TERSE_ENOMEM;
    if (buf->len > 0)
        memcpy(data + cap - buf->len, buf->data + buf->off, buf->len);
    free(buf->data);
    buf->data = data;
    buf->cap = cap;
    buf->off = cap - buf->len;
    return TERSE_OK;
}

void buf_to_end(struct terse_buf *buf) {
    buf->off = buf->cap;
    buf->len = 0;
}
