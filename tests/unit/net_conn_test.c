/* link: -Wl,--wrap=nng_aio_alloc,--wrap=recv,--wrap=send,--wrap=epoll_ctl */
/*
 * net_conn_test.c: connections against a blocking socket: marks, pause, order,
 * the three ways to close, timers, and dialling with SRV from a name server of
 * ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/due.h"

/* ---- memory that there is not
 * ------------------------------------------------ */

static atomic_bool short_of_memory; /* for operations of nng's */

int __real_nng_aio_alloc(nng_aio **out, void (*cb)(void *), void *arg);
int __wrap_nng_aio_alloc(nng_aio **out, void (*cb)(void *), void *arg);

int __wrap_nng_aio_alloc(nng_aio **out, void (*cb)(void *), void *arg) {
    return atomic_load(&short_of_memory) ? NNG_ENOMEM
                                         : __real_nng_aio_alloc(out, cb, arg);
}

/* ---- what net/epoll asks the kernel for
 * -------------------------------------------- */

static pthread_t tester; /* whose calls are not counted */
static atomic_uint recvs, sends, controls;

ssize_t __real_recv(int fd, void *p, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *p, size_t n, int flags);
ssize_t __real_send(int fd, const void *p, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *p, size_t n, int flags);
int __real_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);

static void count(atomic_uint *calls) {
    if (!pthread_equal(pthread_self(), tester))
        atomic_fetch_add(calls, 1);
}

ssize_t __wrap_recv(int fd, void *p, size_t n, int flags) {
    count(&recvs);
    return __real_recv(fd, p, n, flags);
}

ssize_t __wrap_send(int fd, const void *p, size_t n, int flags) {
    count(&sends);
    return __real_send(fd, p, n, flags);
}

int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event) {
    count(&controls);
    return __real_epoll_ctl(epoll, op, fd, event);
}

/* ---- an owner that notes what happens
 * -------------------------------------------- */

struct note {
    struct net_owner owner; /* first */
    pthread_cond_t news;
    struct net_conn *conn;
    struct net_dial *dial;
    char got[65536];
    size_t n_got;
    unsigned drained, closed, ticks, dialled;
    bool pause_next;                 /* pause when data comes */
    bool echo;                       /* send it back */
    void (*hook)(struct note *note); /* called when data comes */
    enum net_err why;
    struct net_stream *stream;
    atomic_bool *gone;
};

static void note_fini(struct net_owner *owner) {
    struct note *note = (struct note *)owner;
    atomic_bool *gone = note->gone;

    net_owner_fini(owner);
    pthread_cond_destroy(&note->news);
    free(note);
    atomic_store(gone, true);
}

static struct note *note_new(atomic_bool *gone) {
    struct note *note = calloc(1, sizeof(*note));

    atomic_store(gone, false);
    assert_non_null(note);
    assert_int_equal(net_owner_init(&note->owner, note_fini), NET_OK);
    pthread_cond_init(&note->news, NULL);
    note->gone = gone;
    return note;
}

static void on_data(void *arg, const uint8_t *p, size_t n) {
    struct note *note = arg;

    if (note->pause_next) {
        note->pause_next = false;
        net_conn_pause(note->conn);
    }
    if (n > sizeof(note->got) - note->n_got)
        n = sizeof(note->got) - note->n_got;
    if (note->hook)
        note->hook(note);
    if (note->echo && !net_conn_write(note->conn, p, n))
        net_conn_flush(note->conn);
    memcpy(note->got + note->n_got, p, n);
    note->n_got += n;
    pthread_cond_signal(&note->news);
}

static void on_drained(void *arg) {
    struct note *note = arg;

    note->drained++;
    pthread_cond_signal(&note->news);
}

static void on_secured(void *arg) { (void)arg; }

static void on_closed(void *arg, enum net_err why, const char *text) {
    struct note *note = arg;

    assert_non_null(text);
    note->closed++;
    note->why = why;
    pthread_cond_signal(&note->news);
}

static const struct net_conn_ops ops = {on_data, on_drained, on_secured,
                                        on_closed};

