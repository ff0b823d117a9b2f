/* client.c: see load.h. */
#include "bench/load/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sys/epoll.h>

#include "bench/load/text.h"

enum {
    READ_SIZE = 1 << 18,
    ADDRESSES = 8,           /* of loopback, from which clients come */
    RETRY_NS = 50 * 1000000, /* until the next try */
};

static uint8_t room[COUNT_ROOM + READ_SIZE];

/* ---- life -----------------------------------------------------------------
 */

static struct client *client_new(size_t number) {
    struct client *client = calloc(1, sizeof(*client));

    if (!client)
        die("out of memory");
    client->io.fd = -1;
    client->number = number;
    client->partner = client;
    client->script = &load.shared;
    terse_buf_init(&client->in, CLIENT_LOGIN);
    if (load.pairs) {
        client->script = malloc(sizeof(*client->script));
        if (!client->script)
            die("out of memory");
        script_init(client->script, load.schema, load.wire, load.then,
                    load.first + (unsigned)number,
                    load.first + (unsigned)(number ^ 1));
    }
    return client;
}

void client_more(size_t n) {
    if (!load.scripted && !load.pairs)
        script_init(&load.shared, load.schema, load.wire, load.then, 0, 1);
    load.scripted = true;
    load.clients =
        reallocarray(load.clients, load.n + n, sizeof(struct client *));
    if (!load.clients)
        die("out of memory");
    for (size_t i = load.n; i < load.n + n; i++) {
        load.clients[i] = client_new(i);
        if (load.pairs && i % 2) {
            load.clients[i]->partner = load.clients[i - 1];
            load.clients[i - 1]->partner = load.clients[i];
        }
    }
    load.n += n;
    load.down += n;
}

void client_free_all(void) {
    for (size_t i = 0; i < load.n; i++) {
        struct client *client = load.clients[i];

        io_close(&client->io);
        SSL_SESSION_free(client->session);
        terse_buf_fini(&client->in);
        if (load.pairs) {
            script_fini(client->script);
            free(client->script);
        }
        free(client);
    }
    free(load.clients);
    if (load.scripted && !load.pairs)
        script_fini(&load.shared);
    SSL_CTX_free(load.tls);
}

static void watch(struct client *client, int how) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};

    if (client->io.want_write)
        event.events |= EPOLLOUT;
    if (epoll_ctl(load.epoll, how, client->io.fd, &event))
        die("epoll_ctl: %s", strerror(errno));
}

/* The connection is gone; what it did not get an answer to never will. */
static void client_down(struct client *client) {
    if (client->up) {
        load.up--;
        load.lost++;
    } else {
        load.retries++;
    }
    io_close(&client->io);
    load.down++;
    client->up = false;
    client->waiting = 0;
    client->retry_at = io_now() + RETRY_NS;
    terse_buf_fini(&client->in);
}

void client_hang_up(struct client *client) {
    if (client->io.fd < 0)
        return;
    client_down(client);
    client->retry_at = 0;
}

/* ---- TLS ------------------------------------------------------------------
 */

static int keep_session(SSL *ssl, SSL_SESSION *session) {
    struct client *client = SSL_get_app_data(ssl);

    SSL_SESSION_free(client->session);
    client->session = session;
    return 1; /* taken */
}

