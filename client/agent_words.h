/*
 * agent_words.h: the login of RFC 6120, which a client of the agent speaks, in
 * the words of XEP-0388, which tersed is spoken to in; and back. No I/O.
 */
#ifndef CLIENT_AGENT_WORDS_H
#define CLIENT_AGENT_WORDS_H

#include "bridge/bridge.h"
#include "bridge/sasl.h"
#include "client/phone.h"

enum { WORDS_DATA = BRIDGE_SASL_DATA, WORDS_NAME = BRIDGE_SASL_NAME };

/* Calls use(arg, node) with the element of a frame. False: it stands for none,
 * or there is no memory; use was not called then. */
bool words_visit(const struct bridge *bridge, const uint8_t *frame, size_t n,
                 void (*use)(void *arg, struct terse_node *node), void *arg);

/* Whether these features, before login, are of a tersed that holds sessions:
 * what it adds to a server's own (docs/mobile.md), and nothing else. A server
 * that speaks XEP-0388 by itself is not taken for one. */
bool words_offered(const struct terse_node *features);
/* Features as the client shall see them: without XEP-0388 and XEP-0198, and
 * with `more` before all others. Takes children out of the node. Appends. */
TERSE_NODISCARD enum terse_err words_features(const struct bridge *bridge,
                                              struct terse_node *features,
                                              const char *more,
                                              struct terse_buf *xml);

/* Each appends one element for the client, or for tersed. */
TERSE_NODISCARD enum terse_err words_response(struct terse_buf *xml,
                                              const char *data);
TERSE_NODISCARD enum terse_err words_challenge(struct terse_buf *xml,
                                               const char *data);
TERSE_NODISCARD enum terse_err words_success(struct terse_buf *xml,
                                             const char *data);
/* Of an XEP-0388 <failure/>; NULL: <temporary-auth-failure/>. */
TERSE_NODISCARD enum terse_err words_failure(struct terse_buf *xml,
                                             const struct terse_node *failure);
/* The result of an iq: to <bind/>, or without jid of any. */
TERSE_NODISCARD enum terse_err words_result(struct terse_buf *xml,
                                            const struct terse_node *iq,
                                            const char *jid);

/* The frame of <a h='…'/> into out[8], and of <r/> into out[2]: their length.
 */
size_t words_ack(uint8_t *out, uint32_t h);
size_t words_request(uint8_t *out);
#endif