/* With the lock: waits until `what` is true; fails after 20 s. */
#define await(note, what)                                                      \
    do {                                                                       \
        struct timespec until_;                                                \
        clock_gettime(CLOCK_REALTIME, &until_);                                \
        until_.tv_sec += 20;                                                   \
        while (!(what))                                                        \
            if (pthread_cond_timedwait(&(note)->news, &(note)->owner.lock,     \
                                       &until_))                               \
                fail_msg("waited in vain for %s", #what);                      \
    } while (0)

static void nap(unsigned ms) {
    nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
}

static void await_gone(atomic_bool *gone) {
    for (int i = 0; i < 4000 && !atomic_load(gone); i++)
        nap(5);
    assert_true(atomic_load(gone));
}

static int listen_here(uint16_t *port) {
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    *port = ntohs(sa.sin_port);
    return fd;
}

static void on_dialled(void *arg, enum net_err err, const char *text,
                       struct net_stream *stream) {
    struct note *note = arg;

    assert_non_null(text);
    note->dialled++;
    note->why = err;
    note->stream = stream;
    pthread_cond_signal(&note->news);
}

/* A connection to a socket of ours; *peer is its other end. With the lock. */
static struct note *connected(atomic_bool *gone, struct net_resolver *r,
                              const struct net_marks *marks, int *peer) {
    struct note *note = note_new(gone);
    struct net_target target = {"127.0.0.1", 0, NULL};
    struct timeval tv = {20, 0};
    int fd = listen_here(&target.port);

    net_lock(&note->owner);
    assert_int_equal(net_dial_new(&note->dial, &note->owner, r, &target, 10000,
                                  on_dialled, note),
                     NET_OK);
    await(note, note->dialled);
    assert_int_equal(note->why, NET_OK);
    *peer = accept(fd, NULL, NULL);
    close(fd);
    setsockopt(*peer, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    assert_int_equal(net_conn_new(&note->conn, &note->owner, note->stream,
                                  marks, &ops, note),
                     NET_OK);
    return note;
}

static size_t read_all(int fd, size_t n) {
    static char buf[65536];
    size_t got = 0;
    ssize_t r;

    while (got < n && (r = recv(fd, buf, sizeof(buf), 0)) > 0)
        got += (size_t)r;
    return got;
}

static const struct net_marks small_marks = {1000, 5000, 9000};
static struct net_resolver *resolver;
static bool on_epoll; /* linked with net/epoll, not net/nng */

/* ---- the write queue
 * ----------------------------------------------------------------- */

static void test_conn_marks_fill_refuse_and_drain(void **state) {
    static char chunk[4096];
    atomic_bool gone;
    int peer;
    struct note *note = connected(&gone, resolver, &small_marks, &peer);
    struct net_conn *c = note->conn;

    (void)state;
    assert_int_equal(net_conn_write(c, chunk, 4096), NET_OK);
    assert_false(net_conn_full(c));
    assert_int_equal(net_conn_write(c, chunk, 904), NET_OK);
    assert_true(net_conn_full(c)); /* 5000 */
    assert_int_equal(net_conn_write(c, chunk, 4000), NET_OK);
    assert_int_equal(net_conn_write(c, chunk, 1), NET_EFULL); /* 9001 */
    assert_int_equal(net_conn_queued(c), 9000);
    assert_int_equal(note->drained, 0); /* nothing leaves without a flush */
    net_conn_flush(c);
    net_unlock(&note->owner);
    assert_int_equal(read_all(peer, 9000), 9000);
    net_lock(&note->owner);
    await(note, note->drained);
    assert_int_equal(note->drained, 1);
    assert_int_equal(net_conn_queued(c), 0);
    assert_false(net_conn_full(c));
    net_conn_close(c, NET_CLOSE_ABORT, 0);
    net_unlock(&note->owner);
    net_owner_rele(&note->owner);
    await_gone(&gone);
    close(peer);
}

static void test_conn_order_kept_over_many_flushes(void **state) {
    struct net_marks marks = {1 << 20, 1 << 20, 1 << 21};
    atomic_bool gone;
    int peer;
    struct note *note = connected(&gone, resolver, &marks, &peer);
    uint32_t want = 0, have;

    (void)state;
    for (uint32_t i = 0; i < 5000; i++) {
        assert_int_equal(net_conn_write(note->conn, &i, sizeof(i)), NET_OK);
        if (i % 3 == 0)
            net_conn_flush(note->conn);
    }
    net_conn_close(note->conn, NET_CLOSE_FLUSH, 10000);
    net_unlock(&note->owner);
    net_owner_rele(&note->owner);
    while (recv(peer, &have, sizeof(have), MSG_WAITALL) == sizeof(have))
        assert_int_equal(have, want++);
    assert_int_equal(want, 5000);
    await_gone(&gone);
    close(peer);
}

/* ---- reading
 * ------------------------------------------------------------------------------
 */

static void test_conn_paused_delivers_nothing_until_resumed(void **state) {
    atomic_bool gone;
    int peer;
    struct note *note = connected(&gone, resolver, &small_marks, &peer);

    (void)state;
    assert_int_equal(send(peer, "one", 3, 0), 3);
    net_unlock(&note->owner);
    nap(100);
    net_lock(&note->owner);
    assert_int_equal(note->n_got, 0); /* paused at first */
    note->pause_next = true;
    net_conn_resume(note->conn);
    await(note, note->n_got == 3);
    assert_int_equal(send(peer, "two", 3, 0), 3);
    net_unlock(&note->owner);
    nap(100);
    net_lock(&note->owner);
    assert_int_equal(note->n_got, 3);
    net_conn_resume(note->conn);
    net_conn_pause(note->conn); /* with a read posted */
    net_unlock(&note->owner);
    nap(100);
    net_lock(&note->owner);
    assert_int_equal(note->n_got, 3);
    net_conn_resume(note->conn);
    await(note, note->n_got == 6);
    assert_memory_equal(note->got, "onetwo", 6);
    close(peer);
    await(note, note->closed);
    assert_int_equal(note->why, NET_EEOF);
    net_conn_close(note->conn, NET_CLOSE_FLUSH, 1000);
    net_unlock(&note->owner);
    net_owner_rele(&note->owner);
    await_gone(&gone);
}

/* More than one read takes, in one go and to the byte: all of it comes, and
 * nothing that would have to follow is waited for. */
static void test_conn_delivers_what_fills_reads(void **state) {
    static const size_t sizes[] = {16384, 32768, 16385, 40000, 1, 511, 512};
    static char chunk[40000];
    atomic_bool gone;
    int peer;
    struct note *note = connected(&gone, resolver, &small_marks, &peer);

    (void)state;
    net_conn_resume(note->conn);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        memset(chunk, 'a' + (int)i, sizes[i]);
        note->n_got = 0;
        assert_int_equal(send(peer, chunk, sizes[i], 0), sizes[i]);
        await(note, note->n_got == sizes[i]);
        assert_memory_equal(note->got, chunk, sizes[i]);
    }
    net_conn_close(note->conn, NET_CLOSE_ABORT, 0);
    net_unlock(&note->owner);
    net_owner_rele(&note->owner);
    await_gone(&gone);
    close(peer);
}

/* What the backend is for: a message and its answer are one read and one send.
 * Nothing is read twice, and nothing is armed again. */
static void test_conn_costs_one_read_and_one_send(void **state) {
    enum { ROUNDS = 200 };
    atomic_bool gone;
    int peer;
    struct note *note = connected(&gone, resolver, &small_marks, &peer);
    char back[4];

    (void)state;
    note->echo = true;
    net_conn_resume(note->conn);
    net_unlock(&note->owner);
    atomic_store(&recvs, 0);
    atomic_store(&sends, 0);
    atomic_store(&controls, 0);
    for (int i = 0; i < ROUNDS; i++) {
        assert_int_equal(send(peer, "ping", 4, 0), 4);
        assert_int_equal(recv(peer, back, 4, MSG_WAITALL), 4);
    }
    if (on_epoll) {
        assert_int_equal(atomic_load(&recvs), ROUNDS);
        assert_int_equal(atomic_load(&sends), ROUNDS);
        assert_int_equal(atomic_load(&controls), 0);
    }
    net_lock(&note->owner);
    assert_int_equal(note->n_got, 4 * ROUNDS);
    net_conn_close(note->conn, NET_CLOSE_ABORT, 0);
    net_unlock(&note->owner);
    net_owner_rele(&note->owner);
    await_gone(&gone);
    close(peer);
}

/* What has come with the peer's end is read, and then the end, though all of
 * this has happened while nobody wanted to read. */
static void test_conn_paused_while_peer_ends(void **state) {
    struct linger reset = {1, 0};

    (void)state;
    for (int i = 0; i < 8; i++) {
        atomic_bool gone;
        int peer;
        struct note *note = connected(&gone, resolver, &small_marks, &peer);

        if (i & 1) { /* paused with a read posted, too */
            net_conn_resume(note->conn);
            net_conn_pause(note->conn);
        }
        if (i & 2)
            assert_int_equal(send(peer, "last", 4, 0), 4);
        if (i & 4)
            setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        net_unlock(&note->owner);
        close(peer);
        nap(30);
        net_lock(&note->owner);
        assert_int_equal(note->n_got, 0);
        net_conn_resume(note->conn);
        await(note, note->closed);
        assert_int_equal(note->closed, 1);
        if (!(i & 4)) {
            assert_int_equal(note->why, NET_EEOF);
            assert_int_equal(note->n_got, i & 2 ? 4 : 0);
        } else {
            /* nng does not tell a reset from an end. */
            assert_true(note->why == NET_ECLOSED || note->why == NET_EEOF);
        }
        net_conn_close(note->conn, NET_CLOSE_FLUSH, 1000);
        net_unlock(&note->owner);
        net_owner_rele(&note->owner);
        await_gone(&gone);
    }
}

/* ---- closing
 * ------------------------------------------------------------------------------
 */

static void test_conn_linger_waits_for_peer(void **state) {
    atomic_bool gone;
    int peer;
    struct note *note = connected(&gone, resolver, &small_marks, &peer);
    char buf[8];

    (void)state;
    /* Unread bytes here would turn a plain close into a reset. */
    assert_int_equal(send(peer, "unread", 6, 0), 6);
    assert_int_equal(net_conn_write(note->conn, "bye", 3), NET_OK);
    net_conn_close(note->conn, NET_CLOSE_LINGER, 20000);
    net_unlock(&note->owner);
    net_owner_rele(&note->owner);
    nap(200);
    assert_false(atomic_load(&gone));
    assert_int_equal(recv(peer, buf, sizeof(buf), 0), 3);
    close(peer);
    await_gone(&gone);
}

static void test_conn_deadline_ends_peer_that_reads_nothing(void **state) {
    struct net_marks marks = {1 << 20, 1 << 25, 1 << 26};
    static char chunk[1 << 20];
    atomic_bool gone;
    int peer;
    struct note *note = connected(&gone, resolver, &marks, &peer);

    (void)state;
    for (int i = 0; i < 32; i++)
        assert_int_equal(net_conn_write(note->conn, chunk, sizeof(chunk)),
                         NET_OK);
    net_conn_close(note->conn, NET_CLOSE_FLUSH, 200);
    net_unlock(&note->owner);
    net_owner_rele(&note->owner);
    await_gone(&gone);
    assert_true(read_all(peer, 1 << 26) < 32 << 20);
    close(peer);
}

/* A connection has no operation to wait with until its socket is full. Where
 * there is no memory for one then, what is queued leaves later; and closing
 * needs no memory at all. */
static void test_conn_full_socket_without_memory(void **state) {
    struct net_marks marks = {1 << 20, 1 << 25, 1 << 26};
    static char chunk[1 << 20];
    atomic_bool gone;
    int peer;
    struct note *note = connected(&gone, resolver, &marks, &peer);

    (void)state;
    atomic_store(&short_of_memory, true);
    for (int i = 0; i < 33; i++)
        assert_int_equal(net_conn_write(note->conn, chunk, sizeof(chunk)),
                         NET_OK);
    net_conn_flush(note->conn);
    assert_true(net_conn_queued(note->conn) > 0);
    assert_true(net_conn_full(note->conn));
    net_unlock(&note->owner);
    nap(100);
    atomic_store(&short_of_memory, false);
    assert_int_equal(read_all(peer, 33 << 20), 33 << 20);
    net_lock(&note->owner);
    await(note, note->drained);
    assert_int_equal(note->closed, 0);
    atomic_store(&short_of_memory, true);
    for (int i = 0; i < 32; i++)
        assert_int_equal(net_conn_write(note->conn, chunk, sizeof(chunk)),
                         NET_OK);
    net_conn_close(note->conn, NET_CLOSE_FLUSH, 200);
    net_unlock(&note->owner);
    net_owner_rele(&note->owner);
    await_gone(&gone);
    atomic_store(&short_of_memory, false);
    close(peer);
}

/* Closing at any moment of a busy connection: for the sanitizers. */
static void test_conn_close_races_with_traffic(void **state) {
    static char chunk[3000];

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        atomic_bool gone;
        int peer;
        struct note *note = connected(&gone, resolver, &small_marks, &peer);
        enum net_close how = (enum net_close)(i % 3);

        net_conn_resume(note->conn);
        assert_int_equal(send(peer, chunk, sizeof(chunk), 0), sizeof(chunk));
        assert_int_equal(net_conn_write(note->conn, chunk, sizeof(chunk)),
                         NET_OK);
        net_conn_flush(note->conn);
        if (i % 2) {
            net_unlock(&note->owner);
            if (i % 4 == 1)
                close(peer);
            net_lock(&note->owner);
        }
        net_conn_close(note->conn, how, i % 5 * 10);
        net_unlock(&note->owner);
        net_owner_rele(&note->owner);
        if (i % 4 != 1)
            close(peer);
        await_gone(&gone);
    }
}

