/*
 * resolve.h: names to addresses, for dial.c only. One thread serves all
 * look-ups and calls back; it holds no lock then.
 */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include "net/aio.h"

enum { RESOLVE_MAX = 16 }; /* addresses of one look-up */

struct endpoint {
    char addr[48]; /* numeric */
    uint16_t port;
};

struct endpoints {
    struct endpoint at[RESOLVE_MAX];
    size_t n;
};

/* list: borrowed until the callback returns. err: NET_OK, NET_EDNS, … */
typedef void (*resolve_cb)(void *arg, enum net_err err,
                           const struct endpoints *list);

/* Looks the target up (copied). cb is called exactly once, from another
 * thread. */
NET_NODISCARD enum net_err resolve_start(struct net_resolver *resolver,
                                         const struct net_target *target,
                                         resolve_cb cb, void *arg);

/* What it takes to free a dialler later, taken beforehand, so that freeing it
 * cannot fail. NULL if there is no memory. */
struct job *resolve_job_new(void);
/* Frees an nng dialler (NULL is fine) and its job on the resolver's thread: nng
 * waits in that for a task, which a task thread must never do. */
void resolve_free_dialer(struct net_resolver *resolver, struct job *job,
                         nng_stream_dialer *dialer);

#endif
