/* login.c: see login.h. */
#include "proxy/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "bridge/log.h"
#include "proxy/hold.h"
#include "proxy/stream.h"

#define NS_SM "urn:xmpp:sm:3"

static void no_memory(struct session *s) {
    session_fail(s, "resource-constraint", "out of memory");
}

/* ---- our own words
 * ------------------------------------------------------------ */

bool login_say(struct session *s, const struct terse_buf *xml) {
    char header[BRIDGE_TEXT];
    struct terse_buf all;
    enum terse_err err;
    enum net_err net = NET_OK;

    bridge_header(header, s->asked, NULL, NULL);
    terse_buf_init(&all, xml->len + BRIDGE_TEXT + 1);
    err = terse_buf_append(&all, header, strlen(header));
    if (!err)
        err = terse_buf_append(&all, terse_buf_data(xml), xml->len);
    if (!err)
        err = terse_buf_append(&all, "", 1);
    if (!err)
        net = frame_leg_say(&s->front, (const char *)terse_buf_data(&all));
    terse_buf_fini(&all);
    if (err || net)
        no_memory(s);
    return !err && !net;
}

/* One element to the client; text is escaped already. */
static void tell(struct session *s, const char *format, const char *text) {
    struct terse_buf xml;

    terse_buf_init(&xml, s->config->limits.stanza_bytes);
    if (sasl2_print(&xml, format, text))
        no_memory(s);
    else if (!login_say(s, &xml))
        log_event(LOG_DEBUG, s->id, "unsaid", NULL);
    terse_buf_fini(&xml);
}

static void refuse(struct session *s, const char *condition) {
    s->login->step = LOGIN_IDLE;
    tell(s,
         "<failure xmlns='" NS_SASL2 "'><%S xmlns='" BRIDGE_NS_SASL
         "'/></failure>",
         condition);
}

/* One element to the server; text is as it came. */
static void send(struct session *s, const char *format, const char *text) {
    struct terse_buf xml;

    terse_buf_init(&xml, SASL2_DATA * 2);
    if (sasl2_print(&xml, format, text) || terse_buf_append(&xml, "", 1))
        no_memory(s);
    else
        xml_leg_say(&s->back, (const char *)terse_buf_data(&xml));
    terse_buf_fini(&xml);
}

/* ---- frames and nodes
 * ----------------------------------------------------------- */

struct reading {
    struct session *s;
    void (*use)(struct session *s, struct terse_node *node);
};

static enum terse_err read_event(void *arg, enum terse_event event,
                                 struct terse_node *node) {
    struct reading *reading = arg;

    if (event == TERSE_ELEMENT)
        reading->use(reading->s, node);
    return TERSE_OK;
}

/* Reads a frame as the element that it stands for. False: it is none. */
static bool read_frame(struct session *s, const uint8_t *frame, size_t n,
                       void (*use)(struct session *, struct terse_node *)) {
    struct reading reading = {s, use};
    struct terse_reader *reader = NULL;
    char header[BRIDGE_TEXT];
    struct terse_buf xml;
    enum terse_err err;

    bridge_header(header, NULL, NULL, NULL);
    terse_buf_init(&xml, s->config->limits.stanza_bytes);
    err = terse_decode(s->bridge.schema, s->bridge.limits, frame, n,
                       TERSE_IN_STREAM, &xml, NULL);
    if (!err)
        err = terse_reader_new(&reader, s->bridge.schema, s->bridge.limits,
                               read_event, &reading);
    if (!err)
        err = terse_reader_feed(reader, header, strlen(header));
    if (!err)
        err = terse_reader_feed(reader, (const char *)terse_buf_data(&xml),
                                xml.len);
    terse_reader_free(reader);
    terse_buf_fini(&xml);
    return !err;
}

/* ---- features before login
 * ------------------------------------------------------------ */

static const char offer[] =
    "<inline><bind xmlns='" NS_BIND2 "'><inline>"
    "<feature var='" NS_CARBONS "'/><feature var='" NS_CSI "'/>"
    "<feature var='" NS_SM "'/></inline></bind><sm xmlns='" NS_SM "'/>%S"
    "</inline></authentication></stream:features>";
static const char offer_fast[] =
    "<fast xmlns='" NS_FAST "'><mechanism>" FAST_MECHANISM
    "</mechanism></fast>";