struct pusher {
    pthread_t thread;
    int *peers;
    unsigned n;
    atomic_bool stop;
};

static void *push_main(void *arg) {
    struct pusher *p = arg;
    char chunk[2000];

    memset(chunk, 'x', sizeof(chunk));
    while (!atomic_load(&p->stop))
        for (unsigned i = 0; i < p->n; i++)
            (void)!send(p->peers[i], chunk, sizeof(chunk), MSG_DONTWAIT);
    return NULL;
}

/* Many at once, so that what is closed has events that are already on their
 * way: for the sanitizers. */
static void test_conn_many_close_while_bytes_come(void **state) {
    enum { MANY = 24 };
    struct note *notes[MANY];
    atomic_bool gone[MANY];
    int peers[MANY];

    (void)state;
    for (int round = 0; round < 10; round++) {
        struct pusher pusher = {.peers = peers, .n = MANY};

        for (unsigned i = 0; i < MANY; i++) {
            notes[i] = connected(&gone[i], resolver, &small_marks, &peers[i]);
            net_conn_resume(notes[i]->conn);
            net_unlock(&notes[i]->owner);
        }
        assert_int_equal(
            pthread_create(&pusher.thread, NULL, push_main, &pusher), 0);
        nap(5);
        for (unsigned i = 0; i < MANY; i++) {
            net_lock(&notes[i]->owner);
            net_conn_close(notes[i]->conn, (enum net_close)(i % 3), i % 4);
            net_unlock(&notes[i]->owner);
            net_owner_rele(&notes[i]->owner);
        }
        for (unsigned i = 0; i < MANY; i++)
            await_gone(&gone[i]);
        atomic_store(&pusher.stop, true);
        pthread_join(pusher.thread, NULL);
        for (unsigned i = 0; i < MANY; i++)
            close(peers[i]);
    }
}

