/*
 * client_login.c: from the server's features to the bound resource (RFC 6120
 * sections 6 and 7). Each handler is given the element that came, in the state
 * that the row in `handlers` names.
 */
#include "client/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void protocol_error(struct terse_client *client, const char *text) {
    client_end(client, true, TERSE_CLIENT_EPROTO, NULL, "%s", text);
}

/* <name xmlns='…sasl' attrs>text</name> */
static bool put_sasl(struct terse_client *client, const char *name,
                     const char *mechanism, const char *text) {
    struct terse_buf xml;
    bool ok;

    terse_buf_init(&xml, client->codec->limits.stanza_bytes);
    ok = client_cat(&xml, "<", name, " xmlns='" CLIENT_NS_SASL "'", NULL);
    if (ok && mechanism)
        ok = client_cat(&xml, " mechanism='", mechanism, "'", NULL);
    ok = ok && client_cat(&xml, ">", text, "</", name, ">", NULL);
    if (ok)
        ok = client_put_xml(client, &xml);
    else
        client_end(client, true, TERSE_CLIENT_ENOMEM, NULL,
                   "no memory to log in");
    if (xml.data)
        explicit_bzero(xml.data, xml.cap);
    terse_buf_fini(&xml);
    return ok;
}

/* ---- SASL
 * ------------------------------------------------------------------------ */

static bool offers(const struct terse_node *features, const char *name) {
    struct terse_node *mechanisms =
        phone_child(features, CLIENT_NS_SASL, "mechanisms");
    struct terse_node *node = mechanisms ? terse_node_child(mechanisms) : NULL;

    for (; node; node = terse_node_next(node)) {
        struct terse_str text;

        if (terse_node_is(node, CLIENT_NS_SASL, "mechanism") &&
            terse_node_text(node, &text) && text.n == strlen(name) &&
            memcmp(text.p, name, text.n) == 0)
            return true;
    }
    return false;
}

void client_look(struct terse_client *client, const struct terse_node *features,
                 bool (*has)(const struct terse_node *, const char *)) {
    client->offered = 0;
    for (unsigned i = 0; client_mechanisms[i]; i++)
        if (has(features, client_mechanisms[i]))
            client->offered |= 1u << i;
}

const char *client_choose(struct terse_client *client) {
    for (unsigned i = 0; client_mechanisms[i]; i++) {
        const char *name = client_mechanisms[i];

        if (strcmp(name, "PLAIN") == 0 && !client->options.allow_plain)
            continue;
        if ((client->offered & ~client->refused & 1u << i) &&
            client_sasl_supports(&client->sasl, name))
            return name;
    }
    return NULL;
}

void client_classic(struct terse_client *client,
                    const struct terse_node *features) {
    struct terse_node *mechanisms =
        phone_child(features, CLIENT_NS_SASL, "mechanisms");
    enum terse_client_err err;
    const char *name;
    char *out = NULL;

    client_look(client, features, offers);
    name = client_choose(client);
    if (!name) {
        client_end(client, true, TERSE_CLIENT_EMECH, NULL,
                   mechanisms ? "none of the server's mechanisms is allowed"
                              : "the server offers no login");
        return;
    }
    err = client_sasl_begin(&client->sasl, name, client->user, client->password,
                            &out);
    if (err)
        client_end(client, true, err, NULL, "%s cannot be begun", name);
    else
        put_sasl(client, "auth", name, out[0] ? out : "=");
    client->trips++;
    client_wipe_free(out);
}

/* The element's text in a new string; NULL has ended the connection. */
static char *text_of(struct terse_client *client, struct terse_node *node) {
    struct terse_str s;
    char *text;

    if (!terse_node_text(node, &s)) {
        protocol_error(client, "SASL data with something in it");
        return NULL;
    }
    text = client_strndup(s);
    if (!text)
        client_end(client, true, TERSE_CLIENT_ENOMEM, NULL,
                   "no memory to log in");
    return text;
}

/* A step of SASL with what `node` holds. True: *out is our answer. */
static bool sasl_step(struct terse_client *client, struct terse_node *node,
                      char **out) {
    char *in = text_of(client, node);
    enum terse_client_err err;

    *out = NULL;
    if (!in)
        return false;
    err = client_sasl_step(&client->sasl, in, out);
    client_wipe_free(in);
    if (err)
        client_end(client, true, err, NULL,
                   "the server does not prove that it knows the password");
    return !err;
}