static enum terse_err put_mechanisms(const struct terse_node *mechanisms,
                                     struct terse_buf *xml) {
    const struct terse_node *child = terse_node_child(mechanisms);
    enum terse_err err =
        sasl2_print(xml, "<authentication xmlns='" NS_SASL2 "'>");
    struct terse_str text;
    char name[64];

    for (; !err && child; child = terse_node_next(child)) {
        if (!terse_node_text(child, &text) || text.n >= sizeof(name) ||
            !terse_str_is(terse_node_name(child), "mechanism"))
            continue;
        memcpy(name, text.p, text.n);
        name[text.n] = '\0';
        err = sasl2_print(xml, "<mechanism>%s</mechanism>", name);
    }
    return err;
}

/* The features as they came, and at their end ours. */
static enum terse_err put_features(struct session *s,
                                   const struct terse_node *node,
                                   const struct terse_node *mechanisms,
                                   struct terse_buf *xml) {
    static const char end[] = "</stream:features>";
    struct terse_buf frame;
    enum terse_err err;

    terse_buf_init(&frame, s->config->limits.frame_bytes);
    err = terse_encode(s->bridge.schema, s->bridge.limits, TERSE_ELEMENT, node,
                       &frame, NULL);
    if (!err)
        err = terse_decode(s->bridge.schema, s->bridge.limits,
                           terse_buf_data(&frame), frame.len, TERSE_IN_STREAM,
                           xml, NULL);
    terse_buf_fini(&frame);
    if (err || xml->len < sizeof(end))
        return err ? err : TERSE_EFRAME;
    xml->len -= sizeof(end) - 1;
    err = put_mechanisms(mechanisms, xml);
    return err ? err
               : sasl2_print(xml, offer, s->config->hold ? offer_fast : "");
}

enum terse_err login_features(struct session *s, struct terse_node *node) {
    struct terse_node *child = terse_node_child(node), *mechanisms = NULL;
    struct terse_buf xml;
    enum terse_err err;
    bool said;

    s->featured = true;
    for (; child; child = terse_node_next(child)) {
        if (terse_node_is(child, NS_SASL2, "authentication"))
            return stream_pass(s, node); /* the server's own is as good */
        if (terse_node_is(child, BRIDGE_NS_SASL, "mechanisms"))
            mechanisms = child;
    }
    if (!mechanisms || s->config->sasl2 == SWITCH_OFF)
        return stream_pass(s, node);
    terse_buf_init(&xml, s->config->limits.stanza_bytes);
    err = put_features(s, node, mechanisms, &xml);
    said = !err && login_say(s, &xml);
    terse_buf_fini(&xml);
    if (err && err != TERSE_ENOMEM)
        return stream_pass(s, node);
    if (err)
        no_memory(s);
    s->offered = true;
    s->frames_out++;
    metrics_add(&s->server->metrics, METRIC_FRAMES_OUT, 1);
    return said ? TERSE_OK : TERSE_ENOMEM;
}

/* ---- SASL -------------------------------------------------------------------
 */

/* To the session that was held, once we are in no callback of its new
 * connection. */
static void jump(void *arg) { hold_jump(arg); }

static void begin_jump(struct session *s) {
    s->login->step = LOGIN_JUMP;
    if (!s->login->jump && net_timer_new(&s->login->jump, &s->owner, jump, s))
        no_memory(s);
    else
        net_timer_set(s->login->jump, 0);
}

/* <success/> does not say whose it is, and of two tries the answers may cross:
 * whom the client named counts if it named nobody else on this connection. */
static void note_name(struct login *login) {
    const char *user = login->sasl.user;

    if (!login->tried)
        return;
    login->tried = false;
    if (!login->sasl.has_user ||
        (login->names[0] && strcmp(login->names, user) != 0))
        login->mixed = true;
    else
        snprintf(login->names, sizeof(login->names), "%s", user);
}

static void authenticate(struct session *s, struct terse_node *node) {
    struct login *login = s->login;
    const char *condition;

    note_name(login); /* of the try before */
    if (!sasl2_read(node, &login->sasl, &condition)) {
        refuse(s, condition);
        return;
    }
    if (strcmp(login->sasl.mechanism, FAST_MECHANISM) == 0) {
        begin_jump(s);
        return;
    }
    login->step = LOGIN_AUTH;
    login->tried = true;
    login->spoke = login->sasl.has_initial;
    send(s, "<auth xmlns='" BRIDGE_NS_SASL "' mechanism='%s'>",
         login->sasl.mechanism);
    send(s, "%s</auth>",
         login->sasl.has_initial
             ? login->sasl.initial[0] ? login->sasl.initial : "="
             : "");
}