/* What is written to a peer that is gone is lost; `closed` says so, once. */
static void test_conn_writes_to_peer_that_is_gone(void **state) {
    struct linger reset = {1, 0};
    atomic_bool gone;
    int peer;
    struct note *note = connected(&gone, resolver, &small_marks, &peer);

    (void)state;
    net_conn_resume(note->conn);
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(peer);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(net_conn_write(note->conn, "void", 4), NET_OK);
        net_conn_flush(note->conn);
    }
    await(note, note->closed);
    net_unlock(&note->owner);
    nap(20);
    net_lock(&note->owner);
    assert_int_equal(note->closed, 1);
    net_conn_close(note->conn, NET_CLOSE_LINGER, 10000);
    net_unlock(&note->owner);
    net_owner_rele(&note->owner);
    await_gone(&gone);
}

/* ---- timers
 * -------------------------------------------------------------------------------
 */

static void on_tick(void *arg) {
    struct note *note = arg;

    note->ticks++;
    pthread_cond_signal(&note->news);
}

enum { DUES = 3000 };

struct waiter {
    struct due due; /* first */
    _Atomic nng_time not_before;
    atomic_int calls, early;
};

static atomic_int called;

static void on_due(struct due *due) {
    struct waiter *w = (struct waiter *)due;

    atomic_fetch_add(&w->calls, 1);
    if (nng_clock() < w->not_before)
        atomic_fetch_add(&w->early, 1);
    atomic_fetch_add(&called, 1);
}

