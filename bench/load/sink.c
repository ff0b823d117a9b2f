/*
 * sink.c: bench-sink, an XMPP server that lets everybody in and answers each
 * message with one, to be what a proxy is measured against. It reads no XML but
 * to count messages, so it costs little beside what is measured.
 *
 *   bench-sink [--online] [--tls PEM] ADDRESS:PORT
 *
 * --online: answers what a client asks when it comes online, with a roster.
 * --tls: STARTTLS is required; PEM holds certificate and key. Prints "ready".
 * One thread. It runs until it is killed.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/epoll.h>

#include "bench/load/count.h"
#include "bench/load/io.h"
#include "bench/load/text.h"

#define SASL "urn:ietf:params:xml:ns:xmpp-sasl"
#define TLS_NS "urn:ietf:params:xml:ns:xmpp-tls"

enum { READ_SIZE = 1 << 18, LOGIN_MAX = 8192, QUEUE_MAX = 1 << 24 };

/* What is waited for. */
enum step {
    STEP_HEADER,
    STEP_STARTTLS,
    STEP_HEADER_TLS,
    STEP_AUTH,
    STEP_HEADER_2,
    STEP_BIND,
    STEP_ONLINE,
    STEP_UP, /* messages */
};

struct session {
    struct io io;
    unsigned user;
    enum step step;
    struct count count;
    struct terse_buf in;  /* during login */
    struct terse_buf out; /* what the socket did not take */
};

static struct {
    int epoll, listening;
    bool online;
    SSL_CTX *tls;
    unsigned users;
    uint64_t served;
    struct text_canned canned[TEXT_CANNED];
    struct terse_buf out;
    uint8_t room[COUNT_ROOM + READ_SIZE];
} sink;

static void session_end(struct session *s) {
    io_close(&s->io);
    terse_buf_fini(&s->in);
    terse_buf_fini(&s->out);
    free(s);
}

static void watch(struct session *s, int how) {
    struct epoll_event event = {.data.ptr = s};

    /* Who does not take its answers is not listened to. */
    event.events = s->out.len ? EPOLLOUT : EPOLLIN;
    if (s->io.want_write)
        event.events = EPOLLOUT | EPOLLIN;
    if (epoll_ctl(sink.epoll, how, s->io.fd, &event))
        die("epoll_ctl: %s", strerror(errno));
}

/* Sends what is queued, then what is in sink.out. False: it broke. */
static bool answer(struct session *s) {
    bool waited = s->out.len > 0 || s->io.want_write;
    struct terse_buf *from = s->out.len ? &s->out : &sink.out;
    ssize_t n;

    s->io.want_write = false;
    if (from == &s->out)
        text_add(&s->out, terse_buf_data(&sink.out), sink.out.len);
    n = from->len ? io_write(&s->io, terse_buf_data(from), from->len) : -1;
    if (n == 0)
        return false;
    if (n > 0) {
        from->off += (size_t)n;
        from->len -= (size_t)n;
    }
    if (from == &sink.out && from->len)
        text_add(&s->out, terse_buf_data(from), from->len);
    if (s->out.len == 0)
        terse_buf_fini(&s->out);
    terse_buf_reset(&sink.out);
    if (waited || s->out.len > 0 || s->io.want_write)
        watch(s, EPOLL_CTL_MOD);
    return true;
}

static void messages(struct session *s, unsigned n) {
    while (n-- > 0) {
        text_serve(&sink.out, &sink.canned[sink.served % TEXT_CANNED], s->user,
                   sink.served);
        sink.served++;
    }
}

/* Takes what ends with `mark` from what came; false if it is not there. */
static bool take(struct session *s, const char *mark) {
    const uint8_t *p = terse_buf_data(&s->in);
    const uint8_t *hit =
        s->in.len ? memmem(p, s->in.len, mark, strlen(mark)) : NULL;
    size_t n;

    if (!hit)
        return false;
    n = (size_t)(hit - p) + strlen(mark);
    s->in.off += n;
    s->in.len -= n;
    return true;
}

/* A whole header: its name, and then its end. */
static bool take_header(struct session *s) {
    const uint8_t *p = terse_buf_data(&s->in), *hit;

    if (s->in.len == 0)
        return false;
    hit = memmem(p, s->in.len, "<stream:stream", 14);
    if (!hit || !memchr(hit, '>', s->in.len - (size_t)(hit - p)))
        return false;
    return take(s, "<stream:stream") && take(s, ">");
}

static void bound(struct session *s) {
    text_put(&sink.out,
             "<iq type='result' id='b1'><bind xmlns="
             "'urn:ietf:params:xml:ns:xmpp-bind'><jid>bench%05u@" TEXT_DOMAIN
             "/" TEXT_RESOURCE "</jid></bind></iq>",
             s->user);
}