static void respond(struct session *s, struct terse_node *node) {
    struct login *login = s->login;
    struct terse_str text;

    if (!terse_node_text(node, &text) || text.n >= SASL2_DATA) {
        refuse(s, "malformed-request");
        send(s, "<abort xmlns='" BRIDGE_NS_SASL "'/>%S", "");
        return;
    }
    memcpy(login->sasl.initial, text.p ? text.p : "", text.n);
    login->sasl.initial[text.n] = '\0';
    if (!login->spoke)
        login->sasl.has_user = bridge_sasl_user(
            login->sasl.mechanism, login->sasl.initial, login->sasl.user);
    login->spoke = true;
    send(s, "<response xmlns='" BRIDGE_NS_SASL "'>%s</response>",
         login->sasl.initial);
}

static bool have_login(struct session *s) {
    if (s->login)
        return true;
    s->login = calloc(1, sizeof(*s->login));
    if (!s->login)
        no_memory(s);
    else
        terse_buf_init(&s->login->features, s->config->limits.frame_bytes);
    return s->login != NULL;
}

void login_from_client(struct session *s, const struct terse_frame_info *info,
                       const uint8_t *frame, size_t n) {
    bool auth = terse_str_is(info->name, "authenticate"), good = true;

    if (!have_login(s))
        return;
    if (auth && s->login->step == LOGIN_IDLE)
        good = read_frame(s, frame, n, authenticate);
    else if (terse_str_is(info->name, "response") &&
             s->login->step == LOGIN_AUTH)
        good = read_frame(s, frame, n, respond);
    else if (terse_str_is(info->name, "abort") && s->login->step == LOGIN_AUTH)
        send(s, "<abort xmlns='" BRIDGE_NS_SASL "'/>%S", "");
    else
        refuse(s, "malformed-request");
    if (!good && s->state != STATE_OVER)
        session_fail(s, "bad-format", "An element of SASL2 that is none.");
}

static void early(struct session *s, struct terse_node *node) {
    const char *condition;

    if (sasl2_read(node, &s->login->sasl, &condition) &&
        strcmp(s->login->sasl.mechanism, FAST_MECHANISM) == 0)
        begin_jump(s);
}

bool login_early(struct session *s, const uint8_t *frame, size_t n) {
    if (!s->config->hold || s->config->sasl2 == SWITCH_OFF || !have_login(s))
        return false;
    if (!read_frame(s, frame, n, early))
        return false; /* it will be looked at again */
    return s->state != STATE_OVER && s->login->step == LOGIN_JUMP;
}

/* ---- a server that speaks it itself
 * ----------------------------------------------- */

/* Stanzas may follow in the same flight: they count if what was asked for is
 * granted. */
static void watch(struct session *s, struct terse_node *node) {
    struct sasl2 *sasl = &s->login->sasl;
    const char *condition;
    bool good = sasl2_read(node, sasl, &condition);

    OPENSSL_cleanse(sasl->initial, sizeof(sasl->initial));
    sm_failed(&s->sm); /* what an earlier try asked for */
    if (good && (sasl->enable || sasl->resume))
        sm_enable(&s->sm);
}

void login_watch(struct session *s, const struct terse_frame_info *info,
                 const uint8_t *frame, size_t n) {
    if (!terse_str_is(info->name, "authenticate") || !have_login(s))
        return;
    if (!read_frame(s, frame, n, watch))
        session_fail(s, "bad-format", "An element of SASL2 that is none.");
}

static bool read_h(const struct terse_node *node, uint32_t *h) {
    struct terse_str value;
    char text[16], *end;
    unsigned long v;

    if (!terse_node_attr(node, "", "h", &value) || value.n == 0 ||
        value.n >= sizeof(text) || value.p[0] < '0' || value.p[0] > '9')
        return false;
    memcpy(text, value.p, value.n);
    text[value.n] = '\0';
    v = strtoul(text, &end, 10);
    *h = (uint32_t)v;
    return !*end && v <= UINT32_MAX;
}

