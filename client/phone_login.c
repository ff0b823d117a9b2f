/* phone_login.c: the login of phone.h: what is said, what it means, tokens. */
#include "client/phone.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "net/net.h"

/* ---- <authenticate/> --------------------------------------------------------
 */

static enum terse_err put(struct terse_buf *xml, const char *text) {
    return terse_buf_append(xml, text, strlen(text));
}

static enum terse_err put_escaped(struct terse_buf *xml, const char *text) {
    enum terse_err err = TERSE_OK;

    while (!err && *text) {
        size_t plain = strcspn(text, "&<>'");

        err = terse_buf_append(xml, text, plain);
        text += plain;
        if (err || !*text)
            break;
        err = put(xml, *text == '&'   ? "&amp;"
                       : *text == '<' ? "&lt;"
                       : *text == '>' ? "&gt;"
                                      : "&apos;");
        text++;
    }
    return err;
}

/* The pieces as they are and, every second one, escaped; NULL ends them. */
static enum terse_err put_all(struct terse_buf *xml, ...)
    __attribute__((sentinel));

static enum terse_err put_all(struct terse_buf *xml, ...) {
    enum terse_err err = TERSE_OK;
    bool escaped = false;
    const char *piece;
    va_list ap;

    va_start(ap, xml);
    while (!err && (piece = va_arg(ap, const char *))) {
        err = escaped ? put_escaped(xml, piece) : put(xml, piece);
        escaped = !escaped;
    }
    va_end(ap);
    return err;
}

static enum terse_err put_bind(struct terse_buf *xml,
                               const struct phone_ask *ask) {
    enum terse_err err = put(xml, "<bind xmlns='" PHONE_NS_BIND2 "'>");

    if (!err && ask->tag)
        err = put_all(xml, "<tag>", ask->tag, "</tag>", NULL);
    if (!err && ask->inactive)
        err = put(xml, "<inactive xmlns='" PHONE_NS_CSI "'/>");
    if (!err && ask->carbons)
        err = put(xml, "<enable xmlns='" PHONE_NS_CARBONS "'/>");
    if (!err && ask->sm)
        err = put(xml, "<enable xmlns='" PHONE_NS_SM "' resume='true'/>");
    return err ? err : put(xml, "</bind>");
}

static enum terse_err put_resume(struct terse_buf *xml,
                                 const struct phone_ask *ask) {
    char h[16];

    snprintf(h, sizeof(h), "%lu", (unsigned long)ask->h);
    return put_all(xml, "<resume xmlns='" PHONE_NS_SM "' h='", h, "' previd='",
                   ask->resume, "'/>", NULL);
}

enum terse_err phone_authenticate(struct terse_buf *xml,
                                  const struct phone_ask *ask) {
    enum terse_err err =
        put_all(xml, "<authenticate xmlns='" PHONE_NS_SASL2 "' mechanism='",
                ask->mechanism, "'>", NULL);

    if (!err && ask->initial)
        err = put_all(xml, "<initial-response>", ask->initial,
                      "</initial-response>", NULL);
    if (!err && ask->agent)
        err = put_all(xml, "<user-agent id='", ask->agent, "'/>", NULL);
    if (!err && ask->bind)
        err = put_bind(xml, ask);
    if (!err && ask->resume)
        err = put_resume(xml, ask);
    if (!err && ask->wants_token)
        err = put(xml, "<request-token xmlns='" PHONE_NS_FAST
                       "' mechanism='" PHONE_HT "'/>");
    if (!err && ask->fast)
        err = put(xml, "<fast xmlns='" PHONE_NS_FAST "'/>");
    return err ? err : put(xml, "</authenticate>");
}

/* ---- what comes
 * --------------------------------------------------------------- */

/* One that cannot be is as good as none. */
static void read_location(const struct terse_node *node,
                          struct phone_success *out) {
    if (!phone_attr(node, "location", out->location, sizeof(out->location)))
        out->location[0] = '\0';
}

static bool read_enabled(const struct terse_node *node,
                         struct phone_success *out) {
    char resume[8] = "";

    out->enabled = true;
    if (!phone_attr(node, "id", out->id, sizeof(out->id)) ||
        !phone_attr(node, "resume", resume, sizeof(resume)))
        return false;
    if (strcmp(resume, "true") != 0 && strcmp(resume, "1") != 0)
        out->id[0] = '\0';
    if (out->id[0])
        read_location(node, out);
    return true;
}

static bool read_bound(const struct terse_node *bound,
                       struct phone_success *out) {
    const struct terse_node *child = terse_node_child(bound);

    out->bound = true;
    for (; child; child = terse_node_next(child))
        if (terse_node_is(child, PHONE_NS_SM, "enabled") &&
            !read_enabled(child, out))
            return false;
    return true;
}

