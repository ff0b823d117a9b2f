/* server.c: see server.h. */
#include "proxy/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "bridge/log.h"
#include "proxy/admin.h"
#include "proxy/door.h"
#include "proxy/held.h"
#include "proxy/session.h"

/* Descriptors that are not a session's, and what one session takes. */
enum { SPARE_DESCRIPTORS = 128, SESSION_DESCRIPTORS = 2 };
/* What is under the budget again after the keeper has been at work. */
enum { RELIEF = 8 };
/* Lines a second, and at once, about who is not admitted. */
enum { COMPLAINT_RATE = 5, COMPLAINT_BURST = 50 };

uint64_t server_now(void) {
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

struct config *server_config(struct server *server) {
    struct config *config;

    pthread_mutex_lock(&server->lock);
    config = server->config;
    config_hold(config);
    pthread_mutex_unlock(&server->lock);
    return config;
}

/* ---- the list
 * ----------------------------------------------------------------- */

/* With server.lock. Counts the address, if there may be one more from there. */
static bool room_for(struct server *server, const char *peer, enum limit *hit) {
    const struct config *config = server->config;

    switch (addresses_enter(server->addresses, peer, server_now(),
                            config->max_per_address, config->connect_rate)) {
    case ADMIT_YES:
        return true;
    case ADMIT_TOO_MANY:
        *hit = LIMIT_PER_ADDRESS;
        return false;
    case ADMIT_TOO_FAST:
        *hit = LIMIT_CONNECT_RATE;
        return false;
    default:
        *hit = LIMIT_MEMORY;
        return false;
    }
}

/* With server.lock. Behind a load balancer, the address comes later. */
static bool room(struct server *server, struct session *session,
                 enum limit *hit) {
    const struct config *config = server->config;
    uint32_t most = config->max_connections < server->most
                        ? config->max_connections
                        : server->most;

    *hit = LIMIT_COUNT;
    if (server->draining)
        return false;
    *hit = LIMIT_CONNECTIONS;
    if (server->n_listed >= most)
        return false;
    *hit = LIMIT_MEMORY;
    if (metrics_get(&server->metrics, METRIC_MEMORY) >
        (long)atomic_load(&server->budget))
        return false;
    if (door_balancer(config, session->peer))
        return true;
    session->counted = room_for(server, session->peer, hit);
    return session->counted;
}

bool server_readdress(struct server *server, struct session *session,
                      const char *peer, uint16_t port, enum limit *hit) {
    bool admitted;

    pthread_mutex_lock(&server->lock);
    admitted = room_for(server, peer, hit);
    if (admitted)
        session->counted = true;
    else
        metrics_hit(&server->metrics, *hit);
    snprintf(session->peer, sizeof(session->peer), "%s", peer);
    session->port = port;
    pthread_mutex_unlock(&server->lock);
    return admitted;
}

bool server_admit(struct server *server, struct session *session,
                  enum limit *hit) {
    bool admitted;

    pthread_mutex_lock(&server->lock);
    admitted = room(server, session, hit);
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
        metrics_add(&server->metrics, METRIC_SESSIONS, 1);
        metrics_add(&server->metrics, METRIC_ACCEPTED, 1);
        atomic_fetch_add(&server->metrics.states[session->state], 1);
    } else if (*hit != LIMIT_COUNT) {
        metrics_hit(&server->metrics, *hit);
    }
    pthread_mutex_unlock(&server->lock);
    return admitted;
}

bool server_complains(struct server *server, uint64_t *unsaid) {
    bool says;

    pthread_mutex_lock(&server->lock);
    says = bucket_take(&server->complaints, server_now(), COMPLAINT_RATE,
                       COMPLAINT_BURST);
    *unsaid = server->unsaid;
    server->unsaid = says ? 0 : server->unsaid + 1;
    pthread_mutex_unlock(&server->lock);
    return says;
}

/* With server.lock. */
static void unlist(struct server *server, struct session *session) {
    if (session->listed) {
        session->listed = false;
        *session->prev = session->next;
        if (session->next)
            session->next->prev = session->prev;
        server->n_listed--;
        if (session->counted)
            addresses_leave(server->addresses, session->peer, server_now());
        metrics_add(&server->metrics, METRIC_SESSIONS, -1);
        atomic_fetch_sub(&server->metrics.states[session->state], 1);
    }
}

void server_unlist(struct server *server, struct session *session) {
    pthread_mutex_lock(&server->lock);
    unlist(server, session);
    pthread_mutex_unlock(&server->lock);
}

void server_hand_over(struct server *server, struct session *from,
                      struct session *to) {
    pthread_mutex_lock(&server->lock);
    if (to->counted)
        addresses_leave(server->addresses, to->peer, server_now());
    to->counted = from->counted;
    from->counted = false;
    memcpy(to->peer, from->peer, sizeof(to->peer));
    to->port = from->port;
    pthread_mutex_unlock(&server->lock);
}

void server_forget(struct server *server) {
    pthread_mutex_lock(&server->lock);
    server->n_alive--;
    pthread_cond_signal(&server->left);
    pthread_mutex_unlock(&server->lock);
}

struct session **server_hold_all(struct server *server, size_t *n) {
    struct session **all;
    struct session *s;

    *n = 0;
    pthread_mutex_lock(&server->lock);
    all = calloc(server->n_listed + 1, sizeof(struct session *));
    for (s = all ? server->sessions : NULL; s; s = s->next)
        if (net_owner_try_hold(&s->owner))
            all[(*n)++] = s;
    pthread_mutex_unlock(&server->lock);
    return all;
}

void server_release_all(struct session **all, size_t n) {
    for (size_t i = 0; i < n; i++)
        net_owner_rele(&all[i]->owner);
    free(all);
}

