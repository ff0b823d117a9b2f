/*
 * stream.h: what of a session's stream is managed here: acknowledgements
 * (XEP-0198) and the queue towards the client. With the session's lock.
 */
#ifndef PROXY_STREAM_H
#define PROXY_STREAM_H

#include "codec/terse.h"

#define NS_SM "urn:xmpp:sm:3"

struct session;

/* An element from the client. True: it is dealt with, and not for the server.
 */
bool stream_from_client(struct session *s, const struct terse_frame_info *info,
                        const uint8_t *frame, size_t n);
/* An element from the server that is not for the client: true. */
bool stream_from_server(struct session *s, const struct terse_node *node);
/* Passes an element on to the client, or keeps it for later. TERSE_OK, or the
 * session has failed. */
TERSE_NODISCARD enum terse_err stream_pass(struct session *s,
                                           const struct terse_node *node);
/* Keeps a stanza for the client until it may have it. TERSE_OK, or the session
 * has failed. */
TERSE_NODISCARD enum terse_err stream_keep(struct session *s,
                                           const struct terse_node *node);
/* Nobody takes what the server sends, and enough of it waits. */
bool stream_full(const struct session *s);
/* Tells the server whether the client is active (XEP-0352), if it wants to
 * know. */
void stream_client_state(struct session *s, bool active);
/* At the end of an event: whether what was written to the client may wait for
 * more. */
bool stream_gathers(struct session *s);
/* At the end of an event: says what is due. May end the session. */
void stream_turn(struct session *s);
void stream_fini(struct session *s);

#endif