static bool read_child(const struct terse_node *child,
                       struct phone_success *out) {
    bool has;

    if (terse_node_is(child, PHONE_NS_SASL2, "additional-data")) {
        out->has_data = true;
        return phone_text(child, out->data, sizeof(out->data));
    }
    if (terse_node_is(child, PHONE_NS_SASL2, "authorization-identifier"))
        return phone_text(child, out->jid, sizeof(out->jid));
    if (terse_node_is(child, PHONE_NS_BIND2, "bound"))
        return read_bound(child, out);
    if (terse_node_is(child, PHONE_NS_SM, "resumed")) {
        out->resumed = true;
        read_location(child, out);
        return phone_count(child, &out->h, &has) && has;
    }
    if (terse_node_is(child, PHONE_NS_SM, "failed")) {
        out->resume_failed = true;
        return phone_count(child, &out->h, &out->failed_h);
    }
    if (terse_node_is(child, PHONE_NS_FAST, "token"))
        return phone_attr(child, "token", out->token, sizeof(out->token));
    return true;
}

bool phone_read_success(const struct terse_node *node,
                        struct phone_success *out) {
    const struct terse_node *child = terse_node_child(node);

    memset(out, 0, sizeof(*out));
    for (; child; child = terse_node_next(child))
        if (!read_child(child, out))
            return false;
    return !(out->resumed && out->bound);
}

bool phone_location(const char *text, uint16_t otherwise, char host[256],
                    uint16_t *port) {
    return !net_parse_address(text, host, port, otherwise) && *port &&
           !strpbrk(host, "*%");
}

/* Whether a child {ns}name of node has that text. */
static bool lists(const struct terse_node *node, const char *ns,
                  const char *name, const char *want) {
    const struct terse_node *child = node ? terse_node_child(node) : NULL;
    struct terse_str s;

    for (; child; child = terse_node_next(child))
        if (terse_node_is(child, ns, name) && terse_node_text(child, &s) &&
            s.n == strlen(want) && memcmp(s.p, want, s.n) == 0)
            return true;
    return false;
}

void phone_read_features(const struct terse_node *node,
                         struct phone_offer *out) {
    const struct terse_node *sasl2 =
        phone_child(node, PHONE_NS_SASL2, "authentication");
    const struct terse_node *in = phone_child(sasl2, PHONE_NS_SASL2, "inline");

    memset(out, 0, sizeof(*out));
    out->empty = !terse_node_child(node);
    out->sasl2 = sasl2 != NULL;
    out->bind2 = phone_child(in, PHONE_NS_BIND2, "bind") != NULL;
    out->sm = phone_child(in, PHONE_NS_SM, "sm") != NULL;
    out->fast = lists(phone_child(in, PHONE_NS_FAST, "fast"), PHONE_NS_FAST,
                      "mechanism", PHONE_HT);
}

bool phone_offers(const struct terse_node *features, const char *mechanism) {
    return lists(phone_child(features, PHONE_NS_SASL2, "authentication"),
                 PHONE_NS_SASL2, "mechanism", mechanism);
}

/* ---- tokens -----------------------------------------------------------------
 */

enum { HASH = 32 };

/* draft-schmaus-kitten-sasl-ht: HMAC(token, who || channel binding), which is
 * empty here. */
static bool hmac(const char *token, const char *who, uint8_t out[HASH]) {
    return HMAC(EVP_sha256(), token, (int)strlen(token), (const uint8_t *)who,
                strlen(who), out, NULL) != NULL;
}

bool phone_ht_initial(const char *token, const char *user,
                      char out[PHONE_HT_SIZE]) {
    uint8_t said[PHONE_HT_SIZE / 4 * 3 - 3];
    size_t n = strlen(user) + 1;
    bool good = n + HASH <= sizeof(said);

    if (good) {
        memcpy(said, user, n);
        good = hmac(token, "Initiator", said + n);
    }
    if (good)
        EVP_EncodeBlock((unsigned char *)out, said, (int)(n + HASH));
    OPENSSL_cleanse(said, sizeof(said));
    return good;
}

bool phone_ht_proves(const char *token, const char *answer) {
    uint8_t hash[HASH];
    char wanted[HASH * 2];
    bool good = hmac(token, "Responder", hash);

    if (good) {
        EVP_EncodeBlock((unsigned char *)wanted, hash, HASH);
        good = strlen(answer) == strlen(wanted) &&
               CRYPTO_memcmp(answer, wanted, strlen(wanted)) == 0;
    }
    OPENSSL_cleanse(hash, sizeof(hash));
    return good;
}
