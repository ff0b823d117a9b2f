/*
 * ws.h: the accepting side of WebSocket, for framer.c only. Sans-I/O, on
 * wslay's frame layer: messages, control frames and the close are put together
 * here, so that nothing is kept that a peer could make grow. Of many pings only
 * the last is answered (RFC 6455 section 5.5.3).
 */
#ifndef NET_WS_H
#define NET_WS_H

#include "net/buf.h"

struct ws;

/* rules: borrowed until the handshake is done. max: bytes of a message. */
NET_NODISCARD enum net_err
ws_new(struct ws **out, const struct net_ws_rules *rules, uint32_t max);
void ws_free(struct ws *ws);
/* The handshake is done. */
bool ws_open(const struct ws *ws);

/* Reads from n bytes; *used says how many it took. Stops after one message,
 * which *message (borrowed until the next call) and *len give; NULL: none yet.
 * Errors: NET_EEOF: the peer has closed; NET_EFRAMING, NET_ELIMIT: it broke
 * RFC 6455 or a limit; ws_bye says which. */
NET_NODISCARD enum net_err ws_read(struct ws *ws, const uint8_t *p, size_t n,
                                   size_t *used, const uint8_t **message,
                                   size_t *len);

/* What has to be sent, between two messages of ours: an answer, a pong, a
 * close. The caller takes it, so that it is empty again. */
struct net_buf *ws_output(struct ws *ws);

/* Says close, after which nothing follows, for the reason that an error of
 * ws_read gave, or else for this one. In the handshake: refuses it. */
void ws_bye(struct ws *ws, uint16_t code, const char *reason);
/* From here on reads for the peer's close only. False: what comes cannot be
 * read any more, since the peer broke the framing itself. */
bool ws_discard(struct ws *ws);

#endif
