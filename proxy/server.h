/*
 * server.h: tersed as a whole: what all sessions share, and the list of them.
 *
 * server.lock guards the list, config, addresses, draining and stopping. With
 * it, no session's lock is taken; the other way round is fine.
 *
 * When sessions together hold more memory than the configuration allows, a
 * thread of its own, the keeper, sends away who holds most: a session cannot,
 * since it has its own lock.
 */
#ifndef PROXY_SERVER_H
#define PROXY_SERVER_H

#include "bridge/bridge.h"
#include "proxy/config.h"
#include "proxy/limits.h"
#include "proxy/metrics.h"
#include "proxy/state.h"

struct admin;
struct held;
struct session;

struct server {
    pthread_mutex_t lock;
    pthread_cond_t left;     /* a session has gone */
    pthread_cond_t pressure; /* memory is over the budget, or stopping */
    struct config *config;
    struct session *sessions;
    size_t n_listed; /* in the list */
    size_t n_alive;  /* not yet freed: at least n_listed */
    bool draining;
    bool stopping; /* the keeper shall end */
    bool keeping;  /* it runs */
    pthread_t keeper;
    uint64_t next_id;
    uint32_t most; /* sessions for which there are descriptors */
    struct addresses *addresses;
    struct bucket complaints; /* lines about who was not admitted, */
    uint64_t unsaid;          /* and how many there were no lines for */
    struct terse_schema *schema;
    struct bridge_pool *pool;
    struct held *held; /* sessions that clients may come back to */
    struct net_resolver *resolver;
    struct net_listener *listeners[CONFIG_LISTENS];
    size_t n_listeners;
    struct admin *admin;    /* NULL: none */
    atomic_uint budget;     /* config->memory */
    struct metrics metrics; /* any thread */
};

/* Whether that somebody was not admitted is to be logged: not each time, where
 * somebody tries that all the time. *unsaid: how often it was not, since. */
bool server_complains(struct server *server, uint64_t *unsaid);
/* Starts listening. Takes config on success. On an error `text` (300 bytes)
 * says why. */
NET_NODISCARD enum net_err server_start(struct server **out,
                                        struct config *config, char *text);
/* New sessions get this config, which it takes. */
void server_reconfigure(struct server *server, struct config *config);
/* Stops listening, tells all sessions, waits for them for drain_timeout.
 * True if all are gone. */
bool server_drain(struct server *server);
/* After a drain that was complete. */
void server_free(struct server *server);
/* Whether it still works: its lock can be had within a second. */
bool server_alive(struct server *server);
/* Logs the counters. */
void server_report(struct server *server);

/* Puts a new session into the list and gives it id and config. If that is not
 * to be, `*hit` is the limit, or LIMIT_COUNT for another reason. */
bool server_admit(struct server *server, struct session *session,
                  enum limit *hit);
/* Its address became known, by a PROXY header: false if there are too many from
 * there. With the session's lock. */
bool server_readdress(struct server *server, struct session *session,
                      const char *peer, uint16_t port, enum limit *hit);
/* `from` gives its address to `to`, and is counted no more; it is still to be
 * freed. With both their locks. */
void server_hand_over(struct server *server, struct session *from,
                      struct session *to);
/* All sessions that live, held, in an array of *n that the caller releases;
 * NULL for lack of memory. */
struct session **server_hold_all(struct server *server, size_t *n);
void server_release_all(struct session **all, size_t n);
/* Says that memory may be over the budget. Any thread, with a session's lock or
 * without. */
void server_press(struct server *server);
/* The configuration, held. */
struct config *server_config(struct server *server);
/* Microseconds of the monotonic clock. */
uint64_t server_now(void);
/* Takes it out of the list, before it is freed; and after it is. */
void server_unlist(struct server *server, struct session *session);
void server_forget(struct server *server);

#endif