static void on_challenge(struct terse_client *client, struct terse_node *node) {
    char *out;

    if (sasl_step(client, node, &out))
        put_sasl(client, "response", NULL, out);
    client->trips++;
    client_wipe_free(out);
}

/* It may be needed again. */
static void forget_password(struct terse_client *client) {
    if (client->lasting)
        return;
    client_wipe_free(client->password);
    client->password = NULL;
}

static void on_success(struct terse_client *client, struct terse_node *node) {
    char *out;
    bool ok = sasl_step(client, node, &out);

    client_wipe_free(out);
    if (!ok)
        return;
    if (!client->sasl.done) {
        client_end(client, true, TERSE_CLIENT_EAUTH, NULL,
                   "the server says success before it proved itself");
        return;
    }
    client->mechanism = client->sasl.mechanism;
    client_sasl_fini(&client->sasl);
    forget_password(client);
    client->trips++;
    client_move(client, EVENT_SUCCESS);
    client_put_open(client);
}

static void on_failure(struct terse_client *client, struct terse_node *node) {
    struct terse_str text;
    char condition[64];

    client_condition(node, CLIENT_NS_SASL, condition, &text);
    client_end(client, true, TERSE_CLIENT_EAUTH, condition, "%.*s",
               (int)(text.n > 200 ? 200 : text.n), text.n ? text.p : "");
}

static void in_auth(struct terse_client *client, struct terse_node *node) {
    if (terse_node_is(node, CLIENT_NS_SASL, "challenge"))
        on_challenge(client, node);
    else if (terse_node_is(node, CLIENT_NS_SASL, "success"))
        on_success(client, node);
    else if (terse_node_is(node, CLIENT_NS_SASL, "failure"))
        on_failure(client, node);
    else
        protocol_error(client, "an element that is no part of SASL");
}

/* ---- features
 * ----------------------------------------------------------------------- */

static void ask_bind(struct terse_client *client) {
    struct terse_buf xml;
    bool ok;

    terse_buf_init(&xml, client->codec->limits.stanza_bytes);
    ok = client_cat(
        &xml, "<iq type='set' id='1'><bind xmlns='" CLIENT_NS_BIND "'>", NULL);
    if (ok && client->resource)
        ok = client_cat(&xml, "<resource>", NULL) &&
             client_cat_text(&xml, client->resource) &&
             client_cat(&xml, "</resource>", NULL);
    if (ok && client_cat(&xml, "</bind></iq>", NULL))
        client_put_xml(client, &xml);
    else
        client_end(client, true, TERSE_CLIENT_ENOMEM, NULL,
                   "no memory to log in");
    terse_buf_fini(&xml);
}

/* What the last session was is known, or gone. */
static bool ask_resume(struct terse_client *client) {
    struct terse_buf xml;
    char h[16];

    if (!client->lasting || !client->offers_sm || !client->sm.on ||
        !client->sm_id)
        return false;
    snprintf(h, sizeof(h), "%lu", (unsigned long)client->sm.in);
    client_move(client, EVENT_RESUME);
    terse_buf_init(&xml, client->codec->limits.stanza_bytes);
    if (client_cat(&xml, "<resume xmlns='" PHONE_NS_SM "' h='", h, "' previd='",
                   NULL) &&
        client_cat_text(&xml, client->sm_id) && client_cat(&xml, "'/>", NULL))
        client_put_xml(client, &xml);
    else
        client_end(client, true, TERSE_CLIENT_ENOMEM, NULL,
                   "no memory to log in");
    terse_buf_fini(&xml);
    return true;
}

static void in_features(struct terse_client *client, struct terse_node *node) {
    struct terse_node *session;

    if (!phone_child(node, CLIENT_NS_BIND, "bind")) {
        client_end(client, true, TERSE_CLIENT_EBIND, NULL,
                   "the server offers no resource binding");
        return;
    }
    session = phone_child(node, CLIENT_NS_SESSION, "session");
    client->needs_session =
        client->options.session && session &&
        !phone_child(session, CLIENT_NS_SESSION, "optional");
    client->csi = phone_child(node, PHONE_NS_CSI, "csi") != NULL;
    client->offers_sm = phone_child(node, PHONE_NS_SM, "sm") != NULL;
    client->trips++;
    if (ask_resume(client))
        return;
    client_move(client, EVENT_FEATURES);
    ask_bind(client);
}