/* In <success/>, or in its <bound/>. */
static const struct terse_node *find_sm(const struct terse_node *node,
                                        const char *name) {
    const struct terse_node *child = terse_node_child(node), *found;

    for (; child; child = terse_node_next(child)) {
        if (terse_node_is(child, NS_SM, name))
            return child;
        if (terse_node_is(child, NS_BIND2, "bound") &&
            (found = find_sm(child, name)))
            return found;
    }
    return NULL;
}

void login_watched(struct session *s, const struct terse_node *success) {
    const struct terse_node *resumed = find_sm(success, "resumed");
    uint32_t h, since = s->sm.up;

    if (!s->login)
        return;
    if (resumed && s->sm.enabling && read_h(resumed, &h)) {
        sm_resumed(&s->sm, true, h, s->login->sasl.h);
        sm_early(&s->sm, since);
    } else if (find_sm(success, "enabled")) {
        sm_enabled(&s->sm, true);
    } else {
        sm_failed(&s->sm);
    }
    login_fini(s);
}

/* ---- after SASL
 * --------------------------------------------------------------- */

static void say_bind(struct session *s) {
    char resource[128];

    sasl2_resource(&s->login->sasl, resource);
    send(s,
         "<iq type='set' id='terse-bind'><bind xmlns='" NS_BIND
         "'><resource>%s</resource></bind></iq>",
         resource);
}

/* The second stream. The header and what surely follows go in one write. */
static void begin_second(struct session *s) {
    upstream_header(s);
    s->login->step = LOGIN_FEATURES;
    if (s->state != STATE_OVER && s->login->sasl.bind && !s->login->sasl.resume)
        say_bind(s);
}

static void proved(struct session *s, const struct terse_node *node) {
    struct login *login = s->login;
    struct terse_str text;

    if (!session_move(s, EVENT_PROVED))
        return;
    note_name(login);
    login->sasl.has_user &= !login->mixed && !s->classic;
    terse_reader_restart(s->back.reader);
    if (terse_node_text(node, &text) && text.n) {
        login->success = calloc(1, text.n + 1);
        if (login->success)
            memcpy(login->success, text.p, text.n);
    }
    OPENSSL_cleanse(login->sasl.initial, sizeof(login->sasl.initial));
    if (login->sasl.resume && login->sasl.has_user && s->config->hold)
        begin_jump(s);
    else
        begin_second(s);
}

void login_not_held(struct session *s) {
    if (s->state == STATE_BINDING) {
        begin_second(s);
    } else {
        s->login->step = LOGIN_IDLE;
        /* Else it will be looked at again, behind the features. */
        if (s->state == STATE_LOGIN && s->featured && !s->early.len) {
            metrics_add(&s->server->metrics, METRIC_TOKENS_REFUSED, 1);
            refuse(s, "not-authorized");
        }
    }
    session_go_on(s);
}

static void sasl_failed(struct session *s, const struct terse_node *node) {
    const struct terse_node *child = terse_node_child(node);
    char condition[64] = "not-authorized";
    struct terse_str name;

    for (; child; child = terse_node_next(child)) {
        name = terse_node_name(child);
        if (!terse_str_is(name, "text") && name.n < sizeof(condition)) {
            memcpy(condition, name.p, name.n);
            condition[name.n] = '\0';
        }
    }
    refuse(s, condition);
}

static void sasl_step(struct session *s, const struct terse_node *node) {
    struct terse_str name = terse_node_name(node), text;
    char data[SASL2_DATA];

    if (terse_str_is(name, "success")) {
        proved(s, node);
    } else if (terse_str_is(name, "failure")) {
        sasl_failed(s, node);
    } else if (terse_str_is(name, "challenge")) {
        if (!terse_node_text(node, &text) || text.n >= sizeof(data)) {
            session_fail(s, "remote-connection-failed",
                         "The server's challenge makes no sense.");
            return;
        }
        memcpy(data, text.p ? text.p : "", text.n);
        data[text.n] = '\0';
        tell(s, "<challenge xmlns='" NS_SASL2 "'>%s</challenge>", data);
    }
}

/* ---- the second stream
 * ------------------------------------------------------------- */

