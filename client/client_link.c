/* client_link.c: one connection after the other: to which host, and when. A
 * session that is held somewhere is looked for there first; then the hosts that
 * were configured have their turns, from the one that was good last; then there
 * is a pause, and all begins again. */
#include "client/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* A connection that did not live as long was no success: back-off goes on. */
enum { SHORT_MS = 5000 };
/* A login that was dropped may reach the server for as long, and take the
 * session from the next one. */
enum { CROSSING_MS = 60000 };

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
    client->hosts = calloc(n + 1, sizeof(*client->hosts));
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

bool client_on_location(const struct terse_client *client) {
    return client->host == client->n_hosts;
}

void client_locate(struct terse_client *client, const char *text) {
    struct client_host *host = &client->hosts[client->n_hosts];
    struct client_host told = {.revision = client->revision};
    enum terse_client_switch follow = client->options.location;

    client->located =
        follow != TERSE_CLIENT_OFF &&
        (client->tls || follow == TERSE_CLIENT_ON) &&
        phone_location(text, client->options.port, told.name, &told.port);
    if (client->located)
        *host = told;
}

/* Where the next connection begins to look. */
static uint32_t first_host(const struct terse_client *client) {
    return client->located ? client->n_hosts : client->base;
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

/* Whether a conflict may be with ourselves: a login that we gave up, or a
 * session that the server has moved since, as we come back to it. Once each, so
 * that two devices do not take turns. */
static bool with_ourselves(struct terse_client *client) {
    bool crossed;

    if (client->state != STATE_READY) {
        /* What the token leads to is no more. */
        client_wipe_free(client->token);
        client->token = NULL;
        return client->sm.on && client->sm_id && client->attempts < 3;
    }
    crossed =
        client->dropped_at && client_now() - client->dropped_at < CROSSING_MS;
    client->dropped_at = 0;
    return crossed;
}

/* By what it was. */
static bool may_pass(struct terse_client *client,
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
        return !is_one_of(why->condition, final_errors) ||
               (strcmp(why->condition, "conflict") == 0 &&
                with_ourselves(client));
    case TERSE_CLIENT_EAUTH:
    case TERSE_CLIENT_EBIND:
        return is_one_of(why->condition, passing);
    default:
        return false;
    }
}

bool client_may_retry(struct terse_client *client,
                      const struct terse_client_error *why) {
    bool blocking = !client->options.on.stanza;
    bool begun = client->session > 0 || client->restored || !blocking;
    bool passes;

    if (client->stopping || client->state == STATE_NEW ||
        client->state == STATE_CLOSING)
        return false;
    passes = may_pass(client, why);
    if (client_on_location(client) && client->state < STATE_READY) {
        client->located = client->located && passes;
        return true; /* the last word is with those that were configured */
    }
    if (!passes)
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

static void note_dropped(struct terse_client *client) {
    if (client->state > STATE_DIALLING && client->state < STATE_READY)
        client->dropped_at = client_now();
}

/* And then from the beginning. */
static void begin_again(struct terse_client *client, uint32_t again_ms) {
    client->tried = 0;
    client->host = first_host(client);
    client->again_ms = again_ms;
}

void client_link_lost(struct terse_client *client,
                      const struct terse_client_error *why) {
    bool was_ready = client->state == STATE_READY;
    uint64_t lived = client_now() - client->ready_at;

    note_dropped(client);
    client->lost = *why;
    client->lost_due = true;
    /* It may not have known what was said first. */
    if (client->state == STATE_OPENING)
        client->hosts[client->host].revision = 1;
    client_move(client, EVENT_LOST);
    client_sasl_fini(&client->sasl);
    client->again_ms = 0;
    if (was_ready && lived >= SHORT_MS) {
        client->attempts = 0;
        begin_again(client, pause_ms(client));
    } else if (was_ready) {
        begin_again(client, pause_ms(client));
        client->attempts++;
    } else if (client_on_location(client)) {
        client->host = client->base;
    } else {
        client->host = client->base = (client->base + 1) % client->n_hosts;
        if (++client->tried >= client->n_hosts) {
            begin_again(client, pause_ms(client));
            client->attempts++;
        }
    }
    /* Nothing that was sent can be answered any more. */
    if (!client->sm.on || !client->sm_id)
        client_iq_orphans(client);
    net_timer_set(client->timer, client->again_ms);
}

void client_link_again(struct terse_client *client) {
    note_dropped(client);
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
    if (!client_on_location(client))
        client->base = client->host;
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
        client->host = first_host(client);
        net_timer_set(client->timer, 0);
    } else if (client->state == STATE_READY && !changed && client->peer_beats) {
        client->patience = answer < 3000 ? answer : 3000;
        client->asked = client_now();
        client->by_silence = false;
        if (client_put_beat(client, 1))
            client_flush_now(client);
        client_turn(client, false);
    } else {
        client->host = first_host(client);
        client_link_again(client);
    }
    net_unlock(&client->owner);
}
