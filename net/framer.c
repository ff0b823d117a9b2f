/* framer.c: native and SP framing; see net.h. */
#include "net/net.h"

#include <stdlib.h>
#include <string.h>

/* What may wait beyond one frame: what was fed while the owner took none. */
enum { FRAMER_SLACK = 256 * 1024, FRAMER_KEEP = 4096, VARINT_MAX = 5 };

static const uint8_t sp_hello[8] = {0, 'S', 'P', 0, 0, 0x10, 0, 0};

void net_framer_init(struct net_framer *framer, enum net_framing framing,
                     uint32_t max) {
    memset(framer, 0, sizeof(*framer));
    framer->framing = framing;
    framer->max = max;
    /* A native accepting side sends no preface. */
    framer->started = framing == NET_FRAMING_NATIVE;
}

void net_framer_fini(struct net_framer *framer) {
    free(framer->data);
    memset(framer, 0, sizeof(*framer));
}

const void *net_framer_hello(const struct net_framer *framer, bool dialling,
                             size_t *n) {
    switch (framer->framing) {
    case NET_FRAMING_NATIVE:
        *n = dialling ? sizeof(NET_PREFACE) - 1 : 0;
        return NET_PREFACE;
    case NET_FRAMING_SP:
        *n = sizeof(sp_hello);
        return sp_hello;
    default:
        *n = 0;
        return "";
    }
}

static enum net_err fail(struct net_framer *framer, enum net_err err) {
    framer->err = err;
    return err;
}

enum net_err net_framer_feed(struct net_framer *framer, const void *p,
                             size_t n) {
    if (framer->err || n == 0)
        return framer->err;
    if (framer->len + n > (size_t)framer->max + FRAMER_SLACK)
        return fail(framer, NET_ELIMIT);
    if (framer->off + framer->len + n > framer->cap) {
        size_t cap = framer->cap ? framer->cap : 512;
        uint8_t *data;

        while (cap < framer->len + n)
            cap *= 2;
        data = malloc(cap);
        if (!data)
            return fail(framer, NET_ENOMEM);
        if (framer->len)
            memcpy(data, framer->data + framer->off, framer->len);
        free(framer->data);
        framer->data = data;
        framer->cap = cap;
        framer->off = 0;
    }
    memcpy(framer->data + framer->off + framer->len, p, n);
    framer->len += n;
    return NET_OK;
}

static void take(struct net_framer *framer, size_t n) {
    framer->off += n;
    framer->len -= n;
}

/* Reads the peer's preface or SP header. The first byte that is wrong is
 * refused: nothing is waited for from a peer that speaks something else. */
static enum net_err start(struct net_framer *framer) {
    const uint8_t *p = framer->data + framer->off;
    const void *want;
    size_t n, have;

    if (framer->len == 0)
        return NET_OK;
    if (framer->framing == NET_FRAMING_DETECT)
        framer->framing =
            p[0] == sp_hello[0] ? NET_FRAMING_SP : NET_FRAMING_NATIVE;
    want = net_framer_hello(framer, true, &n);
    have = framer->len < n ? framer->len : n;
    if (memcmp(p, want, have) != 0)
        return fail(framer, NET_EFRAMING);
    if (have < n)
        return NET_OK;
    take(framer, n);
    framer->started = true;
    return NET_OK;
}

/* Reads a length into *len and the size of its header into *used; *used is 0
 * if there is more to come. */
static enum net_err varint(const uint8_t *p, size_t n, uint64_t *len,
                           size_t *used) {
    uint64_t v = 0;
    size_t i;

    *used = 0;
    for (i = 0; i < n && i < VARINT_MAX; i++) {
        v |= (uint64_t)(p[i] & 0x7f) << (7 * i);
        if (p[i] & 0x80)
            continue;
        if (i > 0 && p[i] == 0)
            return NET_EFRAMING; /* overlong */
        *len = v;
        *used = i + 1;
        return NET_OK;
    }
    return i == VARINT_MAX ? NET_EFRAMING : NET_OK;
}

static enum net_err header(const struct net_framer *framer, uint64_t *len,
                           size_t *used) {
    const uint8_t *p = framer->data + framer->off;

    if (framer->framing == NET_FRAMING_NATIVE)
        return varint(p, framer->len, len, used);
    *used = 0;
    if (framer->len < 8)
        return NET_OK;
    *len = 0;
    for (size_t i = 0; i < 8; i++)
        *len = *len << 8 | p[i];
    *used = 8;
    return NET_OK;
}

enum net_err net_framer_next(struct net_framer *framer, const uint8_t **frame,
                             size_t *n) {
    uint64_t len = 0;
    size_t used = 0;
    enum net_err err;

    *frame = NULL;
    *n = 0;
    if (!framer->err && !framer->started)
        start(framer);
    if (framer->err || !framer->started)
        return framer->err;
    if (framer->len == 0) {
        framer->off = 0;
        if (framer->cap > FRAMER_KEEP) {
            free(framer->data);
            framer->data = NULL;
            framer->cap = 0;
        }
        return NET_OK;
    }
    err = header(framer, &len, &used);
    if (err)
        return fail(framer, err);
    if (used && len > framer->max)
        return fail(framer, NET_ELIMIT);
    if (!used || framer->len - used < len)
        return NET_OK;
    *frame = framer->data + framer->off + used;
    *n = (size_t)len;
    take(framer, used + *n);
    return NET_OK;
}

size_t net_framer_header(const struct net_framer *framer, size_t n,
                         uint8_t header[NET_HEADER_MAX]) {
    uint64_t len = n;
    size_t i = 0;

    if (framer->framing == NET_FRAMING_SP) {
        for (i = 0; i < 8; i++)
            header[i] = (uint8_t)(len >> (56 - 8 * i));
        return 8;
    }
    for (; len >= 0x80; len >>= 7)
        header[i++] = (uint8_t)(len | 0x80);
    header[i++] = (uint8_t)len;
    return i;
}