static enum terse_err put_enabled(const struct session *s,
                                  struct terse_buf *xml) {
    const struct login *login = s->login;
    const char *location = s->config->location;
    enum terse_err err = sasl2_print(xml, "<enabled xmlns='" NS_SM "'");

    if (!err && login->sm_id[0])
        err = sasl2_print(xml, " id='%s' resume='true'", login->sm_id);
    if (!err && login->sm_id[0] && location)
        err = sasl2_print(xml, " location='%s'", location);
    if (!err && login->sm_max)
        err = sasl2_print(xml, " max='%u'", (unsigned)login->sm_max);
    return err ? err : sasl2_print(xml, "/>");
}

static enum terse_err put_success(struct session *s, struct terse_buf *xml) {
    struct login *login = s->login;
    const struct sasl2 *sasl = &login->sasl;
    enum terse_err err = sasl2_print(xml, "<success xmlns='" NS_SASL2 "'>");

    if (!err && login->success)
        err = sasl2_print(xml, "<additional-data>%s</additional-data>",
                          login->success);
    if (!err && login->jid[0])
        err = sasl2_print(
            xml, "<authorization-identifier>%s</authorization-identifier>",
            login->jid);
    else if (!err)
        err = sasl2_print(
            xml, "<authorization-identifier>%s%S%s</authorization-identifier>",
            sasl->has_user ? sasl->user : "", sasl->has_user ? "@" : "",
            s->domain->name);
    if (!err && login->resumed)
        err =
            sasl2_print(xml, "<resumed xmlns='" NS_SM "' h='%u' previd='%s'/>",
                        (unsigned)login->sm_h, sasl->previd);
    if (!err && login->resume_failed)
        err = sasl2_print(xml, "<failed xmlns='" NS_SM
                               "'><item-not-found xmlns='urn:ietf:params:xml:"
                               "ns:xmpp-stanzas'/></failed>");
    if (!err && login->jid[0])
        err = sasl2_print(xml, "<bound xmlns='" NS_BIND2 "'>");
    if (!err && login->enabled)
        err = put_enabled(s, xml);
    if (!err && login->enable_failed)
        err = sasl2_print(xml, "<failed xmlns='" NS_SM
                               "'><feature-not-implemented xmlns='urn:ietf:"
                               "params:xml:ns:xmpp-stanzas'/></failed>");
    if (!err && login->jid[0])
        err = sasl2_print(xml, "</bound>");
    return err;
}

/* Ends <success/>, with a token if there shall be one. */
static enum terse_err put_token(struct session *s, struct terse_buf *xml) {
    enum terse_err err = TERSE_OK;

    if (s->login->sasl.wants_token)
        err = hold_put_token(s, xml);
    return err ? err : sasl2_print(xml, "</success>");
}

/* All is done: the client hears of it, and is logged in. */
static void finish(struct session *s) {
    struct login *login = s->login;
    struct terse_buf xml;
    enum terse_err err;
    bool said;

    if (login->enabled) {
        sm_enable(&s->sm);
        sm_enabled(&s->sm, true);
        s->sm.skew = login->early;
    } else if (login->resumed) {
        /* What is missing of those is lost, and will not be counted. */
        s->sm.skew =
            login->early < login->sasl.h ? login->early : login->sasl.h;
        sm_resumed(&s->sm, true, login->sm_h,
                   sasl2_h(login->sasl.h, login->early));
        metrics_add(&s->server->metrics, METRIC_RESUMED_SERVER, 1);
    }
    s->own = true;
    s->server_csi = login->has_csi;
    if (login->enabled || login->resumed)
        hold_begin(s);
    terse_buf_init(&xml, s->config->limits.stanza_bytes);
    err = put_success(s, &xml);
    if (!err)
        err = put_token(s, &xml);
    said = !err && login_say(s, &xml);
    terse_buf_fini(&xml);
    if (err)
        no_memory(s);
    if (!said)
        return;
    if (frame_leg_write(&s->front, terse_buf_data(&login->features),
                        login->features.len)) {
        no_memory(s);
        return;
    }
    s->inactive = login->sasl.inactive;
    if (s->inactive)
        stream_client_state(s, false);
    s->frames_out += 2;
    metrics_add(&s->server->metrics, METRIC_FRAMES_OUT, 2);
    terse_buf_fini(&s->open);
    login_fini(s);
    if (!session_move(s, EVENT_BOUND))
        return;
}

