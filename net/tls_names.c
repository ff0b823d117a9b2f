/* tls_names.c: see tls_names.h. */
#include "net/tls_names.h"

#include <stdbool.h>
#include <string.h>

#include <openssl/objects.h>
#include <openssl/x509v3.h>
#include <strings.h>

/* Whether the string is prefix + host, in any case of ASCII. Its length is the
 * certificate's word: a NUL within makes it another name. */
static bool says(const ASN1_STRING *s, const char *prefix, const char *host) {
    const char *p = (const char *)ASN1_STRING_get0_data(s);
    size_t n = (size_t)ASN1_STRING_length(s), lead = strlen(prefix);

    return n == lead + strlen(host) && memchr(p, 0, n) == NULL &&
           strncasecmp(p, prefix, lead) == 0 &&
           strncasecmp(p + lead, host, n - lead) == 0;
}

static bool fits(const OTHERNAME *name, const char *host) {
    const ASN1_TYPE *value = name->value;

    switch (OBJ_obj2nid(name->type_id)) {
    case NID_XmppAddr:
        return value->type == V_ASN1_UTF8STRING &&
               says(value->value.utf8string, "", host);
    case NID_SRVName:
        return value->type == V_ASN1_IA5STRING &&
               (says(value->value.ia5string, "_xmpp-client.", host) ||
                says(value->value.ia5string, "_xmpps-client.", host));
    default:
        return false;
    }
}

static bool names(X509 *cert, const char *host) {
    GENERAL_NAMES *all =
        X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool found = false;

    for (int i = 0; i < sk_GENERAL_NAME_num(all) && !found; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);

        found = name->type == GEN_OTHERNAME && fits(name->d.otherName, host);
    }
    GENERAL_NAMES_free(all);
    return found;
}

int tls_names_verify(int ok, X509_STORE_CTX *ctx) {
    const char *host =
        X509_VERIFY_PARAM_get0_host(X509_STORE_CTX_get0_param(ctx), 0);

    if (ok || !host ||
        X509_STORE_CTX_get_error(ctx) != X509_V_ERR_HOSTNAME_MISMATCH ||
        !names(X509_STORE_CTX_get0_cert(ctx), host))
        return ok;
    X509_STORE_CTX_set_error(ctx, X509_V_OK);
    return 1;
}
