/* link: -Wl,--wrap=epoll_ctl */
/*
 * net_epoll_test.c: what is net/epoll's own: streams whose places are used
 * again while several threads take events for them, and the threads'
 * processors. What both backends have to do is in net_conn_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <dirent.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/epoll/loop.h"

enum { PATIENCE = 2000 }; /* ms */

static _Atomic uint64_t last_tag; /* of what was added to an epoll */

int __real_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);

int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event) {
    if (op == EPOLL_CTL_ADD)
        atomic_store(&last_tag, event->data.u64);
    return __real_epoll_ctl(epoll, op, fd, event);
}

static void nap(void) {
    const struct timespec ms = {0, 1000000};

    nanosleep(&ms, NULL);
}

/* Within PATIENCE. */
static bool becomes(atomic_uint *value, unsigned wanted) {
    for (int i = 0; i < PATIENCE && atomic_load(value) != wanted; i++)
        nap();
    return atomic_load(value) == wanted;
}

/* ---- streams ---------------------------------------------------------------
 */

/* A stream as conn.c has one: closed under a lock, freed by the last callback.
 */
struct user {
    pthread_mutex_t lock;
    struct net_stream *stream;
    int peer;
    unsigned awaited;
    atomic_uint called, freed;
    bool closed;
};

static void leave(struct user *user) {
    bool gone = --user->awaited == 0 && user->closed;

    pthread_mutex_unlock(&user->lock);
    if (gone) {
        io_free(user->stream);
        atomic_fetch_add(&user->freed, 1);
    }
}

static void readable(void *arg) {
    struct user *user = arg;
    char bytes[IO_READ_MIN];

    pthread_mutex_lock(&user->lock);
    atomic_fetch_add(&user->called, 1);
    if (!user->closed && !io_read(user->stream, bytes, sizeof(bytes)).err) {
        user->awaited++;
        io_await_read(user->stream);
    }
    leave(user);
}

static void writable(void *arg) {
    struct user *user = arg;

    pthread_mutex_lock(&user->lock);
    atomic_fetch_add(&user->called, 1);
    leave(user);
}

static const struct io_ops ops = {readable, writable};

/* Waits for something to read. */
static void begin(struct user *user) {
    int ends[2];

    assert_int_equal(loop_init(), NET_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends),
                     0);
    *user = (struct user){.peer = ends[1]};
    pthread_mutex_init(&user->lock, NULL);
    user->stream = stream_new(loop_next(), ends[0]);
    assert_non_null(user->stream);
    io_attach(user->stream, &ops, user);
    user->awaited = 1;
    io_await_read(user->stream);
}

static void await_write(struct user *user) {
    pthread_mutex_lock(&user->lock);
    user->awaited++;
    assert_int_equal(io_await_write(user->stream, "", 1), NET_OK);
    pthread_mutex_unlock(&user->lock);
}

static void shut(struct user *user) {
    pthread_mutex_lock(&user->lock);
    user->closed = true;
    io_close(user->stream);
    user->awaited++; /* as a callback of ours */
    leave(user);
}

static void end(struct user *user) {
    assert_true(becomes(&user->freed, 1));
    close(user->peer);
    pthread_mutex_destroy(&user->lock);
}

/* A thread has taken an edge from epoll, and before it can say so the stream is
 * freed, and its place another's. */
static void test_edge_that_comes_too_late_is_dropped(void **state) {
    struct net_stream *place;
    struct user user;
    uint64_t late;

    (void)state;
    begin(&user);
    late = atomic_load(&last_tag);
    place = user.stream;
    shut(&user);
    end(&user);

    /* It is free when the loop has forgotten it, which may take a moment. */
    for (int i = 0; begin(&user), user.stream != place; i++) {
        assert_in_range(i, 0, PATIENCE);
        shut(&user);
        end(&user);
        nap();
    }
    assert_int_not_equal(atomic_load(&last_tag), late);
    stream_event(late, EPOLLIN | EPOLLRDHUP);
    assert_int_equal(atomic_load(&user.called), 0);
    stream_event(atomic_load(&last_tag), EPOLLIN);
    assert_int_equal(atomic_load(&user.called), 1);
    shut(&user);
    end(&user);
}

