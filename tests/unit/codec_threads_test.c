/* codec_threads_test.c: one schema serves several threads at once. Made for
 * -fsanitize=thread; without it, results are compared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "tests/unit/codec_util.h"

static struct terse_schema *schema;

static const char xml[] =
    "<message to='a@b' type='chat' id='f81d4fae-7dec-11d0-a765-00a0c91e6bf6'>"
    "<body>hi</body><request xmlns='urn:xmpp:receipts'/><x xmlns='urn:x' "
    "y='1'>t<z/></x></message>";

enum { THREADS = 4, ROUNDS = 300 };

static void *work(void *arg) {
    struct terse_buf frame, out;
    struct terse_error error;
    unsigned *good = arg;
    terse_buf_init(&frame, 10000);
    terse_buf_init(&out, 100000);
    for (int i = 0; i < ROUNDS; i++) {
        bool ok = codec_encode(schema, &terse_limits_default, xml,
                               sizeof(xml) - 1, &frame, &error) == TERSE_OK;
        terse_buf_reset(&out);
        ok = ok && terse_decode(schema, &terse_limits_default,
                                terse_buf_data(&frame), frame.len,
                                TERSE_STANDALONE, &out, &error) == TERSE_OK;
        *good += ok && codec_expat_reads(terse_buf_data(&out), out.len, false);
    }
    terse_buf_fini(&frame);
    terse_buf_fini(&out);
    return NULL;
}

static void test_codec_threads_share_one_schema(void **state) {
    pthread_t threads[THREADS];
    unsigned good[THREADS] = {0};
    (void)state;
    assert_int_equal(terse_schema_new(&schema), TERSE_OK);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &good[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(good[i], ROUNDS);
    }
    terse_schema_free(schema);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codec_threads_share_one_schema),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
