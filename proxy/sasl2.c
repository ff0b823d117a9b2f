/* sasl2.c: see sasl2.h. */
#include "proxy/sasl2.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/evp.h>

/* ---- <authenticate/> --------------------------------------------------------
 */

static bool attr(const struct terse_node *node, const char *name, char *out,
                 size_t size) {
    struct terse_str value;

    return !terse_node_attr(node, "", name, &value) ||
           terse_str_copy(value, out, size);
}

static bool text(const struct terse_node *node, char *out, size_t size) {
    struct terse_str value;

    return terse_node_text(node, &value) && terse_str_copy(value, out, size);
}

static bool truth(const struct terse_node *node, const char *name) {
    char value[8] = "";

    return attr(node, name, value, sizeof(value)) &&
           (strcmp(value, "true") == 0 || strcmp(value, "1") == 0);
}

static bool read_bind(const struct terse_node *bind, struct sasl2 *out) {
    const struct terse_node *child = terse_node_child(bind);

    out->bind = true;
    for (; child; child = terse_node_next(child)) {
        if (terse_node_is(child, NS_BIND2, "tag")) {
            if (!text(child, out->tag, sizeof(out->tag)))
                return false;
        } else if (terse_node_is(child, NS_CARBONS, "enable")) {
            out->carbons = true;
        } else if (terse_node_is(child, NS_CSI, "inactive")) {
            out->inactive = true;
        } else if (terse_node_is(child, "urn:xmpp:sm:3", "enable")) {
            out->enable = true;
            out->may_resume = truth(child, "resume");
        }
    }
    return true;
}

static bool read_resume(const struct terse_node *node, struct sasl2 *out) {
    char h[16] = "", *end;
    unsigned long long v;

    if (!attr(node, "h", h, sizeof(h)) || h[0] < '0' || h[0] > '9' ||
        !attr(node, "previd", out->previd, sizeof(out->previd)) ||
        !out->previd[0])
        return false;
    v = strtoull(h, &end, 10);
    out->h = (uint32_t)v;
    out->resume = true;
    return !*end && v <= UINT32_MAX;
}

static bool read_child(const struct terse_node *child, struct sasl2 *out) {
    char mechanism[64] = "";

    if (terse_node_is(child, NS_SASL2, "initial-response")) {
        out->has_initial = true;
        return text(child, out->initial, sizeof(out->initial));
    }
    if (terse_node_is(child, NS_SASL2, "user-agent"))
        return attr(child, "id", out->agent, sizeof(out->agent));
    if (terse_node_is(child, NS_BIND2, "bind"))
        return read_bind(child, out);
    if (terse_node_is(child, "urn:xmpp:sm:3", "resume"))
        return read_resume(child, out);
    if (terse_node_is(child, NS_FAST, "request-token")) {
        out->wants_token =
            attr(child, "mechanism", mechanism, sizeof(mechanism)) &&
            strcmp(mechanism, FAST_MECHANISM) == 0;
    } else if (terse_node_is(child, NS_FAST, "fast")) {
        out->fast = true;
        out->invalidate = truth(child, "invalidate");
    }
    return true;
}

bool sasl2_read(const struct terse_node *node, struct sasl2 *out,
                const char **condition) {
    const struct terse_node *child = terse_node_child(node);

    memset(out, 0, sizeof(*out));
    *condition = "malformed-request";
    if (!attr(node, "mechanism", out->mechanism, sizeof(out->mechanism)) ||
        !out->mechanism[0]) {
        *condition = "invalid-mechanism";
        return false;
    }
    for (; child; child = terse_node_next(child))
        if (!read_child(child, out))
            return false;
    out->has_user = out->has_initial &&
                    bridge_sasl_user(out->mechanism, out->initial, out->user);
    return true;
}

/* ---- who it is --------------------------------------------------------------
 */

bool sasl2_proof(const char *base64, char user[SASL2_NAME], uint8_t proof[32]) {
    uint8_t data[SASL2_NAME + 64];
    const uint8_t *end;
    int n;

    if (strlen(base64) > (SASL2_NAME + 32) / 3 * 4 ||
        (n = bridge_unbase64(base64, data)) < 0)
        return false;
    end = memchr(data, 0, (size_t)n);
    if (!end || end == data || data + n - end != 33)
        return false;
    memcpy(proof, end + 1, 32);
    return terse_str_copy(
        (struct terse_str){(const char *)data, (size_t)(end - data)}, user,
        SASL2_NAME);
}

/* ---- what is said
 * ------------------------------------------------------------ */

static const char *entity(char c) {
    switch (c) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '\'':
        return "&apos;";
    default:
        return NULL;
    }
}

static enum terse_err put_escaped(struct terse_buf *out, const char *s) {
    enum terse_err err = TERSE_OK;

    for (; !err && *s; s++) {
        const char *e = entity(*s);

        err = terse_buf_append(out, e ? e : s, e ? strlen(e) : 1);
    }
    return err;
}

enum terse_err sasl2_print(struct terse_buf *out, const char *format, ...) {
    enum terse_err err = TERSE_OK;
    const char *s;
    va_list args;
    char n[16];

    va_start(args, format);
    while (!err && *format) {
        size_t plain = strcspn(format, "%");

        err = terse_buf_append(out, format, plain);
        format += plain;
        if (!*format || err)
            break;
        if (format[1] == 'u') {
            snprintf(n, sizeof(n), "%u", va_arg(args, unsigned));
            err = terse_buf_append(out, n, strlen(n));
        } else {
            s = va_arg(args, const char *);
            err = format[1] == 'S' ? terse_buf_append(out, s, strlen(s))
                                   : put_escaped(out, s);
        }
        format += 2;
    }
    va_end(args);
    return err;
}

void sasl2_resource(const struct sasl2 *sasl, char out[128]) {
    uint8_t hash[EVP_MAX_MD_SIZE] = {0};

    if (!sasl->agent[0] || !EVP_Digest(sasl->agent, strlen(sasl->agent), hash,
                                       NULL, EVP_sha256(), NULL)) {
        if (getrandom(hash, 8, 0) != 8)
            memcpy(hash, &sasl, sizeof(sasl));
    }
    snprintf(out, 128, "%s.%02x%02x%02x%02x%02x%02x",
             sasl->tag[0] ? sasl->tag : "terse", hash[0], hash[1], hash[2],
             hash[3], hash[4], hash[5]);
}

void sasl2_id_write(char out[SASL2_ID], const char *id, uint32_t skew) {
    if (skew || id[0] == '~')
        snprintf(out, SASL2_ID, "~%u~%.400s", (unsigned)skew, id);
    else
        snprintf(out, SASL2_ID, "%.400s", id);
}

uint32_t sasl2_id_read(char id[SASL2_ID]) {
    char *end;
    unsigned long skew;

    if (id[0] != '~' || id[1] < '0' || id[1] > '9')
        return 0;
    skew = strtoul(id + 1, &end, 10);
    if (*end != '~' || skew > UINT32_MAX)
        return 0;
    memmove(id, end + 1, strlen(end + 1) + 1);
    return (uint32_t)skew;
}

uint32_t sasl2_h(uint32_t h, uint32_t skew) { return h < skew ? 0 : h - skew; }
