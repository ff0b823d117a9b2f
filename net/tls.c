/* tls.c: see tls.h. A server side would be a second tls_new and a net_tls made
 * with a certificate; everything else serves both. */
#include "net/tls.h"
#include "net/tls_names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct net_tls {
    atomic_uint refs;
    SSL_CTX *ctx;
};

struct tls {
    struct net_tls *ctx;
    SSL *ssl;
    BIO *in, *out; /* the SSL's own */
    bool ready;
    unsigned long error; /* OpenSSL's, of what failed */
    long verify;         /* X509_V_OK, or what was wrong */
};

/* OpenSSL queues errors per thread, and nng's threads serve many connections:
 * the queue is emptied before each call, and read right after. */
static unsigned long last_error(void) {
    unsigned long e = ERR_peek_last_error();

    ERR_clear_error();
    return e;
}

static void words(unsigned long e, char *text) {
    const char *reason = e ? ERR_reason_error_string(e) : NULL;

    snprintf(text, 256, "%s", reason ? reason : "TLS failed");
}

enum net_err net_tls_client(struct net_tls **out, const char *ca_file,
                            char *text) {
    struct net_tls *tls = calloc(1, sizeof(*tls));
    int ok;

    snprintf(text, 256, "out of memory");
    if (!tls)
        return NET_ENOMEM;
    if (ca_file && access(ca_file, R_OK)) {
        snprintf(text, 256, "%s", strerror(errno));
        free(tls);
        return NET_EARG;
    }
    ERR_clear_error();
    atomic_init(&tls->refs, 1);
    tls->ctx = SSL_CTX_new(TLS_client_method());
    if (!tls->ctx) {
        free(tls);
        return NET_ENOMEM;
    }
    SSL_CTX_set_min_proto_version(tls->ctx, TLS1_2_VERSION);
    SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(tls->ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(tls->ctx,
                        SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    ok = ca_file ? SSL_CTX_load_verify_file(tls->ctx, ca_file)
                 : SSL_CTX_set_default_verify_paths(tls->ctx);
    if (ok != 1) {
        words(last_error(), text);
        net_tls_rele(tls);
        return NET_EARG;
    }
    *out = tls;
    return NET_OK;
}

void net_tls_rele(struct net_tls *tls) {
    if (!tls)
        return;
    if (atomic_fetch_sub_explicit(&tls->refs, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(tls->ctx);
    free(tls);
}

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

enum net_err tls_new(struct tls **out, struct net_tls *ctx, const char *name) {
    struct tls *tls = calloc(1, sizeof(*tls));

    if (!tls)
        return NET_ENOMEM;
    tls->ssl = SSL_new(ctx->ctx);
    tls->in = BIO_new(BIO_s_mem());
    tls->out = BIO_new(BIO_s_mem());
    if (!tls->ssl || !tls->in || !tls->out || !set_name(tls->ssl, name)) {
        BIO_free(tls->in);
        BIO_free(tls->out);
        SSL_free(tls->ssl);
        free(tls);
        ERR_clear_error();
        return NET_ENOMEM;
    }
    SSL_set_bio(tls->ssl, tls->in, tls->out);
    SSL_set_connect_state(tls->ssl);
    atomic_fetch_add_explicit(&ctx->refs, 1, memory_order_relaxed);
    tls->ctx = ctx;
    *out = tls;
    return NET_OK;
}

void tls_free(struct tls *tls) {
    if (!tls)
        return;
    SSL_free(tls->ssl); /* and the BIOs */
    net_tls_rele(tls->ctx);
    free(tls);
}

bool tls_ready(const struct tls *tls) { return tls->ready; }

enum net_err tls_input(struct tls *tls, const void *p, size_t n) {
    size_t done;

    return BIO_write_ex(tls->in, p, n, &done) == 1 && done == n ? NET_OK
                                                                : NET_ENOMEM;
}

static enum tls_step failed(struct tls *tls, int rv) {
    switch (SSL_get_error(tls->ssl, rv)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return TLS_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_EOF;
    default:
        tls->error = last_error();
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
    }
    rv = SSL_read_ex(tls->ssl, p, cap, n);
    return rv == 1 ? TLS_DATA : failed(tls, rv);
}

enum net_err tls_write(struct tls *tls, const void *p, size_t n) {
    size_t done;

    ERR_clear_error();
    return SSL_write_ex(tls->ssl, p, n, &done) == 1 && done == n ? NET_OK
                                                                 : NET_ETLS;
}

void tls_bye(struct tls *tls) {
    ERR_clear_error();
    if (tls->ready)
        (void)SSL_shutdown(tls->ssl);
}

enum net_err tls_output(struct tls *tls, struct net_buf *out) {
    char *p;
    long n = BIO_get_mem_data(tls->out, &p);
    enum net_err err;

    if (n <= 0)
        return NET_OK;
    err = net_buf_append(out, p, (size_t)n);
    if (!err)
        (void)BIO_reset(tls->out);
    return err;
}

enum net_err tls_error(const struct tls *tls, char *text) {
    if (tls->verify != X509_V_OK) {
        snprintf(text, 256, "%s", X509_verify_cert_error_string(tls->verify));
        return NET_ECERT;
    }
    words(tls->error, text);
    return NET_ETLS;
}

void tls_cipher(const struct tls *tls, char *out) {
    snprintf(out, 64, "%s %s", SSL_get_version(tls->ssl),
             SSL_get_cipher_name(tls->ssl));
}