void client_tls(const char *ca) {
    load.tls = SSL_CTX_new(TLS_client_method());
    if (!load.tls || SSL_CTX_load_verify_locations(load.tls, ca, NULL) != 1)
        die("%s: no authority", ca);
    SSL_CTX_set_verify(load.tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(load.tls, SSL_SESS_CACHE_CLIENT |
                                                 SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(load.tls, keep_session);
    /* What a killed server leaves open is no attack: the ticket stays good. */
    SSL_CTX_set_options(load.tls, SSL_OP_IGNORE_UNEXPECTED_EOF);
}

/* ---- out ------------------------------------------------------------------
 */

/* Sends what is due. False: it broke. */
static bool flush(struct client *client) {
    const struct terse_buf *from =
        client->up ? &client->script->bytes
                   : script_step(client->script, client->step);
    bool waited = client->io.want_write;
    ssize_t n = -1;

    client->io.want_write = false;
    if (client->at < client->goal)
        n = io_write(&client->io, terse_buf_data(from) + client->at,
                     client->goal - client->at);
    if (n == 0)
        return false;
    if (n > 0)
        client->at += (size_t)n;
    if (waited != client->io.want_write)
        watch(client, EPOLL_CTL_MOD);
    return true;
}

static void start_step(struct client *client) {
    client->at = 0;
    client->goal = script_step(client->script, client->step)->len;
}

void client_send(struct client *client, unsigned n) {
    uint64_t now = io_now();

    if (!client->up)
        return;
    while (n-- > 0 && client->waiting < CLIENT_WINDOW) {
        client->goal = script_end(client->script, client->next++);
        client->stamps[(client->oldest + client->waiting++) % CLIENT_WINDOW] =
            now;
        load.sent++;
        load.total_sent++;
    }
    if (!flush(client))
        client_down(client);
}

/* ---- in -------------------------------------------------------------------
 */

static void answered(struct client *client, unsigned n) {
    struct client *from = client->partner;
    uint64_t now;

    load.answered += n;
    load.total_answered += n;
    if (n == 0 || from->waiting == 0)
        return;
    now = io_now();
    n = n < from->waiting ? n : from->waiting;
    for (unsigned i = 0; i < n; i++) {
        hist_add(&load.hist, now - from->stamps[from->oldest]);
        from->oldest = (from->oldest + 1) % CLIENT_WINDOW;
    }
    from->waiting -= n;
    if (load.window)
        client_send(from, n);
}

static void logged_in(struct client *client) {
    client->up = true;
    client->at = client->goal = client->next = 0;
    client->waiting = client->oldest = 0;
    client->count = (struct count){.frames = load.wire != WIRE_XML};
    terse_buf_fini(&client->in);
    load.up++;
    load.resumed += client->io.ssl && SSL_session_reused(client->io.ssl);
}

/* Whether all frames that answer the step are there. */
static bool frames_complete(struct client *client) {
    const uint8_t *p = terse_buf_data(&client->in);
    size_t left = client->in.len;
    unsigned want = script_answers(client->script, client->step);

    for (unsigned i = 0; i < want; i++) {
        uint64_t length = 0;
        unsigned shift = 0;

        for (;; shift += 7) {
            if (left == 0)
                return false;
            left--;
            length |= (uint64_t)(*p & 0x7f) << shift;
            if (!(*p++ & 0x80))
                break;
        }
        if (length > left)
            return false;
        if (i == 0 && client->step == 0)
            script_hear(client->script, p, (size_t)length);
        p += length;
        left -= (size_t)length;
    }
    return true;
}

static bool step_complete(struct client *client) {
    const char *end = script_answer_end(client->script, client->step);

    if (load.wire != WIRE_XML)
        return frames_complete(client);
    return memmem(terse_buf_data(&client->in), client->in.len, end,
                  strlen(end)) != NULL;
}

/* False: it broke. */
static bool login(struct client *client, const uint8_t *p, size_t n) {
    if (client->in.len + n > CLIENT_LOGIN)
        return false;
    text_add(&client->in, p, n);
    if (!step_complete(client))
        return true;
    terse_buf_reset(&client->in);
    if (++client->step == script_steps(client->script)) {
        logged_in(client);
        return true;
    }
    start_step(client);
    return flush(client);
}

/* False: the connection is over. */
static bool ready(struct client *client, uint32_t events) {
    uint8_t *p = room + COUNT_ROOM;
    ssize_t n;

    if (events & EPOLLOUT && !flush(client))
        return false;
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return true;
    do {
        n = io_read(&client->io, p, READ_SIZE);
        if (n == 0)
            return false;
        if (n < 0)
            break;
        if (client->up)
            answered(client, count_feed(&client->count, p, (size_t)n));
        else if (!login(client, p, (size_t)n))
            return false;
        if (client->io.fd < 0)
            return true; /* it broke meanwhile, and that was noted */
    } while (client->io.ssl && SSL_pending(client->io.ssl));
    /* A handshake went on with what was read. */
    return !client->io.ssl || client->at == client->goal || flush(client);
}

void load_turn(uint64_t ns) {
    struct epoll_event events[256];
    struct timespec time = {.tv_sec = (time_t)(ns / 1000000000u),
                            .tv_nsec = (long)(ns % 1000000000u)};
    int n = epoll_pwait2(load.epoll, events, 256, &time, NULL);

    for (int i = 0; i < n; i++) {
        struct client *client = events[i].data.ptr;

        /* A partner's turn may have ended this one's connection. */
        if (client->io.fd >= 0 && !ready(client, events[i].events) &&
            client->io.fd >= 0)
            client_down(client);
    }
}

void client_connect(struct client *client) {
    unsigned from = 1 + (unsigned)(client->number % ADDRESSES);

    client->io.fd = io_connect(load.address, from);
    if (client->io.fd < 0) {
        client->retry_at = io_now() + RETRY_NS;
        load.retries++;
        return;
    }
    load.down--;
    if (load.tls) {
        io_secure(&client->io, load.tls, TEXT_DOMAIN,
                  load.tickets ? client->session : NULL);
        SSL_set_app_data(client->io.ssl, client);
    }
    client->step = 0;
    start_step(client);
    client->io.want_write = true; /* until it is connected */
    watch(client, EPOLL_CTL_ADD);
}
