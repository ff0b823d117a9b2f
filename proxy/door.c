/* door.c: see door.h. */
#include "proxy/door.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_loopback(const char *addr) {
    return strncmp(addr, "127.", 4) == 0 || strcmp(addr, "::1") == 0;
}

/* ---- certificates ----------------------------------------------------------
 */

static void add(struct net_cert *certs, size_t *n, const char *certificate,
                const char *key) {
    if (certificate)
        certs[(*n)++] = (struct net_cert){certificate, key};
}

/* Each pair once, that of [tersed] first. NULL: no memory. */
static struct net_cert *collect(const struct config *config, size_t *n) {
    const struct config_domain *d;
    struct net_cert *certs;
    size_t most = 1;

    for (d = config->domains; d; d = d->next)
        most++;
    certs = calloc(most, sizeof(*certs));
    *n = 0;
    if (!certs)
        return NULL;
    add(certs, n, config->certificate, config->key);
    for (d = config->domains; d; d = d->next)
        add(certs, n, d->certificate, d->key);
    return certs;
}

static bool frames_alone(const struct config *config) {
    return config->native == SWITCH_ON || config->sp == SWITCH_ON;
}

static bool offer_protocols(const struct config *config) {
    if (!config->tls)
        return true;
    if (frames_alone(config) && net_tls_offer(config->tls, NET_ALPN))
        return false;
    return config->websocket == SWITCH_OFF ||
           !net_tls_offer(config->tls, NET_ALPN_HTTP);
}

static bool load_certificates(struct config *config, char *text) {
    char why[256];
    size_t n;
    struct net_cert *certs = collect(config, &n);
    bool ok = true;

    if (!certs) {
        snprintf(text, 600, "out of memory");
        return false;
    }
    if (n && net_tls_server(&config->tls, certs, n, why)) {
        snprintf(text, 600, "certificate: %s", why);
        ok = false;
    }
    free(certs);
    if (ok && config->tls && config->ticket_secret &&
        net_tls_secret(config->tls, config->ticket_secret, why)) {
        snprintf(text, 600, "ticket_secret: %s", why);
        ok = false;
    }
    return ok && offer_protocols(config);
}

/* A key alone is a mistake. */
static const char *lonely_key(const struct config *config) {
    const struct config_domain *d = config->domains;

    if (config->key && !config->certificate)
        return config->key;
    while (d && (!d->key || d->certificate))
        d = d->next;
    return d ? d->key : NULL;
}

/* An address that nobody could use, or NULL. */
static const char *useless_listen(const struct config *config) {
    char host[256];
    uint16_t port;

    if (config->tls || config->clear == CLEAR_ON)
        return NULL;
    for (size_t i = 0; i < config->n_listen; i++)
        if (net_parse_address(config->listen[i], host, &port, 0) ||
            config->clear == CLEAR_OFF ||
            (!is_loopback(host) && strcmp(host, "localhost") != 0))
            return config->listen[i];
    return NULL;
}

/* ---- load balancers --------------------------------------------------------
 */

static bool add_balancer(struct config *config, const char *word) {
    struct net_range *more =
        realloc(config->balancers, (config->n_balancers + 1) * sizeof(*more));

    if (!more)
        return false;
    config->balancers = more;
    return net_range_parse(word, &more[config->n_balancers++]) == NET_OK;
}

static bool load_balancers(struct config *config, char *text) {
    char *list, *save, *word;
    bool ok = true;

    if (!config->proxy_protocol_from)
        return true;
    list = strdup(config->proxy_protocol_from);
    for (word = list ? strtok_r(list, " \t,", &save) : NULL; ok && word;
         word = strtok_r(NULL, " \t,", &save)) {
        ok = add_balancer(config, word);
        if (!ok)
            snprintf(text, 600,
                     "proxy_protocol_from: neither an address nor a range "
                     "(%.100s)",
                     word);
    }
    free(list);
    return ok && list;
}

bool door_balancer(const struct config *config, const char *peer) {
    for (size_t i = 0; i < config->n_balancers; i++)
        if (net_range_has(&config->balancers[i], peer))
            return true;
    return false;
}

enum net_err door_introduce(const struct config_domain *domain,
                            const struct net_conn *client,
                            struct net_conn *server) {
    uint8_t header[NET_PROXY_MAX];
    struct net_ends ends;
    enum net_err err;

    if (domain->send_proxy == SEND_PROXY_OFF)
        return NET_OK;
    net_conn_ends(client, &ends);
    err = net_conn_write(
        server, header,
        net_proxy_write(header, domain->send_proxy == SEND_PROXY_V1 ? 1 : 2,
                        &ends));
    net_conn_flush(server); /* in clear, whatever follows */
    return err;
}

/* ---- all of it -------------------------------------------------------------
 */

bool door_load(struct config *config, char *text) {
    const char *key = lonely_key(config), *listen;

    config->ws_rules =
        (struct net_ws_rules){config->ws_path, config->ws_origins};
    if (config->ws_path[0] != '/' || strpbrk(config->ws_path, "? #")) {
        snprintf(text, 600, "ws_path: no path of a URL (%.200s)",
                 config->ws_path);
        return false;
    }
    if (!frames_alone(config) && config->websocket == SWITCH_OFF) {
        snprintf(text, 600, "native, sp, websocket: one has to be on");
        return false;
    }
    if (key) {
        snprintf(text, 600, "key: there is no certificate beside it (%.200s)",
                 key);
        return false;
    }
    snprintf(text, 600, "out of memory");
    if (!load_certificates(config, text) || !load_balancers(config, text))
        return false;
    listen = useless_listen(config);
    if (!listen)
        return true;
    snprintf(text, 600,
             "listen: %.100s needs TLS, and there is no certificate; give one, "
             "or say clear = on",
             listen);
    return false;
}

/* ---- clients ---------------------------------------------------------------
 */

struct net_gate door_gate(const struct config *config, const char *peer) {
    return (struct net_gate){
        .tls = config->tls,
        .clear = config->clear == CLEAR_ON ||
                 (config->clear == CLEAR_LOOPBACK && is_loopback(peer)),
        .proxy = door_balancer(config, peer),
    };
}

void door_bindings(const struct config *config, const char *protocol,
                   struct net_framer *framer) {
    bool frames = strcmp(protocol, NET_ALPN_HTTP) != 0;
    bool http = strcmp(protocol, NET_ALPN) != 0;
    unsigned allowed = 0;

    if (frames && config->native == SWITCH_ON)
        allowed |= 1U << NET_FRAMING_NATIVE;
    if (frames && config->sp == SWITCH_ON)
        allowed |= 1U << NET_FRAMING_SP;
    if (http && config->websocket == SWITCH_ON)
        allowed |= 1U << NET_FRAMING_WS;
    net_framer_allow(framer, allowed, &config->ws_rules);
}
