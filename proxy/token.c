/* token.c: see token.h. */
#include "proxy/token.h"

#include <string.h>
#include <sys/random.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static bool hash(const void *p, size_t n, uint8_t out[TOKEN_HASH]) {
    return EVP_Digest(p, n, out, NULL, EVP_sha256(), NULL) == 1;
}

/* draft-schmaus-kitten-sasl-ht: HMAC(token, who || channel binding), which is
 * empty here. */
static bool say(const char *text, const char *who, uint8_t out[TOKEN_HASH]) {
    return HMAC(EVP_sha256(), text, (int)strlen(text), (const uint8_t *)who,
                strlen(who), out, NULL) != NULL;
}

bool token_make(struct token *token, char text[TOKEN_TEXT], const char *user,
                const char *agent, uint64_t until) {
    uint8_t random[24], proof[TOKEN_HASH];
    bool good;

    token_forget(token);
    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return false;
    EVP_EncodeBlock((unsigned char *)text, random, sizeof(random));
    good = say(text, "Initiator", proof) &&
           say(text, "Responder", token->answer) &&
           hash(proof, sizeof(proof), token->proof) &&
           hash(user, strlen(user), token->user) &&
           hash(agent, strlen(agent), token->agent);
    OPENSSL_cleanse(random, sizeof(random));
    OPENSSL_cleanse(proof, sizeof(proof));
    token->until = until;
    token->valid = good;
    return good;
}

bool token_check(const struct token *token, const char *user, const char *agent,
                 const uint8_t proof[TOKEN_HASH], uint64_t now) {
    uint8_t h[TOKEN_HASH], u[TOKEN_HASH], a[TOKEN_HASH];
    int differs;

    if (!token->valid || now >= token->until || !hash(proof, TOKEN_HASH, h) ||
        !hash(user, strlen(user), u) || !hash(agent, strlen(agent), a))
        return false;
    differs = CRYPTO_memcmp(h, token->proof, TOKEN_HASH) |
              CRYPTO_memcmp(u, token->user, TOKEN_HASH) |
              CRYPTO_memcmp(a, token->agent, TOKEN_HASH);
    return differs == 0;
}

void token_forget(struct token *token) {
    OPENSSL_cleanse(token, sizeof(*token));
    token->valid = false;
}
