/* probe.c: see probe.h. */
#include "proxy/probe.h"

#include <stdlib.h>

/* How long a success is good for, and a failure is not tried again. */
enum { PROBE_GOOD_S = 10, PROBE_AGAIN_S = 1 };

struct probe {
    struct net_owner owner; /* first */
    struct server *server;
    struct config *config; /* held */
    struct config_domain *domain;
    struct net_dial *dial;
};

static int64_t now_s(void) { return (int64_t)(server_now() / 1000000) + 1; }

/* It counts as a session for server_drain: the resolver must outlive it. */
static void probe_fini(struct net_owner *owner) {
    struct probe *probe = (struct probe *)owner;
    struct server *server = probe->server;

    config_rele(probe->config);
    net_owner_fini(owner);
    free(probe);
    server_forget(server);
}

static void dialled(void *arg, enum net_err err, const char *text,
                    struct net_stream *stream) {
    struct probe *probe = arg;

    (void)text;
    net_stream_drop(stream);
    atomic_store(&probe->domain->reached, err ? -now_s() : now_s());
}

static bool admit(struct server *server) {
    bool wanted;

    pthread_mutex_lock(&server->lock);
    wanted = !server->draining;
    server->n_alive += wanted;
    pthread_mutex_unlock(&server->lock);
    return wanted;
}

static void begin(struct server *server, struct config *config,
                  struct config_domain *domain) {
    struct probe *probe = calloc(1, sizeof(*probe));
    bool direct = domain->tls_how == TLS_DIRECT;
    struct net_target target = {domain->name, direct ? 5223 : 5222,
                                direct ? "_xmpps-client._tcp"
                                       : "_xmpp-client._tcp"};
    enum net_err err = NET_OK;
    char host[256];

    if (!probe || !admit(server)) {
        free(probe);
        return;
    }
    if (net_owner_init(&probe->owner, probe_fini)) {
        free(probe);
        server_forget(server);
        return;
    }
    probe->server = server;
    probe->config = config;
    config_hold(config);
    probe->domain = domain;
    if (domain->server) {
        err =
            net_parse_address(domain->server, host, &target.port, target.port);
        target.host = host;
        target.service = NULL;
    }
    net_lock(&probe->owner);
    if (!err)
        err = net_dial_new(&probe->dial, &probe->owner, server->resolver,
                           &target, config->connect_timeout, dialled, probe);
    net_unlock(&probe->owner);
    net_owner_rele(&probe->owner);
}

bool probe_reached(struct server *server, struct config *config,
                   struct config_domain *domain) {
    int64_t at = atomic_load(&domain->reached), now = now_s();
    bool reached = at > 0;

    /* Whoever moves the time forward is the one who asks. */
    if (now - (reached ? at : -at) >=
            (reached ? PROBE_GOOD_S : PROBE_AGAIN_S) &&
        atomic_compare_exchange_strong(&domain->reached, &at,
                                       reached ? now : -now))
        begin(server, config, domain);
    return reached;
}