static void in_resuming(struct terse_client *client, struct terse_node *node) {
    uint32_t h, n;
    bool has, good = phone_count(node, &h, &has);

    has = has && good;
    if (terse_node_is(node, PHONE_NS_SM, "resumed") && has) {
        client->asks = true;
        client_goes_on(client, h);
    } else if (terse_node_is(node, PHONE_NS_SM, "failed")) {
        if (has && phone_sm_acked(&client->sm, h, &n))
            (void)phone_box_acked(&client->box, n);
        client->trips++;
        client_move(client, EVENT_FEATURES);
        ask_bind(client);
    } else {
        protocol_error(client, "an element that answers no <resume/>");
    }
}

static void need_features(struct terse_client *client,
                          struct terse_node *node) {
    if (!terse_node_is(node, TERSE_NS_STREAM, "features"))
        protocol_error(client, "something else than the stream's features");
    else if (client->state == STATE_OFFER)
        client_sasl2_features(client, node);
    else
        in_features(client, node);
}

/* ---- bind and session
 * ------------------------------------------------------------------ */

static bool attr_is(const struct terse_node *node, const char *name,
                    const char *value) {
    struct terse_str s;

    return terse_node_attr(node, "", name, &s) && s.n == strlen(value) &&
           memcmp(s.p, value, s.n) == 0;
}

static void refused(struct terse_client *client, struct terse_node *iq) {
    struct terse_node *error = phone_child(iq, TERSE_NS_CLIENT, "error");
    struct terse_str text = {NULL, 0};
    char condition[64] = "";

    if (error)
        client_condition(error, CLIENT_NS_STANZAS, condition, &text);
    client_end(client, true, TERSE_CLIENT_EBIND, condition, "%.*s",
               (int)(text.n > 200 ? 200 : text.n), text.n ? text.p : "");
}

void client_new_session(struct terse_client *client, bool sm_on) {
    memset(&client->sm, 0, sizeof(client->sm));
    if (sm_on)
        phone_sm_begin(&client->sm);
    client_wipe_free(client->sm_id);
    client->sm_id = NULL;
    client->located = false;
    client->restored = false;
    client->renewed = true;
    client->session++;
    client->sessions++;
    phone_box_renew(&client->box);
    client_iq_orphans(client);
}

void client_now_ready(struct terse_client *client, bool resumed) {
    net_timer_stop(client->timer);
    forget_password(client);
    client->restored = false;
    client->resumptions += resumed;
    client->resumed = resumed;
    client->ready_due = true;
    client_link_ready(client);
    client_move(client, EVENT_READY);
    /* Whoever comes back is active until he says otherwise. */
    if (client->inactive && (resumed || !client->sm.on))
        client_say_state(client);
    client_pump(client);
    client_turn(client, false);
}

void client_goes_on(struct terse_client *client, uint32_t h) {
    uint32_t n;
    bool good = phone_sm_resumed(&client->sm, h, &n);

    /* What was exported is older than what was sent: the server has all of it.
     */
    if (!good && client->restored && client->sm.on) {
        n = client->box.sent;
        client->sm.out = client->sm.out_acked = h;
        client->sm.in_told = client->sm.in;
        good = true;
    }
    if (!good || !phone_box_acked(&client->box, n)) {
        client_wipe_free(client->sm_id);
        client->sm_id = NULL;
        protocol_error(client, "the session goes on with a count that cannot "
                               "be");
        return;
    }
    phone_box_rewind(&client->box);
    client_now_ready(client, true);
}

/* One element of ours; ends the connection if it cannot be made. */
static void put_piece(struct terse_client *client, const char *text) {
    struct terse_buf xml;

    terse_buf_init(&xml, client->codec->limits.stanza_bytes);
    if (client_cat(&xml, text, NULL))
        client_put_xml(client, &xml);
    else
        client_end(client, true, TERSE_CLIENT_ENOMEM, NULL,
                   "no memory to log in");
    terse_buf_fini(&xml);
}

/* The resource is there. */
static void now_ready(struct terse_client *client) {
    if (client->lasting && client->offers_sm) {
        client->trips++;
        client_move(client, EVENT_ENABLE);
        put_piece(client, "<enable xmlns='" PHONE_NS_SM "' resume='true'/>");
        return;
    }
    client_new_session(client, false);
    client_now_ready(client, false);
}

static void on_enabled(struct terse_client *client, struct terse_node *node) {
    struct terse_str id, resume;
    bool may = terse_node_attr(node, "", "id", &id) && id.n < PHONE_ID &&
               terse_node_attr(node, "", "resume", &resume) && resume.n > 0 &&
               (resume.p[0] == 't' || resume.p[0] == '1');

    client_new_session(client, true);
    client->asks = true;
    if (may)
        client->sm_id = client_strndup(id);
    client_now_ready(client, false);
}

