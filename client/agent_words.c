/* agent_words.c: see agent_words.h. */
#include "client/agent_words.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "client/client.h"

#define NS_SM2 "urn:xmpp:sm:2"

/* Of terse.Frame (schemas/xep0198.proto): <r/>, and <a/> with its h. */
enum { FIELD_REQUEST = 4, FIELD_ACK = 5 };

/* ---- frames and nodes
 * ----------------------------------------------------------- */

struct visit {
    void (*use)(void *arg, struct terse_node *node);
    void *arg;
    bool used;
};

static enum terse_err visit_event(void *arg, enum terse_event event,
                                  struct terse_node *node) {
    struct visit *visit = arg;

    if (event == TERSE_ELEMENT && !visit->used) {
        visit->used = true;
        visit->use(visit->arg, node);
    }
    return TERSE_OK;
}

bool words_visit(const struct bridge *bridge, const uint8_t *frame, size_t n,
                 void (*use)(void *arg, struct terse_node *node), void *arg) {
    struct visit visit = {use, arg, false};
    struct terse_reader *reader = NULL;
    char header[BRIDGE_TEXT];
    struct terse_buf xml;
    enum terse_err err;

    bridge_header(header, NULL, NULL, NULL);
    terse_buf_init(&xml, (size_t)bridge->limits->stanza_bytes + 4096);
    err = terse_decode(bridge->schema, bridge->limits, frame, n,
                       TERSE_IN_STREAM, &xml, NULL);
    if (!err)
        err = terse_reader_new(&reader, bridge->schema, bridge->limits,
                               visit_event, &visit);
    if (!err)
        err = terse_reader_feed(reader, header, strlen(header));
    if (!err)
        err = terse_reader_feed(reader, (const char *)terse_buf_data(&xml),
                                xml.len);
    terse_reader_free(reader);
    /* It may have been SASL's. */
    if (xml.len)
        OPENSSL_cleanse(xml.data + xml.off, xml.len);
    terse_buf_fini(&xml);
    return !err && visit.used;
}

/* ---- features
 * ------------------------------------------------------------------- */

static bool same_text(const struct terse_node *a, const struct terse_node *b) {
    struct terse_str s, t;

    return terse_node_text(a, &s) && terse_node_text(b, &t) && s.n == t.n &&
           (s.n == 0 || memcmp(s.p, t.p, s.n) == 0);
}

/* Whether both offer the same mechanisms, in the same order. */
static bool same_mechanisms(const struct terse_node *classic,
                            const struct terse_node *sasl2) {
    const struct terse_node *a = terse_node_child(classic);
    const struct terse_node *b = terse_node_child(sasl2);
    size_t n = 0;

    for (;; a = terse_node_next(a), b = terse_node_next(b), n++) {
        while (a && !terse_node_is(a, BRIDGE_NS_SASL, "mechanism"))
            a = terse_node_next(a);
        while (b && !terse_node_is(b, BRIDGE_NS_SASL2, "mechanism"))
            b = terse_node_next(b);
        if (!a || !b)
            return !a && !b && n > 0;
        if (!same_text(a, b))
            return false;
    }
}

/* tersed offers one mechanism for tokens. */
static bool fast_is_ours(const struct terse_node *fast) {
    const struct terse_node *child = fast ? terse_node_child(fast) : NULL;
    struct terse_str text;

    return child && !terse_node_next(child) && terse_node_text(child, &text) &&
           text.n == strlen(PHONE_HT) && memcmp(text.p, PHONE_HT, text.n) == 0;
}

bool words_offered(const struct terse_node *features) {
    const struct terse_node *sasl2, *classic, *in;
    struct phone_offer offer;

    phone_read_features(features, &offer);
    if (!offer.sasl2 || !offer.bind2 || !offer.sm)
        return false;
    sasl2 = phone_child(features, BRIDGE_NS_SASL2, "authentication");
    classic = phone_child(features, BRIDGE_NS_SASL, "mechanisms");
    in = phone_child(sasl2, BRIDGE_NS_SASL2, "inline");
    /* It comes last, as tersed appends it to what the server said. */
    return classic && !terse_node_next(sasl2) &&
           same_mechanisms(classic, sasl2) &&
           fast_is_ours(phone_child(in, PHONE_NS_FAST, "fast"));
}

/* What the client must not use, since it is used on its behalf. */
static bool is_ours(const struct terse_node *feature) {
    return terse_node_is(feature, BRIDGE_NS_SASL2, "authentication") ||
           terse_node_is(feature, PHONE_NS_SM, "sm") ||
           terse_node_is(feature, NS_SM2, "sm");
}

