/* slight.c: how much a stanza says. */
#include <string.h>

#include "bridge/bridge.h"

static bool is(struct terse_str s, const char *text) {
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static enum bridge_slight of_presence(const struct terse_node *node) {
    struct terse_str type;

    return !terse_node_attr(node, "", "type", &type) || is(type, "unavailable")
               ? BRIDGE_STATE
               : BRIDGE_SAYS;
}

static enum bridge_slight of_child(struct terse_str name, struct terse_str ns) {
    if (is(ns, "http://jabber.org/protocol/chatstates"))
        return BRIDGE_STATE;
    if ((is(ns, "urn:xmpp:receipts") || is(ns, "urn:xmpp:chat-markers:0")) &&
        (is(name, "received") || is(name, "displayed")))
        return BRIDGE_ABOUT;
    return BRIDGE_SAYS;
}

/* What says nothing by itself. */
static bool is_wrapping(struct terse_str name, struct terse_str ns) {
    return is(ns, "urn:xmpp:hints") || is(ns, "urn:xmpp:sid:0") ||
           is(ns, "urn:xmpp:mam:tmp") || is(name, "thread");
}

static enum bridge_slight of_message(const struct terse_node *node) {
    const struct terse_node *child = terse_node_child(node);
    enum bridge_slight found = BRIDGE_SAYS, one;

    for (; child; child = terse_node_next(child)) {
        struct terse_str name = terse_node_name(child);
        struct terse_str ns = terse_node_ns(child);

        one = of_child(name, ns);
        if (one == BRIDGE_SAYS && !is_wrapping(name, ns))
            return BRIDGE_SAYS;
        if (one == BRIDGE_ABOUT || (one && !found))
            found = one;
    }
    return found;
}

enum bridge_slight bridge_slight(const struct terse_node *node) {
    if (!is(terse_node_ns(node), TERSE_NS_CLIENT))
        return BRIDGE_SAYS;
    if (is(terse_node_name(node), "presence"))
        return of_presence(node);
    return is(terse_node_name(node), "message") ? of_message(node)
                                                : BRIDGE_SAYS;
}
