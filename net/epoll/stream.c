/*
 * stream.c: a socket that does not block. What epoll says of it is an edge,
 * which is remembered until somebody waits for it, and what somebody waits for
 * is remembered until its edge comes: both in one word, so whoever comes second
 * sees the first. So to wait, and to stop reading, are no system calls.
 *
 * Edges are taken by the loop's threads, which call back; what is there already
 * when somebody begins to wait is called back for by a job. A socket that a
 * read did not empty is such a case, so a connection with much to say takes
 * turns with the others.
 *
 * One thread may close and free a stream whose edge another has just taken from
 * epoll. So streams live in places that are used again but never given back,
 * and the word has a number in it that changes with each use: an edge for
 * another number comes too late, and is dropped.
 */
#include "net/epoll/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
    READABLE = 1 << 0, /* there may be something to read, or an end */
    WRITABLE = 1 << 1, /* there may be room, or an error */
    BOTH = READABLE | WRITABLE,
    WANTED = 2,      /* bits by which READABLE and WRITABLE are shifted: it is
                        waited for */
    ENDED = 1 << 4,  /* the end of what comes is in the socket */
    CLOSED = 1 << 5, /* by us */
    UNUSED = 1 << 6, /* freed; it is left when no job is posted */
    QUEUED = 1 << 7, /* the job is posted */
    USE = 8,         /* bits by which the number of its use is shifted */
};

struct net_stream {
    _Alignas(64) atomic_uint state; /* a neighbour's is another thread's */
    uint32_t place;
    int fd;    /* -1: closed */
    int error; /* of a send, to be told by `writable` */
    struct loop *loop;
    struct loop_job job;
    const struct io_ops *ops;
    void *arg;
    struct net_stream *next; /* of the free */
};

/* ---- errors ----------------------------------------------------------------
 */

static enum net_err err_of(int e) {
    switch (e) {
    case 0:
        return NET_OK;
    case ENOMEM:
    case ENOBUFS:
    case ENOSPC:
    case EMFILE:
    case ENFILE:
        return NET_ENOMEM;
    case ETIMEDOUT:
        return NET_ETIMEOUT;
    case ECONNREFUSED:
        return NET_EREFUSED;
    case EADDRINUSE:
    case EADDRNOTAVAIL:
    case EACCES:
    case EPERM:
        return NET_EINUSE;
    default:
        return NET_ECLOSED;
    }
}

struct io_result errno_result(int e) {
    return (struct io_result){err_of(e), strerrordesc_np(e), 0};
}

static struct io_result result_of(enum net_err err, size_t n) {
    return (struct io_result){err, net_strerror(err), n};
}

/* ---- places ----------------------------------------------------------------
 */

enum {
    PLACES_ROW = 256,
    PLACES_ROWS = 16384,
};

static struct {
    pthread_mutex_t lock;
    struct net_stream *free;
    _Atomic(struct net_stream *) rows[PLACES_ROWS];
    uint32_t n; /* rows */
} places = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* With the lock. */
static void more_places(void) {
    const size_t size = PLACES_ROW * sizeof(struct net_stream);
    struct net_stream *row;

    if (places.n == PLACES_ROWS)
        return;
    row = aligned_alloc(_Alignof(struct net_stream), size);
    if (!row)
        return;
    memset(row, 0, size);
    for (uint32_t i = PLACES_ROW; i-- > 0;) {
        row[i].place = places.n * PLACES_ROW + i;
        row[i].next = places.free;
        places.free = &row[i];
    }
    atomic_store(&places.rows[places.n++], row);
}

static struct net_stream *take_place(void) {
    struct net_stream *stream;

    net_mutex_lock(&places.lock);
    if (!places.free)
        more_places();
    stream = places.free;
    if (stream)
        places.free = stream->next;
    net_mutex_unlock(&places.lock);
    return stream;
}

static void leave_place(struct net_stream *stream) {
    unsigned use = atomic_load(&stream->state) >> USE;

    atomic_store(&stream->state, (use + 1) << USE);
    net_mutex_lock(&places.lock);
    stream->next = places.free;
    places.free = stream;
    net_mutex_unlock(&places.lock);
}

static uint64_t tag_of(struct net_stream *stream) {
    return (uint64_t)(atomic_load(&stream->state) >> USE) << 32 | stream->place;
}

/* ---- events ----------------------------------------------------------------
 */

static struct net_stream *of_job(struct loop_job *job) {
    return (struct net_stream *)((char *)job -
                                 offsetof(struct net_stream, job));
}

/* What is there and waited for; where we have closed, all that is waited for.
 */
static unsigned due_of(unsigned state) {
    return (state & CLOSED ? BOTH : state) & state >> WANTED & BOTH;
}

/* On a thread of the loop: calls back for what is due, if it is still that use.
 * The edge is taken with the wish: what comes from now on is another one. */
static void take(struct net_stream *stream, unsigned use, unsigned bits) {
    unsigned old = atomic_load(&stream->state), due, now;

    do {
        if (old >> USE != use)
            return;
        now = old | bits;
        due = due_of(now);
        now &= ~(due | due << WANTED);
    } while (!atomic_compare_exchange_weak(&stream->state, &old, now));
    /* Whose both are due is there for the second, since it waits for it. */
    if (due & READABLE)
        stream->ops->readable(stream->arg);
    if (due & WRITABLE)
        stream->ops->writable(stream->arg);
}

