/* tls_ctx.c: what TLS connections share: trust, certificates, tickets. */
#include "net/tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

enum { TLS_KEY_AGE = 12 * 3600 };

struct tls_key {
    uint8_t name[16], cipher[32], mac[32];
    time_t made;
};

struct tls_ring {
    atomic_uint refs;
    pthread_mutex_t lock;
    struct tls_key keys[TLS_KEYS]; /* the first is the current one */
    unsigned n;
    bool derived; /* keys come from `secret` and the hour, see net_tls_secret */
    uint8_t secret[32];
};

/* OpenSSL queues errors per thread, and a thread serves many connections:
 * the queue is emptied before each call, and read right after. */
unsigned long tls_last_error(void) {
    unsigned long e = ERR_peek_last_error();

    ERR_clear_error();
    return e;
}

void tls_words(unsigned long e, char *text) {
    const char *reason = e ? ERR_reason_error_string(e) : NULL;

    snprintf(text, 256, "%s", reason ? reason : "TLS failed");
}

/* ---- the keys of tickets ---------------------------------------------------
 */

static time_t now(void) {
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec;
}

static struct tls_ring *ring_new(void) {
    struct tls_ring *ring = calloc(1, sizeof(*ring));

    if (!ring)
        return NULL;
    if (pthread_mutex_init(&ring->lock, NULL)) {
        free(ring);
        return NULL;
    }
    atomic_init(&ring->refs, 1);
    return ring;
}

static void ring_rele(struct tls_ring *ring) {
    if (!ring || atomic_fetch_sub(&ring->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&ring->lock);
    OPENSSL_cleanse(ring, sizeof(*ring));
    free(ring);
}

/* With the lock: a new key in front. False: there is no randomness. */
static bool ring_turn(struct tls_ring *ring) {
    struct tls_key key = {.made = now()};

    if (RAND_bytes(key.name, sizeof(key.name)) != 1 ||
        RAND_priv_bytes(key.cipher, sizeof(key.cipher)) != 1 ||
        RAND_priv_bytes(key.mac, sizeof(key.mac)) != 1)
        return false;
    ring->keys[1] = ring->keys[0];
    ring->keys[0] = key;
    ring->n = ring->n < TLS_KEYS ? ring->n + 1 : TLS_KEYS;
    OPENSSL_cleanse(&key, sizeof(key));
    return true;
}

/* The key of a time, which all that know the secret make alike: name, cipher
 * and mac are HMAC-SHA-256 of the period and a number. */
static bool ring_derive(const struct tls_ring *ring, uint64_t period,
                        struct tls_key *out) {
    uint8_t message[9], all[3][32];
    unsigned n;

    memcpy(message, &period, sizeof(period));
    for (uint8_t i = 0; i < 3; i++) {
        message[8] = i;
        if (!HMAC(EVP_sha256(), ring->secret, sizeof(ring->secret), message,
                  sizeof(message), all[i], &n))
            return false;
    }
    memcpy(out->name, all[0], sizeof(out->name));
    memcpy(out->cipher, all[1], sizeof(out->cipher));
    memcpy(out->mac, all[2], sizeof(out->mac));
    OPENSSL_cleanse(all, sizeof(all));
    return true;
}

static uint64_t period_now(void) { return (uint64_t)time(NULL) / TLS_KEY_AGE; }

/* The key of that name among those of this period, the one before, and the next
 * one, which another machine's clock may have reached. */
static bool ring_rederive(const struct tls_ring *ring, const uint8_t name[16],
                          struct tls_key *out, bool *old) {
    uint64_t period = period_now();

    for (int i = -1; i <= 1; i++) {
        if (!ring_derive(ring, period + (uint64_t)(int64_t)i, out))
            return false;
        *old = i < 0;
        if (memcmp(out->name, name, sizeof(out->name)) == 0)
            return true;
    }
    return false;
}

/* The key for a new ticket. */
static bool ring_current(struct tls_ring *ring, struct tls_key *out) {
    bool ok = true;

    if (ring->derived)
        return ring_derive(ring, period_now(), out);
    pthread_mutex_lock(&ring->lock);
    if (ring->n == 0 || now() - ring->keys[0].made >= TLS_KEY_AGE)
        ok = ring_turn(ring);
    *out = ring->keys[0];
    pthread_mutex_unlock(&ring->lock);
    return ok;
}

/* The key of that name; *old if it is not the current one. */
static bool ring_find(struct tls_ring *ring, const uint8_t name[16],
                      struct tls_key *out, bool *old) {
    bool found = false;

    if (ring->derived)
        return ring_rederive(ring, name, out, old);
    pthread_mutex_lock(&ring->lock);
    for (unsigned i = 0; i < ring->n && !found; i++) {
        const struct tls_key *key = &ring->keys[i];

        found = memcmp(key->name, name, 16) == 0 &&
                now() - key->made < 2 * TLS_KEY_AGE;
        *old = i > 0;
        *out = *key;
    }
    pthread_mutex_unlock(&ring->lock);
    return found;
}

void net_tls_rotate(struct net_tls *tls) {
    pthread_mutex_lock(&tls->ring->lock);
    (void)ring_turn(tls->ring);
    pthread_mutex_unlock(&tls->ring->lock);
}

/* OpenSSL's hook: -1 failure, 0 no such key, 1 fine, 2 fine and to be renewed
 */
static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv,
                      EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt) {
    const struct net_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    char digest[] = "SHA256";
    struct tls_key key;
    OSSL_PARAM params[3];
    bool old = false, ok;

    if (encrypt) {
        if (!ring_current(tls->ring, &key) || RAND_bytes(iv, 16) != 1)
            return -1;
        memcpy(name, key.name, sizeof(key.name));
    } else if (!ring_find(tls->ring, name, &key, &old)) {
        return 0;
    }
    params[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac,
                                                  sizeof(key.mac));
    params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest,
                                                 sizeof(digest) - 1);
    params[2] = OSSL_PARAM_construct_end();
    ok = EVP_MAC_CTX_set_params(mac, params) == 1 &&
         EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv,
                           encrypt) == 1;
    OPENSSL_cleanse(&key, sizeof(key));
    /* A ticket of TLS 1.3 is for one use: each connection gets a new one. */
    old |= SSL_version(ssl) == TLS1_3_VERSION;
    return !ok ? -1 : old ? 2 : 1;
}

