/*
 * loop.c: one thread and one epoll for each processor. A turn is a wait, the
 * events that it brought, and the jobs that were posted until then.
 *
 * Who removes a watch from another thread may find the loop just before it
 * calls that watch, since epoll_wait has returned it already. All that a watch
 * is part of is therefore freed by a job: when that runs, this turn's events
 * are through, and the next wait cannot return it any more.
 */
#include "net/epoll/loop.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/eventfd.h>

enum {
    LOOPS_MAX = 64,
    LOOP_EVENTS = 256, /* of a turn */
};

struct loop {
    int epoll;
    /* Never read: each write is an edge. */
    int wake;
    pthread_mutex_t lock;
    pthread_cond_t ran; /* loop_run's job */
    struct loop_job *first, **last;
    atomic_bool posted; /* first is not NULL; to look without the lock */
};

static struct loop loops[LOOPS_MAX];
static atomic_uint n_loops, turn;
static _Thread_local struct loop *here;

static void lock(struct loop *loop) {
    if (pthread_mutex_lock(&loop->lock))
        abort();
}

static void unlock(struct loop *loop) {
    if (pthread_mutex_unlock(&loop->lock))
        abort();
}

/* ---- the thread ------------------------------------------------------------
 */

static void run_jobs(struct loop *loop) {
    struct loop_job *job, *next;

    if (!atomic_load(&loop->posted))
        return;
    lock(loop);
    job = loop->first;
    loop->first = NULL;
    loop->last = &loop->first;
    atomic_store(&loop->posted, false);
    unlock(loop);
    for (; job; job = next) {
        next = job->next; /* it may be posted again, or freed */
        job->run(job);
    }
}

static void *loop_main(void *arg) {
    struct epoll_event events[LOOP_EVENTS];
    struct loop *loop = arg;

    here = loop;
    for (;;) {
        int n = epoll_wait(loop->epoll, events, LOOP_EVENTS,
                           atomic_load(&loop->posted) ? 0 : -1);

        if (n < 0 && errno != EINTR)
            abort();
        for (int i = 0; i < n; i++) {
            struct watch *watch = events[i].data.ptr;

            if (watch)
                watch->event(watch, events[i].events);
        }
        run_jobs(loop);
    }
    return NULL;
}

/* ---- start -----------------------------------------------------------------
 */

static bool open_loop(struct loop *loop) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};

    loop->last = &loop->first;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll >= 0 && loop->wake >= 0 &&
        !epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->wake, &event) &&
        !pthread_mutex_init(&loop->lock, NULL) &&
        !pthread_cond_init(&loop->ran, NULL))
        return true;
    close(loop->epoll);
    close(loop->wake);
    return false;
}

/* Signals are for the program's own threads. */
static bool start(struct loop *loop) {
    sigset_t all, before;
    pthread_attr_t attr;
    pthread_t thread;
    bool ok;

    if (!open_loop(loop))
        return false;
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    ok = pthread_create(&thread, &attr, loop_main, loop) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (!ok) {
        close(loop->epoll);
        close(loop->wake);
    }
    return ok;
}

/* As many as the process has processors; one at least, where there is memory
 * for no more. */
enum net_err loop_init(void) {
    static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;
    unsigned want, n = 0;
    cpu_set_t cpus;

    if (atomic_load(&n_loops))
        return NET_OK;
    if (pthread_mutex_lock(&starting))
        abort();
    if (!atomic_load(&n_loops)) {
        want = sched_getaffinity(0, sizeof(cpus), &cpus)
                   ? 1
                   : (unsigned)CPU_COUNT(&cpus);
        while (n < want && n < LOOPS_MAX && start(&loops[n]))
            n++;
        atomic_store(&n_loops, n);
    }
    pthread_mutex_unlock(&starting);
    return atomic_load(&n_loops) ? NET_OK : NET_ENOMEM;
}

struct loop *loop_next(void) {
    return &loops[atomic_fetch_add(&turn, 1) % atomic_load(&n_loops)];
}

struct loop *loop_here(void) {
    return here ? here : loop_next();
}

/* ---- descriptors -----------------------------------------------------------
 */

bool loop_add(struct watch *watch, uint32_t events) {
    struct epoll_event event = {.events = events | EPOLLET, .data.ptr = watch};

    return epoll_ctl(watch->loop->epoll, EPOLL_CTL_ADD, watch->fd, &event) == 0;
}

/* Closing it would not do where a child has it as well, until it executes. */
void loop_remove(struct watch *watch) {
    epoll_ctl(watch->loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    close(watch->fd);
    watch->fd = -1;
}

/* ---- jobs ------------------------------------------------------------------
 */

void loop_post(struct loop *loop, struct loop_job *job) {
    uint64_t one = 1;
    bool first;

    job->next = NULL;
    lock(loop);
    first = !loop->first;
    *loop->last = job;
    loop->last = &job->next;
    atomic_store(&loop->posted, true);
    unlock(loop);
    /* It looks at `posted` before it waits; so if it is who posts, or was not
     * through with what was posted before, it needs no waking. */
    if (first && here != loop && write(loop->wake, &one, sizeof(one)) < 0)
        abort();
}

struct awaited {
    struct loop_job job; /* first */
    struct loop *loop;
    struct loop_job *wanted;
    bool done;
};

static void run_awaited(struct loop_job *job) {
    struct awaited *awaited = (struct awaited *)job;
    struct loop *loop = awaited->loop;

    awaited->wanted->run(awaited->wanted);
    lock(loop);
    awaited->done = true;
    pthread_cond_broadcast(&loop->ran);
    unlock(loop);
}

void loop_run(struct loop *loop, struct loop_job *job) {
    struct awaited awaited = {{NULL, run_awaited}, loop, job, false};

    loop_post(loop, &awaited.job);
    lock(loop);
    while (!awaited.done)
        pthread_cond_wait(&loop->ran, &loop->lock);
    unlock(loop);
}