/* Thousands at once, some moved, some stopped: each is called once, and not too
 * early, but for those that were stopped. */
static void test_due_calls_each_once_and_none_early(void **state) {
    static struct waiter all[DUES];
    int stopped = 0;

    (void)state;
    assert_int_equal(due_init(), NET_OK);
    for (unsigned i = 0; i < DUES; i++) {
        uint32_t ms = i * 7919 % 400;

        all[i].due.cb = on_due;
        all[i].not_before = nng_clock() + ms;
        due_set(&all[i].due, ms);
    }
    for (unsigned i = 0; i < DUES; i++) {
        if (i % 3 == 0) {
            all[i].not_before = 0;
            due_hurry(&all[i].due, i % 2);
        } else if (i % 5 == 0 && due_stop(&all[i].due)) {
            stopped++;
        }
    }
    for (int i = 0; i < 400 && atomic_load(&called) != DUES - stopped; i++)
        nap(25);
    nap(450); /* for those that should not come */
    assert_true(stopped > DUES / 10);
    assert_int_equal(atomic_load(&called), DUES - stopped);
    for (unsigned i = 0; i < DUES; i++) {
        assert_int_equal(atomic_load(&all[i].early), 0);
        assert_true(atomic_load(&all[i].calls) <= 1);
        assert_false(all[i].due.waiting);
    }
}

static void test_timer_runs_out_moves_and_stops(void **state) {
    atomic_bool gone;
    struct note *note = note_new(&gone);
    struct net_timer *timer;

    (void)state;
    net_lock(&note->owner);
    assert_int_equal(net_timer_new(&timer, &note->owner, on_tick, note),
                     NET_OK);
    net_timer_set(timer, 20000);
    net_timer_set(timer, 20); /* sooner */
    await(note, note->ticks == 1);
    net_timer_set(timer, 20);
    net_timer_stop(timer);
    net_unlock(&note->owner);
    nap(100);
    net_lock(&note->owner);
    assert_int_equal(note->ticks, 1);
    net_timer_set(timer, 20);
    await(note, note->ticks == 2);
    net_timer_set(timer, 20000);
    net_timer_free(timer); /* while it sleeps */
    net_unlock(&note->owner);
    net_owner_rele(&note->owner);
    await_gone(&gone);
}

/* ---- dialling
 * ---------------------------------------------------------------------------------
 */

struct name_server {
    pthread_t thread;
    int fd;
    uint16_t port, dead, alive; /* what the SRV records say */
    atomic_int asked;
};

