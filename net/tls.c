/* tls.c: see tls.h. */
#include "net/tls.h"
#include "net/tls_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

struct tls {
    struct net_tls *ctx;
    SSL *ssl;
    const uint8_t *in; /* not ours: what the peer sent and OpenSSL has not
                          read */
    size_t n_in;
    struct net_buf out;
    bool ready;
    unsigned long error; /* OpenSSL's, of what failed */
    long verify;         /* X509_V_OK, or what was wrong */
    char name[];         /* of the server, if we dial */
};

/* ---- the BIO ---------------------------------------------------------------
 *
 * Two memory BIOs would copy all that comes and goes once more, and keep what
 * they grew to.
 */

static int bio_read(BIO *bio, char *p, size_t cap, size_t *n) {
    struct tls *tls = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (tls->n_in == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    *n = tls->n_in < cap ? tls->n_in : cap;
    memcpy(p, tls->in, *n);
    tls->in += *n;
    tls->n_in -= *n;
    return 1;
}

static int bio_write(BIO *bio, const char *p, size_t n, size_t *done) {
    struct tls *tls = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (net_buf_append(&tls->out, p, n))
        return 0;
    *done = n;
    return 1;
}

static long bio_ctrl(BIO *bio, int cmd, long arg, void *p) {
    (void)bio;
    (void)arg;
    (void)p;
    return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static void method_init(void) {
    int type = BIO_get_new_index();

    if (type == -1)
        return;
    method = BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "net");
    if (!method)
        return;
    BIO_meth_set_read_ex(method, bio_read);
    BIO_meth_set_write_ex(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
}

static BIO *bio_new(struct tls *tls) {
    BIO *bio;

    pthread_once(&method_once, method_init);
    bio = method ? BIO_new(method) : NULL;
    if (!bio)
        return NULL;
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    return bio;
}

/* ---- life ------------------------------------------------------------------
 */

/* The name that the certificate has to carry, and SNI, which is for names
 * only. */
static bool set_name(SSL *ssl, const char *name) {
    uint8_t addr[16];

    if (inet_pton(AF_INET, name, addr) == 1 ||
        inet_pton(AF_INET6, name, addr) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    SSL_set_verify(ssl, SSL_VERIFY_PEER, tls_names_verify);
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1 &&
           SSL_set_tlsext_host_name(ssl, name) == 1;
}

static bool begin_client(struct tls *tls) {
    const struct net_tls *ctx = tls->ctx;
    SSL_SESSION *session;

    if (!set_name(tls->ssl, tls->name))
        return false;
    if (ctx->n_alpn &&
        SSL_set_alpn_protos(tls->ssl, (const unsigned char *)ctx->alpn,
                            (unsigned)ctx->n_alpn))
        return false;
    session = tls_session_take(tls->ctx, tls->name);
    if (session && SSL_set_session(tls->ssl, session) != 1)
        ERR_clear_error(); /* a whole handshake, then */
    SSL_SESSION_free(session);
    SSL_set_connect_state(tls->ssl);
    return true;
}

enum net_err tls_new(struct tls **out, struct net_tls *ctx, const char *name) {
    size_t n = name ? strlen(name) + 1 : 1;
    struct tls *tls = calloc(1, sizeof(*tls) + n);
    BIO *bio;
    bool ok;

    if (!tls)
        return NET_ENOMEM;
    net_tls_hold(ctx);
    tls->ctx = ctx;
    if (name)
        memcpy(tls->name, name, n);
    tls->ssl = SSL_new(ctx->ctx);
    bio = tls->ssl ? bio_new(tls) : NULL;
    if (bio) {
        SSL_set_bio(tls->ssl, bio, bio);
        SSL_set_app_data(tls->ssl, tls->name);
    }
    ok = bio && (!name || begin_client(tls));
    if (!ok) {
        ERR_clear_error();
        tls_free(tls);
        return NET_ENOMEM;
    }
    if (!name)
        SSL_set_accept_state(tls->ssl);
    *out = tls;
    return NET_OK;
}

void tls_free(struct tls *tls) {
    if (!tls)
        return;
    /* A connection that was lost may be resumed like one that ended well. */
    if (tls->ssl && tls->ready)
        SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(tls->ssl); /* and the BIO */
    net_buf_fini(&tls->out);
    net_tls_rele(tls->ctx);
    free(tls);
}

/* ---- bytes -----------------------------------------------------------------
 */

bool tls_ready(const struct tls *tls) { return tls->ready; }

void tls_input(struct tls *tls, const void *p, size_t n) {
    tls->in = p;
    tls->n_in = n;
}

size_t tls_waiting(const struct tls *tls) { return tls->n_in; }

struct net_buf *tls_output(struct tls *tls) {
    return &tls->out;
}

static enum tls_step failed(struct tls *tls, int rv) {
    switch (SSL_get_error(tls->ssl, rv)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return TLS_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_EOF;
    default:
        tls->error = tls_last_error();
        tls->verify = SSL_get_verify_result(tls->ssl);
        return TLS_FAIL;
    }
}

enum tls_step tls_read(struct tls *tls, void *p, size_t cap, size_t *n) {
    int rv;

    *n = 0;
    ERR_clear_error();
    if (!tls->ready) {
        rv = SSL_do_handshake(tls->ssl);
        if (rv != 1)
            return failed(tls, rv);
        tls->ready = true;
        return TLS_READY;
    }
    rv = SSL_read_ex(tls->ssl, p, cap, n);
    return rv == 1 ? TLS_DATA : failed(tls, rv);
}

enum net_err tls_write(struct tls *tls, const void *p, size_t n) {
    size_t done;

    ERR_clear_error();
    if (SSL_write_ex(tls->ssl, p, n, &done) == 1 && done == n)
        return NET_OK;
    ERR_clear_error();
    return NET_ETLS;
}

void tls_bye(struct tls *tls) {
    ERR_clear_error();
    if (tls->ready)
        (void)SSL_shutdown(tls->ssl);
}

/* ---- what it is ------------------------------------------------------------
 */

enum net_err tls_error(const struct tls *tls, char *text) {
    if (tls->verify != X509_V_OK) {
        snprintf(text, 256, "%s", X509_verify_cert_error_string(tls->verify));
        return NET_ECERT;
    }
    tls_words(tls->error, text);
    return NET_ETLS;
}

void tls_cipher(const struct tls *tls, char *out) {
    snprintf(out, 64, "%s %s", SSL_get_version(tls->ssl),
             SSL_get_cipher_name(tls->ssl));
}

bool tls_resumed(const struct tls *tls) {
    return SSL_session_reused(tls->ssl) == 1;
}

void tls_protocol(const struct tls *tls, char *out) {
    const unsigned char *p;
    unsigned n;

    SSL_get0_alpn_selected(tls->ssl, &p, &n);
    snprintf(out, 32, "%.*s", (int)(n < 31 ? n : 31), p ? (const char *)p : "");
}
