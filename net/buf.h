/*
 * buf.h: a growing queue of bytes, for the files of net/ only. The owner of the
 * buffer checks how much may be in it; net_buf only holds it.
 */
#ifndef NET_BUF_H
#define NET_BUF_H

#include "net/net.h"

struct net_buf {
    uint8_t *data;
    size_t off, len, cap; /* data + off is the first byte of len */
};

/* Appends n bytes; unchanged on NET_ENOMEM. */
NET_NODISCARD enum net_err net_buf_append(struct net_buf *buf, const void *p,
                                          size_t n);
/* Drops the first n bytes. An empty buffer has no memory, so that an idle
 * connection holds none. */
void net_buf_consume(struct net_buf *buf, size_t n);
void net_buf_fini(struct net_buf *buf);

static inline void net_buf_swap(struct net_buf *a, struct net_buf *b) {
    struct net_buf c = *a;

    *a = *b;
    *b = c;
}

static inline const uint8_t *net_buf_data(const struct net_buf *buf) {
    return buf->data ? buf->data + buf->off : NULL;
}

#endif