static void enable(struct session *s) {
    struct login *login = s->login;

    login->step = LOGIN_ENABLE;
    login->enable_failed = login->sasl.enable && !login->has_sm;
    if (login->sasl.enable && login->has_sm)
        send(s, "<enable xmlns='" NS_SM "'%S/>",
             login->sasl.may_resume ? " resume='true'" : "");
    else
        finish(s);
}

/* What has to be answered before <enable/>, so that neither side counts an
 * answer that the client does not see. */
static void extras(struct session *s) {
    struct login *login = s->login;

    login->step = LOGIN_EXTRAS;
    if (login->has_session) {
        send(s, "<iq type='set' id='terse-session'><session xmlns='%S'/></iq>",
             NS_SESSION);
        login->extras++;
    }
    if (login->sasl.carbons) {
        send(s, "<iq type='set' id='terse-carbons'><enable xmlns='%S'/></iq>",
             NS_CARBONS);
        login->extras++;
    }
    if (!login->extras)
        enable(s);
}

static void after_features(struct session *s) {
    struct login *login = s->login;
    const struct sasl2 *sasl = &login->sasl;
    char previd[SASL2_ID];

    if (sasl->resume && login->has_sm) {
        struct terse_buf xml;

        memcpy(previd, sasl->previd, sizeof(previd));
        login->early = sasl2_id_read(previd);
        login->step = LOGIN_RESUME;
        terse_buf_init(&xml, 4096);
        if (sasl2_print(&xml, "<resume xmlns='" NS_SM "' h='%u' previd='%s'/>",
                        (unsigned)sasl2_h(sasl->h, login->early), previd) ||
            terse_buf_append(&xml, "", 1))
            no_memory(s);
        else
            xml_leg_say(&s->back, (const char *)terse_buf_data(&xml));
        terse_buf_fini(&xml);
        return;
    }
    login->resume_failed = sasl->resume;
    if (!sasl->bind) {
        finish(s); /* it will bind by itself */
        return;
    }
    login->step = LOGIN_BIND;
    if (sasl->resume)
        say_bind(s);
}

static void second_features(struct session *s, struct terse_node *node) {
    struct login *login = s->login;
    struct terse_node *child, *next, *inner;
    struct terse_error error = {0};

    for (child = terse_node_child(node); child; child = next) {
        next = terse_node_next(child);
        if (terse_node_is(child, NS_SM, "sm"))
            login->has_sm = true;
        else if (terse_node_is(child, NS_CSI, "csi"))
            login->has_csi = true;
        else if (terse_node_is(child, NS_SESSION, "session")) {
            inner = terse_node_child(child);
            login->has_session =
                !inner || !terse_node_is(inner, NS_SESSION, "optional");
        } else if (!terse_node_is(child, NS_BIND, "bind")) {
            continue;
        }
        /* Bound already, or so it will be. */
        if (login->sasl.bind && (terse_node_is(child, NS_BIND, "bind") ||
                                 terse_node_is(child, NS_SESSION, "session")))
            terse_node_remove(node, child);
    }
    if (frame_leg_make(&s->front, node, frame_leg_revision(&s->front),
                       &login->features, &error))
        session_fail_error(s, &error, "server");
    else
        after_features(s);
}

static bool id_is(const struct terse_node *node, const char *id) {
    struct terse_str value;

    return terse_node_attr(node, "", "id", &value) && terse_str_is(value, id);
}

static void bound(struct session *s, const struct terse_node *node) {
    const struct terse_node *bind = terse_node_child(node), *jid;
    struct terse_str text;

    jid = bind && terse_node_is(bind, NS_BIND, "bind") ? terse_node_child(bind)
                                                       : NULL;
    if (!jid || !terse_node_text(jid, &text) || !text.n ||
        text.n >= sizeof(s->login->jid)) {
        session_fail(s, "undefined-condition",
                     "The server has refused to bind a resource.");
        return;
    }
    memcpy(s->login->jid, text.p, text.n);
    s->login->jid[text.n] = '\0';
    extras(s);
}

/* Before the server counts, or before the client hears. */
static void early_stanza(struct session *s, const struct terse_node *node) {
    if (stream_keep(s, node))
        return; /* it has failed */
    s->login->early++;
}

/* Whether the server answers for itself or for the account (RFC 6120 section
 * 8.1.2.1); a contact's iq may have any id. Before a resource is bound, nobody
 * else is heard. */
