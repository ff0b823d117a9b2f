/* Which frames only say something of a conversation: told by numbers, so the
 * encoder's own frames say whether they are the right ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tests/unit/codec_util.h"

#define STATE "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
#define UUID "123e4567-e89b-12d3-a456-426614174000"
#define HEAD "<message to='bob@example.org/x' type='chat' id='" UUID "'>"
#define RECEIVED(id) "<received xmlns='urn:xmpp:receipts' id='" id "'/>"
#define DISPLAYED(id) "<displayed xmlns='urn:xmpp:chat-markers:0' id='" id "'/>"
#define HINT "<store xmlns='urn:xmpp:hints'/>"

static const char *const slight[] = {
    "<message>" STATE "</message>",
    HEAD STATE "<no-store xmlns='urn:xmpp:hints'/></message>",
    HEAD STATE "<thread>" UUID "</thread></message>",
    HEAD STATE "<thread>some of it</thread></message>",
    "<message id='1' xml:lang='en'>" RECEIVED("17") HINT "</message>",
    "<message id='x-17'>" RECEIVED(UUID) "</message>",
    "<message id='0badcafe'>" RECEIVED("0badcafe") "</message>",
    "<message id='aB3dE5gH7'>" RECEIVED("aB3dE5gH7") "</message>",
    HEAD DISPLAYED("17") HINT "</message>",
    HEAD DISPLAYED(UUID) "<origin-id xmlns='urn:xmpp:sid:0' id='" UUID
                         "'/></message>",
    HEAD DISPLAYED("0badcafe") "</message>",
    HEAD DISPLAYED("aB3dE5gH7") "</message>",
};
static const char *const weighty[] = {
    "<message/>",
    HEAD "<body>hi</body></message>",
    HEAD "<body>hi</body><active xmlns='http://jabber.org/protocol/chatstates'"
         "/></message>",
    HEAD "<body xml:lang='de'>hallo</body>" STATE "</message>",
    HEAD "<body>See you tomorrow at the station</body>" STATE "</message>",
    HEAD "<subject>hi</subject>" STATE "</message>",
    HEAD STATE "<x xmlns='urn:example:unknown'/></message>",
    HEAD STATE "<request xmlns='urn:xmpp:receipts'/></message>",
    HEAD "<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/>"
         "</encrypted>" STATE "</message>",
    HEAD "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/></message>",
    HEAD RECEIVED("1") "some text</message>",
    "<presence/>",
    "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
    "<a xmlns='urn:xmpp:sm:3' h='1'/>",
};

static void all_are(const char *const *xml, size_t n, bool want) {
    struct terse_schema *schema;
    struct terse_buf frame;
    struct terse_error error;

    assert_int_equal(terse_schema_new(&schema), TERSE_OK);
    terse_buf_init(&frame, 65536);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(codec_encode(schema, &codec_wide, xml[i],
                                      strlen(xml[i]), &frame, &error),
                         TERSE_OK);
        if (terse_frame_slight(terse_buf_data(&frame), frame.len) != want)
            fail_msg("%s", xml[i]);
        /* Cut off, it is nothing. */
        for (size_t cut = 0; cut < frame.len; cut++)
            assert_false(terse_frame_slight(terse_buf_data(&frame), cut));
    }
    terse_buf_fini(&frame);
    terse_schema_free(schema);
}

static void test_slight_what_says_little(void **state) {
    (void)state;
    all_are(slight, sizeof(slight) / sizeof(slight[0]), true);
}

static void test_slight_not_what_says_more(void **state) {
    (void)state;
    all_are(weighty, sizeof(weighty) / sizeof(weighty[0]), false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slight_what_says_little),
        cmocka_unit_test(test_slight_not_what_says_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
