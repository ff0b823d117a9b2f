/* hold.c: see hold.h. */
#include "proxy/hold.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "bridge/log.h"
#include "proxy/held.h"
#include "proxy/login.h"
#include "proxy/session.h"
#include "proxy/stream.h"
#include "proxy/token.h"

#define NS_SM "urn:xmpp:sm:3"

/* Of a session that a client may come back to. */
struct mobile {
    bool entered;   /* into the list */
    char *key;      /* domain and id: ids are the servers', one's may be
                       another's */
    const char *id; /* in it */
    char *user, *agent, *jid; /* the user as SASL named it */
    struct token token;
    char *success; /* SASL's additional data for who has come back */
    char *next;    /* and a new token */
};

/* ---- life
 * ----------------------------------------------------------------------- */

static void free_mobile(struct mobile *m) {
    if (!m)
        return;
    token_forget(&m->token);
    free(m->key);
    free(m->user);
    free(m->agent);
    free(m->jid);
    free(m->success);
    free(m->next);
    free(m);
}

/* By which a session is found; owned by the caller. NULL: no memory. */
static char *make_key(const struct session *s, const char *id) {
    size_t domain = strlen(s->domain->name), n = strlen(id);
    char *key = malloc(domain + n + 2);

    if (key) {
        memcpy(key, s->domain->name, domain);
        key[domain] = '\n';
        memcpy(key + domain + 1, id, n + 1);
    }
    return key;
}

void hold_begin(struct session *s) {
    const struct login *login = s->login;
    const char *id = login->resumed ? login->sasl.previd : login->sm_id;
    struct mobile *m;

    if (!s->config->hold || !id[0] || !login->sasl.has_user || s->mobile)
        return;
    m = calloc(1, sizeof(*m));
    if (m) {
        m->key = make_key(s, id);
        m->user = strdup(login->sasl.user);
        m->agent = strdup(login->sasl.agent);
        m->jid = strdup(login->jid);
    }
    if (!m || !m->key || !m->user || !m->agent || !m->jid ||
        !held_put(s->server->held, m->key, &s->owner)) {
        free_mobile(m); /* the server will have to do */
        return;
    }
    m->id = m->key + strlen(s->domain->name) + 1;
    m->entered = true;
    s->mobile = m;
    s->queue.keeps = true;
    s->revision = frame_leg_revision(&s->front);
}

void hold_end(struct session *s) {
    struct mobile *m = s->mobile;

    s->mobile = NULL;
    if (m && m->entered)
        held_drop(s->server->held, m->key, &s->owner);
    free_mobile(m);
}

/* ---- tokens -----------------------------------------------------------------
 */

static bool new_token(struct session *s, char text[TOKEN_TEXT]) {
    struct mobile *m = s->mobile;
    uint64_t life = (uint64_t)s->config->token_lifetime * 1000;

    return m->agent[0] &&
           token_make(&m->token, text, m->user, m->agent, server_now() + life);
}

static enum terse_err print_token(const struct session *s, const char *text,
                                  struct terse_buf *xml) {
    time_t until = time(NULL) + s->config->token_lifetime / 1000;
    struct tm tm;
    char expiry[32];

    gmtime_r(&until, &tm);
    strftime(expiry, sizeof(expiry), "%Y-%m-%dT%H:%M:%SZ", &tm);
    return sasl2_print(xml,
                       "<token xmlns='" NS_FAST "' expiry='%s' token='%s'/>",
                       expiry, text);
}

enum terse_err hold_put_token(struct session *s, struct terse_buf *xml) {
    char text[TOKEN_TEXT];

    if (!s->mobile || !new_token(s, text))
        return TERSE_OK; /* it does without */
    return print_token(s, text, xml);
}

/* ---- lost
 * ------------------------------------------------------------------------ */

bool hold_lost(struct session *s) {
    struct server *server = s->server;

    if (!s->mobile || !s->queue.keeps || !s->back.conn || !s->config->hold ||
        (s->state != STATE_UP && s->state != STATE_RESUMING))
        return false;
    if (!session_move(s, EVENT_CLIENT_LOST))
        return true;
    if (!s->step) /* no memory to count the time */
        return false;
    session_detach(s);
    sm_cut(&s->sm);
    stream_client_state(s, false);
    metrics_add(&server->metrics, METRIC_HELD, 1);
    net_conn_flush(s->back.conn);
    net_conn_resume(s->back.conn);
    return true;
}

void hold_release(struct session *s) {
    metrics_add(&s->server->metrics, METRIC_RELEASED, 1);
    session_drop(s, "its client did not come back");
}

/* ---- back
 * ----------------------------------------------------------------------- */

/* Whether that client may have this session, by what it has proved. */
static bool may_have(const struct session *a, const struct session *b) {
    const struct sasl2 *sasl = &b->login->sasl;
    const struct mobile *m = a->mobile;
    char user[SASL2_NAME];
    uint8_t proof[TOKEN_HASH];

    if (!m || strcasecmp(a->domain->name, b->domain->name) != 0)
        return false;
    if (b->state == STATE_BINDING) /* by the server */
        return sasl->has_user && strcmp(sasl->user, m->user) == 0;
    return sasl->has_initial && sasl2_proof(sasl->initial, user, proof) &&
           strcmp(user, m->user) == 0 &&
           token_check(&m->token, user, sasl->agent, proof, server_now());
}