static enum terse_err put_features(struct terse_buf *xml,
                                   const struct terse_buf *all,
                                   const char *more) {
    static const char empty[] = "<stream:features/>";
    const char *p = (const char *)terse_buf_data(all), *end;

    if (all->len == sizeof(empty) - 1 && memcmp(p, empty, all->len) == 0)
        return client_cat(xml, "<stream:features>", more, "</stream:features>",
                          NULL)
                   ? TERSE_OK
                   : TERSE_ENOMEM;
    end = memchr(p, '>', all->len);
    if (!end)
        return TERSE_EFRAME;
    end++;
    if (terse_buf_append(xml, p, (size_t)(end - p)) ||
        !client_cat(xml, more, NULL))
        return TERSE_ENOMEM;
    return terse_buf_append(xml, end, all->len - (size_t)(end - p));
}

enum terse_err words_features(const struct bridge *bridge,
                              struct terse_node *features, const char *more,
                              struct terse_buf *xml) {
    struct terse_node *child = terse_node_child(features), *next;
    struct terse_buf frame, all;
    enum terse_err err;

    for (; child; child = next) {
        next = terse_node_next(child);
        if (is_ours(child))
            terse_node_remove(features, child);
    }
    terse_buf_init(&frame, bridge->limits->frame_bytes);
    terse_buf_init(&all, (size_t)bridge->limits->stanza_bytes + 4096);
    err = terse_encode(bridge->schema, bridge->limits, TERSE_ELEMENT, features,
                       &frame, NULL);
    if (!err)
        err =
            terse_decode(bridge->schema, bridge->limits, terse_buf_data(&frame),
                         frame.len, TERSE_IN_STREAM, &all, NULL);
    if (!err)
        err = put_features(xml, &all, more);
    terse_buf_fini(&frame);
    terse_buf_fini(&all);
    return err;
}

/* ---- elements
 * -------------------------------------------------------------------- */

static enum terse_err of(bool good) { return good ? TERSE_OK : TERSE_ENOMEM; }

enum terse_err words_response(struct terse_buf *xml, const char *data) {
    return of(client_cat(xml, "<response xmlns='" BRIDGE_NS_SASL2 "'>", NULL) &&
              client_cat_text(xml, data) &&
              client_cat(xml, "</response>", NULL));
}

enum terse_err words_challenge(struct terse_buf *xml, const char *data) {
    return of(client_cat(xml, "<challenge xmlns='" BRIDGE_NS_SASL "'>", NULL) &&
              client_cat_text(xml, data) &&
              client_cat(xml, "</challenge>", NULL));
}

enum terse_err words_success(struct terse_buf *xml, const char *data) {
    if (!*data)
        return of(
            client_cat(xml, "<success xmlns='" BRIDGE_NS_SASL "'/>", NULL));
    return of(client_cat(xml, "<success xmlns='" BRIDGE_NS_SASL "'>", NULL) &&
              client_cat_text(xml, data) &&
              client_cat(xml, "</success>", NULL));
}

enum terse_err words_failure(struct terse_buf *xml,
                             const struct terse_node *failure) {
    char condition[64] = "temporary-auth-failure";
    struct terse_str text = {NULL, 0};
    char *said = NULL;
    bool good;

    if (failure)
        client_condition(failure, BRIDGE_NS_SASL, condition, &text);
    if (!condition[0])
        strcpy(condition, "not-authorized");
    if (text.n)
        said = client_strndup(text);
    good = client_cat(xml, "<failure xmlns='" BRIDGE_NS_SASL "'><", condition,
                      "/>", NULL);
    if (good && said && *said)
        good = client_cat(xml, "<text xml:lang='en'>", NULL) &&
               client_cat_text(xml, said) && client_cat(xml, "</text>", NULL);
    free(said);
    return of(good && client_cat(xml, "</failure>", NULL));
}

enum terse_err words_result(struct terse_buf *xml, const struct terse_node *iq,
                            const char *jid) {
    char id[1024];
    bool good;

    if (!phone_attr(iq, "id", id, sizeof(id)))
        return TERSE_ELIMIT;
    good = client_cat(xml, "<iq type='result' id='", NULL) &&
           client_cat_text(xml, id);
    if (good && jid)
        good =
            client_cat(xml, "'><bind xmlns='" CLIENT_NS_BIND "'><jid>", NULL) &&
            client_cat_text(xml, jid) &&
            client_cat(xml, "</jid></bind></iq>", NULL);
    else if (good)
        good = client_cat(xml, "'/>", NULL);
    return of(good);
}

/* ---- acknowledgements
 * -------------------------------------------------------------- */

size_t words_ack(uint8_t *out, uint32_t h) {
    return terse_frame_put(out, FIELD_ACK, h);
}

size_t words_request(uint8_t *out) {
    return terse_frame_put(out, FIELD_REQUEST, 1);
}