static void in_enabling(struct terse_client *client, struct terse_node *node) {
    if (terse_node_is(node, PHONE_NS_SM, "enabled")) {
        on_enabled(client, node);
    } else if (terse_node_is(node, PHONE_NS_SM, "failed")) {
        client_new_session(client, false);
        client_now_ready(client, false);
    } else {
        client->keep_frame = true; /* neither of us counts it */
    }
}

static void on_bound(struct terse_client *client, struct terse_node *iq) {
    static const char session[] =
        "<iq type='set' id='2'><session xmlns='" CLIENT_NS_SESSION "'/></iq>";
    struct terse_node *bind = phone_child(iq, CLIENT_NS_BIND, "bind");
    struct terse_node *jid =
        bind ? phone_child(bind, CLIENT_NS_BIND, "jid") : NULL;
    struct terse_buf xml;
    struct terse_str text;

    if (!jid || !terse_node_text(jid, &text) || !text.n) {
        protocol_error(client, "a bound resource without a JID");
        return;
    }
    free(client->jid);
    client->jid = client_strndup(text);
    if (!client->jid) {
        client_end(client, true, TERSE_CLIENT_ENOMEM, NULL,
                   "no memory to log in");
        return;
    }
    if (!client->needs_session) {
        now_ready(client);
        return;
    }
    client_move(client, EVENT_BOUND);
    client->trips++;
    terse_buf_init(&xml, sizeof(session));
    if (client_cat(&xml, session, NULL))
        client_put_xml(client, &xml);
    else
        client_end(client, true, TERSE_CLIENT_ENOMEM, NULL,
                   "no memory to log in");
    terse_buf_fini(&xml);
}

/* Ours is the only iq under way; the server may push stanzas meanwhile. */
static void in_binding(struct terse_client *client, struct terse_node *node) {
    bool binding = client->state == STATE_BINDING;
    bool ours = terse_node_is(node, TERSE_NS_CLIENT, "iq") &&
                attr_is(node, "id", binding ? "1" : "2");

    if (ours && attr_is(node, "type", "error"))
        refused(client, node);
    else if (ours && attr_is(node, "type", "result") && binding)
        on_bound(client, node);
    else if (ours && attr_is(node, "type", "result"))
        now_ready(client);
    else
        client->keep_frame = true;
}

/* ---- what came
 * -------------------------------------------------------------------------- */

static void unexpected(struct terse_client *client, struct terse_node *node) {
    (void)node;
    protocol_error(client, "an element before the stream header");
}

static void (*const handlers[STATE_COUNT])(struct terse_client *client,
                                           struct terse_node *node) = {
    [STATE_DIALLING] = unexpected,        [STATE_OPENING] = unexpected,
    [STATE_OFFER] = need_features,        [STATE_AUTH] = in_auth,
    [STATE_AUTH2] = client_sasl2_element, [STATE_RESUMING] = in_resuming,
    [STATE_ENABLING] = in_enabling,       [STATE_REOPENING] = unexpected,
    [STATE_FEATURES] = need_features,     [STATE_BINDING] = in_binding,
    [STATE_SESSION] = in_binding,
};

static void visit(void *arg, struct terse_node *node) {
    struct terse_client *client = arg;

    handlers[client->state](client, node);
}

void client_login_frame(struct terse_client *client, const uint8_t *frame,
                        size_t n) {
    enum terse_client_err err;

    client->keep_frame = false;
    err = client_xml_visit(client->codec, frame, n, visit, client);
    if (err)
        client_end(client, true, err, NULL, "what came is no frame");
    else if (client->keep_frame)
        client_deliver(client, frame, n);
}

static void visit_stream_error(void *arg, struct terse_node *node) {
    struct terse_client *client = arg;
    struct terse_str text;
    char condition[64];

    client_condition(node, CLIENT_NS_STREAMS, condition, &text);
    client_end(client, true, TERSE_CLIENT_ESTREAM, condition, "%.*s",
               (int)(text.n > 200 ? 200 : text.n), text.n ? text.p : "");
}

void client_stream_error(struct terse_client *client, const uint8_t *frame,
                         size_t n) {
    if (client_xml_visit(client->codec, frame, n, visit_stream_error, client))
        client_end(client, true, TERSE_CLIENT_ESTREAM, NULL,
                   "a stream error that cannot be read");
}