static size_t put_srv(uint8_t *p, uint16_t priority, uint16_t port) {
    static const uint8_t target[] = "\x09localhost";
    uint8_t rr[] = {0xc0,
                    12,
                    0,
                    33,
                    0,
                    1,
                    0,
                    0,
                    0,
                    60,
                    0,
                    6 + 11,
                    0,
                    (uint8_t)priority,
                    0,
                    0,
                    (uint8_t)(port >> 8),
                    (uint8_t)port};

    memcpy(p, rr, sizeof(rr));
    memcpy(p + sizeof(rr), target, 11);
    return sizeof(rr) + 11;
}

/* Answers SRV questions: for names that begin with _xmpp two records, the one
 * of lower priority alive; for others that there is no such service. */
static void *name_server_main(void *arg) {
    struct name_server *ns = arg;
    uint8_t q[512];
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    ssize_t n;

    while ((n = recvfrom(ns->fd, q, sizeof(q), 0, (struct sockaddr *)&from,
                         &len)) > 12) {
        size_t end = 12;
        bool none = memmem(q, (size_t)n, "nowhere", 7) != NULL;

        atomic_fetch_add(&ns->asked, 1);
        while (q[end])
            end += q[end] + 1U;
        end += 5;
        q[2] = 0x81, q[3] = 0x80;
        memset(q + 6, 0, 6);
        q[7] = none ? 1 : 2;
        end += put_srv(q + end, 20, ns->alive);
        if (!none)
            end += put_srv(q + end, 10, ns->dead);
        if (none) { /* "." as the only target */
            end -= 11;
            q[end - 7] = 7;
            q[end++] = 0;
        }
        sendto(ns->fd, q, end, 0, (struct sockaddr *)&from, len);
    }
    return NULL;
}

static void name_server_start(struct name_server *ns) {
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);

    ns->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(ns->fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(getsockname(ns->fd, (struct sockaddr *)&sa, &len), 0);
    ns->port = ntohs(sa.sin_port);
    assert_int_equal(pthread_create(&ns->thread, NULL, name_server_main, ns),
                     0);
}

static void name_server_stop(struct name_server *ns) {
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons(ns->port)};

    sendto(ns->fd, "x", 1, 0, (struct sockaddr *)&sa, sizeof(sa));
    pthread_join(ns->thread, NULL);
    close(ns->fd);
}

static void test_dial_srv_falls_back_to_lower_priority(void **state) {
    struct name_server ns = {0};
    struct net_resolver *r;
    atomic_bool gone;
    struct note *note = note_new(&gone);
    struct net_target target = {"im.example.net", 1, "_xmpp-client._tcp"};
    char servers[32], addr[48];
    uint16_t port;
    int alive = listen_here(&ns.alive), dead = listen_here(&ns.dead);

    (void)state;
    close(dead);
    name_server_start(&ns);
    snprintf(servers, sizeof(servers), "127.0.0.1:%u", ns.port);
    assert_int_equal(net_resolver_new(&r, servers), NET_OK);
    net_lock(&note->owner);
    assert_int_equal(net_dial_new(&note->dial, &note->owner, r, &target, 10000,
                                  on_dialled, note),
                     NET_OK);
    await(note, note->dialled == 1);
    assert_int_equal(note->why, NET_OK);
    net_stream_peer(note->stream, addr, &port);
    assert_int_equal(port, ns.alive);
    net_stream_drop(note->stream);

    target.host = "nowhere.example";
    assert_int_equal(net_dial_new(&note->dial, &note->owner, r, &target, 10000,
                                  on_dialled, note),
                     NET_OK);
    await(note, note->dialled == 2);
    assert_int_equal(note->why, NET_EDNS);
    assert_null(note->stream);
    net_unlock(&note->owner);
    net_owner_rele(&note->owner);
    await_gone(&gone);
    assert_true(atomic_load(&ns.asked) >= 2);
    net_resolver_free(r);
    name_server_stop(&ns);
    close(alive);
}

/* c-ares asks for addresses as for any name. */
static void test_dial_literal_address_asks_nobody(void **state) {
    static const char *const hosts[] = {"127.0.0.1", "::1"};
    struct name_server ns = {0};
    struct net_resolver *r;
    atomic_bool gone;
    struct note *note = note_new(&gone);
    struct net_target target = {NULL, 0, NULL};
    char servers[32];

    (void)state;
    close(listen_here(&target.port)); /* nobody is there any more */
    name_server_start(&ns);
    snprintf(servers, sizeof(servers), "127.0.0.1:%u", ns.port);
    assert_int_equal(net_resolver_new(&r, servers), NET_OK);
    net_lock(&note->owner);
    for (unsigned i = 0; i < 2; i++) {
        target.host = hosts[i];
        assert_int_equal(net_dial_new(&note->dial, &note->owner, r, &target,
                                      10000, on_dialled, note),
                         NET_OK);
        await(note, note->dialled == i + 1);
        assert_int_not_equal(note->why, NET_EDNS);
    }
    net_unlock(&note->owner);
    net_owner_rele(&note->owner);
    await_gone(&gone);
    assert_int_equal(atomic_load(&ns.asked), 0);
    net_resolver_free(r);
    name_server_stop(&ns);
}