static bool is_answer(const struct session *s, const struct terse_node *node) {
    const char *jid = s->login->jid, *at = strchr(jid, '@');
    size_t bare = strcspn(jid, "/");
    struct terse_str type, from;

    if (!terse_node_attr(node, "", "type", &type) ||
        !(terse_str_is(type, "result") || terse_str_is(type, "error")))
        return false;
    if (!*jid || !terse_node_attr(node, "", "from", &from))
        return true;
    if (from.n >= bare && memcmp(from.p, jid, bare) == 0 &&
        (from.n == bare || from.p[bare] == '/'))
        return true;
    at = at ? at + 1 : jid;
    return from.n == (size_t)(jid + bare - at) &&
           memcmp(from.p, at, from.n) == 0;
}

static void iq(struct session *s, const struct terse_node *node) {
    struct login *login = s->login;

    if (!is_answer(s, node)) {
        early_stanza(s, node);
        return;
    }
    if (login->step == LOGIN_BIND && id_is(node, "terse-bind")) {
        bound(s, node);
    } else if (login->step == LOGIN_EXTRAS &&
               (id_is(node, "terse-session") || id_is(node, "terse-carbons"))) {
        if (--login->extras == 0)
            enable(s);
    } else {
        early_stanza(s, node);
    }
}

static void enabled(struct session *s, const struct terse_node *node) {
    struct login *login = s->login;
    struct terse_str value;
    char id[SASL2_ID], max[16] = "";

    login->enabled = true;
    if (terse_node_attr(node, "", "id", &value) && value.n > 0 &&
        value.n < 400 && login->sasl.may_resume) {
        memcpy(id, value.p, value.n);
        id[value.n] = '\0';
        sasl2_id_write(login->sm_id, id, login->early);
    }
    if (terse_node_attr(node, "", "max", &value) && value.n < sizeof(max)) {
        memcpy(max, value.p, value.n);
        login->sm_max = (uint32_t)strtoul(max, NULL, 10);
    }
    finish(s);
}

static void sm_element(struct session *s, const struct terse_node *node) {
    struct login *login = s->login;
    struct terse_str name = terse_node_name(node);

    if (login->step == LOGIN_ENABLE && terse_str_is(name, "enabled")) {
        enabled(s, node);
    } else if (login->step == LOGIN_ENABLE && terse_str_is(name, "failed")) {
        login->enable_failed = true;
        finish(s);
    } else if (login->step == LOGIN_RESUME && terse_str_is(name, "resumed") &&
               read_h(node, &login->sm_h)) {
        login->resumed = true;
        finish(s);
    } else if (login->step == LOGIN_RESUME && terse_str_is(name, "failed")) {
        login->resume_failed = true;
        login->early = 0;
        if (!login->sasl.bind) {
            finish(s);
            return;
        }
        login->step = LOGIN_BIND;
        say_bind(s);
    }
}

static void second_stream(struct session *s, struct terse_node *node) {
    struct terse_str name = terse_node_name(node), ns = terse_node_ns(node);

    if (s->login->step == LOGIN_FEATURES &&
        terse_node_is(node, TERSE_NS_STREAM, "features"))
        second_features(s, node);
    else if (terse_str_is(ns, NS_SM))
        sm_element(s, node);
    else if (terse_str_is(ns, TERSE_NS_CLIENT) && terse_str_is(name, "iq"))
        iq(s, node);
    else if (terse_str_is(ns, TERSE_NS_CLIENT))
        early_stanza(s, node);
}

bool login_from_server(struct session *s, struct terse_node *node) {
    if (!s->login)
        return false;
    if (terse_node_is(node, TERSE_NS_STREAM, "error"))
        return false;
    if (s->state == STATE_BINDING)
        second_stream(s, node);
    else if (s->state == STATE_LOGIN && s->login->step == LOGIN_AUTH &&
             terse_str_is(terse_node_ns(node), BRIDGE_NS_SASL))
        sasl_step(s, node);
    else
        return false;
    return true;
}

void login_fini(struct session *s) {
    struct login *login = s->login;

    if (!login)
        return;
    s->login = NULL;
    net_timer_free(login->jump);
    terse_buf_fini(&login->features);
    free(login->success);
    OPENSSL_cleanse(&login->sasl, sizeof(login->sasl));
    free(login);
}
