/*
 * tls_names.h: names in certificates that OpenSSL does not look at: SRV-ID (RFC
 * 4985) and xmppAddr (RFC 6120 section 13.7.1.4).
 */
#ifndef NET_TLS_NAMES_H
#define NET_TLS_NAMES_H

#include <openssl/ssl.h>

/* For SSL_set_verify. Where the only fault is that no DNS name of the server's
 * certificate fits the host that was set, one of those names may. */
int tls_names_verify(int ok, X509_STORE_CTX *ctx);

#endif
