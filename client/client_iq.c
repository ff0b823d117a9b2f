/*
 * client_iq.c: requests that wait for their answer (RFC 6120 section 8.2.3).
 *
 * A client_iq is in client->iqs from when it is sent until it is done. Then, if
 * a thread waits for it, that thread owns it; else it goes through the receive
 * queue, so that its callback runs where all others do.
 */
#include "client/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void client_iq_free(struct client_iq *iq) {
    if (!iq)
        return;
    terse_stanza_free(iq->answer);
    free(iq->item);
    free(iq->to);
    free(iq);
}

void client_iq_call(struct terse_client *client, struct client_iq *iq) {
    iq->cb(iq->arg, client, iq->err, iq->answer);
    client_iq_free(iq);
}

static void unlink_iq(struct terse_client *client, struct client_iq *iq) {
    struct client_iq **at = &client->iqs;

    while (*at && *at != iq)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = iq->next;
    client->n_iqs--;
}

/* Takes it out of the list and hands it on. */
static void finish(struct terse_client *client, struct client_iq *iq,
                   enum terse_client_err err, size_t bytes) {
    struct client_item *item;

    unlink_iq(client, iq);
    iq->err = err;
    iq->done = true;
    if (iq->cb) {
        item = iq->item;
        iq->item = NULL;
        item->iq = iq;
        item->bytes = bytes;
        client_push(client, item);
    }
    pthread_cond_broadcast(&client->cond);
}

uint64_t client_iq_expire(struct terse_client *client) {
    uint64_t now = client_now(), soonest = UINT64_MAX;
    struct client_iq *iq, *next;

    for (iq = client->iqs; iq; iq = next) {
        next = iq->next;
        if (!iq->cb)
            continue;
        if (iq->deadline <= now)
            finish(client, iq, TERSE_CLIENT_ETIMEOUT, 0);
        else if (iq->deadline < soonest)
            soonest = iq->deadline;
    }
    return soonest;
}

void client_iq_abort(struct terse_client *client, enum terse_client_err err) {
    while (client->iqs)
        finish(client, client->iqs, err, 0);
}

static bool in_box(const struct terse_client *client, uint64_t number) {
    const struct phone_item *item = NULL;

    while ((item = phone_box_walk(&client->box, item)))
        if (phone_item_view(item).number == number)
            return true;
    return false;
}

void client_iq_orphans(struct terse_client *client) {
    struct client_iq *iq, *next;

    for (iq = client->iqs; iq; iq = next) {
        next = iq->next;
        if (!in_box(client, iq->number))
            finish(client, iq, TERSE_CLIENT_ELOST, 0);
    }
}

/* ---- matching
 * ---------------------------------------------------------------------- */

/* Domain and user without regard to ASCII case, the resource exactly: a server
 * may have prepared the former. */
static bool same_jid(const char *a, const char *b) {
    size_t bare = strcspn(a, "/");

    return bare == strcspn(b, "/") && strncasecmp(a, b, bare) == 0 &&
           strcmp(a + bare, b + bare) == 0;
}

/* Whether an answer from `from` (NULL: none said) comes from our account or the
 * server itself: RFC 6120 section 8.1.2.1. */
static bool from_account(const struct terse_client *client, const char *from) {
    size_t bare = client->jid ? strcspn(client->jid, "/") : 0;

    if (!from || same_jid(from, client->domain))
        return true;
    if (!client->jid)
        return false;
    return same_jid(from, client->jid) ||
           (strlen(from) == bare && strncasecmp(from, client->jid, bare) == 0);
}

static bool answers(const struct terse_client *client,
                    const struct client_iq *iq, const char *from) {
    if (iq->to && from)
        return same_jid(iq->to, from);
    /* Without `from` it is our account that speaks. */
    return iq->to ? from_account(client, iq->to) : from_account(client, from);
}

/* An id as we make them, or 0. */
static uint64_t parse_id(const char *text) {
    uint64_t id = 0;

    if (!text || *text == '0')
        return 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || id > UINT64_MAX / 10 - 1)
            return 0;
        id = id * 10 + (uint64_t)(*text - '0');
    }
    return id;
}

