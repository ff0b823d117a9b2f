/*
 * loop.c: one thread for each processor, and an epoll for a few of them
 * together. A turn is a wait, the events that it brought, and some of the jobs
 * that were posted until then.
 *
 * Why together: whom the system lets run sees to what there is to do. With an
 * epoll for each thread, the sessions of one that waits for its processor wait
 * with it, however idle the others are. Why a few events at a time: those in
 * the hands of a thread that has to wait are nobody else's.
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
    THREADS_MAX = 64,
    LOOP_THREADS = 4, /* of one epoll, at most: they share its lock */
    LOOPS_MAX = THREADS_MAX / LOOP_THREADS,
    LOOP_EVENTS = 16, /* of a turn, and as many jobs */
};

#define WAKE UINT64_MAX

struct loop {
    int epoll;
    /* Never read: each write is an edge. */
    int wake;
    pthread_mutex_t lock;
    struct loop_job *first, **last;
    atomic_uint jobs;   /* how many; to look without the lock */
    atomic_uint asleep; /* threads that look at `jobs`, and then wait */
};

struct thread {
    struct loop *loop;
    int cpu; /* its own; -1: none */
};

static struct loop loops[LOOPS_MAX];
static struct thread threads[THREADS_MAX];
static atomic_uint n_loops, turn;
static _Thread_local struct loop *here;

/* ---- the thread ------------------------------------------------------------
 */

static void wake(struct loop *loop) {
    uint64_t one = 1;

    if (write(loop->wake, &one, sizeof(one)) < 0)
        abort();
}

/* Whoever takes one and leaves others wakes somebody for those: its own may
 * have to wait for a lock. */
static struct loop_job *next_job(struct loop *loop) {
    struct loop_job *job;
    bool more;

    net_mutex_lock(&loop->lock);
    job = loop->first;
    if (job) {
        loop->first = job->next;
        atomic_fetch_sub(&loop->jobs, 1);
    }
    more = loop->first;
    if (!more)
        loop->last = &loop->first;
    net_mutex_unlock(&loop->lock);
    if (more && atomic_load(&loop->asleep))
        wake(loop);
    return job;
}

/* As many as there are: what these post has its turn after the next events. */
static void run_jobs(struct loop *loop) {
    unsigned n = atomic_load(&loop->jobs);
    struct loop_job *job;

    if (n > LOOP_EVENTS)
        n = LOOP_EVENTS;
    while (n-- && (job = next_job(loop)))
        job->run(job);
}

/* A busy system may put two of these on one processor, where each waits while
 * the other uses up its slice, which is milliseconds; and a processor that is
 * never idle for more than microseconds takes neither of them over. So each
 * keeps to its own, where that is allowed. */
static void settle(int cpu) {
    cpu_set_t own;

    if (cpu < 0)
        return;
    CPU_ZERO(&own);
    CPU_SET((size_t)cpu, &own);
    (void)sched_setaffinity(0, sizeof(own), &own);
}

static int wait_for(struct loop *loop, struct epoll_event *events) {
    int n;

    atomic_fetch_add(&loop->asleep, 1);
    n = epoll_wait(loop->epoll, events, LOOP_EVENTS,
                   atomic_load(&loop->jobs) ? 0 : -1);
    atomic_fetch_sub(&loop->asleep, 1);
    if (n < 0 && errno != EINTR)
        abort();
    return n;
}

static void *thread_main(void *arg) {
    struct epoll_event events[LOOP_EVENTS];
    const struct thread *thread = arg;
    struct loop *loop = thread->loop;

    here = loop;
    settle(thread->cpu);
    for (;;) {
        int n = wait_for(loop, events);

        for (int i = 0; i < n; i++)
            if (events[i].data.u64 != WAKE)
                stream_event(events[i].data.u64, events[i].events);
        run_jobs(loop);
    }
    return NULL;
}

/* ---- start -----------------------------------------------------------------
 */

static void close_loop(struct loop *loop) {
    close(loop->epoll);
    close(loop->wake);
}

static bool open_loop(struct loop *loop) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = WAKE};

    loop->last = &loop->first;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll >= 0 && loop->wake >= 0 &&
        !epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->wake, &event) &&
        !pthread_mutex_init(&loop->lock, NULL))
        return true;
    close_loop(loop);
    return false;
}

/* Signals are for the program's own threads. */
static bool start(struct thread *thread) {
    sigset_t all, before;
    pthread_attr_t attr;
    pthread_t id;
    bool ok;

    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    ok = pthread_create(&id, &attr, thread_main, thread) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return ok;
}

/* How many threads there should be, and on which processors; -1: any. */
static unsigned plan(void) {
    cpu_set_t cpus;
    unsigned want;
    int cpu = -1;

    if (sched_getaffinity(0, sizeof(cpus), &cpus)) {
        threads[0].cpu = -1;
        return 1;
    }
    want = (unsigned)CPU_COUNT(&cpus);
    for (unsigned i = 0; i < want && i < THREADS_MAX; i++) {
        while (want <= THREADS_MAX && !CPU_ISSET((size_t)++cpu, &cpus))
            ;
        threads[i].cpu = cpu;
    }
    return want < THREADS_MAX ? want : THREADS_MAX;
}

/* Neighbours share an epoll. How many of these there are; each has a thread, if
 * there is no memory for more. */
static unsigned start_all(void) {
    unsigned want = plan(), opened = 0;
    unsigned n = (want + LOOP_THREADS - 1) / LOOP_THREADS;

    for (unsigned i = 0; i < want; i++) {
        bool first = i * n / want == opened;

        threads[i].loop = &loops[i * n / want];
        if (first && !open_loop(threads[i].loop))
            break;
        if (start(&threads[i])) {
            opened += first;
            continue;
        }
        if (first)
            close_loop(threads[i].loop);
        break;
    }
    return opened;
}

enum net_err loop_init(void) {
    static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;

    if (atomic_load(&n_loops))
        return NET_OK;
    net_mutex_lock(&starting);
    if (!atomic_load(&n_loops))
        atomic_store(&n_loops, start_all());
    net_mutex_unlock(&starting);
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

bool loop_add(struct loop *loop, int fd, uint64_t tag) {
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u64 = tag};

    return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* Closing it would not do where a child has it as well, until it executes. */
void loop_remove(struct loop *loop, int fd) {
    epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
    close(fd);
}

/* ---- jobs ------------------------------------------------------------------
 */

void loop_post(struct loop *loop, struct loop_job *job) {
    bool first;

    job->next = NULL;
    net_mutex_lock(&loop->lock);
    first = !loop->first;
    *loop->last = job;
    loop->last = &job->next;
    atomic_fetch_add(&loop->jobs, 1);
    net_mutex_unlock(&loop->lock);
    /* A thread looks at `jobs` before it waits; so if it is who posts, or one
     * was not through with what was posted before, none needs waking. */
    if (first && here != loop)
        wake(loop);
}
