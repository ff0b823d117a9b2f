/*
 * tls.h: TLS as a filter of bytes, for conn.c only. OpenSSL on a BIO of our
 * own: no socket, no thread, no callback. The connection moves the bytes.
 *
 * tls_ctx.c makes what many connections share (struct net_tls); tls.c has one
 * connection's side.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "net/buf.h"

#include <openssl/ssl.h>

/* ---- what connections share (tls_ctx.c) ------------------------------------
 */

enum { TLS_SESSIONS = 16, TLS_KEYS = 2, TLS_PROTOCOLS = 4 };

/* A session that may be resumed with `name`. */
struct tls_session {
    char *name;
    SSL_SESSION *session;
};

/* What tickets are encrypted with. A key is used for TLS_KEY_AGE seconds, and
 * what it encrypted is taken for as long again. Counted: a reload passes it on,
 * so that tickets outlive it. */
struct tls_ring;

struct tls_pair {
    SSL_CTX *ctx;
    X509 *certificate; /* ctx's own */
};

struct net_tls {
    atomic_uint refs;
    SSL_CTX *ctx; /* dialling: the one; serving: pairs[0]'s */
    char alpn[64];
    size_t n_alpn; /* as ALPN has it: length, name, length, name */

    /* serving */
    struct tls_pair *pairs; /* NULL: dialling */
    size_t n_pairs;
    struct tls_ring *ring;

    /* dialling */
    pthread_mutex_t lock;
    struct tls_session sessions[TLS_SESSIONS]; /* lock; oldest at `next` */
    unsigned next;
};

/* The last error of OpenSSL on this thread, in words, into text[256]. */
unsigned long tls_last_error(void);
void tls_words(unsigned long e, char *text);

/* Takes a session for `name` out of the cache, or NULL; the caller frees. */
SSL_SESSION *tls_session_take(struct net_tls *tls, const char *name);

/* New tickets get a new key from now on; those of the key before stay good. */
void net_tls_rotate(struct net_tls *tls);

/* ---- one connection (tls.c) ------------------------------------------------
 */

struct tls;

enum tls_step {
    TLS_READY, /* the handshake is done; there may be more */
    TLS_DATA,  /* *n bytes of plain text are in p */
    TLS_AGAIN, /* needs more from the peer */
    TLS_EOF,   /* the peer said that nothing follows */
    TLS_FAIL,  /* see tls_error */
};

/* One connection's side: as a client of `name`, or, if name is NULL, as the
 * server. Holds ctx. */
NET_NODISCARD enum net_err tls_new(struct tls **out, struct net_tls *ctx,
                                   const char *name);
void tls_free(struct tls *tls);

/* Whether the handshake is done: tls_write works from then on. */
bool tls_ready(const struct tls *tls);

/* Gives it n bytes that the peer sent. Borrowed until tls_waiting is 0 again.
 * It must be 0 before, or what waits is somewhere else now, or dropped. */
void tls_input(struct tls *tls, const void *p, size_t n);
/* How many of them are still to be read. */
size_t tls_waiting(const struct tls *tls);
/* Goes on with the handshake, or decrypts into p. After each call there may be
 * something in tls_output. */
enum tls_step tls_read(struct tls *tls, void *p, size_t cap, size_t *n);
/* Encrypts n bytes, into one record if that is at most 16 KB. Only when
 * tls_ready. */
NET_NODISCARD enum net_err tls_write(struct tls *tls, const void *p, size_t n);
/* Says that nothing follows. */
void tls_bye(struct tls *tls);
/* What has to be sent to the peer; the caller empties it. */
struct net_buf *tls_output(struct tls *tls);

/* After TLS_FAIL: NET_ECERT or NET_ETLS, and words into text[256]. */
enum net_err tls_error(const struct tls *tls, char *text);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384" into out[64]. */
void tls_cipher(const struct tls *tls, char *out);
/* Whether an earlier session was resumed. */
bool tls_resumed(const struct tls *tls);
/* The protocol that was agreed on, into out[32]; "" if none. */
void tls_protocol(const struct tls *tls, char *out);

#endif