/* ---- memory
 * -------------------------------------------------------------------- */

static bool over(struct server *server, unsigned less) {
    long budget = (long)atomic_load(&server->budget);

    return metrics_get(&server->metrics, METRIC_MEMORY) >
           budget - (less ? budget / (long)less : 0);
}

/* With server.lock: who holds most, held; NULL if nobody has anything. */
static struct session *largest(struct server *server) {
    struct session *best = NULL;
    size_t most = 0;

    for (struct session *s = server->sessions; s; s = s->next) {
        size_t n = atomic_load_explicit(&s->charged, memory_order_relaxed);

        if (n > most) {
            most = n;
            best = s;
        }
    }
    return best && net_owner_try_hold(&best->owner) ? best : NULL;
}

static void *keep(void *arg) {
    struct server *server = arg;

    pthread_mutex_lock(&server->lock);
    while (!server->stopping) {
        struct session *s = NULL;

        if (over(server, RELIEF))
            s = largest(server);
        if (!s) {
            /* What is not yet said of who was sent away is waited for. */
            while (!server->stopping && !over(server, 0))
                pthread_cond_wait(&server->pressure, &server->lock);
            continue;
        }
        pthread_mutex_unlock(&server->lock);
        net_lock(&s->owner);
        session_shed(s);
        net_unlock(&s->owner);
        net_owner_rele(&s->owner);
        pthread_mutex_lock(&server->lock);
    }
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

void server_press(struct server *server) {
    if (!over(server, 0))
        return;
    /* Not with its lock: a session's is held. A signal that comes before the
     * keeper waits is missed, and the next event of any session signals again.
     */
    pthread_cond_signal(&server->pressure);
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

/* For how many sessions there are descriptors. */
static uint32_t descriptors(const struct config *config) {
    struct rlimit limit;
    char most[24];
    rlim_t n;

    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == RLIM_INFINITY)
        return UINT32_MAX;
    n = limit.rlim_cur > SPARE_DESCRIPTORS + SESSION_DESCRIPTORS
            ? (limit.rlim_cur - SPARE_DESCRIPTORS) / SESSION_DESCRIPTORS
            : 1;
    if (n < config->max_connections) {
        snprintf(most, sizeof(most), "%lu", (unsigned long)n);
        log_event(LOG_WARN, 0, "few-descriptors", "max_connections", most,
                  "text", "raise the limit of open files (LimitNOFILE)", NULL);
    }
    return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
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
    pthread_cond_init(&server->pressure, NULL);
    server->config = config;
    atomic_init(&server->budget, config->memory);
    server->most = descriptors(config);
    server->addresses = addresses_new();
    server->pool = bridge_pool_new();
    server->held = held_new();
    if (!server->addresses || !server->pool || !server->held ||
        terse_schema_new(&server->schema) ||
        pthread_create(&server->keeper, NULL, keep, server))
        err = NET_ENOMEM;
    else
        server->keeping = true;
    if (!err) {
        err = net_resolver_new(&server->resolver, config->dns_servers);
        if (err == NET_EARG)
            snprintf(text, 300, "dns_servers: not a list of addresses");
    }
    if (!err)
        err = listen_all(server, text);
    if (!err && config->admin)
        err = admin_new(&server->admin, server, config->admin, text);
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
    atomic_store(&server->budget, config->memory);
    pthread_mutex_unlock(&server->lock);
    log_set_level((enum log_level)config->log_level);
    config_rele(old);
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

    pthread_mutex_lock(&server->lock);
    server->draining = true;
    pthread_mutex_unlock(&server->lock);
    stop_listening(server);
    all = server_hold_all(server, &n);
    for (size_t i = 0; i < n; i++) {
        net_lock(&all[i]->owner);
        session_drain(all[i]);
        net_unlock(&all[i]->owner);
    }
    server_release_all(all, n);
    return wait_for_all(server);
}

void server_free(struct server *server) {
    admin_free(server->admin);
    if (server->keeping) {
        pthread_mutex_lock(&server->lock);
        server->stopping = true;
        pthread_cond_signal(&server->pressure);
        pthread_mutex_unlock(&server->lock);
        pthread_join(server->keeper, NULL);
    }
    net_resolver_free(server->resolver);
    bridge_pool_free(server->pool);
    held_free(server->held);
    addresses_free(server->addresses);
    terse_schema_free(server->schema);
    config_rele(server->config);
    pthread_cond_destroy(&server->pressure);
    pthread_cond_destroy(&server->left);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

bool server_alive(struct server *server) {
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    if (pthread_mutex_timedlock(&server->lock, &until))
        return false;
    pthread_mutex_unlock(&server->lock);
    return true;
}

void server_report(struct server *server) {
    static const struct {
        const char *key;
        enum metric metric;
    } rows[] = {
        {"sessions", METRIC_ACCEPTED},     {"logged_in", METRIC_LOGINS},
        {"now", METRIC_SESSIONS},          {"frames_in", METRIC_FRAMES_IN},
        {"frames_out", METRIC_FRAMES_OUT}, {"bytes_in", METRIC_BYTES_IN},
    };
    char values[7][24];
    long refused = 0;

    for (size_t i = 0; i < 6; i++)
        snprintf(values[i], sizeof(values[i]), "%ld",
                 metrics_get(&server->metrics, rows[i].metric));
    for (enum limit l = 0; l < LIMIT_COUNT; l++)
        refused += atomic_load(&server->metrics.limits[l]);
    snprintf(values[6], sizeof(values[6]), "%ld", refused);
    log_event(LOG_INFO, 0, "report", rows[0].key, values[0], rows[1].key,
              values[1], rows[2].key, values[2], "refused", values[6],
              rows[3].key, values[3], rows[4].key, values[4], rows[5].key,
              values[5], NULL);
}
