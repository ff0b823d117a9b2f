/*
 * tls.h: TLS as a filter of bytes, for conn.c only. OpenSSL on memory BIOs: no
 * socket, no thread, no callback. The connection moves the bytes.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "net/buf.h"

struct tls;

enum tls_step {
    TLS_DATA,  /* *n bytes of plain text are in p */
    TLS_AGAIN, /* needs more from the peer */
    TLS_EOF,   /* the peer said that nothing follows */
    TLS_FAIL,  /* see tls_error */
};

/* One connection's side as a client of `name`. Holds ctx. */
NET_NODISCARD enum net_err tls_new(struct tls **out, struct net_tls *ctx,
                                   const char *name);
void tls_free(struct tls *tls);

/* Whether the handshake is done: tls_write works from then on. */
bool tls_ready(const struct tls *tls);

/* Takes bytes that the peer sent. */
NET_NODISCARD enum net_err tls_input(struct tls *tls, const void *p, size_t n);
/* Goes on with the handshake, or decrypts into p. After each call there may be
 * something for tls_output. */
enum tls_step tls_read(struct tls *tls, void *p, size_t cap, size_t *n);
/* Encrypts n bytes. Only when tls_ready. */
NET_NODISCARD enum net_err tls_write(struct tls *tls, const void *p, size_t n);
/* Says that nothing follows. */
void tls_bye(struct tls *tls);
/* Appends what has to be sent to the peer. */
NET_NODISCARD enum net_err tls_output(struct tls *tls, struct net_buf *out);

/* After TLS_FAIL: NET_ECERT or NET_ETLS, and words into text[256]. */
enum net_err tls_error(const struct tls *tls, char *text);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384" into out[64]. */
void tls_cipher(const struct tls *tls, char *out);

#endif
