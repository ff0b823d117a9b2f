/*
 * resolve.c: c-ares on a thread. The channel belongs to that thread alone; the
 * rest of the world hands it jobs through a list and wakes it through an
 * eventfd.
 */
#include "net/resolve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { RESOLVE_TIMEOUT_MS = 2000, RESOLVE_TRIES = 3 };

struct place {
    char host[256];
    uint16_t port, priority, weight;
};

struct job {
    struct job *next;
    struct net_resolver *resolver;
    void (*run)(void *arg); /* to be called with arg; nothing else then */
    struct place places[RESOLVE_MAX];
    size_t n_places, at; /* at: being looked up */
    char srv[300];       /* name to ask SRV for, or "" */
    struct endpoints list;
    resolve_cb cb;
    void *arg;
};

struct net_resolver {
    pthread_t thread;
    pthread_mutex_t lock; /* of jobs and stop */
    struct job *jobs;
    bool stop;
    int wake;
    ares_channel channel;
    unsigned seed;
};

/* ---- on the resolver's thread
 * ------------------------------------------------ */

static void job_finish(struct job *job, enum net_err err) {
    if (err == NET_OK && job->list.n == 0)
        err = NET_EDNS;
    job->cb(job->arg, err, &job->list);
    free(job);
}

static void job_addresses(struct job *job);

static void add_address(struct job *job, const struct sockaddr *sa) {
    struct endpoint *e = &job->list.at[job->list.n];
    const void *addr;

    if (sa->sa_family == AF_INET)
        addr = &((const struct sockaddr_in *)(const void *)sa)->sin_addr;
    else if (sa->sa_family == AF_INET6)
        addr = &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
    else
        return;
    if (!inet_ntop(sa->sa_family, addr, e->addr, sizeof(e->addr)))
        return;
    e->port = job->places[job->at].port;
    job->list.n++;
}

static void got_addresses(void *arg, int status, int timeouts,
                          struct ares_addrinfo *info) {
    struct job *job = arg;

    (void)timeouts;
    if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED) {
        job_finish(job, NET_ECLOSED);
        return;
    }
    if (status == ARES_SUCCESS) {
        const struct ares_addrinfo_node *node = info->nodes;

        for (; node && job->list.n < RESOLVE_MAX; node = node->ai_next)
            add_address(job, node->ai_addr);
        ares_freeaddrinfo(info);
    }
    job->at++;
    job_addresses(job);
}

/* Whether the place is an address already. c-ares would ask for it as for any
 * name, and wait for an answer. */
static bool take_literal(struct job *job) {
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    const char *host = job->places[job->at].host;

    if (inet_pton(AF_INET, host, &four.sin_addr) == 1)
        add_address(job, (const struct sockaddr *)&four);
    else if (inet_pton(AF_INET6, host, &six.sin6_addr) == 1)
        add_address(job, (const struct sockaddr *)&six);
    else
        return false;
    return true;
}

/* Looks up the addresses of the next place; a place without is skipped. */
static void job_addresses(struct job *job) {
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC,
                                        .ai_socktype = SOCK_STREAM};

    while (job->at < job->n_places && job->list.n < RESOLVE_MAX &&
           take_literal(job))
        job->at++;
    if (job->at == job->n_places || job->list.n == RESOLVE_MAX) {
        job_finish(job, NET_OK);
        return;
    }
    ares_getaddrinfo(job->resolver->channel, job->places[job->at].host, NULL,
                     &hints, got_addresses, job);
}

/* RFC 2782: by priority; within one, at random in proportion to weight. */
static void order_places(struct job *job) {
    for (size_t i = 0; i < job->n_places; i++) {
        size_t best = i, n = 0;
        unsigned total = 0, pick;

        for (size_t j = i + 1; j < job->n_places; j++)
            if (job->places[j].priority < job->places[best].priority)
                best = j;
        for (size_t j = i; j < job->n_places; j++)
            if (job->places[j].priority == job->places[best].priority)
                total += job->places[j].weight + 1U, n++;
        pick = (unsigned)rand_r(&job->resolver->seed) % total;
        for (size_t j = i; n && j < job->n_places; j++) {
            const struct place *p = &job->places[j];
            struct place swap;

            if (p->priority != job->places[best].priority)
                continue;
            if (pick >= p->weight + 1U) {
                pick -= p->weight + 1U;
                continue;
            }
            swap = job->places[i];
            job->places[i] = *p;
            job->places[j] = swap;
            break;
        }
    }
}

/* Takes the SRV records. False: they say that there is no such service. */
static bool take_srv(struct job *job, const struct ares_srv_reply *srv) {
    struct place fallback = job->places[0];
    size_t n = 0;

    if (srv && !srv->next && (!srv->host[0] || strcmp(srv->host, ".") == 0))
        return false;
    for (; srv && n < RESOLVE_MAX; srv = srv->next) {
        struct place *p = &job->places[n++];

        snprintf(p->host, sizeof(p->host), "%s", srv->host);
        p->port = srv->port;
        p->priority = srv->priority;
        p->weight = srv->weight;
    }
    if (n == 0 && fallback.port)
        job->places[n++] = fallback;
    job->n_places = n;
    order_places(job);
    return true;
}

static void got_srv(void *arg, int status, int timeouts, unsigned char *reply,
                    int n) {
    struct job *job = arg;
    struct ares_srv_reply *srv = NULL;
    bool there;

    (void)timeouts;
    if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED) {
        job_finish(job, NET_ECLOSED);
        return;
    }
    /* No record or no answer: RFC 6120 section 3.2.2, the domain itself. */
    if (status == ARES_SUCCESS &&
        ares_parse_srv_reply(reply, n, &srv) != ARES_SUCCESS)
        srv = NULL;
    there = take_srv(job, srv);
    if (srv)
        ares_free_data(srv);
    if (there)
        job_addresses(job);
    else
        job_finish(job, NET_EDNS);
}