static void test_dial_refused_and_cancelled(void **state) {
    atomic_bool gone;
    struct note *note = note_new(&gone);
    struct net_target target = {"127.0.0.1", 0, NULL};

    (void)state;
    close(listen_here(&target.port));
    net_lock(&note->owner);
    assert_int_equal(net_dial_new(&note->dial, &note->owner, resolver, &target,
                                  10000, on_dialled, note),
                     NET_OK);
    await(note, note->dialled == 1);
    assert_int_equal(note->why, NET_EREFUSED);
    for (int i = 0; i < 50; i++) { /* at any step of it */
        assert_int_equal(net_dial_new(&note->dial, &note->owner, resolver,
                                      &target, 10000, on_dialled, note),
                         NET_OK);
        net_unlock(&note->owner);
        if (i % 2)
            nap(1);
        net_lock(&note->owner);
        if (note->dialled == 1)
            net_dial_cancel(note->dial);
        note->dialled = 1;
    }
    net_unlock(&note->owner);
    net_owner_rele(&note->owner);
    await_gone(&gone);
}

static struct net_target next_target;

static void dial_on(struct note *note) {
    assert_int_equal(net_dial_new(&note->dial, &note->owner, resolver,
                                  &next_target, 10000, on_dialled, note),
                     NET_OK);
}

/* As a session dials when its client has spoken. */
static void test_dial_from_a_callback(void **state) {
    (void)state;
    for (int i = 0; i < 8; i++) {
        atomic_bool gone;
        int peer, fd = listen_here(&next_target.port);
        struct note *note = connected(&gone, resolver, &small_marks, &peer);

        next_target.host = "127.0.0.1";
        note->hook = dial_on;
        note->dialled = 0;
        net_conn_resume(note->conn);
        assert_int_equal(send(peer, "x", 1, 0), 1);
        await(note, note->dialled);
        assert_int_equal(note->why, NET_OK);
        net_stream_drop(note->stream);
        net_conn_close(note->conn, NET_CLOSE_ABORT, 0);
        net_unlock(&note->owner);
        net_owner_rele(&note->owner);
        await_gone(&gone);
        close(peer);
        close(fd);
    }
}

/* A listener whose backlog is full does not answer. */
static void test_dial_ends_in_time_where_nobody_answers(void **state) {
    struct net_target target = {"127.0.0.1", 0, NULL};
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    atomic_bool gone;
    struct note *note = note_new(&gone);
    int fd = listen_here(&target.port), fill[4];
    nng_time began;
    char addr[48];
    uint16_t port;

    (void)state;
    assert_int_equal(listen(fd, 0), 0);
    sa.sin_port = htons(target.port);
    /* The first fits in, and has to be there before the next. */
    for (int i = 0; i < 4; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | (i ? SOCK_NONBLOCK : 0), 0);
        (void)!connect(fill[i], (struct sockaddr *)&sa, sizeof(sa));
        nap(10);
    }
    net_lock(&note->owner);
    began = nng_clock();
    assert_int_equal(net_dial_new(&note->dial, &note->owner, resolver, &target,
                                  300, on_dialled, note),
                     NET_OK);
    await(note, note->dialled == 1);
    if (note->why == NET_OK && !on_epoll) {
        net_stream_peer(note->stream, addr, &port); /* see docs/net.md */
        assert_int_equal(port, 0);
        net_stream_drop(note->stream);
    } else {
        assert_int_equal(note->why, NET_ETIMEOUT);
        assert_null(note->stream);
        assert_in_range(nng_clock() - began, 300, 10000);
    }
    note->dialled = 0;
    assert_int_equal(net_dial_new(&note->dial, &note->owner, resolver, &target,
                                  60000, on_dialled, note),
                     NET_OK);
    net_unlock(&note->owner);
    nap(50); /* it is under way now */
    net_lock(&note->owner);
    if (note->dialled)
        net_stream_drop(note->stream);
    else
        net_dial_cancel(note->dial);
    net_unlock(&note->owner);
    net_owner_rele(&note->owner);
    await_gone(&gone);
    for (int i = 0; i < 4; i++)
        close(fill[i]);
    close(fd);
}

static void count_accept(void *arg, struct net_stream *stream) {
    atomic_fetch_add((atomic_int *)arg, 1);
    net_stream_drop(stream);
}

