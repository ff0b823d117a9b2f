/* client_link.c: one connection after the other: to which host, and when. */
#include "client/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* A connection that did not live as long was no success: back-off goes on. */
enum { SHORT_MS = 5000 };

/* ---- hosts
 * ---------------------------------------------------------------------- */

/* "::1" without brackets has no port. */
static bool is_ipv6(const char *text) {
    const char *colon = strchr(text, ':');

    return text[0] != '[' && colon && strchr(colon + 1, ':');
}

static bool add_host(struct terse_client *client, const char *text,
                     uint16_t port) {
    struct client_host *host = &client->hosts[client->n_hosts];

    host->revision = 1;
    host->port = port;
    if (is_ipv6(text) && strlen(text) < sizeof(host->name))
        memcpy(host->name, text, strlen(text) + 1);
    else if (net_parse_address(text, host->name, &host->port, port))
        return false;
    client->n_hosts++;
    return host->name[0] && host->port;
}

enum terse_client_err client_hosts(struct terse_client *client,
                                   const char *list, uint16_t port) {
    size_t n = 1;
    enum terse_client_err err = TERSE_CLIENT_OK;

    for (const char *p = list; *p; p++)
        n += *p == ',';
    client->hosts = calloc(n, sizeof(*client->hosts));
    if (!client->hosts)
        return TERSE_CLIENT_ENOMEM;
    while (!err && n-- > 0) {
        char text[320];
        size_t len = strcspn(list, ",");

        snprintf(text, sizeof(text), "%.*s", (int)len, list);
        if (len == 0 || len >= sizeof(text) || strlen(text) > 255 + 6 ||
            !add_host(client, text, port))
            err = TERSE_CLIENT_EARG;
        list += len + (list[len] == ',');
    }
    return err;
}

/* ---- what can be tried again
 * --------------------------------------------------------- */

static bool is_one_of(const char *condition, const char *const *list) {
    while (*list && strcmp(*list, condition) != 0)
        list++;
    return *list != NULL;
}

/* Coming again would change nothing, or throw somebody else out. */
static const char *const final_errors[] = {"conflict",
                                           "policy-violation",
                                           "not-authorized",
                                           "host-unknown",
                                           "host-gone",
                                           "improper-addressing",
                                           "invalid-from",
                                           "invalid-namespace",
                                           "unsupported-version",
                                           "unsupported-feature",
                                           "unsupported-encoding",
                                           "bad-namespace-prefix",
                                           NULL};
/* Of SASL and binding: it may be otherwise in a while. */
static const char *const passing[] = {"temporary-auth-failure",
                                      "resource-constraint",
                                      "internal-server-error", NULL};

/* By what it was. */
static bool may_pass(const struct terse_client *client,
                     const struct terse_client_error *why) {
    switch (why->code) {
    case TERSE_CLIENT_ENOMEM:
    case TERSE_CLIENT_ECONNECT:
    case TERSE_CLIENT_ELOST:
    case TERSE_CLIENT_ETIMEOUT:
    case TERSE_CLIENT_EPROTO:
    case TERSE_CLIENT_ECLOSED: /* by the other end */
        return true;
    case TERSE_CLIENT_ETLS: /* a network that wants a web page to be seen first
                               shows its own certificate */
        return client->session > 0 || client->restored ||
               client->tried + 1 < client->n_hosts;
    case TERSE_CLIENT_ESTREAM:
        return !is_one_of(why->condition, final_errors);
    case TERSE_CLIENT_EAUTH:
    case TERSE_CLIENT_EBIND:
        return is_one_of(why->condition, passing);
    default:
        return false;
    }
}

bool client_may_retry(const struct terse_client *client,
                      const struct terse_client_error *why) {
    bool blocking = !client->options.on.stanza;
    bool begun = client->session > 0 || client->restored || !blocking;

    if (client->stopping || client->state == STATE_NEW ||
        client->state == STATE_CLOSING || !may_pass(client, why))
        return false;
    /* At first: the other hosts, in any case. */
    if (client->session == 0 && client->tried + 1 < client->n_hosts)
        return true;
    return client->lasting && begun &&
           (!client->options.retries ||
            client->attempts < client->options.retries);
}

/* ---- when
 * ----------------------------------------------------------------------- */

static uint32_t pause_ms(const struct terse_client *client) {
    uint32_t dice = 0;

    if (getrandom(&dice, sizeof(dice), GRND_NONBLOCK) != sizeof(dice))
        dice = (uint32_t)client_now() * 2654435761u;
    return phone_backoff(client->attempts, client->options.retry_least_ms,
                         client->options.retry_most_ms, dice);
}

void client_link_lost(struct terse_client *client,
                      const struct terse_client_error *why) {
    bool was_ready = client->state == STATE_READY;
    uint64_t lived = client_now() - client->ready_at;

    client->lost = *why;
    client->lost_due = true;
    /* It may not have known what was said first. */
    if (client->state == STATE_OPENING)
        client->hosts[client->host].revision = 1;
    client_move(client, EVENT_LOST);
    client_sasl_fini(&client->sasl);
    if (was_ready && lived >= SHORT_MS) {
        client->tried = client->attempts = 0;
        client->again_ms = pause_ms(client);
    } else if (!was_ready && ++client->tried < client->n_hosts) {
        client->host = (client->host + 1) % client->n_hosts;
        client->again_ms = 0;
    } else {
        if (!was_ready)
            client->host = (client->host + 1) % client->n_hosts;
        client->tried = 0;
        client->again_ms = pause_ms(client);
        client->attempts++;
    }
    /* Nothing that was sent can be answered any more. */
    if (!client->sm.on || !client->sm_id)
        client_iq_orphans(client);
    net_timer_set(client->timer, client->again_ms);
}

void client_link_again(struct terse_client *client) {
    client_cut(client, NET_CLOSE_ABORT);
    client_move(client, EVENT_LOST);
    client_sasl_fini(&client->sasl);
    if (!client->sm.on || !client->sm_id)
        client_iq_orphans(client);
    net_timer_set(client->timer, 0);
}

void client_link_retry(struct terse_client *client) {
    enum terse_client_err err;

    if (!client_move(client, EVENT_RETRY))
        return;
    err = client_dial(client);
    if (err)
        client_end(client, false, err, NULL, "dialling: %s",
                   terse_client_strerror(err));
}

void client_link_ready(struct terse_client *client) {
    client->tried = 0;
    client->ready_at = client_now();
}

void terse_client_hint_network(struct terse_client *client, bool changed) {
    uint32_t answer = client->options.answer_ms;

    net_lock(&client->owner);
    if (!client->lasting || client->state == STATE_NEW ||
        client->state >= STATE_CLOSING) {
        net_unlock(&client->owner);
        return;
    }
    client->attempts = client->tried = 0;
    if (client->state == STATE_WAITING) {
        net_timer_set(client->timer, 0);
    } else if (client->state == STATE_READY && !changed && client->peer_beats) {
        client->patience = answer < 3000 ? answer : 3000;
        client->asked = client_now();
        client->by_silence = false;
        if (client_put_beat(client, 1))
            client_flush_now(client);
        client_turn(client, false);
    } else {
        client_link_again(client);
    }
    net_unlock(&client->owner);
}
