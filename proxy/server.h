/*
 * server.h: tersed as a whole: what all sessions share, and the list of them.
 *
 * server.lock guards the list, config and draining. It is never held together
 * with a session's lock.
 */
#ifndef PROXY_SERVER_H
#define PROXY_SERVER_H

#include "bridge/bridge.h"
#include "proxy/config.h"
#include "proxy/state.h"

struct session;

struct server {
    pthread_mutex_t lock;
    pthread_cond_t left; /* a session has gone */
    struct config *config;
    struct session *sessions;
    size_t n_listed; /* in the list */
    size_t n_alive;  /* not yet freed: at least n_listed */
    bool draining;
    uint64_t next_id;
    struct terse_schema *schema;
    struct net_resolver *resolver;
    struct net_listener *listeners[CONFIG_LISTENS];
    size_t n_listeners;
    atomic_ulong entered[STATE_COUNT]; /* how often sessions entered a state */
    atomic_ulong refused;              /* connections over a cap */
    atomic_ulong frames_in, frames_out;
    atomic_ulong bytes_in; /* from clients */
};

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
/* Logs the counters. */
void server_report(struct server *server);

/* Puts a new session into the list and gives it id and config; false if there
 * are too many, or none wanted. */
bool server_admit(struct server *server, struct session *session);
/* Its address became known, by a PROXY header: false if there are too many from
 * there. With the session's lock. */
bool server_readdress(struct server *server, struct session *session,
                      const char *peer, uint16_t port);
/* Takes it out of the list, before it is freed; and after it is. */
void server_unlist(struct server *server, struct session *session);
void server_forget(struct server *server);

#endif