static void take_agent(struct mobile *m, const char *agent) {
    char *copy = strcmp(agent, m->agent) != 0 ? strdup(agent) : NULL;

    if (!copy)
        return;
    token_forget(&m->token);
    free(m->agent);
    m->agent = copy;
}

/* SASL's answer, to the token or as the server gave it; and a new token. */
static bool prepare(struct session *a, struct session *b) {
    bool token = b->state != STATE_BINDING;
    struct mobile *m = a->mobile;
    char text[TOKEN_TEXT], answer[TOKEN_HASH * 2];

    free(m->success);
    free(m->next);
    m->next = NULL;
    if (token) {
        EVP_EncodeBlock((unsigned char *)answer, m->token.answer, TOKEN_HASH);
        m->success = strdup(answer);
        token_forget(&m->token);
    } else {
        m->success = b->login->success;
        b->login->success = NULL;
        /* Of the same user: the next token is for the device at hand. */
        take_agent(m, b->login->sasl.agent);
    }
    if ((token || b->login->sasl.wants_token) && !b->login->sasl.invalidate &&
        new_token(a, text))
        m->next = strdup(text);
    return !token || m->success;
}

/* The client of b goes on with a. With both locks. False: it does not. */
static bool adopt(struct session *a, struct session *b) {
    uint32_t acked;

    if (!b->front.conn || !may_have(a, b))
        return false;
    if (!a->back.conn || !a->queue.keeps ||
        frame_leg_revision(&b->front) < a->revision ||
        (a->state != STATE_UP && a->state != STATE_HELD &&
         a->state != STATE_RESUMING) ||
        !sm_client_acks(&a->sm, b->login->sasl.h, &acked))
        return false;
    queue_acked(&a->queue, acked);
    if (b->state != STATE_BINDING)
        metrics_add(&a->server->metrics, METRIC_TOKENS_USED, 1);
    if (!prepare(a, b) || !session_attach(a, b))
        return false;
    queue_rewind(&a->queue);
    sm_cut(&a->sm);
    sm_doubt(&a->sm);
    metrics_add(&a->server->metrics, METRIC_RESUMED, 1);
    return true;
}

void hold_jump(struct session *s) {
    struct net_owner *owner = NULL;
    struct session *a;
    bool moved = false;
    char *key;

    if (!s->login || s->login->step != LOGIN_JUMP)
        return;
    key = s->login->sasl.resume ? make_key(s, s->login->sasl.previd) : NULL;
    if (key)
        owner = held_find(s->server->held, key);
    free(key);
    if (owner) {
        a = (struct session *)owner;
        net_lock(owner);
        moved = adopt(a, s);
        if (moved)
            session_go_on(a);
        net_unlock(owner);
        net_owner_rele(owner);
    }
    if (moved)
        session_moved(s);
    else
        login_not_held(s);
}

static enum terse_err put_answer(struct session *s, struct terse_buf *xml) {
    struct mobile *m = s->mobile;
    const char *jid = m->jid[0] ? m->jid : m->user;
    enum terse_err err = TERSE_OK;

    if (!s->front.opened) /* by a token, in the first flight */
        err = sasl2_print(xml, "<stream:features/>");
    if (!err)
        err = sasl2_print(xml, "<success xmlns='" NS_SASL2 "'>");
    if (!err && m->success)
        err = sasl2_print(xml, "<additional-data>%s</additional-data>",
                          m->success);
    if (!err)
        err = sasl2_print(
            xml,
            "<authorization-identifier>%s%S%s</authorization-identifier>"
            "<resumed xmlns='" NS_SM "' h='%u' previd='%s'/>",
            jid, m->jid[0] ? "" : "@", m->jid[0] ? "" : s->domain->name,
            (unsigned)s->sm.up_acked, m->id);
    if (!err && m->next)
        err = print_token(s, m->next, xml);
    return err ? err : sasl2_print(xml, "</success><stream:features/>");
}

void hold_answer(struct session *s) {
    struct terse_buf xml;
    enum terse_err err;

    terse_buf_init(&xml, s->config->limits.stanza_bytes);
    err = put_answer(s, &xml);
    if (err)
        session_fail(s, "resource-constraint", "out of memory");
    else if (login_say(s, &xml) && session_move(s, EVENT_SETTLED))
        s->sm.up_told = s->sm.up_acked;
    terse_buf_fini(&xml);
    free(s->mobile ? s->mobile->success : NULL);
    free(s->mobile ? s->mobile->next : NULL);
    if (s->mobile)
        s->mobile->success = s->mobile->next = NULL;
    log_event(LOG_INFO, s->id, "resumed", "peer", s->peer, NULL);
}