void stream_event(uint64_t tag, uint32_t events) {
    uint32_t place = (uint32_t)tag;
    unsigned bits = 0;

    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        bits |= ENDED;
    if (events & EPOLLIN || bits)
        bits |= READABLE;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        bits |= WRITABLE;
    take(&atomic_load(&places.rows[place / PLACES_ROW])[place % PLACES_ROW],
         (unsigned)(tag >> 32), bits);
}

/* It is freed by whoever comes second: this, or io_free. */
static void stream_job(struct loop_job *job) {
    struct net_stream *stream = of_job(job);
    unsigned old = atomic_fetch_and(&stream->state, ~(unsigned)QUEUED);

    if (old & UNUSED)
        leave_place(stream);
    else
        take(stream, old >> USE, 0);
}

/* Adds bits, and has the job run if something is due then. */
static void add(struct net_stream *stream, unsigned bits) {
    unsigned old = atomic_load(&stream->state), now;

    do {
        now = old | bits;
        if (due_of(now))
            now |= QUEUED;
    } while (!atomic_compare_exchange_weak(&stream->state, &old, now));
    if (now & QUEUED && !(old & QUEUED))
        loop_post(stream->loop, &stream->job);
}

/* ---- life ------------------------------------------------------------------
 */

void tune(int fd) {
    int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

struct net_stream *stream_new(struct loop *loop, int fd) {
    struct net_stream *stream = take_place();

    if (!stream) {
        close(fd);
        return NULL;
    }
    stream->fd = fd;
    stream->error = 0;
    stream->loop = loop;
    stream->job.run = stream_job;
    if (loop_add(loop, fd, tag_of(stream)))
        return stream;
    close(fd);
    leave_place(stream);
    return NULL;
}

void io_attach(struct net_stream *stream, const struct io_ops *ops, void *arg) {
    stream->ops = ops;
    stream->arg = arg;
}

void io_close(struct net_stream *stream) {
    if (stream->fd < 0)
        return;
    loop_remove(stream->loop, stream->fd);
    stream->fd = -1;
    add(stream, CLOSED);
}

void io_free(struct net_stream *stream) {
    if (!(atomic_fetch_or(&stream->state, UNUSED) & QUEUED))
        leave_place(stream);
}

/* ---- bytes -----------------------------------------------------------------
 */

void io_await_read(struct net_stream *stream) {
    add(stream, READABLE << WANTED);
}

void stream_more(struct net_stream *stream) { add(stream, READABLE); }

/* A read that brought less than there is room for has emptied the socket, and
 * what comes after it is an edge; but the end of what comes makes no other edge
 * than the one that it came with. */
struct io_result io_read(struct net_stream *stream, void *p, size_t cap) {
    ssize_t n;

    if (stream->fd < 0)
        return result_of(NET_ECLOSED, 0);
    n = recv(stream->fd, p, cap, 0);
    if (n == 0)
        return result_of(NET_EEOF, 0);
    if (n < 0 && errno != EAGAIN)
        return errno_result(errno);
    if (n < 0)
        n = 0;
    else if ((size_t)n == cap || atomic_load(&stream->state) & ENDED)
        stream_more(stream);
    return result_of(NET_OK, (size_t)n);
}

/* If there is no room, there may be some before anybody waits for it: that edge
 * must not be taken for an older one. */
size_t io_write(struct net_stream *stream, const void *p, size_t n) {
    ssize_t sent;

    if (stream->fd < 0)
        return 0;
    sent = send(stream->fd, p, n, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) {
        atomic_fetch_and(&stream->state, ~(unsigned)WRITABLE);
        sent = send(stream->fd, p, n, MSG_NOSIGNAL);
    }
    if (sent < 0 && errno != EAGAIN) {
        stream->error = errno;
        add(stream, WRITABLE);
    }
    return sent < 0 ? 0 : (size_t)sent;
}

enum net_err io_await_write(struct net_stream *stream, const void *p,
                            size_t n) {
    (void)p;
    (void)n;
    add(stream, WRITABLE << WANTED);
    return NET_OK;
}

struct io_result io_written(struct net_stream *stream) {
    if (stream->fd < 0)
        return result_of(NET_ECLOSED, 0);
    return errno_result(stream->error);
}

struct io_result stream_connected(struct net_stream *stream) {
    socklen_t len = sizeof(int);
    int e = 0;

    if (stream->fd < 0)
        return result_of(NET_ECLOSED, 0);
    if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &e, &len))
        e = errno;
    return errno_result(e);
}

/* ---- ends ------------------------------------------------------------------
 */

static void end(const struct sockaddr_storage *sa, char addr[48],
                uint16_t *port) {
    const struct sockaddr_in *four = (const struct sockaddr_in *)sa;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)sa;

    addr[0] = '\0';
    *port = 0;
    if (sa->ss_family == AF_INET) {
        net_address_text((const uint8_t *)&four->sin_addr, 4, addr);
        *port = ntohs(four->sin_port);
    } else if (sa->ss_family == AF_INET6) {
        net_address_text(six->sin6_addr.s6_addr, 16, addr);
        *port = ntohs(six->sin6_port);
    }
}

void net_stream_peer(struct net_stream *stream, char addr[48], uint16_t *port) {
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);

    (void)getpeername(stream->fd, (struct sockaddr *)&sa, &len);
    end(&sa, addr, port);
}

void io_local(struct net_stream *stream, char addr[48], uint16_t *port) {
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);

    (void)getsockname(stream->fd, (struct sockaddr *)&sa, &len);
    end(&sa, addr, port);
}
