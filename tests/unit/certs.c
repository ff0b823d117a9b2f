/* certs.c: see certs.h. */
#include "tests/unit/certs.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

static void add_names(X509 *cert, const char *names) {
    char text[512] = "", list[256], *save, *name;
    X509_EXTENSION *san;

    snprintf(list, sizeof(list), "%s", names);
    for (name = strtok_r(list, ",", &save); name;
         name = strtok_r(NULL, ",", &save)) {
        size_t at = strlen(text);

        snprintf(text + at, sizeof(text) - at, "%sDNS:%s", at ? "," : "", name);
    }
    san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, text);
    assert(san);
    X509_add_ext(cert, san, -1);
    X509_EXTENSION_free(san);
}

void certs_write(char *path, const char *names) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_NAME *subject = X509_get_subject_name(cert);
    unsigned serial = 0;
    FILE *file;
    int fd;

    RAND_bytes((unsigned char *)&serial, sizeof(serial));
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial >> 1);
    X509_set_version(cert, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               (const unsigned char *)"terse test", -1, -1, 0);
    X509_set_issuer_name(cert, subject);
    add_names(cert, names);
    X509_set_pubkey(cert, key);
    if (X509_sign(cert, key, EVP_sha256()) <= 0)
        abort();
    strcpy(path, "/tmp/terse-certs-XXXXXX");
    fd = mkstemp(path);
    file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file || !PEM_write_X509(file, cert) ||
        !PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) ||
        fclose(file))
        abort();
    X509_free(cert);
    EVP_PKEY_free(key);
}
