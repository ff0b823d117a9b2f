/* client_send.c: what the application sends. */
#include "client/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a frame of the application's own
 * ---------------------------------------------- */

static enum terse_client_err
not_sendable(struct terse_error *error, enum terse_err code, const char *text) {
    if (error) {
        memset(error, 0, sizeof(*error));
        error->code = code;
        snprintf(error->text, sizeof(error->text), "%s", text);
    }
    return TERSE_CLIENT_EXML;
}

/* Whether the frame is one element that this library's peers can read. */
static enum terse_client_err check(const struct client_codec *codec,
                                   const struct terse_buf *frame,
                                   struct terse_error *error) {
    struct terse_frame_info info;
    struct terse_buf xml;
    enum terse_err err;

    if (terse_frame_info(codec->schema, terse_buf_data(frame), frame->len,
                         &info) != TERSE_OK ||
        info.kind != TERSE_ELEMENT)
        return not_sendable(error, TERSE_EFRAME, "Not one element.");
    terse_buf_init(&xml, codec->limits.stanza_bytes);
    if (error)
        memset(error, 0, sizeof(*error));
    err = terse_decode(codec->schema, &codec->limits, terse_buf_data(frame),
                       frame->len, TERSE_STANDALONE, &xml, error);
    terse_buf_fini(&xml);
    return !err                  ? TERSE_CLIENT_OK
           : err == TERSE_ENOMEM ? TERSE_CLIENT_ENOMEM
                                 : TERSE_CLIENT_EXML;
}

enum terse_client_err client_pack(const struct client_codec *codec,
                                  const Terse__Frame *frame,
                                  struct terse_buf *out,
                                  struct terse_error *error) {
    size_t n = terse__frame__get_packed_size(frame);
    uint8_t *packed;
    enum terse_err err;

    if (n == 0)
        return not_sendable(error, TERSE_EFRAME, "An empty frame.");
    if (n > codec->limits.frame_bytes)
        return not_sendable(error, TERSE_ELIMIT,
                            "The frame is over the limit frame_bytes.");
    packed = malloc(n);
    if (!packed)
        return TERSE_CLIENT_ENOMEM;
    terse__frame__pack(frame, packed);
    err = terse_buf_append(out, packed, n);
    free(packed);
    return err ? TERSE_CLIENT_ENOMEM : check(codec, out, error);
}

/* ---- sending
 * -----------------------------------------------------------------------------
 */

static enum terse_client_err may_send(const struct terse_client *client) {
    switch (client->state) {
    case STATE_READY:
        return TERSE_CLIENT_OK;
    case STATE_CLOSING:
        return TERSE_CLIENT_ECLOSED;
    case STATE_CLOSED:
        return client->why.code;
    default:
        return TERSE_CLIENT_ESTATE;
    }
}

enum terse_client_err client_send_frame(struct terse_client *client,
                                        const void *frame, size_t n,
                                        uint64_t deadline) {
    enum terse_client_err err = may_send(client);
    bool waited = false;

    while (!err && net_conn_full(client->conn)) {
        if (client_now() >= deadline)
            return waited ? TERSE_CLIENT_ETIMEOUT : TERSE_CLIENT_EFULL;
        waited = true;
        client_wait(client, deadline);
        err = may_send(client);
    }
    if (!err && !client_put(client, frame, n))
        err = client->why.code;
    return err;
}

static enum terse_client_err send_one(struct terse_client *client,
                                      const struct terse_buf *frame,
                                      int timeout_ms) {
    uint64_t deadline = client_deadline(timeout_ms);
    enum terse_client_err err;

    net_lock(&client->owner);
    err =
        client_send_frame(client, terse_buf_data(frame), frame->len, deadline);
    net_unlock(&client->owner);
    return err;
}

enum terse_client_err terse_client_send(struct terse_client *client,
                                        const Terse__Frame *frame,
                                        int timeout_ms,
                                        struct terse_error *error) {
    struct terse_buf buf;
    enum terse_client_err err;

    terse_buf_init(&buf, client->codec->limits.frame_bytes);
    err = client_pack(client->codec, frame, &buf, error);
    if (!err)
        err = send_one(client, &buf, timeout_ms);
    terse_buf_fini(&buf);
    return err;
}

enum terse_client_err terse_client_send_xml(struct terse_client *client,
                                            const char *xml, size_t n,
                                            int timeout_ms,
                                            struct terse_error *error) {
    struct terse_buf buf;
    enum terse_client_err err;

    if (n == SIZE_MAX)
        n = strlen(xml);
    terse_buf_init(&buf, client->codec->limits.frame_bytes);
    err = client_xml_encode(client->codec, xml, n, &buf, error);
    if (!err)
        err = send_one(client, &buf, timeout_ms);
    terse_buf_fini(&buf);
    return err;
}

/* ---- answers
 * ----------------------------------------------------------------------------------
 */

/* <iq type='type' id='…' to='…'>, as an answer to request. */
static bool answer_head(struct terse_buf *xml, struct terse_stanza *request,
                        const char *type) {
    const char *id = terse_stanza_attr(request, "id");
    const char *from = terse_stanza_attr(request, "from");
    bool ok = client_cat(xml, "<iq type='", type, "' id='", NULL) &&
              client_cat_text(xml, id ? id : "") && client_cat(xml, "'", NULL);

    if (ok && from)
        ok = client_cat(xml, " to='", NULL) && client_cat_text(xml, from) &&
             client_cat(xml, "'", NULL);
    return ok && client_cat(xml, ">", NULL);
}

static bool is_request(struct terse_stanza *stanza) {
    const char *type = terse_stanza_attr(stanza, "type");
    const char *name = terse_stanza_name(stanza, NULL);

    return name && strcmp(name, "iq") == 0 && type &&
           (strcmp(type, "get") == 0 || strcmp(type, "set") == 0);
}

static enum terse_client_err send_built(struct terse_client *client,
                                        struct terse_buf *xml, bool built,
                                        int timeout_ms) {
    enum terse_client_err err = TERSE_CLIENT_ENOMEM;

    if (built)
        err = terse_client_send_xml(client, (const char *)terse_buf_data(xml),
                                    xml->len, timeout_ms, NULL);
    terse_buf_fini(xml);
    return err;
}

enum terse_client_err terse_client_reply(struct terse_client *client,
                                         struct terse_stanza *request,
                                         const char *payload, int timeout_ms) {
    struct terse_buf xml;
    bool ok;

    if (!is_request(request))
        return TERSE_CLIENT_EARG;
    terse_buf_init(&xml, client->codec->limits.stanza_bytes);
    ok = answer_head(&xml, request, "result") &&
         client_cat(&xml, payload ? payload : "", "</iq>", NULL);
    return send_built(client, &xml, ok, timeout_ms);
}

enum terse_client_err
terse_client_refuse(struct terse_client *client, struct terse_stanza *request,
                    const char *type, const char *condition, int timeout_ms) {
    struct terse_buf xml;
    bool ok;

    if (!is_request(request))
        return TERSE_CLIENT_EARG;
    terse_buf_init(&xml, client->codec->limits.stanza_bytes);
    ok = answer_head(&xml, request, "error") &&
         client_cat(&xml, "<error type='", NULL) &&
         client_cat_text(&xml, type) &&
         client_cat(&xml, "'><", condition,
                    " xmlns='" CLIENT_NS_STANZAS "'/></error></iq>", NULL);
    return send_built(client, &xml, ok, timeout_ms);
}
