/* framer.c: native and SP framing; see net.h. WebSocket is in ws.c. */
#include "net/framer.h"
#include "net/ws.h"

#include <stdlib.h>
#include <string.h>

/* What may wait beyond one frame: what was fed while the owner took none. */
enum { FRAMER_SLACK = 256 * 1024, VARINT_MAX = 5 };

static const uint8_t sp_hello[8] = {0, 'S', 'P', 0, 0, 0x10, 0, 0};

void net_framer_init(struct net_framer *framer, enum net_framing framing,
                     uint32_t max) {
    memset(framer, 0, sizeof(*framer));
    framer->framing = framing;
    framer->max = max;
    /* A native accepting side sends no preface. */
    framer->started = framing == NET_FRAMING_NATIVE;
    framer->allowed = 1U << NET_FRAMING_NATIVE | 1U << NET_FRAMING_SP;
}

void net_framer_allow(struct net_framer *framer, unsigned allowed,
                      const struct net_ws_rules *rules) {
    framer->allowed = allowed;
    framer->rules = rules;
}

const char *net_framing_name(enum net_framing framing) {
    static const char *const names[] = {"none", "native", "sp", "websocket"};

    return names[framing];
}

void net_framer_fini(struct net_framer *framer) {
    free(framer->data);
    ws_free(framer->ws);
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

/* Native framing begins with the only letter that no other method of HTTP but
 * TRACE begins with. */
static enum net_framing detect(uint8_t first) {
    if (first == sp_hello[0])
        return NET_FRAMING_SP;
    return first >= 'A' && first <= 'Z' && first != NET_PREFACE[0]
               ? NET_FRAMING_WS
               : NET_FRAMING_NATIVE;
}

/* Reads the peer's preface or SP header. The first byte that is wrong is
 * refused: nothing is waited for from a peer that speaks something else. */
static enum net_err start(struct net_framer *framer) {
    const uint8_t *p = framer->data + framer->off;
    const void *want;
    size_t n, have;

    if (framer->len == 0)
        return NET_OK;
    if (framer->framing == NET_FRAMING_DETECT) {
        framer->framing = detect(p[0]);
        if (!(framer->allowed & 1U << framer->framing))
            return fail(framer, NET_EFRAMING);
    }
    if (framer->framing == NET_FRAMING_WS) {
        enum net_err err =
            framer->ws ? NET_OK
                       : ws_new(&framer->ws, framer->rules, framer->max);

        return err ? fail(framer, err) : NET_OK;
    }
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

/* Memory for what was read is there only while something is. */
static void forget(struct net_framer *framer) {
    if (framer->len)
        return;
    free(framer->data);
    framer->data = NULL;
    framer->off = framer->cap = 0;
}

static enum net_err next_message(struct net_framer *framer,
                                 const uint8_t **frame, size_t *n) {
    const uint8_t *p = framer->data ? framer->data + framer->off : NULL;
    size_t used;
    enum net_err err = ws_read(framer->ws, p, framer->len, &used, frame, n);

    take(framer, used);
    forget(framer);
    framer->started = ws_open(framer->ws);
    return err ? fail(framer, err) : NET_OK;
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
    if (!framer->err && framer->ws)
        return next_message(framer, frame, n);
    if (framer->err || !framer->started)
        return framer->err;
    forget(framer);
    if (framer->len == 0)
        return NET_OK;
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

/* Of a whole binary message, not masked, as the accepting side sends it. */
static size_t ws_header(uint64_t len, uint8_t header[NET_HEADER_MAX]) {
    size_t i, bytes = len < 126 ? 0 : len <= UINT16_MAX ? 2 : 8;

    header[0] = 0x82;
    header[1] = (uint8_t)(bytes == 0 ? len : bytes == 2 ? 126 : 127);
    for (i = 0; i < bytes; i++)
        header[2 + i] = (uint8_t)(len >> 8 * (bytes - 1 - i));
    return 2 + bytes;
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
    if (framer->framing == NET_FRAMING_WS)
        return ws_header(len, header);
    for (; len >= 0x80; len >>= 7)
        header[i++] = (uint8_t)(len | 0x80);
    header[i++] = (uint8_t)len;
    return i;
}

/* ---- what framing has to say -----------------------------------------------
 */

const void *net_framer_output(struct net_framer *framer, size_t *n) {
    struct net_buf *out = framer->ws ? ws_output(framer->ws) : NULL;

    *n = out ? out->len : 0;
    return out ? net_buf_data(out) : NULL;
}

void net_framer_said(struct net_framer *framer) {
    struct net_buf *out = framer->ws ? ws_output(framer->ws) : NULL;

    if (out)
        net_buf_consume(out, out->len);
}

void net_framer_bye(struct net_framer *framer, uint16_t code,
                    const char *reason) {
    if (framer->ws)
        ws_bye(framer->ws, code, reason);
}

bool framer_ends(struct net_framer *framer) {
    if (!framer->ws || !ws_open(framer->ws) || !ws_discard(framer->ws))
        return false;
    framer->err = NET_OK;
    return true;
}

bool framer_ended(struct net_framer *framer, const uint8_t *p, size_t n) {
    const uint8_t *frame;
    size_t len;

    return net_framer_feed(framer, p, n) ||
           net_framer_next(framer, &frame, &len);
}
