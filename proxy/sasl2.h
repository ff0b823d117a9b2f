/*
 * sasl2.h: XEP-0388, with what may be negotiated along with it: XEP-0386,
 * XEP-0198, XEP-0484. What a client asks for, and what is said to it. No I/O.
 */
#ifndef PROXY_SASL2_H
#define PROXY_SASL2_H

#include "bridge/sasl.h"
#include "codec/terse.h"

#define NS_BIND "urn:ietf:params:xml:ns:xmpp-bind"
#define NS_BIND2 "urn:xmpp:bind:0"
#define NS_CARBONS "urn:xmpp:carbons:2"
#define NS_CSI "urn:xmpp:csi:0"
#define NS_FAST "urn:xmpp:fast:0"
#define NS_SASL2 "urn:xmpp:sasl:2"
#define NS_SESSION "urn:ietf:params:xml:ns:xmpp-session"
#define FAST_MECHANISM "HT-SHA-256-NONE"

enum {
    SASL2_NAME = BRIDGE_SASL_NAME,
    SASL2_ID = 512,
    SASL2_DATA = BRIDGE_SASL_DATA
};

/* What <authenticate/> asks for. Text is as it was sent, and fits. */
struct sasl2 {
    char mechanism[64];
    bool has_initial, has_user;
    char initial[SASL2_DATA]; /* base64, or "" */
    char user[SASL2_NAME];    /* that the mechanism's first message names */
    char agent[128];          /* of the device, or "" */
    bool bind, carbons, inactive, enable, may_resume;
    char tag[64];
    bool resume;
    char previd[SASL2_ID];
    uint32_t h;
    bool wants_token, fast, invalidate;
};

/* False: it is malformed, or too long; *condition is of the SASL failure. */
bool sasl2_read(const struct terse_node *node, struct sasl2 *out,
                const char **condition);
/* The user whom the first message of HT-SHA-256-NONE names (base64), with the
 * proof. */
bool sasl2_proof(const char *base64, char user[SASL2_NAME], uint8_t proof[32]);

/* Appends text, with format as by printf; %s is escaped, %S is not, %u. */
TERSE_NODISCARD enum terse_err sasl2_print(struct terse_buf *out,
                                           const char *format, ...);
/* The resource for a device: stable if it has said who it is. */
void sasl2_resource(const struct sasl2 *sasl, char out[128]);

/* Stanzas that the client counted and the server did not are part of the id
 * that the client gets, so that any proxy knows. */
void sasl2_id_write(char out[SASL2_ID], const char *id, uint32_t skew);
/* Takes them off again, in place. */
uint32_t sasl2_id_read(char id[SASL2_ID]);
/* What of a client's h the server has counted: of the first `skew` nothing, not
 * even where some of those were lost on the way. */
uint32_t sasl2_h(uint32_t h, uint32_t skew);

#endif