static void test_listener_takes_bursts_and_refuses_taken_port(void **state) {
    enum { BURST = 300 };
    struct net_listener *l, *second;
    atomic_int count = 0;
    char address[32];
    int fds[BURST];

    (void)state;
    assert_int_equal(net_listener_new(&l, "127.0.0.1:0", count_accept, &count),
                     NET_OK);
    snprintf(address, sizeof(address), "127.0.0.1:%u", net_listener_port(l));
    assert_int_equal(net_listener_new(&second, address, count_accept, &count),
                     NET_EINUSE);
    for (int i = 0; i < BURST; i++) {
        struct sockaddr_in sa = {.sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                 .sin_port = htons(net_listener_port(l))};

        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fds[i], (struct sockaddr *)&sa, sizeof(sa)),
                         0);
    }
    for (int i = 0; i < 200 && atomic_load(&count) < BURST; i++)
        nap(50);
    assert_int_equal(atomic_load(&count), BURST);
    for (int i = 0; i < BURST; i++)
        close(fds[i]);
    net_listener_free(l);
}

struct caller {
    pthread_t thread;
    uint16_t port;
    atomic_bool stop;
};

static void *call_main(void *arg) {
    struct caller *caller = arg;
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons(caller->port)};

    while (!atomic_load(&caller->stop)) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void)!connect(fd, (struct sockaddr *)&sa, sizeof(sa));
        close(fd);
    }
    return NULL;
}

/* When net_listener_free is back, no callback is, or comes. */
static void test_listener_ends_while_callers_come(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct caller caller = {.port = 0};
        struct net_listener *l;
        atomic_int count = 0;
        int then;

        assert_int_equal(
            net_listener_new(&l, "127.0.0.1:0", count_accept, &count), NET_OK);
        caller.port = net_listener_port(l);
        assert_int_equal(
            pthread_create(&caller.thread, NULL, call_main, &caller), 0);
        for (int j = 0; j < 1000 && !atomic_load(&count); j++)
            nap(1);
        net_listener_free(l);
        then = atomic_load(&count);
        assert_true(then > 0);
        nap(5);
        assert_int_equal(atomic_load(&count), then);
        atomic_store(&caller.stop, true);
        pthread_join(caller.thread, NULL);
    }
}

/* Without a descriptor the listener rests; it can be ended then, and else goes
 * on when there are some. */
static void test_listener_rests_without_descriptors(void **state) {
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct rlimit before, none;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (int i = 0; i < 2; i++) {
        struct net_listener *l;
        atomic_int count = 0;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(
            net_listener_new(&l, "127.0.0.1:0", count_accept, &count), NET_OK);
        sa.sin_port = htons(net_listener_port(l));
        none = before;
        none.rlim_cur = 0;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
        nap(50);
        assert_int_equal(atomic_load(&count), 0);
        if (i == 1)
            net_listener_free(l);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        if (i == 0) {
            for (int j = 0; j < 400 && !atomic_load(&count); j++)
                nap(25);
            assert_int_equal(atomic_load(&count), 1);
            net_listener_free(l);
        }
        close(fd);
    }
}

static int set_up(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    tester = pthread_self();
    on_epoll = strstr(program_invocation_name, ".epoll") != NULL;
    return net_resolver_new(&resolver, NULL) == NET_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    net_resolver_free(resolver);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conn_marks_fill_refuse_and_drain),
        cmocka_unit_test(test_conn_order_kept_over_many_flushes),
        cmocka_unit_test(test_conn_paused_delivers_nothing_until_resumed),
        cmocka_unit_test(test_conn_delivers_what_fills_reads),
        cmocka_unit_test(test_conn_costs_one_read_and_one_send),
        cmocka_unit_test(test_conn_paused_while_peer_ends),
        cmocka_unit_test(test_conn_linger_waits_for_peer),
        cmocka_unit_test(test_conn_deadline_ends_peer_that_reads_nothing),
        cmocka_unit_test(test_conn_full_socket_without_memory),
        cmocka_unit_test(test_conn_close_races_with_traffic),
        cmocka_unit_test(test_conn_many_close_while_bytes_come),
        cmocka_unit_test(test_conn_writes_to_peer_that_is_gone),
        cmocka_unit_test(test_due_calls_each_once_and_none_early),
        cmocka_unit_test(test_timer_runs_out_moves_and_stops),
        cmocka_unit_test(test_dial_srv_falls_back_to_lower_priority),
        cmocka_unit_test(test_dial_literal_address_asks_nobody),
        cmocka_unit_test(test_dial_refused_and_cancelled),
        cmocka_unit_test(test_dial_from_a_callback),
        cmocka_unit_test(test_dial_ends_in_time_where_nobody_answers),
        cmocka_unit_test(test_listener_takes_bursts_and_refuses_taken_port),
        cmocka_unit_test(test_listener_ends_while_callers_come),
        cmocka_unit_test(test_listener_rests_without_descriptors),
    };

    return cmocka_run_group_tests_name("net_conn", tests, set_up, tear_down);
}
