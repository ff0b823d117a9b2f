/*
 * ws_fuzz.c: what an accepted connection may send, as framing sees it: HTTP,
 * WebSocket, SP and native, in pieces. The first byte says how the rest is cut
 * and when our side ends it.
 *
 * Checked besides memory: what is taken is bounded, errors are final, of pongs
 * there is one at a time, nothing follows our close.
 */
#include <stdlib.h>
#include <string.h>

#include "net/framer.h"
#include "net/http.h"

enum { MAX = 4096 };

static const struct net_ws_rules rules = {"/terse", "https://a.example"};
static const char good[] =
    "GET /terse HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Protocol: terse.v1\r\n\r\n";

#define must(what)                                                             \
    do {                                                                       \
        if (!(what))                                                           \
            abort();                                                           \
    } while (0)

/* Takes what framing has to say; at most an answer and a pong, or a close. */
static void hear(struct net_framer *f) {
    size_t n;

    net_framer_output(f, &n);
    must(n <= HTTP_ANSWER + 2 * 127);
    net_framer_said(f);
    net_framer_output(f, &n);
    must(n == 0);
}

static enum net_err take(struct net_framer *f) {
    const uint8_t *frame;
    size_t n;
    enum net_err err;

    while (!(err = net_framer_next(f, &frame, &n)) && frame)
        must(n <= MAX && f->started);
    if (err)
        must(net_framer_next(f, &frame, &n) == err);
    return err;
}

static enum net_err feed(struct net_framer *f, const uint8_t *p, size_t n,
                         size_t step) {
    enum net_err err = NET_OK;

    for (size_t at = 0; !err && at < n; at += step) {
        err = net_framer_feed(f, p + at, n - at < step ? n - at : step);
        if (!err)
            err = take(f);
        if (at % 3 == 0)
            hear(f);
    }
    return err;
}

/* Our close; then what comes is looked at for the peer's only. */
static void end(struct net_framer *f, const uint8_t *p, size_t n, size_t step) {
    size_t len;
    bool over = false;

    net_framer_bye(f, 1013, "try again later");
    hear(f);
    if (!framer_ends(f))
        return;
    for (size_t at = 0; !over && at < n; at += step)
        over = framer_ended(f, p + at, n - at < step ? n - at : step);
    net_framer_output(f, &len);
    must(len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct net_framer f;
    struct http_upgrade u;
    char answer[HTTP_ANSWER];
    size_t step;

    if (size < 2)
        return 0;
    step = (data[0] & 15) ? (size_t)(data[0] & 15) : 4096;
    net_framer_init(&f, NET_FRAMING_DETECT, MAX);
    net_framer_allow(&f, 2 | 4 | 8, &rules);
    if (data[0] & 16) /* past the handshake */
        must(feed(&f, (const uint8_t *)good, sizeof(good) - 1, 4096) == NET_OK);
    else if (http_upgrade(data + 1, size - 1, &rules, &u))
        must(http_answer(&u, answer) < HTTP_ANSWER);
    if (data[0] & 32) {
        feed(&f, data + 1, size / 2, step);
        end(&f, data + 1 + size / 2, size - 1 - size / 2, step);
    } else {
        feed(&f, data + 1, size - 1, step);
        end(&f, NULL, 0, step);
    }
    net_framer_fini(&f);
    return 0;
}
