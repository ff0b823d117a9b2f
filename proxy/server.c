/* server.c: see server.h. */
#include "proxy/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bridge/log.h"
#include "proxy/door.h"
#include "proxy/session.h"

/* ---- the list
 * ----------------------------------------------------------------- */

/* With server.lock. */
static bool room_for(const struct server *server, const char *peer) {
    const struct session *s = server->sessions;
    uint32_t same = 0;

    for (; s; s = s->next)
        same += strcmp(s->peer, peer) == 0;
    return same < server->config->max_per_address;
}

/* With server.lock. Behind a load balancer, addresses come later. */
static bool room(const struct server *server, const char *peer) {
    if (server->draining || server->n_listed >= server->config->max_connections)
        return false;
    return door_balancer(server->config, peer) || room_for(server, peer);
}

bool server_readdress(struct server *server, struct session *session,
                      const char *peer, uint16_t port) {
    bool admitted;

    pthread_mutex_lock(&server->lock);
    admitted = room_for(server, peer);
    if (!admitted)
        atomic_fetch_add(&server->refused, 1);
    snprintf(session->peer, sizeof(session->peer), "%s", peer);
    session->port = port;
    pthread_mutex_unlock(&server->lock);
    return admitted;
}

bool server_admit(struct server *server, struct session *session) {
    bool admitted;

    pthread_mutex_lock(&server->lock);
    admitted = room(server, session->peer);
    session->id = ++server->next_id;
    session->config = server->config;
    config_hold(session->config);
    server->n_alive++;
    if (admitted) {
        session->next = server->sessions;
        session->prev = &server->sessions;
        if (session->next)
            session->next->prev = &session->next;
        server->sessions = session;
        server->n_listed++;
        session->listed = true;
    } else {
        atomic_fetch_add(&server->refused, 1);
    }
    pthread_mutex_unlock(&server->lock);
    return admitted;
}

void server_unlist(struct server *server, struct session *session) {
    pthread_mutex_lock(&server->lock);
    if (session->listed) {
        *session->prev = session->next;
        if (session->next)
            session->next->prev = session->prev;
        server->n_listed--;
    }
    pthread_mutex_unlock(&server->lock);
}

void server_forget(struct server *server) {
    pthread_mutex_lock(&server->lock);
    server->n_alive--;
    pthread_cond_signal(&server->left);
    pthread_mutex_unlock(&server->lock);
}

/* ---- life
 * ----------------------------------------------------------------------- */

static enum net_err listen_all(struct server *server, char *text) {
    for (size_t i = 0; i < server->config->n_listen; i++) {
        const char *address = server->config->listen[i];
        enum net_err err =
            net_listener_new(&server->listeners[server->n_listeners], address,
                             session_accept, server);
        char port[8];

        if (err) {
            snprintf(text, 300, "listen %s: %s", address, net_strerror(err));
            return err;
        }
        snprintf(port, sizeof(port), "%u",
                 net_listener_port(server->listeners[server->n_listeners++]));
        log_event(LOG_INFO, 0, "listening", "address", address, "port", port,
                  NULL);
    }
    return NET_OK;
}

static void stop_listening(struct server *server) {
    while (server->n_listeners)
        net_listener_free(server->listeners[--server->n_listeners]);
}

enum net_err server_start(struct server **out, struct config *config,
                          char *text) {
    struct server *server = calloc(1, sizeof(*server));
    pthread_condattr_t attr;
    enum net_err err = NET_OK;

    snprintf(text, 300, "out of memory");
    if (!server)
        return NET_ENOMEM;
    pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&server->left, &attr);
    pthread_condattr_destroy(&attr);
    server->config = config;
    if (terse_schema_new(&server->schema))
        err = NET_ENOMEM;
    if (!err) {
        err = net_resolver_new(&server->resolver, config->dns_servers);
        if (err == NET_EARG)
            snprintf(text, 300, "dns_servers: not a list of addresses");
    }
    if (!err)
        err = listen_all(server, text);
    if (err) {
        /* Whoever got in meanwhile is told, and waited for. */
        config_hold(config);
        if (server_drain(server))
            server_free(server);
        return err;
    }
    *out = server;
    return NET_OK;
}

void server_reconfigure(struct server *server, struct config *config) {
    struct config *old;

    pthread_mutex_lock(&server->lock);
    old = server->config;
    net_tls_inherit(config->tls, old->tls);
    server->config = config;
    pthread_mutex_unlock(&server->lock);
    log_set_level((enum log_level)config->log_level);
    config_rele(old);
}

/* All sessions that live, held, in an array of *n; NULL for lack of memory. */
static struct session **hold_all(struct server *server, size_t *n) {
    struct session **all;
    struct session *s;

    *n = 0;
    pthread_mutex_lock(&server->lock);
    server->draining = true;
    all = calloc(server->n_listed + 1, sizeof(struct session *));
    for (s = all ? server->sessions : NULL; s; s = s->next)
        if (net_owner_try_hold(&s->owner))
            all[(*n)++] = s;
    pthread_mutex_unlock(&server->lock);
    return all;
}

static bool wait_for_all(struct server *server) {
    struct timespec until;
    uint32_t ms;
    bool gone;

    clock_gettime(CLOCK_MONOTONIC, &until);
    pthread_mutex_lock(&server->lock);
    ms = server->config->drain_timeout;
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (server->n_alive &&
           pthread_cond_timedwait(&server->left, &server->lock, &until) == 0)
        ;
    gone = server->n_alive == 0;
    pthread_mutex_unlock(&server->lock);
    return gone;
}

bool server_drain(struct server *server) {
    struct session **all;
    size_t n;

    stop_listening(server);
    all = hold_all(server, &n);
    for (size_t i = 0; i < n; i++) {
        net_lock(&all[i]->owner);
        session_drain(all[i]);
        net_unlock(&all[i]->owner);
        net_owner_rele(&all[i]->owner);
    }
    free(all);
    return wait_for_all(server);
}

void server_free(struct server *server) {
    net_resolver_free(server->resolver);
    terse_schema_free(server->schema);
    config_rele(server->config);
    pthread_cond_destroy(&server->left);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

void server_report(struct server *server) {
    char sessions[24], in[24], out[24], bytes[24], refused[24], up[24];

    snprintf(sessions, sizeof(sessions), "%llu",
             (unsigned long long)server->next_id);
    snprintf(in, sizeof(in), "%lu", atomic_load(&server->frames_in));
    snprintf(out, sizeof(out), "%lu", atomic_load(&server->frames_out));
    snprintf(bytes, sizeof(bytes), "%lu", atomic_load(&server->bytes_in));
    snprintf(refused, sizeof(refused), "%lu", atomic_load(&server->refused));
    snprintf(up, sizeof(up), "%lu", atomic_load(&server->entered[STATE_UP]));
    log_event(LOG_INFO, 0, "report", "sessions", sessions, "logged_in", up,
              "refused", refused, "frames_in", in, "frames_out", out,
              "bytes_in", bytes, NULL);
}