/* What is awaited is called back for once, and frees once, whoever closes when.
 */
static void test_streams_come_and_go_under_events(void **state) {
    enum { USERS = 64, ROUNDS = 60 };
    static struct user users[USERS];
    unsigned seed = 4711;

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < USERS; i++)
            begin(&users[i]);
        for (int i = 0; i < USERS; i++) {
            seed = seed * 1103515245 + 12345;
            if (seed & 1 << 20)
                await_write(&users[i]);
            if (seed & 1 << 21)
                assert_int_equal(write(users[i].peer, "x", 1), 1);
            if (seed & 1 << 22)
                shutdown(users[i].peer, SHUT_WR);
            if (seed & 1 << 23)
                sched_yield();
            /* Some go while others are only beginning. */
            if (seed & 1 << 24)
                shut(&users[i]);
        }
        for (int i = 0; i < USERS; i++)
            if (!users[i].closed)
                shut(&users[i]);
        for (int i = 0; i < USERS; i++) {
            end(&users[i]);
            assert_int_equal(users[i].awaited, 0);
            assert_true(atomic_load(&users[i].called) >= 1);
        }
    }
}

/* ---- jobs ------------------------------------------------------------------
 */

struct errand {
    struct loop_job job; /* first */
    struct errand *waits_for;
    atomic_uint done;
    bool alone; /* what it waits for did not come */
};

static void run_errand(struct loop_job *job) {
    struct errand *errand = (struct errand *)job;

    if (errand->waits_for)
        errand->alone = !becomes(&errand->waits_for->done, 1);
    atomic_fetch_add(&errand->done, 1);
}

static bool one_processor(void) {
    cpu_set_t all;

    return !sched_getaffinity(0, sizeof(all), &all) && CPU_COUNT(&all) == 1;
}

/* A job that has to wait keeps its thread, but not those behind it. */
static void test_job_that_waits_holds_up_no_other(void **state) {
    (void)state;
    if (one_processor())
        skip();
    assert_int_equal(loop_init(), NET_OK);
    for (int i = 0; i < 200; i++) {
        struct loop *loop = loop_next();
        struct errand quick = {.job = {.run = run_errand}};
        struct errand slow = {.job = {.run = run_errand}, .waits_for = &quick};

        loop_post(loop, &slow.job);
        loop_post(loop, &quick.job);
        assert_true(becomes(&slow.done, 1));
        assert_false(slow.alone);
    }
}

/* ---- processors ------------------------------------------------------------
 */

/* The processor of a thread; -1: it may use several. */
static int processor_of(int tid) {
    cpu_set_t cpus;
    int cpu = 0;

    if (sched_getaffinity(tid, sizeof(cpus), &cpus) || CPU_COUNT(&cpus) != 1)
        return -1;
    while (!CPU_ISSET((size_t)cpu, &cpus))
        cpu++;
    return cpu;
}

static unsigned settled(cpu_set_t *got) {
    DIR *dir = opendir("/proc/self/task");
    const struct dirent *entry;
    int cpu;

    assert_non_null(dir);
    CPU_ZERO(got);
    while ((entry = readdir(dir))) {
        cpu = processor_of(atoi(entry->d_name));
        if (entry->d_name[0] != '.' && cpu >= 0)
            CPU_SET((size_t)cpu, got);
    }
    closedir(dir);
    return (unsigned)CPU_COUNT(got);
}

/* A thread for each processor, and it alone is there. */
static void test_each_processor_has_its_thread(void **state) {
    cpu_set_t all, got;
    unsigned n = 0;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    if (one_processor() || CPU_COUNT(&all) > 64 ||
        sched_setaffinity(0, sizeof(all), &all))
        skip();
    assert_int_equal(loop_init(), NET_OK);
    for (int i = 0; i < PATIENCE && n != (unsigned)CPU_COUNT(&all); i++) {
        n = settled(&got);
        nap();
    }
    assert_true(CPU_EQUAL(&got, &all));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edge_that_comes_too_late_is_dropped),
        cmocka_unit_test(test_streams_come_and_go_under_events),
        cmocka_unit_test(test_job_that_waits_holds_up_no_other),
        cmocka_unit_test(test_each_processor_has_its_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
