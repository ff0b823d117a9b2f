/* sasl.c: see sasl.h. */
#include "bridge/sasl.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

int bridge_unbase64(const char *base64, uint8_t *out) {
    size_t n = strlen(base64);
    int len;

    /* Exactly what the server will read, or nothing. */
    if (n == 0 || n % 4 || n >= BRIDGE_SASL_DATA ||
        strspn(base64, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                       "0123456789+/") < n - 2 ||
        (base64[n - 2] == '=' && base64[n - 1] != '='))
        return -1;
    len = EVP_DecodeBlock(out, (const unsigned char *)base64, (int)n);
    /* It counts the padding as zeros. */
    for (size_t i = n; len > 0 && i > n - 2 && base64[i - 1] == '='; i--)
        len--;
    return len;
}

/* "n,,n=user,r=…", with =2C for a comma and =3D for a =. */
static bool scram_user(const char *p, size_t n, char *user) {
    size_t at = 0, i = 5;

    if (n < 6 || (p[0] != 'n' && p[0] != 'y') || memcmp(p + 1, ",,n=", 4) != 0)
        return false;
    for (; i < n && p[i] != ','; i++) {
        char c = p[i];

        if (c == '=') {
            if (n - i < 3 ||
                (memcmp(p + i, "=2C", 3) != 0 && memcmp(p + i, "=3D", 3) != 0))
                return false;
            c = p[i + 1] == '2' ? ',' : '=';
            i += 2;
        }
        if (!c || at + 1 >= BRIDGE_SASL_NAME)
            return false;
        user[at++] = c;
    }
    user[at] = '\0';
    return at > 0 && i < n;
}

/* NUL user NUL password; before the first NUL would be another identity. */
static bool plain_user(const char *p, size_t n, char *user) {
    const char *end = n > 1 && !p[0] ? memchr(p + 1, 0, n - 1) : NULL;

    if (!end || end == p + 1 || end - p > BRIDGE_SASL_NAME)
        return false;
    memcpy(user, p + 1, (size_t)(end - p));
    return true;
}

bool bridge_sasl_user(const char *mechanism, const char *base64,
                      char user[BRIDGE_SASL_NAME]) {
    uint8_t *data = malloc(BRIDGE_SASL_DATA);
    int n = data ? bridge_unbase64(base64, data) : -1;
    bool good = false;

    user[0] = '\0';
    if (n > 0 && strcmp(mechanism, "PLAIN") == 0)
        good = plain_user((const char *)data, (size_t)n, user);
    else if (n > 0 && strncmp(mechanism, "SCRAM-", 6) == 0)
        good = scram_user((const char *)data, (size_t)n, user);
    if (data)
        OPENSSL_cleanse(data, BRIDGE_SASL_DATA);
    free(data);
    return good;
}