static bool login_step(struct session *s) {
    static const char mechanisms[] =
        "<mechanisms xmlns='" SASL "'><mechanism>PLAIN</mechanism>"
        "</mechanisms>";

    switch (s->step) {
    case STEP_HEADER:
        if (!take_header(s))
            return false;
        text_server_header(&sink.out, sink.tls ? "<starttls xmlns='" TLS_NS
                                                 "'><required/></starttls>"
                                               : mechanisms);
        s->step = sink.tls ? STEP_STARTTLS : STEP_AUTH;
        return true;
    case STEP_STARTTLS:
        if (!take(s, "<starttls") || !take(s, ">"))
            return false;
        text_put(&sink.out, "<proceed xmlns='" TLS_NS "'/>");
        s->step = STEP_HEADER_TLS;
        return false; /* what follows is TLS */
    case STEP_HEADER_TLS:
        if (!take_header(s))
            return false;
        text_server_header(&sink.out, mechanisms);
        s->step = STEP_AUTH;
        return true;
    case STEP_AUTH:
        if (!take(s, "</auth>"))
            return false;
        text_put(&sink.out, "<success xmlns='" SASL "'/>");
        s->step = STEP_HEADER_2;
        return true;
    case STEP_HEADER_2:
        if (!take_header(s))
            return false;
        text_server_header(&sink.out,
                           "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>");
        s->step = STEP_BIND;
        return true;
    case STEP_BIND:
        if (!take(s, "</iq>"))
            return false;
        bound(s);
        s->step = sink.online ? STEP_ONLINE : STEP_UP;
        return s->step != STEP_UP;
    case STEP_ONLINE:
        if (!take(s, "</message>"))
            return false;
        text_roster(&sink.out, s->user);
        s->step = STEP_UP;
        return false;
    default:
        return false;
    }
}

/* False: it broke. */
static bool login(struct session *s, const uint8_t *p, size_t n) {
    if (s->in.len + n > LOGIN_MAX)
        return false;
    text_add(&s->in, p, n);
    while (login_step(s))
        ;
    if (s->step == STEP_UP)
        terse_buf_fini(&s->in);
    if (!answer(s))
        return false;
    if (s->step == STEP_HEADER_TLS && !s->io.ssl)
        io_secure(&s->io, sink.tls, NULL, NULL);
    return true;
}

/* False: the session is over. */
static bool ready(struct session *s, uint32_t events) {
    uint8_t *p = sink.room + COUNT_ROOM;
    ssize_t n;

    if (events & EPOLLOUT && !answer(s))
        return false;
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return true;
    do {
        n = io_read(&s->io, p, READ_SIZE);
        if (n == 0)
            return false;
        if (n < 0)
            break;
        if (s->step != STEP_UP) {
            if (!login(s, p, (size_t)n))
                return false;
        } else {
            messages(s, count_feed(&s->count, p, (size_t)n));
        }
    } while (s->io.ssl && SSL_pending(s->io.ssl));
    return (sink.out.len == 0 && !s->io.want_write) || answer(s);
}

static void accept_all(void) {
    int fd;

    while ((fd = io_accept(sink.listening)) >= 0) {
        struct session *s = calloc(1, sizeof(*s));

        if (!s)
            die("out of memory");
        s->io.fd = fd;
        s->user = sink.users++ % TEXT_USER_MAX;
        terse_buf_init(&s->in, LOGIN_MAX);
        terse_buf_init(&s->out, QUEUE_MAX);
        watch(s, EPOLL_CTL_ADD);
    }
}

static void run(void) {
    struct epoll_event events[256];

    for (;;) {
        int n = epoll_wait(sink.epoll, events, 256, -1);

        for (int i = 0; i < n; i++) {
            if (!events[i].data.ptr)
                accept_all();
            else if (!ready(events[i].data.ptr, events[i].events))
                session_end(events[i].data.ptr);
        }
    }
}

static SSL_CTX *server_tls(const char *pem) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (!ctx || SSL_CTX_use_certificate_chain_file(ctx, pem) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, pem, SSL_FILETYPE_PEM) != 1)
        die("%s: no certificate and key", pem);
    return ctx;
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"online", no_argument, NULL, 'o'},
        {"tls", required_argument, NULL, 't'},
        {NULL, 0, NULL, 0}};
    struct epoll_event event = {.events = EPOLLIN};
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'o')
            sink.online = true;
        else if (c == 't')
            sink.tls = server_tls(optarg);
        else
            return 2;
    }
    if (optind != argc - 1)
        die("usage: bench-sink [--online] [--tls PEM] ADDRESS:PORT");
    io_raise_limit();
    terse_buf_init(&sink.out, QUEUE_MAX);
    for (unsigned i = 0; i < TEXT_CANNED; i++)
        text_can(&sink.canned[i], i);
    sink.epoll = epoll_create1(0);
    sink.listening = io_listen(argv[optind]);
    if (sink.epoll < 0 ||
        epoll_ctl(sink.epoll, EPOLL_CTL_ADD, sink.listening, &event))
        die("epoll: %s", strerror(errno));
    puts("ready");
    fflush(stdout);
    run();
}
