/* xml_scan_test.c: looking at many bytes at once finds what looking at each of
 * them finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "codec/xml_scan.h"
#include "tests/unit/codec_util.h"

enum { ROUNDS = 40000, MAX_ATTRS = 2, SIZE = 1200 };

struct found {
    enum terse_err err;
    size_t at;
};

/* Slices of `slice` bytes; what is left unread of each is all of it, which is
 * right wherever its tags are. */
static struct found scan(const char *p, size_t n, size_t slice) {
    struct xml_scan s = {.max_attrs = MAX_ATTRS};
    struct found f = {TERSE_OK, 0};
    while (f.at < n && f.err == TERSE_OK) {
        size_t size = n - f.at < slice ? n - f.at : slice;
        size_t good = xml_scan(&s, p + f.at, size, &f.err);
        if (good == size)
            good = xml_scan_left(&s, p + f.at, size, size, &f.err);
        assert_true((good < size) == (f.err != TERSE_OK));
        f.at += good;
    }
    return f;
}

/* Pieces of XML, mostly in an order that makes sense. */
static size_t make(struct codec_random *random, char *p) {
    static const char *const pieces[] = {
        "<a>",
        "</a>",
        "<a b='1'/>",
        "text text text text text ",
        "<b",
        " c=\"x>'\"",
        " d='y<\"'",
        ">",
        "&amp;",
        "&#10;",
        "\xc3\xa9",
        "\xf0\x9f\x98\x80",
        "<![CDATA[ ]] =&' ]]>",
        "=",
        "</a '>",
        "&",
        "\xc3",
        "\xa9",
        "\xed\xa0\x80",
        "<?x?>",
    };
    enum { SANE = 13, ALL = sizeof(pieces) / sizeof(pieces[0]) };
    size_t n = 0, want = codec_random(random) % (SIZE - 64);
    uint64_t odd = codec_random(random) % 64;
    while (n < want) {
        uint64_t r = codec_random(random) >> 16;
        size_t kinds = r % 64 < odd / 16 ? (size_t)ALL : (size_t)SANE;
        const char *piece = pieces[(r >> 8) % kinds];
        memcpy(p + n, piece, strlen(piece));
        n += strlen(piece);
    }
    return n;
}

static void test_xml_scan_slices_find_what_bytes_find(void **state) {
    unsigned seen[TERSE_EFRAME + 1] = {0};
    (void)state;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        struct codec_random random = {i};
        char p[SIZE];
        size_t n = make(&random, p);
        struct found want = scan(p, n, 1);
        size_t slices[] = {n, 2 + codec_random(&random) % 40, 500};
        for (size_t k = 0; n > 0 && k < 3; k++) {
            struct found got = scan(p, n, slices[k]);
            if (got.err != want.err || got.at != want.at)
                fail_msg("%.*s: slices of %zu: %d at %zu, not %d at %zu",
                         (int)n, p, slices[k], (int)got.err, got.at,
                         (int)want.err, want.at);
        }
        seen[want.err]++;
    }
    assert_true(seen[TERSE_OK] > 100 && seen[TERSE_EXML] > 100);
    assert_true(seen[TERSE_EENCODING] > 100 && seen[TERSE_ELIMIT] > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xml_scan_slices_find_what_bytes_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
