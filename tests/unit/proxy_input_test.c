/* proxy_input_test.c: the fuzzer of sessions in little: its seeds, each of them
 * changed in a thousand ways, always the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/mobile_input.h"

enum { CHANGES = 1000, LARGEST = 1024 };

static const struct seed {
    uint8_t kind;
    const char *text;
} seeds[] = {
    {MOBILE_AUTHENTICATE,
     "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-256'>"
     "<initial-response>biwsbj1hbGljZSxyPWFiYw==</initial-response>"
     "<user-agent id='d4565fa7'/><bind xmlns='urn:xmpp:bind:0'>"
     "<tag>phone</tag><enable xmlns='urn:xmpp:carbons:2'/>"
     "<inactive xmlns='urn:xmpp:csi:0'/>"
     "<enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>"
     "<resume xmlns='urn:xmpp:sm:3' h='12' previd='~3~abc'/>"
     "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>"
     "<fast xmlns='urn:xmpp:fast:0' invalidate='true'/></authenticate>"},
    {MOBILE_ID, "~3~g2gCbQAAABJwaG9uZS4"},
    {MOBILE_ID, "~"},
    {MOBILE_PLAIN, "AGFsaWNlAHNlY3JldA=="},
    {MOBILE_SCRAM, "biwsbj1hPTJDbGk9M0RjZSxyPWFiYw=="},
    {MOBILE_TOKEN, "YWxpY2UAAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="},
    {MOBILE_COUNTS, "\xff\xff\xff\xff\1a\1b\2c\3d\4e\6f\1g\3h\0i\0j\7k\5l\7m"},
};

/* Numerical Recipes' generator: the same numbers everywhere. */
static uint32_t next(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static size_t change(uint8_t *p, size_t n, uint32_t *state) {
    for (uint32_t i = 1 + next(state) % 4; i > 0 && n > 1; i--) {
        size_t at = 1 + next(state) % (n - 1), len = next(state) % 32;

        if (len > n - at)
            len = n - at;
        switch (next(state) % 4) {
        case 0: /* another byte */
            p[at] = (uint8_t)next(state);
            break;
        case 1: /* without some */
            memmove(p + at, p + at + len, n - at - len);
            n -= len;
            break;
        case 2: /* some of them twice */
            if (n + len > LARGEST)
                break;
            memmove(p + at + len, p + at, n - at);
            n += len;
            break;
        default: /* a byte of another place */
            p[at] = p[next(state) % n];
        }
    }
    return n;
}

static void test_input_of_any_kind(void **state) {
    uint8_t data[LARGEST];
    uint32_t random = 1;

    (void)state;
    for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
        size_t n = 1 + strlen(seeds[i].text);

        for (int j = 0; j < CHANGES; j++) {
            data[0] = seeds[i].kind;
            memcpy(data + 1, seeds[i].text, n - 1);
            mobile_input(data, j == 0 ? n : change(data, n, &random));
        }
    }
}

/* Operations on counts by the hundred, since those are no text. */
static void test_counts_in_any_order(void **state) {
    uint8_t data[512] = {MOBILE_COUNTS};
    uint32_t random = 7;

    (void)state;
    for (int i = 0; i < CHANGES; i++) {
        for (size_t j = 1; j < sizeof(data); j++)
            data[j] = (uint8_t)next(&random);
        mobile_input(data, sizeof(data));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_input_of_any_kind),
        cmocka_unit_test(test_counts_in_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