/* ---- both sides ------------------------------------------------------------
 */

static struct net_tls *shared_new(void) {
    struct net_tls *tls = calloc(1, sizeof(*tls));

    if (!tls)
        return NULL;
    if (pthread_mutex_init(&tls->lock, NULL)) {
        free(tls);
        return NULL;
    }
    atomic_init(&tls->refs, 1);
    return tls;
}

void net_tls_hold(struct net_tls *tls) {
    atomic_fetch_add_explicit(&tls->refs, 1, memory_order_relaxed);
}

void net_tls_rele(struct net_tls *tls) {
    if (!tls)
        return;
    if (atomic_fetch_sub_explicit(&tls->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < TLS_SESSIONS; i++) {
        free(tls->sessions[i].name);
        SSL_SESSION_free(tls->sessions[i].session);
    }
    for (size_t i = 0; i < tls->n_pairs; i++)
        SSL_CTX_free(tls->pairs[i].ctx);
    if (!tls->pairs)
        SSL_CTX_free(tls->ctx);
    free(tls->pairs);
    ring_rele(tls->ring);
    pthread_mutex_destroy(&tls->lock);
    free(tls);
}

static SSL_CTX *ctx_new(struct net_tls *tls, const SSL_METHOD *how) {
    SSL_CTX *ctx = SSL_CTX_new(how);

    if (!ctx)
        return NULL;
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_app_data(ctx, tls);
    return ctx;
}

enum net_err net_tls_offer(struct net_tls *tls, const char *protocol) {
    size_t n = strlen(protocol);

    if (n == 0 || n > 31 || tls->n_alpn + 1 + n > sizeof(tls->alpn))
        return NET_EARG;
    tls->alpn[tls->n_alpn] = (char)n;
    memcpy(tls->alpn + tls->n_alpn + 1, protocol, n);
    tls->n_alpn += 1 + n;
    return NET_OK;
}

/* ---- dialling --------------------------------------------------------------
 */

SSL_SESSION *tls_session_take(struct net_tls *tls, const char *name) {
    SSL_SESSION *session = NULL;

    pthread_mutex_lock(&tls->lock);
    for (unsigned i = 1; i <= TLS_SESSIONS && !session; i++) {
        struct tls_session *s =
            &tls->sessions[(tls->next + TLS_SESSIONS - i) % TLS_SESSIONS];

        if (!s->session || strcmp(s->name, name) != 0)
            continue;
        session = s->session;
        /* A ticket of TLS 1.3 is for one use; one of TLS 1.2 is all there is.
         */
        if (SSL_SESSION_get_protocol_version(session) < TLS1_3_VERSION) {
            SSL_SESSION_up_ref(session);
            continue;
        }
        free(s->name);
        *s = (struct tls_session){NULL, NULL};
    }
    pthread_mutex_unlock(&tls->lock);
    return session;
}

/* OpenSSL's hook: a session that may be resumed. 1: taken. */
static int keep_session(SSL *ssl, SSL_SESSION *session) {
    struct net_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    char *name = strdup(SSL_get_app_data(ssl));
    struct tls_session old;

    if (!name)
        return 0;
    pthread_mutex_lock(&tls->lock);
    old = tls->sessions[tls->next];
    tls->sessions[tls->next] = (struct tls_session){name, session};
    tls->next = (tls->next + 1) % TLS_SESSIONS;
    pthread_mutex_unlock(&tls->lock);
    free(old.name);
    SSL_SESSION_free(old.session);
    return 1;
}

enum net_err net_tls_client(struct net_tls **out, const char *ca_file,
                            char *text) {
    struct net_tls *tls;
    int ok;

    if (ca_file && access(ca_file, R_OK)) {
        snprintf(text, 256, "%s", strerror(errno));
        return NET_EARG;
    }
    snprintf(text, 256, "out of memory");
    tls = shared_new();
    if (!tls)
        return NET_ENOMEM;
    ERR_clear_error();
    tls->ctx = ctx_new(tls, TLS_client_method());
    if (!tls->ctx) {
        net_tls_rele(tls);
        return NET_ENOMEM;
    }
    SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(tls->ctx, SSL_SESS_CACHE_CLIENT |
                                                 SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(tls->ctx, keep_session);
    ok = ca_file ? SSL_CTX_load_verify_file(tls->ctx, ca_file)
                 : SSL_CTX_set_default_verify_paths(tls->ctx);
    if (ok != 1) {
        tls_words(tls_last_error(), text);
        net_tls_rele(tls);
        return NET_EARG;
    }
    *out = tls;
    return NET_OK;
}

/* ---- serving ---------------------------------------------------------------
 */

/* OpenSSL's hook. What we do not speak is refused, as RFC 7301 asks: whoever
 * offers nothing may speak whatever is served here. */
static int choose_protocol(SSL *ssl, const unsigned char **out,
                           unsigned char *n_out, const unsigned char *in,
                           unsigned n_in, void *arg) {
    const struct net_tls *tls = arg;

    (void)ssl;
    for (size_t i = 0; i < tls->n_alpn; i += 1U + (uint8_t)tls->alpn[i]) {
        size_t n = (uint8_t)tls->alpn[i];

        for (unsigned at = 0; at < n_in; at += 1U + in[at])
            if (in[at] == n && at + n < n_in &&
                memcmp(in + at + 1, tls->alpn + i + 1, n) == 0) {
                *out = in + at + 1;
                *n_out = (unsigned char)n;
                return SSL_TLSEXT_ERR_OK;
            }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* OpenSSL's hook: the first certificate that is good for the name; for a name
 * that none has, the first of all. */
static int choose_certificate(SSL *ssl, int *alert, void *arg) {
    const struct net_tls *tls = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    (void)alert;
    for (size_t i = 0; name && i < tls->n_pairs; i++)
        if (X509_check_host(tls->pairs[i].certificate, name, strlen(name),
                            X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1) {
            SSL_set_SSL_CTX(ssl, tls->pairs[i].ctx);
            break;
        }
    return SSL_TLSEXT_ERR_OK;
}

/* A key that needs a passphrase is of no use to a daemon: never ask. */
static int no_passphrase(char *buf, int size, int writing, void *arg) {
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return 0;
}

static enum net_err load_pair(SSL_CTX *ctx, const struct net_cert *pair,
                              char *text) {
    const char *key = pair->key ? pair->key : pair->certificate;

    for (int i = 0; i < 2; i++) {
        const char *file = i ? key : pair->certificate;

        if (access(file, R_OK)) {
            snprintf(text, 256, "%.200s: %s", file, strerror(errno));
            return NET_EARG;
        }
    }
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    if (SSL_CTX_use_certificate_chain_file(ctx, pair->certificate) != 1) {
        unsigned long e = tls_last_error();

        snprintf(text, 256, "%.160s: no certificate in PEM (%.60s)",
                 pair->certificate, e ? ERR_reason_error_string(e) : "");
        return NET_EARG;
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1) {
        ERR_clear_error();
        snprintf(text, 256,
                 "%.160s: no private key in PEM that fits the certificate",
                 key);
        return NET_EARG;
    }
    return NET_OK;
}

static enum net_err add_pair(struct net_tls *tls, const struct net_cert *cert,
                             char *text) {
    static const unsigned char context[] = "terse";
    struct tls_pair *pair = &tls->pairs[tls->n_pairs];
    enum net_err err;

    pair->ctx = ctx_new(tls, TLS_server_method());
    if (!pair->ctx)
        return NET_ENOMEM;
    tls->n_pairs++;
    SSL_CTX_set_cipher_list(pair->ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
    /* All that is needed to resume is in the ticket: nothing is kept here. */
    SSL_CTX_set_session_cache_mode(pair->ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(pair->ctx, context, sizeof(context) - 1);
    SSL_CTX_set_timeout(pair->ctx, 2 * TLS_KEY_AGE);
    SSL_CTX_set_num_tickets(pair->ctx, 1);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(pair->ctx, ticket_key);
    SSL_CTX_set_alpn_select_cb(pair->ctx, choose_protocol, tls);
    SSL_CTX_set_tlsext_servername_callback(pair->ctx, choose_certificate);
    SSL_CTX_set_tlsext_servername_arg(pair->ctx, tls);
    err = load_pair(pair->ctx, cert, text);
    pair->certificate = SSL_CTX_get0_certificate(pair->ctx);
    return err;
}

enum net_err net_tls_server(struct net_tls **out, const struct net_cert *certs,
                            size_t n, char *text) {
    struct net_tls *tls = shared_new();
    enum net_err err = NET_ENOMEM;

    snprintf(text, 256, "out of memory");
    if (!tls)
        return NET_ENOMEM;
    ERR_clear_error();
    tls->ring = ring_new();
    tls->pairs = calloc(n + 1, sizeof(*tls->pairs));
    if (tls->ring && tls->pairs)
        err = n ? NET_OK : NET_EARG;
    for (size_t i = 0; !err && i < n; i++)
        err = add_pair(tls, &certs[i], text);
    ERR_clear_error();
    if (err) {
        net_tls_rele(tls);
        return err;
    }
    tls->ctx = tls->pairs[0].ctx;
    *out = tls;
    return NET_OK;
}

enum net_err net_tls_secret(struct net_tls *tls, const char *path, char *text) {
    enum { LEAST = 32, MOST = 4096 };
    uint8_t bytes[MOST];
    unsigned size;
    FILE *file = fopen(path, "rb");
    size_t n = file ? fread(bytes, 1, sizeof(bytes), file) : 0;

    if (!file) {
        snprintf(text, 256, "%.160s: %s", path, strerror(errno));
        return NET_EARG;
    }
    fclose(file);
    if (n < LEAST || !HMAC(EVP_sha256(), "terse tickets", 13, bytes, n,
                           tls->ring->secret, &size)) {
        snprintf(text, 256, "%.160s: less than %d bytes", path, LEAST);
        return NET_EARG;
    }
    OPENSSL_cleanse(bytes, sizeof(bytes));
    tls->ring->derived = true;
    return NET_OK;
}

void net_tls_inherit(struct net_tls *tls, struct net_tls *old) {
    if (!tls || !old || !tls->ring || !old->ring || tls->ring == old->ring ||
        tls->ring->derived || old->ring->derived)
        return;
    atomic_fetch_add(&old->ring->refs, 1);
    ring_rele(tls->ring);
    tls->ring = old->ring;
}
