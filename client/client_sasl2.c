/*
 * client_sasl2.c: login by XEP-0388, with Bind 2 (XEP-0386), stream management
 * (XEP-0198) and tokens (XEP-0484). What to say first is said with the header,
 * before anything was offered; what was wrong with it is said again, by what is
 * offered, on the same connection.
 */
#include "client/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* To begin with, where nothing is known of the server. */
static const char *const guesses[] = {"SCRAM-SHA-256", "SCRAM-SHA-1", NULL};

static void protocol_error(struct terse_client *client, const char *text) {
    client_end(client, true, TERSE_CLIENT_EPROTO, NULL, "%s", text);
}

static void no_memory(struct terse_client *client) {
    client_end(client, true, TERSE_CLIENT_ENOMEM, NULL, "no memory to log in");
}

static void put_wiped(struct terse_client *client, struct terse_buf *xml,
                      bool ok) {
    if (ok)
        client_put_xml(client, xml);
    else
        no_memory(client);
    if (xml->data)
        explicit_bzero(xml->data, xml->cap);
    terse_buf_fini(xml);
}

/* ---- what is said
 * ------------------------------------------------------------ */

static void put_authenticate(struct terse_client *client, const char *initial) {
    bool token = client->trying && strcmp(client->trying, PHONE_HT) == 0;
    struct phone_ask ask = {.mechanism = client->trying,
                            .initial = initial,
                            .agent = client->device,
                            .bind = !token,
                            .tag = client->resource,
                            .carbons = client->options.carbons,
                            .sm = true,
                            .inactive = client->inactive,
                            .resume = client->sm_id,
                            .h = client->sm.in,
                            .wants_token = !token && client->lasting,
                            .fast = token};
    struct terse_buf xml;

    terse_buf_init(&xml, client->codec->limits.stanza_bytes);
    put_wiped(client, &xml, phone_authenticate(&xml, &ask) == TERSE_OK);
}

static void with_token(struct terse_client *client) {
    char initial[PHONE_HT_SIZE];

    client->trying = PHONE_HT;
    if (phone_ht_initial(client->token, client->user, initial))
        put_authenticate(client, initial);
    else
        client_end(client, true, TERSE_CLIENT_EARG, NULL,
                   "the user is too long for a token");
    explicit_bzero(initial, sizeof(initial));
}

static void with_password(struct terse_client *client, const char *mechanism) {
    enum terse_client_err err;
    char *out = NULL;

    client_sasl_fini(&client->sasl);
    client->trying = mechanism;
    err = client_sasl_begin(&client->sasl, mechanism, client->user,
                            client->password, &out);
    if (err)
        client_end(client, true, err, NULL, "%s cannot be begun", mechanism);
    else
        put_authenticate(client, out[0] ? out : "=");
    client_wipe_free(out);
}

/* The mechanism to guess, or that was good the last time; NULL: none. */
static const char *guess(struct terse_client *client) {
    if (client->best)
        return client->best;
    for (size_t i = 0; guesses[i]; i++)
        if (client_sasl_supports(&client->sasl, guesses[i]))
            return guesses[i];
    return NULL;
}

/* A token is good only where it was made. */
static bool has_token(const struct terse_client *client) {
    return client->token && client->sm_id && client->token_host == client->host;
}

void client_sasl2_begin(struct terse_client *client) {
    const char *mechanism;

    if (client->options.sasl2 == TERSE_CLIENT_OFF || client->classic)
        return;
    /* It knew as much last time, and what is sent is for no other. */
    client->revision = client->hosts[client->host].revision;
    if (has_token(client)) {
        with_token(client);
        return;
    }
    mechanism = guess(client);
    if (mechanism && client->password)
        with_password(client, mechanism);
}

/* ---- the offer
 * ----------------------------------------------------------------- */

void client_sasl2_features(struct terse_client *client,
                           const struct terse_node *features) {
    struct phone_offer offer;
    const char *best;

    phone_read_features(features, &offer);
    if (client->options.sasl2 == TERSE_CLIENT_OFF ||
        (!offer.sasl2 && !(offer.empty && client->trying))) {
        /* What we said was no part of its protocol: it may end the stream for
         * it, or have lost track. */
        client->classic = true;
        if (client->trying) {
            client_link_again(client);
            return;
        }
        client_move(client, EVENT_FEATURES);
        client_classic(client, features);
        return;
    }
    client->classic = false;
    client_move(client, EVENT_SASL2);
    client_look(client, features, phone_offers);
    best = client_choose(client);
    if (best)
        client->best = best;
    if (client->trying)
        return; /* its answer comes */
    client->trips++;
    if (offer.fast && has_token(client))
        with_token(client);
    else if (best)
        with_password(client, best);
    else
        client_end(client, true, TERSE_CLIENT_EMECH, NULL,
                   "none of the server's mechanisms is allowed");
}

/* ---- success
 * ------------------------------------------------------------------ */

static bool replace(char **at, const char *text) {
    client_wipe_free(*at);
    *at = text[0] ? strdup(text) : NULL;
    return *at || !text[0];
}

/* Whether the server has proved itself. */
static bool proved(struct terse_client *client,
                   const struct phone_success *success) {
    enum terse_client_err err = TERSE_CLIENT_OK;
    char *out = NULL;

    if (strcmp(client->trying, PHONE_HT) == 0) {
        client->mechanism = PHONE_HT;
        return success->has_data && client->token &&
               phone_ht_proves(client->token, success->data);
    }
    if (success->has_data || !client->sasl.done)
        err = client_sasl_step(&client->sasl, success->data, &out);
    client_wipe_free(out);
    client->mechanism = client->sasl.mechanism;
    return !err && client->sasl.done;
}