bool client_iq_answer(struct terse_client *client, const uint8_t *frame,
                      size_t n) {
    struct terse_stanza *stanza;
    struct client_iq *iq = client->iqs;
    const char *type;
    bool error;
    uint64_t id;

    if (!iq)
        return false;
    stanza = client_stanza_new(client->codec, frame, n);
    if (!stanza) {
        client_end(client, true, TERSE_CLIENT_ENOMEM, NULL,
                   "no memory for what was received");
        return true;
    }
    type = terse_stanza_attr(stanza, "type");
    error = type && strcmp(type, "error") == 0;
    id = error || (type && strcmp(type, "result") == 0)
             ? parse_id(terse_stanza_attr(stanza, "id"))
             : 0;
    while (id && iq && iq->id != id)
        iq = iq->next;
    if (!id || !iq || !answers(client, iq, terse_stanza_attr(stanza, "from"))) {
        terse_stanza_free(stanza);
        return false;
    }
    iq->answer = stanza;
    finish(client, iq, error ? TERSE_CLIENT_ESTANZA : TERSE_CLIENT_OK, n);
    return true;
}

/* ---- asking
 * ---------------------------------------------------------------------------
 */

static struct client_iq *iq_new(const char *to, int timeout_ms,
                                terse_client_iq_cb cb, void *arg) {
    struct client_iq *iq = calloc(1, sizeof(*iq));

    if (!iq)
        return NULL;
    iq->deadline = client_deadline(timeout_ms);
    iq->cb = cb;
    iq->arg = arg;
    iq->to = to ? strdup(to) : NULL;
    iq->item = cb ? calloc(1, sizeof(*iq->item)) : NULL;
    if ((to && !iq->to) || (cb && !iq->item)) {
        client_iq_free(iq);
        return NULL;
    }
    return iq;
}

/* A number for the next request. No lock held. */
static uint64_t next_id(struct terse_client *client) {
    uint64_t id;

    net_lock(&client->owner);
    id = ++client->last_id;
    net_unlock(&client->owner);
    return id;
}

static void wait_for(struct terse_client *client, struct client_iq *iq) {
    client_flush_now(client);
    while (!iq->done && client_now() < iq->deadline)
        client_wait(client, iq->deadline);
    if (!iq->done) {
        unlink_iq(client, iq);
        iq->err = TERSE_CLIENT_ETIMEOUT;
    }
}

/* Sends the frame and, if a thread is to wait, waits. Takes iq. */
static enum terse_client_err ask(struct terse_client *client,
                                 struct client_iq *iq,
                                 const struct terse_buf *frame,
                                 struct terse_stanza **answer) {
    bool wait = !iq->cb;
    enum terse_client_err err = TERSE_CLIENT_EFULL;

    net_lock(&client->owner);
    if (client->n_iqs < client->options.iqs)
        err = client_send_frame(client, terse_buf_data(frame), frame->len,
                                TERSE_CLIENT_RESEND_NO, wait ? iq->deadline : 0,
                                &iq->number);
    if (!err) {
        /* Not before: the wait for room gives up the lock. And not too late:
         * no answer is read while we hold it. */
        iq->next = client->iqs;
        client->iqs = iq;
        client->n_iqs++;
        pthread_cond_broadcast(&client->cond); /* a new deadline */
    }
    if (!err && wait) {
        wait_for(client, iq);
        err = iq->err;
        *answer = iq->answer;
        iq->answer = NULL;
    }
    net_unlock(&client->owner);
    if (err || wait) {
        client_iq_free(iq);
    }
    return err;
}

static enum terse_client_err ask_typed(struct terse_client *client,
                                       const Terse__Iq *given,
                                       struct client_iq *iq,
                                       struct terse_stanza **answer) {
    Terse__Frame frame = TERSE__FRAME__INIT;
    Terse__Iq copy = *given; /* its pointers are only read */
    struct terse_buf buf;
    enum terse_client_err err;

    iq->id = next_id(client);
    copy.has_id_decimal = true;
    copy.id_decimal = iq->id;
    frame.iq = &copy;
    terse_buf_init(&buf, client->codec->limits.frame_bytes);
    err = client_pack(client->codec, &frame, &buf, NULL);
    if (err) {
        client_iq_free(iq);
    } else {
        err = ask(client, iq, &buf, answer);
    }
    terse_buf_fini(&buf);
    return err;
}

