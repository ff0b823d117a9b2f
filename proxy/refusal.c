/* refusal.c: see refusal.h. */
#include "proxy/refusal.h"

#include <string.h>

#include "bridge/log.h"
#include "proxy/sasl2.h"
#include "proxy/session.h"
#include "proxy/stream.h"

#define NS_STANZAS "urn:ietf:params:xml:ns:xmpp-stanzas"

enum { VALUE_MAX = 3072, STAND_IN_MAX = 65536 };

static enum terse_err put_attr(struct terse_buf *xml,
                               const struct terse_node *node,
                               const char *name) {
    struct terse_str value;
    char text[VALUE_MAX];

    if (!terse_node_attr(node, "", name, &value) ||
        !terse_str_copy(value, text, sizeof(text)))
        return TERSE_OK;
    return sasl2_print(xml, " %S='%s'", name, text);
}

static enum terse_err put_stand_in(struct terse_buf *xml,
                                   const struct terse_node *node,
                                   const char *name, const char *why) {
    static const char *const kept[] = {"from", "to", "id"};
    enum terse_err err = sasl2_print(xml, "<%S", name);

    for (size_t i = 0; !err && i < sizeof(kept) / sizeof(kept[0]); i++)
        err = put_attr(xml, node, kept[i]);
    if (err)
        return err;
    return sasl2_print(xml,
                       " type='error'><error type='modify'>"
                       "<policy-violation xmlns='" NS_STANZAS "'/>"
                       "<text xmlns='" NS_STANZAS "' xml:lang='en'>"
                       "A stanza was refused on its way: %s.</text></error>"
                       "</%S>",
                       why, name);
}

static enum terse_err on_event(void *arg, enum terse_event event,
                               struct terse_node *node) {
    return event == TERSE_ELEMENT ? stream_pass(arg, node) : TERSE_OK;
}

static enum terse_err pass(struct session *s, const struct terse_buf *xml) {
    struct terse_reader *reader = NULL;
    char header[BRIDGE_TEXT];
    enum terse_err err;

    bridge_header(header, NULL, NULL, NULL);
    err = terse_reader_new(&reader, s->bridge.schema, &terse_limits_default,
                           on_event, s);
    if (!err)
        err = terse_reader_feed(reader, header, strlen(header));
    if (!err)
        err = terse_reader_feed(reader, (const char *)terse_buf_data(xml),
                                xml->len);
    terse_reader_free(reader);
    return err;
}

bool refusal_pass(struct session *s, const struct terse_node *node,
                  const struct terse_error *error, enum terse_err *err) {
    static const char *const names[] = {"message", "presence", "iq"};
    struct terse_buf xml;
    size_t i = 0;

    while (i < 3 && !terse_node_is(node, TERSE_NS_CLIENT, names[i]))
        i++;
    if (i == 3 || (s->state != STATE_UP && s->state != STATE_HELD &&
                   s->state != STATE_RESUMING))
        return false;
    log_event(LOG_WARN, s->id, "refused", "side", "server", "stanza", names[i],
              "text", error->text, NULL);
    metrics_hit(&s->server->metrics, LIMIT_STANZA);
    terse_buf_init(&xml, STAND_IN_MAX);
    *err = put_stand_in(&xml, node, names[i], error->text);
    s->standing_in = true; /* nothing stands in for that */
    if (!*err)
        *err = pass(s, &xml);
    s->standing_in = false;
    terse_buf_fini(&xml);
    if (*err)
        session_fail(s, "resource-constraint", "out of memory");
    return true;
}