/* Where the session is from here on: at whom we speak to. He may have told how
 * to get back there; and where we came by such a way, it is still good. */
static void locate(struct terse_client *client,
                   const struct phone_success *success) {
    if (success->location[0] || !success->resumed ||
        !client_on_location(client))
        client_locate(client, success->location);
    client->token_host = client->located ? client->n_hosts : client->host;
}

static void begins(struct terse_client *client,
                   const struct phone_success *success) {
    uint32_t n = 0;

    /* It may know what it had of the last one. */
    if (success->failed_h && phone_sm_acked(&client->sm, success->h, &n))
        (void)phone_box_acked(&client->box, n);
    client_new_session(client, success->enabled);
    locate(client, success);
    if (!replace(&client->sm_id, success->id) ||
        !replace(&client->jid, success->jid)) {
        no_memory(client);
        return;
    }
    client->csi = true; /* the offer of Bind 2 was taken */
    client_now_ready(client, false);
}

static void on_success(struct terse_client *client, struct terse_node *node) {
    struct phone_success *success = calloc(1, sizeof(*success));
    bool token = strcmp(client->trying, PHONE_HT) == 0;

    if (!success) {
        no_memory(client);
        return;
    }
    if (!phone_read_success(node, success)) {
        protocol_error(client, "a login that makes no sense");
    } else if (!proved(client, success)) {
        client_end(client, true, TERSE_CLIENT_EAUTH, NULL,
                   "the server does not prove that it knows %s",
                   token ? "the token" : "the password");
    } else if (!replace(&client->token, success->token)) {
        no_memory(client);
    } else {
        client->features_due = true;
        client_sasl_fini(&client->sasl);
        if (success->resumed) {
            locate(client, success);
            client_goes_on(client, success->h);
        } else if (success->bound && success->jid[0]) {
            begins(client, success);
        } else {
            /* SASL2 without Bind 2: as ever from here on. */
            client->features_due = false;
            client_move(client, EVENT_SUCCESS);
        }
    }
    explicit_bzero(success, sizeof(*success));
    free(success);
}

/* ---- failure
 * ------------------------------------------------------------------ */

static bool wrong_mechanism(const char *condition) {
    return strcmp(condition, "invalid-mechanism") == 0 ||
           strcmp(condition, "mechanism-too-weak") == 0 ||
           strcmp(condition, "encryption-required") == 0;
}

static void refuse(struct terse_client *client, const char *mechanism) {
    for (unsigned i = 0; client_mechanisms[i]; i++)
        if (strcmp(client_mechanisms[i], mechanism) == 0)
            client->refused |= 1u << i;
}

static void on_failure(struct terse_client *client, struct terse_node *node) {
    bool token = strcmp(client->trying, PHONE_HT) == 0;
    struct terse_str text;
    char condition[64];
    const char *next;

    client_condition(node, CLIENT_NS_SASL, condition, &text);
    if (token)
        replace(&client->token, "");
    else if (wrong_mechanism(condition))
        refuse(client, client->trying);
    next = token || wrong_mechanism(condition) ? client_choose(client) : NULL;
    if (next && client->password) {
        client->best = next;
        client->trips++;
        with_password(client, next);
        return;
    }
    client_end(client, true, TERSE_CLIENT_EAUTH, condition, "%.*s",
               (int)(text.n > 200 ? 200 : text.n), text.n ? text.p : "");
}

/* ---- what came
 * ---------------------------------------------------------------- */

static void on_challenge(struct terse_client *client, struct terse_node *node) {
    struct terse_buf xml;
    struct terse_str text;
    enum terse_client_err err;
    char *in, *out = NULL;

    if (!client->sasl.session || !terse_node_text(node, &text)) {
        protocol_error(client, "a challenge that makes no sense");
        return;
    }
    in = client_strndup(text);
    err = in ? client_sasl_step(&client->sasl, in, &out) : TERSE_CLIENT_ENOMEM;
    client_wipe_free(in);
    if (err) {
        client_end(client, true, err, NULL,
                   "the server does not prove that it knows the password");
        return;
    }
    client->trips++;
    terse_buf_init(&xml, client->codec->limits.stanza_bytes);
    put_wiped(client, &xml,
              client_cat(&xml, "<response xmlns='" PHONE_NS_SASL2 "'>", out,
                         "</response>", NULL));
    client_wipe_free(out);
}

void client_sasl2_element(struct terse_client *client,
                          struct terse_node *node) {
    if (!client->trying)
        protocol_error(client, "an answer to nothing");
    else if (terse_node_is(node, PHONE_NS_SASL2, "challenge"))
        on_challenge(client, node);
    else if (terse_node_is(node, PHONE_NS_SASL2, "success"))
        on_success(client, node);
    else if (terse_node_is(node, PHONE_NS_SASL2, "failure"))
        on_failure(client, node);
    else if (terse_node_is(node, PHONE_NS_SASL2, "continue"))
        client_end(client, true, TERSE_CLIENT_EAUTH, NULL,
                   "the server asks for more than a password");
    else
        protocol_error(client, "an element that is no part of SASL2");
}