static void job_run(struct job *job) {
    if (job->run) {
        job->run(job->arg);
        free(job);
    } else if (job->srv[0]) {
        ares_query(job->resolver->channel, job->srv, ns_c_in, ns_t_srv, got_srv,
                   job);
    } else {
        job_addresses(job);
    }
}

/* Runs what is in the list. False: stop. */
static bool run_jobs(struct net_resolver *r) {
    struct job *jobs, *next;
    uint64_t count;
    bool stop;

    if (read(r->wake, &count, sizeof(count)) < 0 && errno != EAGAIN)
        abort();
    pthread_mutex_lock(&r->lock);
    jobs = r->jobs;
    r->jobs = NULL;
    stop = r->stop;
    pthread_mutex_unlock(&r->lock);
    for (; jobs; jobs = next) {
        next = jobs->next;
        job_run(jobs);
    }
    return !stop;
}

/* Waits for the channel's sockets and the eventfd; serves the channel. */
static void wait_once(struct net_resolver *r) {
    ares_socket_t socks[ARES_GETSOCK_MAXNUM];
    struct pollfd fds[ARES_GETSOCK_MAXNUM + 1];
    struct timeval tv, *left;
    /* Not c-ares' own macros: they shift into the sign bit. */
    unsigned mask =
        (unsigned)ares_getsock(r->channel, socks, ARES_GETSOCK_MAXNUM);
    nfds_t n = 0;
    int ms = -1;

    for (unsigned i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
        short events = 0;

        if (mask >> i & 1)
            events |= POLLIN;
        if (mask >> (i + ARES_GETSOCK_MAXNUM) & 1)
            events |= POLLOUT;
        if (events)
            fds[n++] = (struct pollfd){socks[i], events, 0};
    }
    fds[n] = (struct pollfd){r->wake, POLLIN, 0};
    left = ares_timeout(r->channel, NULL, &tv);
    if (left)
        ms = (int)(left->tv_sec * 1000 + left->tv_usec / 1000 + 1);
    if (poll(fds, n + 1, ms) <= 0) {
        ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        return;
    }
    for (nfds_t i = 0; i < n; i++)
        ares_process_fd(r->channel,
                        fds[i].revents & ~POLLOUT ? fds[i].fd : ARES_SOCKET_BAD,
                        fds[i].revents & POLLOUT ? fds[i].fd : ARES_SOCKET_BAD);
}

static void *resolver_main(void *arg) {
    struct net_resolver *r = arg;

    while (run_jobs(r))
        wait_once(r);
    ares_destroy(r->channel); /* ends what is under way */
    return NULL;
}

/* ---- on any thread
 * ------------------------------------------------------------ */

static void push(struct net_resolver *r, struct job *job) {
    uint64_t one = 1;

    pthread_mutex_lock(&r->lock);
    if (job) {
        job->next = r->jobs;
        r->jobs = job;
    } else {
        r->stop = true;
    }
    pthread_mutex_unlock(&r->lock);
    if (write(r->wake, &one, sizeof(one)) != sizeof(one))
        abort();
}

enum net_err resolve_start(struct net_resolver *resolver,
                           const struct net_target *target, resolve_cb cb,
                           void *arg) {
    struct job *job = calloc(1, sizeof(*job));

    if (!job)
        return NET_ENOMEM;
    job->resolver = resolver;
    job->cb = cb;
    job->arg = arg;
    job->n_places = 1;
    job->places[0].port = target->port;
    snprintf(job->places[0].host, sizeof(job->places[0].host), "%s",
             target->host);
    if (target->service)
        snprintf(job->srv, sizeof(job->srv), "%s.%s", target->service,
                 target->host);
    push(resolver, job);
    return NET_OK;
}

struct job *resolve_job_new(void) {
    return calloc(1, sizeof(struct job));
}

void resolve_run(struct net_resolver *resolver, struct job *job,
                 void (*run)(void *arg), void *arg) {
    job->run = run;
    job->arg = arg;
    push(resolver, job);
}

static bool channel_init(struct net_resolver *r, const char *servers) {
    struct ares_options options = {.timeout = RESOLVE_TIMEOUT_MS,
                                   .tries = RESOLVE_TRIES};

    if (ares_init_options(&r->channel, &options,
                          ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES))
        return false;
    if (servers && ares_set_servers_ports_csv(r->channel, servers)) {
        ares_destroy(r->channel);
        return false;
    }
    return true;
}

enum net_err net_resolver_new(struct net_resolver **out, const char *servers) {
    struct net_resolver *r;

    if (ares_library_init(ARES_LIB_INIT_ALL))
        return NET_ENOMEM;
    r = calloc(1, sizeof(*r));
    if (!r || !channel_init(r, servers)) {
        free(r);
        ares_library_cleanup();
        return r ? NET_EARG : NET_ENOMEM;
    }
    r->seed = (unsigned)getpid() ^ (unsigned)(uintptr_t)r;
    pthread_mutex_init(&r->lock, NULL);
    r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->wake < 0 || pthread_create(&r->thread, NULL, resolver_main, r)) {
        if (r->wake >= 0)
            close(r->wake);
        pthread_mutex_destroy(&r->lock);
        ares_destroy(r->channel);
        free(r);
        ares_library_cleanup();
        return NET_ENOMEM;
    }
    *out = r;
    return NET_OK;
}

void net_resolver_free(struct net_resolver *resolver) {
    if (!resolver)
        return;
    push(resolver, NULL);
    pthread_join(resolver->thread, NULL);
    close(resolver->wake);
    pthread_mutex_destroy(&resolver->lock);
    free(resolver);
    ares_library_cleanup();
}
