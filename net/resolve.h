/*
 * resolve.h: names to addresses, for dial.c only. One thread serves all
 * look-ups and calls back; it holds no lock then.
 */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include "net/net.h"

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

/* What it takes to run something later, taken beforehand, so that it cannot
 * fail. NULL if there is no memory; else for free() or resolve_run. */
struct job *resolve_job_new(void);
/* Calls run(arg) on the resolver's thread; takes the job. */
void resolve_run(struct net_resolver *resolver, struct job *job,
                 void (*run)(void *arg), void *arg);

#endif
