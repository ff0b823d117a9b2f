/* buf.c: see buf.h. */
#include "net/buf.h"

#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST = 512 };

static void compact(struct net_buf *buf) {
    if (buf->off == 0)
        return;
    memmove(buf->data, buf->data + buf->off, buf->len);
    buf->off = 0;
}

enum net_err net_buf_append(struct net_buf *buf, const void *p, size_t n) {
    if (n == 0)
        return NET_OK;
    if (n > SIZE_MAX / 4 || buf->len > SIZE_MAX / 4)
        return NET_ENOMEM;
    if (buf->off + buf->len + n > buf->cap) {
        size_t cap = buf->cap ? buf->cap : BUF_FIRST;

        while (cap < buf->len + n)
            cap *= 2;
        if (cap != buf->cap) {
            uint8_t *data = malloc(cap);

            if (!data)
                return NET_ENOMEM;
            if (buf->len)
                memcpy(data, buf->data + buf->off, buf->len);
            free(buf->data);
            buf->data = data;
            buf->cap = cap;
            buf->off = 0;
        } else {
            compact(buf);
        }
    }
    memcpy(buf->data + buf->off + buf->len, p, n);
    buf->len += n;
    return NET_OK;
}

void net_buf_consume(struct net_buf *buf, size_t n) {
    buf->off += n;
    buf->len -= n;
    if (buf->len)
        return;
    net_buf_fini(buf);
}

void net_buf_fini(struct net_buf *buf) {
    free(buf->data);
    *buf = (struct net_buf){NULL, 0, 0, 0};
}