static bool is_request(const Terse__Iq *iq) {
    return iq->has_type &&
           (iq->type == TERSE__IQ_TYPE__GET ||
            iq->type == TERSE__IQ_TYPE__SET) &&
           !iq->id && !iq->has_id_uuid && !iq->has_id_hex &&
           !iq->has_id_decimal;
}

enum terse_client_err terse_client_iq(struct terse_client *client,
                                      const Terse__Iq *iq, int timeout_ms,
                                      struct terse_stanza **answer) {
    struct client_iq *request;

    *answer = NULL;
    if (timeout_ms <= 0 || !is_request(iq))
        return TERSE_CLIENT_EARG;
    request = iq_new(iq->to, timeout_ms, NULL, NULL);
    return request ? ask_typed(client, iq, request, answer)
                   : TERSE_CLIENT_ENOMEM;
}

enum terse_client_err terse_client_iq_async(struct terse_client *client,
                                            const Terse__Iq *iq, int timeout_ms,
                                            terse_client_iq_cb cb, void *arg) {
    struct client_iq *request;

    if (timeout_ms <= 0 || !cb || !is_request(iq))
        return TERSE_CLIENT_EARG;
    request = iq_new(iq->to, timeout_ms, cb, arg);
    return request ? ask_typed(client, iq, request, NULL) : TERSE_CLIENT_ENOMEM;
}

/* ---- the same from XML
 * -------------------------------------------------------------------- */

static enum terse_client_err build(const struct client_codec *codec,
                                   uint32_t revision, uint64_t id,
                                   const char *type, const char *to,
                                   const char *payload,
                                   struct terse_buf *frame) {
    struct terse_buf xml;
    char number[24];
    enum terse_client_err err = TERSE_CLIENT_ENOMEM;
    bool ok;

    snprintf(number, sizeof(number), "%llu", (unsigned long long)id);
    terse_buf_init(&xml, codec->limits.stanza_bytes);
    ok = client_cat(&xml, "<iq type='", type, "' id='", number, "'", NULL);
    if (ok && to)
        ok = client_cat(&xml, " to='", NULL) && client_cat_text(&xml, to) &&
             client_cat(&xml, "'", NULL);
    if (ok && client_cat(&xml, ">", payload, "</iq>", NULL))
        err = client_xml_encode_for(codec, revision,
                                    (const char *)terse_buf_data(&xml), xml.len,
                                    frame, NULL);
    terse_buf_fini(&xml);
    return err;
}

static enum terse_client_err ask_xml(struct terse_client *client,
                                     const char *type, const char *payload,
                                     struct client_iq *iq,
                                     struct terse_stanza **answer) {
    struct terse_buf frame;
    enum terse_client_err err;

    iq->id = next_id(client);
    terse_buf_init(&frame, client->codec->limits.frame_bytes);
    err = build(client->codec, client_revision(client), iq->id, type, iq->to,
                payload, &frame);
    if (err) {
        client_iq_free(iq);
    } else {
        err = ask(client, iq, &frame, answer);
    }
    terse_buf_fini(&frame);
    return err;
}

static bool good_type(const char *type) {
    return strcmp(type, "get") == 0 || strcmp(type, "set") == 0;
}

enum terse_client_err terse_client_iq_xml(struct terse_client *client,
                                          const char *type, const char *to,
                                          const char *payload, int timeout_ms,
                                          struct terse_stanza **answer) {
    struct client_iq *iq;

    *answer = NULL;
    if (timeout_ms <= 0 || !good_type(type))
        return TERSE_CLIENT_EARG;
    iq = iq_new(to, timeout_ms, NULL, NULL);
    return iq ? ask_xml(client, type, payload, iq, answer)
              : TERSE_CLIENT_ENOMEM;
}

enum terse_client_err
terse_client_iq_xml_async(struct terse_client *client, const char *type,
                          const char *to, const char *payload, int timeout_ms,
                          terse_client_iq_cb cb, void *arg) {
    struct client_iq *iq;

    if (timeout_ms <= 0 || !cb || !good_type(type))
        return TERSE_CLIENT_EARG;
    iq = iq_new(to, timeout_ms, cb, arg);
    return iq ? ask_xml(client, type, payload, iq, NULL) : TERSE_CLIENT_ENOMEM;
}
